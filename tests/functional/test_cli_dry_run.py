"""`--dry-run` on commands that change an account: it shows what would happen and writes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from scrip.domain.commands import OpenHold
from scrip.domain.entries import Actor, ActorType
from scrip.ledger import Ledger, utc_now
from scrip.settings import Settings
from scrip.users import add_account
from scrip_cli.exit_codes import ExitCode
from scrip_cli.main import app
from scrip_cli.session import Session
from tests.functional.conftest import items

if TYPE_CHECKING:
    from scrip.store.client import Table

SETTINGS = Settings(table_name="scrip", signup_credits=50)
WHY = ["--reason", "a late answer"]
CHANGES = {
    "grant": (["grant", "anna", "50", *WHY], "after this 200 credits, 20 held"),
    "deduct": (["deduct", "anna", "50", *WHY], "after this 100 credits, 20 held"),
    "freeze": (["freeze", "anna", *WHY], "now active; after this frozen"),
    "unfreeze": (["unfreeze", "anna", *WHY], "after this active"),
    "release": (["release", "anna", "job-1", *WHY], "after this 150 credits."),
}


@pytest.fixture
def ledger(table: Table, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """The ledger of a session, with an account that has a hold."""
    ledger = Ledger(table, utc_now)
    add_account(ledger, "anna", "anna@example.com", SETTINGS)
    service = Actor(ActorType.SERVICE, "app")
    ledger.execute(
        OpenHold(account_id="anna", entry_id="job-1", actor=service, amount=20, expires_in=3_600)
    )
    monkeypatch.setattr(Session, "table", lambda _: table)
    monkeypatch.setattr(Session, "ledger", lambda _: ledger)
    monkeypatch.setattr(Session, "settings", lambda _: SETTINGS)
    monkeypatch.setattr(Session, "operator", lambda _: Actor(ActorType.ADMIN, "arn"))
    return ledger


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["accounts", *words])


def without_times(body: dict[str, Any]) -> dict[str, Any]:
    entry = {
        name: value
        for name, value in body["entry"].items()
        if name not in {"recorded_at", "effective_at", "hash"}
    }
    return {**body, "entry": entry}


@pytest.mark.parametrize("name", CHANGES)
def test_a_dry_run_prints_the_answer_that_the_change_then_gets(ledger: Ledger, name: str) -> None:
    words, preview = CHANGES[name]
    words = [*words, "--idempotency-key", "ticket-1", "--json"]
    before = items(ledger.table)
    rehearsed = run(*words, "--dry-run")
    assert rehearsed.exit_code == ExitCode.DONE, rehearsed.output
    assert preview in " ".join(rehearsed.stderr.split())
    assert "Dry run: nothing was written." in rehearsed.stderr
    assert items(ledger.table) == before
    made = run(*words, "--yes")
    assert "Dry run" not in made.stderr
    assert items(ledger.table) != before
    assert without_times(json.loads(rehearsed.stdout)) == without_times(json.loads(made.stdout))


def test_a_dry_run_is_refused_if_the_change_would_be(ledger: Ledger) -> None:
    refused = run("deduct", "anna", "131", *WHY, "--dry-run")
    assert (refused.exit_code, refused.stdout) == (ExitCode.REFUSED, "")
    assert "available: 130" in refused.stderr
    unknown = run("release", "anna", "job-2", *WHY, "--dry-run")
    assert (unknown.exit_code, "hold_not_found" in unknown.stderr) == (ExitCode.NOT_FOUND, True)


def test_a_dry_run_knows_earlier_uses_of_its_key(ledger: Ledger) -> None:
    grant = ["grant", "anna", "5", *WHY, "--idempotency-key", "ticket-1", "--json"]
    made = run(*grant, "--yes")
    before = items(ledger.table)
    again = run(*grant, "--dry-run")
    assert (again.stdout, "made before" in again.stderr) == (made.stdout, True)
    reused = run("grant", "anna", "6", *grant[3:], "--dry-run")
    assert (reused.exit_code, "idempotency_key_reused" in reused.stderr) == (4, True)
    assert items(ledger.table) == before


def test_a_dry_run_opens_no_account(ledger: Ledger) -> None:
    before = items(ledger.table)
    open_ = ["open", "bert", "--email", "Bert@example.com", "--json"]
    rehearsed = run(*open_, "--dry-run")
    assert items(ledger.table) == before
    assert "with 150 credits" in rehearsed.stderr
    assert "Dry run: nothing was written." in rehearsed.stderr
    assert run(*open_, "--yes").stdout == rehearsed.stdout
    again = run(*open_, "--dry-run")
    assert ("already exists" in again.stderr, again.stdout) == (True, rehearsed.stdout)
    taken = run("open", "carl", "--email", "bert@example.com", "--dry-run")
    assert (taken.exit_code, "email_taken" in taken.stderr) == (ExitCode.REFUSED, True)
