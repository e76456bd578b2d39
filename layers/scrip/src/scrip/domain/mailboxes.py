"""Mailboxes: the spellings of an email address that lead to the same mailbox.

Treating two mailboxes as one costs a user the sign-up credits; treating one as two gives them away
without limit. So the part after a `+` is removed for every provider, although a few distinguish
a+b from a.
"""

import unicodedata

GMAIL = "gmail.com"
NAMES_OF_GMAIL = frozenset({GMAIL, "googlemail.com"})
"""Gmail's domains, which are equivalent; Gmail ignores dots in the local part."""


def mailbox(address: str) -> str:
    """Return the canonical spelling of an address's mailbox."""
    local, _, domain = _folded(address).rpartition("@")
    domain = _ascii(domain.rstrip("."))
    local = local.replace('"', "").replace("\\", "")
    local = local.partition("+")[0] or local
    if domain in NAMES_OF_GMAIL:
        local, domain = local.replace(".", "") or local, GMAIL
    return f"{local}@{domain}"


def _folded(text: str) -> str:
    """Unify letters that look or mean the same: NFKC, lower case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower()).strip()


def _ascii(domain: str) -> str:
    """Return a domain in its DNS form, or unchanged if it has none."""
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return domain
