"""The worker behind the sweep's queue."""

from datetime import UTC, datetime, timedelta

import pytest

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.domain.commands import Consume, SetClock
from scrip.domain.entitlement import entitled
from scrip.domain.entries import Actor, ActorType
from scrip.ledger import TRIES_MAX, ledger
from scrip.store.sweeps import move_watermark
from tests.functional.conftest import event, invoke, items
from tests.functional.faults import THROTTLED, counted, instead_of
from tests.functional.renewals import NOW, Renewals
from tests.unit.domain.examples import follow, line, pay_terms

ADMIN = Actor(ActorType.ADMIN, "a1")
A_MONTH_AGO = datetime(2026, 10, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMES = ["u0", "u1", "u2"]


class KilledError(BaseException):
    """The process is killed here."""


@pytest.fixture
def due(renewals: Renewals) -> Renewals:
    """Accounts whose period begins at about noon, and a sweep an hour ago."""
    renewals.open({name: A_MONTH_AGO - n * HOUR / 60 for n, name in enumerate(NAMES)})
    move_watermark(renewals.table, NOW - HOUR)
    return renewals


def test_accounts_that_are_due_are_renewed_and_no_others(due: Renewals) -> None:
    due.open({"later": A_MONTH_AGO + HOUR})
    later = due.stored("later")
    due.sweep()
    assert due.drain() == []
    assert due.renewed() == NAMES
    renewed = due.stored("u0")
    assert (renewed.period, renewed.balance) == (1, 50 + 100), "only the plan's credits are new"
    assert due.stored("later") == later
    before = items(due.table)
    due.sweep()
    assert due.drain() == []
    assert items(due.table) == before, "a second sweep writes nothing"


def test_a_trial_is_over_when_it_ends_and_not_with_the_month(renewals: Renewals) -> None:
    """A subscription may end on another day and at another hour than the account's periods."""
    start, end = (
        datetime(2026, 11, 7, 11, 30, tzinfo=UTC),
        datetime(2026, 11, 21, 11, 30, tzinfo=UTC),
    )
    renewals.open({"u1": datetime(2026, 11, 3, 8, tzinfo=UTC)})
    renewals.ledger_at(start).execute(pay_terms(line(start, end), money=0))
    renewals.ledger_at(start + HOUR).execute(follow("canceled", start + HOUR))
    move_watermark(renewals.table, NOW - HOUR)
    renewals.sweep()
    assert renewals.drain() == []
    account = renewals.stored("u1")
    assert account.as_of == end
    assert entitled(account, DEFAULT_CATALOG, NOW).plan.plan_id == "free"


def test_after_an_outage_of_two_days_all_due_accounts_are_renewed(renewals: Renewals) -> None:
    move_watermark(renewals.table, NOW - timedelta(days=2))
    opened_at = {f"u{hours}": A_MONTH_AGO - hours * HOUR for hours in (0, 9, 30, 47)}
    renewals.open(opened_at)
    renewals.sweep()
    assert renewals.drain() == []
    assert [renewals.stored(name).period for name in opened_at] == [1, 1, 1, 1]


def test_an_account_idle_for_14_months_is_the_same_after_a_read_a_command_or_a_sweep(
    renewals: Renewals,
) -> None:
    idle_since = datetime(2025, 9, 21, 11, 30, tzinfo=UTC)
    renewals.open(dict.fromkeys(("read", "commanded", "swept"), idle_since))
    read = ledger().account("read")
    assert (read.balance, read.period) == (150, 14)
    spent = Consume(account_id="commanded", entry_id="c1", actor=ADMIN, amount=1)
    ledger().execute(spent)
    commanded = renewals.stored("commanded")
    assert (commanded.balance + 1, commanded.period) == (read.balance, read.period)
    move_watermark(renewals.table, NOW - HOUR)
    renewals.sweep()
    assert renewals.drain() == []
    swept = renewals.stored("swept")
    assert (swept.balance, swept.period) == (read.balance, read.period)


def test_an_account_with_a_clock_of_its_own_is_renewed_at_its_own_time(due: Renewals) -> None:
    ahead = NOW + timedelta(days=100)
    due.open({"ahead": NOW - HOUR})
    ledger().execute(
        SetClock(account_id="ahead", entry_id="c", keyed=False, actor=ADMIN, now=ahead)
    )
    move_watermark(due.table, NOW - timedelta(days=31))
    due.sweep()
    assert due.drain() == []
    assert due.stored("ahead").period == 3


def test_a_worker_that_runs_out_of_time_queues_the_rest(
    due: Renewals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("functions.renew.renewals.AT_ONCE", 1)
    monkeypatch.setattr(due.context, "get_remaining_time_in_millis", lambda: 4_999)
    due.sweep()
    due.deliver(due.take())
    assert 0 < len(due.renewed()) < len(NAMES), "one account of each message"
    assert due.drain() == []
    assert due.renewed() == NAMES


def test_an_account_is_renewed_as_its_page_was_read_with_one_round_trip_more(
    renewals: Renewals,
) -> None:
    renewals.open(dict.fromkeys(NAMES, A_MONTH_AGO))
    move_watermark(renewals.table, NOW - HOUR)
    renewals.sweep()
    taken = renewals.take()
    with counted(renewals.table) as calls:
        renewals.deliver(taken)
    assert renewals.renewed() == NAMES
    assert calls.count("TransactWriteItems") == len(NAMES)
    assert "GetItem" not in calls[calls.index("BatchGetItem") :], "only the catalog, once"


def test_an_account_that_changes_after_its_page_was_read_is_read_again(due: Renewals) -> None:
    spent = Consume(account_id="u0", entry_id="c1", actor=ADMIN, amount=107)
    due.sweep()
    due.before_the_next("TransactWriteItems", lambda: due.ledger_at(NOW - HOUR).execute(spent))
    assert due.drain() == []
    assert due.renewed() == NAMES
    assert due.stored("u0").balance == 50 + 100 - 7


def test_two_workers_at_once_renew_each_account_once(due: Renewals) -> None:
    due.sweep()
    taken = due.take()
    due.before_the_next("TransactWriteItems", lambda: due.deliver(taken))
    due.deliver(taken)
    assert due.renewed() == NAMES
    assert due.stored("u0").granted_total == 50 + 100 + 100


def test_the_next_worker_finishes_the_work_of_a_killed_one(
    due: Renewals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("functions.renew.renewals.AT_ONCE", 1)

    def kill() -> None:
        raise KilledError

    due.sweep()
    due.before_the_next(
        "TransactWriteItems", lambda: due.before_the_next("TransactWriteItems", kill)
    )
    with pytest.raises(KilledError):
        due.drain()
    assert len(due.renewed()) == 1
    assert due.drain() == []
    assert due.renewed() == NAMES


def test_an_account_that_cannot_be_settled_becomes_a_dead_letter_alone(due: Renewals) -> None:
    due.table.client.update_item(
        TableName=due.table.name,
        Key={"pk": {"S": "ACCOUNT#u1"}, "sk": {"S": "ACCOUNT"}},
        UpdateExpression="SET time_zone = :edited",
        ExpressionAttributeValues={":edited": {"S": "Europe"}},
    )
    due.sweep()
    assert due.drain() == [{"account_id": "u1"}]
    assert due.renewed() == ["u0", "u2"]


def test_a_deleted_account_is_not_a_failure(due: Renewals) -> None:
    assert invoke("renew", event("renew/account")) == {"batchItemFailures": []}


def test_failed_messages_are_returned_to_sqs_and_the_rest_of_the_batch_is_done(
    due: Renewals,
) -> None:
    [message] = event("renew/account")["Records"]
    batch = [
        {**message, "messageId": "malformed", "body": '{"account": "u0"}'},
        {**message, "messageId": "throttled", "body": '{"account_id": "u1"}'},
        {**message, "messageId": "done", "body": '{"account_id": "u2"}'},
    ]
    with instead_of(due.table, "GetItem", THROTTLED, times=TRIES_MAX):
        answer = invoke("renew", {"Records": batch})
    assert answer == {
        "batchItemFailures": [{"itemIdentifier": "malformed"}, {"itemIdentifier": "throttled"}],
    }
    assert due.renewed() == ["u2"]


def test_a_throttled_table_fails_the_message_and_skips_no_account(due: Renewals) -> None:
    due.sweep()
    taken = due.take()
    with instead_of(due.table, "TransactWriteItems", THROTTLED, times=len(NAMES) * TRIES_MAX):
        due.deliver(taken)
    assert [record["messageId"] for record in due.take()] == [
        record["messageId"] for record in taken
    ]
