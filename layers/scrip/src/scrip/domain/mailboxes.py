"""Mailboxes: which spellings of an email address lead to the same mailbox.

Two mailboxes taken for one cost somebody their welcome; one taken for two gives it away as often as
anybody likes. So what follows a `+` is cut at every provider, although some tell a+b from a.
"""

import unicodedata

GMAIL = "gmail.com"
NAMES_OF_GMAIL = frozenset({GMAIL, "googlemail.com"})
"""There dots in the local part count for nothing, and both domains are one."""


def mailbox(address: str) -> str:
    """Return the mailbox that an address leads to, by one spelling."""
    local, _, domain = _folded(address).rpartition("@")
    domain = _ascii(domain.rstrip("."))
    local = local.replace('"', "").replace("\\", "")
    local = local.partition("+")[0] or local
    if domain in NAMES_OF_GMAIL:
        local, domain = local.replace(".", "") or local, GMAIL
    return f"{local}@{domain}"


def _folded(text: str) -> str:
    """Return a text in which letters that look or mean the same are the same: NFKC, lower case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower()).strip()


def _ascii(domain: str) -> str:
    """Return a domain as DNS has it; one that it cannot have stays as it is."""
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return domain
