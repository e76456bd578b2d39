"""Cognito's trigger."""

from unittest.mock import patch

from scrip.domain.errors import BusyError
from scrip.ledger import Ledger
from scrip.store.client import Table
from tests.functional.conftest import event, invoke, items, send


def test_a_confirmed_signup_opens_an_account(table: Table) -> None:
    sent = event("signup/confirmed")
    assert invoke("signup", sent) == sent
    assert send("account/me").body["balance"] == 150


def test_a_second_signup_changes_nothing_and_succeeds(table: Table) -> None:
    invoke("signup", event("signup/confirmed"))
    send("consume/feature")
    before = items(table)
    invoke("signup", event("signup/confirmed"))
    assert items(table) == before


def test_the_first_call_opens_what_the_trigger_would_have(table: Table) -> None:
    send("account/me")
    before = items(table)
    invoke("signup", event("signup/confirmed"))
    assert items(table) == before


def test_a_forgotten_password_opens_nothing(table: Table) -> None:
    before = items(table)
    invoke("signup", event("signup/forgotten_password"))
    assert items(table) == before


def test_the_trigger_never_keeps_anybody_from_signing_in(table: Table) -> None:
    sent = event("signup/confirmed")
    with patch.object(Ledger, "execute", side_effect=BusyError):
        assert invoke("signup", sent) == sent
