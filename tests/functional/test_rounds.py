"""The function that audits all accounts: rounds of several runs, failures, and its reports."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from functions.audit.handler import lambda_handler as audit
from scrip.domain.errors import BusyError
from scrip.ledger import ledger
from scrip.store.audit.rounds import read_progress
from scrip.store.items import to_wire
from scrip.store.keys import progress_key, restore_key
from tests.functional.conftest import send
from tests.functional.faults import THROTTLED, instead_of
from tests.functional.renewals import NOW, Renewals

if TYPE_CHECKING:
    import io

    from tests.functional.rounds import Rounds

HOUR = timedelta(hours=1)
NAMES = ["u0", "u1", "u2"]
DENIED = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
"""DynamoDB's error for a role without the permission."""


@pytest.fixture
def opened(renewals: Renewals, monkeypatch: pytest.MonkeyPatch) -> Renewals:
    """Three accounts; a page has about one."""
    monkeypatch.setattr("functions.audit.parts.PAGE_ITEMS", 5)
    renewals.open(dict.fromkeys(NAMES, NOW - HOUR))
    return renewals


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


@pytest.mark.usefixtures("opened")
def test_a_round_has_parts_that_workers_continue_and_counts_every_account_once(
    rounds: Rounds,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert rounds.schedule()["is_under_way"]
    first = rounds.take()
    assert len(first) == 2
    rounds.deliver(first)
    left = rounds.take()
    assert all(json.loads(record["body"])["after"] for record in left), "what no time was left for"
    rounds.deliver(left)
    assert rounds.work() == {"is_under_way": False, "accounts": 3, "mismatches": 0}
    lines = metrics(capsys)
    assert sum(line.get("AuditedAccounts", [0])[0] for line in lines) == 3
    assert not rounds.schedule()["is_under_way"], "between two rounds there is nothing to do"
    assert metrics(capsys)[0]["AuditAge"] == [0]
    pass_time(22)
    assert rounds.schedule()["is_under_way"]
    assert metrics(capsys)[0]["AuditAge"] == [22 * 60 * 60]


def test_a_part_that_failed_or_came_twice_counts_once(
    opened: Renewals, rounds: Rounds, capsys: pytest.CaptureFixture[str]
) -> None:
    with instead_of(opened.table, "PutItem", THROTTLED, times=1), pytest.raises(BusyError):
        rounds.schedule()
    rounds.schedule()
    records = rounds.take()
    with instead_of(opened.table, "Scan", THROTTLED, times=100):
        assert len(rounds.deliver(records)) == 2
    records = rounds.take()
    audit({"Records": [*records, *records]}, rounds.context)  # SQS may deliver twice
    assert rounds.work() == {"is_under_way": False, "accounts": 3, "mismatches": 0}
    assert sum(line.get("AuditedAccounts", [0])[0] for line in metrics(capsys)) == 3


@pytest.mark.usefixtures("opened")
def test_parts_that_were_lost_are_queued_again_and_those_of_an_earlier_round_dropped(
    rounds: Rounds,
) -> None:
    rounds.schedule()
    early = rounds.take()
    rounds.queue.client.purge_queue(QueueUrl=rounds.queue.url)
    rounds.schedule()
    assert rounds.work()["accounts"] == 3
    pass_time(22)
    rounds.schedule()
    assert audit({"Records": early}, rounds.context) == {"batchItemFailures": []}
    assert len(rounds.take()) == 2, "nothing is left of the early ones"


def a_round(begun_at: datetime, **others: Any) -> dict[str, Any]:
    return to_wire({"round": {"begun_at": begun_at, **others}})["round"]  # type: ignore[no-any-return]


def test_impossible_progress_starts_a_new_round(opened: Renewals, rounds: Rounds) -> None:
    for corrupt, step in (
        ({}, 1),
        ({"step": {"S": "x"}}, 1),
        ({"step": {"N": "7"}, "last": {"S": "x"}}, 8),
        ({"step": {"N": "1.5"}}, 3),
        ({"step": {"N": "-3"}}, 1),
        ({"step": {"N": "1" + "0" * 38}}, 1),
        ({"step": {"N": "7"}, "current": a_round(NOW - HOUR, share=99)}, 8),
        ({"step": {"N": "7"}, "current": a_round(NOW - HOUR, accounts=-1)}, 8),
        ({"step": {"N": "7"}, "last": a_round(NOW, ended_at=NOW - HOUR)}, 8),
        ({"step": {"N": "7"}, "last": {"M": {"begun_at": {"S": "2026-11-01T00:00:00"}}}}, 8),
    ):
        item = {**to_wire(progress_key()), **corrupt}
        opened.table.client.put_item(TableName=opened.table.name, Item=item)
        assert rounds.schedule()["is_under_way"], corrupt
        progress = read_progress(opened.table)
        assert (progress.step, progress.last) == (step, None), corrupt
        assert progress.since == NOW, corrupt


def test_a_round_in_the_future_does_not_count(
    opened: Renewals,
    rounds: Rounds,
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
        assert rounds.schedule()["is_under_way"], corrupt
        assert metrics(capsys)[0]["AuditAge"] == [0]
        assert read_progress(opened.table).since == NOW
        assert late not in send("admin/health").body["problems"]


def test_a_mismatch_is_reported_until_a_round_no_longer_finds_it(
    opened: Renewals,
    rounds: Rounds,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    set_balance(opened, "u1", 10**6)
    assert rounds.whole()["mismatches"] == 1
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
    assert rounds.schedule()["mismatches"] == 1
    assert rounds.whole(restart=True)["mismatches"] == 0


def test_nothing_is_audited_while_a_backup_is_being_restored(
    opened: Renewals,
    rounds: Rounds,
    caplog: pytest.LogCaptureFixture,
) -> None:
    set_balance(opened, "u1", 10**6)
    key = to_wire(restore_key())
    opened.table.client.put_item(TableName=opened.table.name, Item=key)
    nothing = {"is_under_way": False, "accounts": 0, "mismatches": 0}
    assert rounds.schedule(restart=True) == nothing
    assert "a backup is being restored" in caplog.text
    opened.table.client.delete_item(TableName=opened.table.name, Key=key)
    assert rounds.whole()["mismatches"] == 1


def test_a_missing_permission_is_an_error_and_no_mismatch(
    opened: Renewals, rounds: Rounds, logged: io.StringIO
) -> None:
    rounds.schedule()
    with instead_of(opened.table, "Scan", DENIED, times=1):
        assert len(rounds.deliver(rounds.take())) == 1
    assert "TableRefusedError" in logged.getvalue()
    assert rounds.whole() == {"is_under_way": False, "accounts": 3, "mismatches": 0}


@pytest.mark.usefixtures("opened")
def test_accounts_that_take_too_long_are_skipped_and_reported(
    rounds: Rounds,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("functions.audit.parts.ACCOUNT_SECONDS_MAX", -1)
    assert rounds.whole() == {"is_under_way": False, "accounts": 3, "mismatches": 0}
    assert {vars(line)["account_id"] for line in caplog.records} == set(NAMES)
    pass_time(24.1)
    health = send("admin/health").body
    assert health["audit"]["unaudited"] == 3
    problems = [problem["code"] for problem in health["problems"]]
    assert {"accounts_unaudited", "audit_late"} <= set(problems)
