"""The function that Cognito triggers after a sign-up."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.signup.handler import THREAD
from scrip.ledger import TRIES_MAX, ledger
from scrip.store.client import Table
from scrip.store.mailbox_key import hashed, own_mailbox_key
from scrip.store.queries import read_entry
from scrip.users import emails_of, open_account
from tests.functional.conftest import USER, event, invoke, items, send
from tests.functional.faults import THROTTLED, instead_of


def items_but_addresses(table: Table) -> list[dict[str, Any]]:
    """Return all items but the time of a user's addresses, which differs each time."""
    return [item for item in items(table) if item["sk"]["S"] != "ADDRESSES"]


def test_a_confirmed_signup_opens_an_account(table: Table) -> None:
    sent = event("signup/confirmed")
    assert invoke("signup", sent) == sent
    assert send("account/me").body["balance"] == 150
    welcome = read_entry(table, USER, "signup:grant")
    assert welcome is not None
    assert (welcome.amount, welcome.reason) == (50, "Welcome credits")


def test_a_second_signup_changes_nothing_and_succeeds(table: Table) -> None:
    invoke("signup", event("signup/confirmed"))
    send("consume/feature")
    before = items_but_addresses(table)
    invoke("signup", event("signup/confirmed"))
    assert items_but_addresses(table) == before


def test_an_older_message_does_not_replace_newer_addresses(table: Table) -> None:
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    second = timedelta(seconds=1)
    for email, at, linked in (
        ("new@example.com", noon, ["email:new@example.com"]),
        ("old@example.com", noon - second, []),
        ("new@example.com", noon, ["email:new@example.com"]),
        ("newer@example.com", noon + second, ["email:newer@example.com"]),
        ("new@example.com", noon, []),
    ):
        assert open_account(ledger(), USER, [email], at=at) == linked
    assert emails_of(ledger(), USER) == ["newer@example.com"]


def test_the_first_call_opens_the_account_that_the_trigger_would_have(table: Table) -> None:
    send("account/me")
    before = items(table)
    invoke("signup", event("signup/confirmed"))
    after = items(table)
    assert all(item in after for item in before)
    # The token has no address; the trigger does.
    added = {item["sk"]["S"] for item in after if item not in before}
    [mailbox] = hashed(["alice@example.com"], own_mailbox_key)
    assert added == {"ALIAS#email:alice@example.com", "ADDRESSES", f"WELCOME#{mailbox}"}


def test_a_forgotten_password_opens_no_account(table: Table) -> None:
    before = items(table)
    invoke("signup", event("signup/forgotten_password"))
    assert items(table) == before


def test_a_failure_of_the_trigger_does_not_stop_a_user_from_signing_in(
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scrip.ledger.PAUSE_SECONDS_MAX", 0.0001)
    sent = event("signup/confirmed")
    with instead_of(table, "GetItem", THROTTLED, times=TRIES_MAX):
        assert invoke("signup", sent) == sent
    assert items(table) == []
    assert send("account/me").body["balance"] == 150


def test_a_slow_table_does_not_keep_cognito_waiting(
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("functions.signup.handler.SECONDS_MAX", 0.05)
    invoke("signup", event("signup/forgotten_password"))
    waited = threading.Event()

    def slow(**_: object) -> None:
        waited.wait(5)

    table.client.meta.events.register_first("before-call.dynamodb.GetItem", slow)
    try:
        sent = event("signup/confirmed")
        assert invoke("signup", sent) == sent
        assert items(table) == [], "it did not wait for the table"
    finally:
        waited.set()
        table.client.meta.events.unregister("before-call.dynamodb.GetItem", slow)
    THREAD.submit(lambda: None).result()
    assert send("account/me").body["balance"] == 150
