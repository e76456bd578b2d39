"""Any instant from the command line: `scrip clock`, `accounts show --at`, `accounts upcoming`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from scrip.domain.entries import Actor, ActorType
from scrip.ledger import Ledger
from scrip.settings import Settings
from scrip.users import add_account
from scrip_cli.exit_codes import ExitCode
from scrip_cli.main import app
from scrip_cli.session import Session
from tests.functional.conftest import items
from tests.functional.deliveries import Clock

if TYPE_CHECKING:
    from scrip.store.client import Table

OPERATOR = Actor(ActorType.ADMIN, "arn")


@pytest.fixture
def ledger(table: Table, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """The ledger of a session on stage dev, with an account opened on 1 November 2026 at noon."""
    ledger = Ledger(table, Clock())
    add_account(ledger, "anna", None, Settings(table_name="scrip", signup_credits=50))
    monkeypatch.setattr(Session, "ledger", lambda _: ledger)
    monkeypatch.setattr(Session, "operator", lambda _: OPERATOR)
    monkeypatch.setattr(Session, "stage", lambda _: "dev")
    return ledger


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def printed(*words: str) -> Any:
    done = run(*words, "--json")
    assert done.exit_code == ExitCode.DONE, done.output
    return json.loads(done.stdout)


def test_a_clock_is_shown_set_and_advanced(ledger: Ledger) -> None:
    assert printed("clock", "anna") == {
        "account_id": "anna",
        "now": "2026-11-01T12:00:00.000Z",
        "has_own_clock": False,
        "plan_id": "free",
        "balance": 150,
    }
    assert printed("clock", "anna", "--set", "2026-12-15", "--yes")["has_own_clock"]
    moved = printed("clock", "anna", "--advance", "36h", "--yes")
    assert moved["now"] == "2026-12-16T12:00:00.000Z"
    period = printed("accounts", "show", "anna")["period"]
    assert period == {"start": "2026-12-01T12:00:00.000Z", "end": "2027-01-01T12:00:00.000Z"}


def test_a_dry_run_shows_the_account_then_and_sets_nothing(ledger: Ledger) -> None:
    before = items(ledger.table)
    dry = printed("clock", "anna", "--advance", "31d", "--dry-run")
    assert items(ledger.table) == before
    assert printed("clock", "anna", "--advance", "31d", "--yes") == dry


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--set", "2026-10-31"], ExitCode.REFUSED),
        (["--advance", "1y"], ExitCode.USAGE),
        (["--advance", "1d", "--set", "2027-01-01"], ExitCode.USAGE),
    ],
)
def test_a_time_that_cannot_be_set_is_refused(
    ledger: Ledger, options: list[str], code: ExitCode
) -> None:
    assert run("clock", "anna", *options, "--yes").exit_code == code


def test_clocks_are_for_stage_dev(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Session, "stage", lambda _: "prod")
    refused = run("clock", "anna", "--advance", "1d", "--yes")
    assert refused.exit_code != ExitCode.DONE
    assert "accounts have clocks for stage dev only" in " ".join(refused.stderr.split())


def test_an_account_is_shown_as_it_was_and_as_it_will_be(ledger: Ledger) -> None:
    printed("clock", "anna", "--advance", "31d", "--yes")
    was = printed("accounts", "show", "anna", "--at", "2026-11-02")
    assert (was["balance"], "grants" in was) == (150, False)
    assert "balance     150" in run("accounts", "show", "anna", "--at", "2026-11-02").stdout
    will_be = printed("accounts", "show", "anna", "--at", "2027-06-15")
    assert will_be["period"]["end"] == "2027-07-01T12:00:00.000Z"


def test_what_will_happen_is_listed(ledger: Ledger) -> None:
    listed = run("accounts", "upcoming", "anna", "--limit", "2").stdout.splitlines()
    assert [line.split("\t") for line in listed] == [
        ["at", "begins_period", "granted", "expired", "released", "balance", "plan_id"],
        ["2026-12-01T12:00:00.000Z", "true", "100", "100", "0", "150", "free"],
        ["2027-01-01T12:00:00.000Z", "true", "100", "100", "0", "150", "free"],
    ]
