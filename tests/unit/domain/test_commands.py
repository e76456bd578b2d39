"""Account IDs."""

from dataclasses import replace

import pytest

from scrip.domain.commands import is_account_id
from scrip.domain.errors import UnusableAccountIdError
from tests.unit.domain.examples import opening

REAL = (
    "5d1f0c7e-9d4e-4c7e-8a55-0a6d3f1b2c3d",
    "auth0|5f7c8ec7c33c6c004bbafe82",
    "google-oauth2|103547991597142817347",
    "samlp|corp|anna@example.com",
    "user_2abcDEF",
    "anna+x@example.com",
    "o'brien@example.com",
    "org:team.member",
    "001234.0123456789abcdef.1234",
    "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ=",
    "f:2b9c1a52-0000-4000-8000-000000000001:anna",
    "backend@clients",
    "a",
    "...",
    "me2",
    "ME",
    "a" * 128,
)
"""User IDs of identity providers, and IDs that an app may choose."""

UNUSABLE = (
    "",
    "a" * 129,
    "team/anna",
    "team\\anna",
    "anna#1",
    "anna?x",
    "50%",
    "auth0%7Cabc",
    "anna smith",
    " anna",
    "anna\n",
    "an\x00na",
    "an\x7fna",
    "an\u00a0na",
    "an\u2028na",
    "müller",
    "\u202eanna",
    "an\ud800na",
    "me",
    ".",
    "..",
)
"""IDs that a route, a key or the gateway could not carry or would misinterpret."""


@pytest.mark.parametrize("account_id", REAL)
def test_user_ids_of_all_providers_are_account_ids(account_id: str) -> None:
    assert is_account_id(account_id)
    assert replace(opening(), account_id=account_id).account_id == account_id


@pytest.mark.parametrize("account_id", UNUSABLE)
def test_an_id_that_no_route_can_carry_opens_no_account(account_id: str) -> None:
    assert not is_account_id(account_id)
    with pytest.raises(UnusableAccountIdError):
        replace(opening(), account_id=account_id)
