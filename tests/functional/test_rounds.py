"""The function that audits all accounts: rounds of several runs, failures, and its reports."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scrip.domain.errors import BusyError
from scrip.ledger import ledger
from scrip.store.audit.books import TableRefusedError
from scrip.store.audit.rounds import read_progress
from scrip.store.items import to_wire
from scrip.store.keys import progress_key, restore_key
from tests.functional.conftest import event, invoke, send
from tests.functional.faults import THROTTLED, answer_lost, instead_of
from tests.functional.renewals import NOW, Renewals

HOUR = timedelta(hours=1)
NAMES = ["u0", "u1", "u2"]
DENIED = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
"""DynamoDB's error for a role without the permission."""


@pytest.fixture
def opened(renewals: Renewals, monkeypatch: pytest.MonkeyPatch) -> Renewals:
    """Three accounts; a run audits about one, as the context leaves little time."""
    monkeypatch.setattr("scrip.audit.accounts.PAUSES_SECONDS", ())
    monkeypatch.setattr("scrip.store.audit.books.BACKOFF_SECONDS", 0.0001)
    monkeypatch.setattr("functions.audit.rounds.PAGE_ITEMS", 5)
    renewals.open(dict.fromkeys(NAMES, NOW - HOUR))
    return renewals


def run(name: str = "schedule") -> dict[str, Any]:
    return invoke("audit", event(f"audit/{name}"))  # type: ignore[no-any-return]


def run_to_the_end() -> list[dict[str, Any]]:
    results = [run()]
    while results[-1]["is_under_way"]:
        results.append(run())
    return results


def pass_time(hours: float) -> None:
    later = ledger().clock() + hours * HOUR
    ledger().clock = lambda: later


def set_balance(opened: Renewals, name: str, balance: int) -> None:
    """Edit an account in the table."""
    opened.table.client.update_item(
        TableName=opened.table.name,
        Key={"pk": {"S": f"ACCOUNT#{name}"}, "sk": {"S": "ACCOUNT"}},
        UpdateExpression="SET balance = :balance",
        ExpressionAttributeValues={":balance": {"N": str(balance)}},
    )


