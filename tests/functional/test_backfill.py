"""Accounts for users who signed up before Scrip was installed."""

from collections import Counter

import pytest

from scrip.ledger import Ledger, opening, utc_now
from scrip.settings import Settings
from scrip.store.aliases import accounts_named
from scrip.store.client import Table
from scrip.users import emails_of, open_account
from scrip_cli.accounts.backfill import Backfill, Result
from scrip_cli.accounts.people import Person
from tests.functional.conftest import items
from tests.functional.faults import THROTTLED, instead_of

SETTINGS = Settings(table_name="scrip", signup_credits=50)
ANNA, BERT = Person(account_id="anna", email="anna@example.com"), Person(account_id="bert")


def backfill(table: Table, *people: Person, dry_run: bool = False) -> Backfill:
    work = Backfill(Ledger(table, utc_now), SETTINGS, dry_run=dry_run)
    for person in people:
        work.open_one(person)
    return work


def test_the_backfill_opens_accounts_with_the_same_command_as_the_triggers(table: Table) -> None:
    assert opening("anna", stack=SETTINGS) == opening("anna")
    assert backfill(table, ANNA, BERT).counts == Counter({Result.CREATED: 2})
    assert Ledger(table, utc_now).account("anna").balance == 150
    assert accounts_named(table, ["email:anna@example.com"]) == {"email:anna@example.com": "anna"}


def test_an_existing_account_gets_a_missing_address(table: Table) -> None:
    ledger = Ledger(table, utc_now)
    open_account(ledger, "anna", ["other@example.com"], at=ledger.clock())
    assert backfill(table, ANNA).counts == Counter({Result.ALREADY_OPEN: 1})
    assert emails_of(ledger, "anna") == ["anna@example.com", "other@example.com"]


def test_a_dry_run_counts_and_a_repeated_run_changes_nothing(table: Table) -> None:
    backfill(table, ANNA)
    before = items(table)
    counts = backfill(table, ANNA, BERT, dry_run=True).counts
    assert counts == Counter({Result.CREATED: 1, Result.ALREADY_OPEN: 1})
    assert backfill(table, ANNA).counts == Counter({Result.ALREADY_OPEN: 1})
    assert items(table) == before


def test_an_unconfirmed_user_gets_no_account(table: Table) -> None:
    counts = backfill(table, Person(account_id="anna", confirmed=False)).counts
    assert counts == Counter({Result.NOT_CONFIRMED: 1})
    assert items(table) == []


def test_a_busy_table_is_retried_and_then_reported(
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scrip_cli.work.PAUSE_SECONDS", 0.0001)
    with instead_of(table, "GetItem", THROTTLED, times=2):
        assert backfill(table, ANNA).counts == Counter({Result.CREATED: 1})
    with instead_of(table, "GetItem", THROTTLED, times=100):
        work = backfill(table, BERT)
    assert (work.counts, work.failures) == (Counter({Result.FAILED: 1}), {"bert": "busy"})
    assert backfill(table, ANNA, BERT).counts == Counter(
        {Result.ALREADY_OPEN: 1, Result.CREATED: 1},
    )
