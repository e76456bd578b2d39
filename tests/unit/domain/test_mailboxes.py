"""Addresses that lead to the same mailbox, and those that do not."""

from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scrip.domain.mailboxes import mailbox

LOCALS = st.from_regex(r"[a-z0-9]{1,10}([._-][a-z0-9]{1,10}){0,3}", fullmatch=True)
DOMAINS = st.from_regex(r"[a-z0-9]{1,10}(-[a-z0-9]{1,5})?\.(com|org|example)", fullmatch=True)
TAGS = st.from_regex(r"(\+[A-Za-z0-9._+-]{0,10}){0,2}", fullmatch=True)
GMAIL = st.sampled_from(["gmail.com", "googlemail.com", "GMail.com", "GOOGLEMAIL.COM"])


@given(local=LOCALS, domain=DOMAINS, tag=TAGS, write=st.sampled_from([str, str.upper]))
def test_tags_and_case_lead_to_the_same_mailbox(
    local: str, domain: str, tag: str, write: Callable[[str], str]
) -> None:
    assert mailbox(write(f"{local}{tag}@{domain}")) == mailbox(f"{local}@{domain}")


@given(local=LOCALS, tag=TAGS, domain=GMAIL, data=st.data())
def test_dots_lead_to_the_same_mailbox_at_gmail_and_only_there(
    local: str, tag: str, domain: str, data: st.DataObject
) -> None:
    letters = local.replace(".", "")
    place = data.draw(st.integers(0, len(letters)))
    dotted = f"{letters[:place]}.{letters[place:]}"
    assert mailbox(f"{dotted}{tag}@{domain}") == mailbox(f"{letters}@gmail.com")
    assert mailbox(f"{dotted}@example.com") != mailbox(f"{letters}@example.com")


@given(one=LOCALS, other=LOCALS, domain=DOMAINS, other_domain=DOMAINS)
def test_other_names_or_domains_lead_to_other_mailboxes(
    one: str, other: str, domain: str, other_domain: str
) -> None:
    assume((one, domain) != (other, other_domain))
    assert mailbox(f"{one}@{domain}") != mailbox(f"{other}@{other_domain}")


@given(st.text(max_size=60) | st.emails())
def test_the_mailbox_of_a_mailbox_is_itself(address: str) -> None:
    once = mailbox(address)
    assert mailbox(once) == once
    assert "@" in once


@pytest.mark.parametrize(
    ("written", "mailbox_of"),
    [
        ("Alice@Example.COM", "alice@example.com"),
        (" alice@example.com\n", "alice@example.com"),
        ("alice@example.com.", "alice@example.com"),
        ('"alice"@example.com', "alice@example.com"),
        (r'"a\lice"@example.com', "alice@example.com"),
        ("\uff41\uff4c\uff49\uff43\uff45@example.com", "alice@example.com"),  # full-width letters
        ("alice\uff20example.com", "alice@example.com"),  # and a full-width @
        ("jos\u00e9@example.com", "jose\u0301@example.com"),
        ("alice@B\u00dcCHER.example", "alice@xn--bcher-kva.example"),
        ("alice@xn--BCHER-kva.example", "alice@b\u00fccher.example"),
        ("A.L.I.C.E+x@GoogleMail.com", "alice@gmail.com"),
        ("+tag@example.com", "+tag@example.com"),
    ],
)
def test_one_mailbox_has_many_spellings(written: str, mailbox_of: str) -> None:
    assert mailbox(written) == mailbox(mailbox_of)


def test_addresses_that_are_only_a_tag_have_different_mailboxes() -> None:
    assert len({mailbox(f"+{tag}@example.com") for tag in ("a", "b", "a+b")}) == 3