def metrics(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the metrics that were emitted since the last call."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_round_takes_several_runs_and_counts_every_account_once(
    opened: Renewals,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, *others, last = run_to_the_end()
    assert first["is_under_way"]
    assert others, "a round that needs only two runs would test less"
    assert last == {"is_under_way": False, "accounts": 3, "mismatches": 0}
    lines = metrics(capsys)
    assert sum(line.get("AuditedAccounts", [0])[0] for line in lines) == 3
    assert run() == last, "between two rounds there is nothing to do"
    assert metrics(capsys)[0]["AuditAge"] == [0]
    pass_time(22)
    assert run()["is_under_way"]
    assert metrics(capsys)[0]["AuditAge"] == [22 * 60 * 60]


def test_a_round_with_failed_and_parallel_runs_counts_every_account_once(
    opened: Renewals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def another_run() -> None:
        run()

    monkeypatch.setattr("functions.audit.rounds.PAGE_ITEMS", 2)
    with instead_of(opened.table, "PutItem", THROTTLED, times=1), pytest.raises(BusyError):
        run()
    with instead_of(opened.table, "Scan", THROTTLED, times=100), pytest.raises(BusyError):
        run()
    run()
    with answer_lost(opened.table, "PutItem", times=2), pytest.raises(BusyError):
        run()
    # Another run starts when a page is done and not yet saved.
    opened.before_the_next("PutItem", another_run)
    run()
    assert run_to_the_end()[-1] == {"is_under_way": False, "accounts": 3, "mismatches": 0}


def a_round(begun_at: datetime, **others: Any) -> dict[str, Any]:
    return to_wire({"round": {"begun_at": begun_at, **others}})["round"]  # type: ignore[no-any-return]


def test_impossible_progress_starts_a_new_round(opened: Renewals) -> None:
    nowhere = {"M": {"foo": {"S": "x"}}}
    for corrupt, step in (
        ({}, 2),
        ({"step": {"S": "x"}}, 2),
        ({"step": {"N": "7"}, "last": {"S": "x"}}, 9),
        ({"step": {"N": "1.5"}}, 4),
        ({"step": {"N": "-3"}}, 2),
        ({"step": {"N": "1" + "0" * 38}}, 2),
        ({"step": {"N": "7"}, "current": a_round(NOW - HOUR), "after": nowhere}, 9),
        ({"step": {"N": "7"}, "current": a_round(NOW - HOUR, accounts=-1)}, 9),
        ({"step": {"N": "7"}, "last": a_round(NOW, ended_at=NOW - HOUR)}, 9),
        ({"step": {"N": "7"}, "last": {"M": {"begun_at": {"S": "2026-11-01T00:00:00"}}}}, 9),
    ):
        item = {**to_wire(progress_key()), **corrupt}
        opened.table.client.put_item(TableName=opened.table.name, Item=item)
        assert run()["is_under_way"], corrupt
        progress = read_progress(opened.table)
        assert (progress.step, progress.last) == (step, None), corrupt
        assert progress.since == NOW, corrupt


def test_a_round_in_the_future_does_not_count(
    opened: Renewals,
    capsys: pytest.CaptureFixture[str],
) -> None:
    late = {"code": "audit_late", "subject": "audit"}
    for corrupt in (
        {"last": a_round(NOW + HOUR, ended_at=NOW + 2 * HOUR)},
        {"last": a_round(NOW - HOUR, ended_at=datetime.max.replace(tzinfo=UTC))},
        {"current": a_round(NOW + HOUR)},
    ):
        item = {**to_wire(progress_key()), "step": {"N": "7"}, **corrupt}
        opened.table.client.put_item(TableName=opened.table.name, Item=item)
        health = send("admin/health").body
        assert (health["audit"], late in health["problems"]) == (None, True)
        metrics(capsys)
        assert run()["is_under_way"], corrupt
        assert metrics(capsys)[0]["AuditAge"] == [0]
        assert read_progress(opened.table).since == NOW
        assert late not in send("admin/health").body["problems"]


def test_a_mismatch_is_reported_until_a_round_no_longer_finds_it(
    opened: Renewals,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    set_balance(opened, "u1", 10**6)
    assert run_to_the_end()[-1]["mismatches"] == 1
    logged = [vars(line) for line in caplog.records]
    assert {(one["account_id"], one["code"]) for one in logged} == {("u1", "balance_wrong")}
    mismatches = [one["AuditMismatches"] for one in metrics(capsys) if "AuditMismatches" in one]
    assert mismatches[-1] == [1]
    health = send("admin/health").body
    assert health["audit"] == {
        "ended_at": "2026-11-21T12:00:00.000Z",
        "age_seconds": 0,
        "accounts": 3,
        "mismatches": 1,
        "unaudited": 0,
    }
    assert {"code": "audit_mismatches", "subject": "audit"} in health["problems"]

    set_balance(opened, "u1", 150)
    assert run()["mismatches"] == 1
    assert run("restart")["is_under_way"]
    assert run_to_the_end()[-1]["mismatches"] == 0


def test_nothing_is_audited_while_a_backup_is_being_restored(
    opened: Renewals,
    caplog: pytest.LogCaptureFixture,
) -> None:
    set_balance(opened, "u1", 10**6)
    key = to_wire(restore_key())
    opened.table.client.put_item(TableName=opened.table.name, Item=key)
    assert run("restart") == {"is_under_way": False, "accounts": 0, "mismatches": 0}
    assert "a backup is being restored" in caplog.text
    opened.table.client.delete_item(TableName=opened.table.name, Key=key)
    assert run_to_the_end()[-1]["mismatches"] == 1


def test_a_missing_permission_is_an_error_and_no_mismatch(opened: Renewals) -> None:
    with (
        instead_of(opened.table, "Query", DENIED, times=1),
        pytest.raises(TableRefusedError),
    ):
        run_to_the_end()
    assert run_to_the_end()[-1] == {"is_under_way": False, "accounts": 3, "mismatches": 0}


def test_accounts_that_take_too_long_are_skipped_and_reported(
    opened: Renewals,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("functions.audit.rounds.ACCOUNT_SECONDS_MAX", -1)
    assert run_to_the_end()[-1] == {"is_under_way": False, "accounts": 3, "mismatches": 0}
    assert {vars(line)["account_id"] for line in caplog.records} == set(NAMES)
    pass_time(24.1)
    health = send("admin/health").body
    assert health["audit"]["unaudited"] == 3
    problems = [problem["code"] for problem in health["problems"]]
    assert {"accounts_unaudited", "audit_late"} <= set(problems)
