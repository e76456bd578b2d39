"""The ledger's commands under races, lost answers and throttles."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.domain.commands import Adjust, AdjustAction, CaptureHold, Consume, OpenHold, Refund
from scrip.domain.decide import decide
from scrip.domain.entries import Actor, ActorType
from scrip.domain.errors import (
    BusyError,
    CorruptAccountError,
    HoldEndedError,
    IdempotencyKeyReusedError,
    InsufficientCreditsError,
    RefundTooLargeError,
    UnknownFeatureError,
)
from scrip.ledger import TRIES_MAX, Ledger, opening
from scrip.observability import logger
from scrip.store.client import Table
from scrip.store.commit import AccountMovedError, EntryExistsError, commit
from scrip.store.queries import read
from tests.functional.conftest import items
from tests.functional.deliveries import Clock
from tests.functional.faults import CONFLICT, THROTTLED, answer_lost, instead_of
from tests.unit.domain import examples

ACTOR = Actor(ActorType.USER, "u1")
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def consume(amount: int = 5, key: str = "c1") -> Consume:
    return Consume(account_id="u1", entry_id=key, actor=ACTOR, amount=amount)


def refund(amount: int | None = None, key: str = "r1") -> Refund:
    return Refund(account_id="u1", entry_id=key, actor=ACTOR, refunds="c1", amount=amount)


@pytest.fixture
def books(table: Table, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr("scrip.ledger.PAUSE_SECONDS_MAX", 0.0001)
    ledger = Ledger(table, lambda: NOW)
    ledger.execute(opening("u1"))
    return ledger


def balance(ledger: Ledger) -> int:
    return ledger.account("u1").balance


def test_the_account_and_its_entry_are_written_together(books: Ledger) -> None:
    outcome = books.execute(consume())
    assert outcome.entry is not None
    assert balance(books) == outcome.entry.balance_after == 145


def test_a_decision_on_a_stale_account_is_made_again_on_the_current_one(
    books: Ledger,
) -> None:
    snapshot = read(books.table, "u1")
    books.execute(consume(140, "faster"))
    posting = decide(snapshot.account, consume(20), catalog=DEFAULT_CATALOG, now=NOW)
    with pytest.raises(AccountMovedError) as moved:
        commit(books.table, posting)
    assert moved.value.snapshot == read(books.table, "u1")
    with pytest.raises(InsufficientCreditsError):
        books.execute(consume(20))
    assert balance(books) == 10


def test_a_second_commit_of_an_entry_returns_the_existing_one(books: Ledger) -> None:
    snapshot = read(books.table, "u1")
    posting = decide(snapshot.account, consume(), catalog=DEFAULT_CATALOG, now=NOW)
    commit(books.table, posting)
    with pytest.raises(EntryExistsError) as exists:
        commit(books.table, posting)
    assert exists.value.entry == posting.entry


def test_of_two_refunds_decided_on_the_same_total_only_one_takes_effect(books: Ledger) -> None:
    books.execute(consume(10))
    snapshot = read(books.table, "u1", refunds="c1")
    books.execute(refund(8, "faster"))
    posting = decide(
        snapshot.account,
        refund(8),
        catalog=DEFAULT_CATALOG,
        now=NOW,
        refundable=snapshot.refundable,
    )
    with pytest.raises(AccountMovedError) as moved:
        commit(books.table, posting)
    assert moved.value.snapshot is None, "a refund must read its items together again"
    with pytest.raises(RefundTooLargeError):
        books.execute(refund(8))
    assert balance(books) == 148


@pytest.mark.parametrize("times", [1, 4])
def test_a_lost_answer_causes_no_second_charge(books: Ledger, times: int) -> None:
    with answer_lost(books.table, "TransactWriteItems", times):
        outcome = books.execute(consume())
    assert outcome.entry is not None
    assert balance(books) == 145
    assert books.execute(consume()).entry == outcome.entry


def test_a_conflict_is_retried(books: Ledger) -> None:
    with instead_of(books.table, "TransactWriteItems", CONFLICT, times=2):
        books.execute(consume())
    assert balance(books) == 145


def test_endless_conflicts_are_busy_and_write_nothing(books: Ledger) -> None:
    before = items(books.table)
    with (
        instead_of(books.table, "TransactWriteItems", CONFLICT, times=2 * TRIES_MAX),
        pytest.raises(BusyError),
    ):
        books.execute(consume())
    assert items(books.table) == before
    assert Ledger(books.table, lambda: NOW).execute(consume()).replayed is False


@pytest.mark.parametrize("operation", ["GetItem", "TransactWriteItems"])
def test_a_throttled_command_is_busy(books: Ledger, operation: str) -> None:
    with (
        instead_of(books.table, operation, THROTTLED, times=TRIES_MAX),
        pytest.raises(BusyError),
    ):
        books.execute(consume())
    assert balance(books) == 150


def test_a_reused_key_is_reported_even_if_the_second_request_would_be_refused(
    books: Ledger,
) -> None:
    books.execute(consume(150))
    with pytest.raises(IdempotencyKeyReusedError):
        books.execute(consume(151))


@pytest.mark.parametrize("amount", [5, 150])
def test_a_lost_answer_without_a_key_causes_no_second_charge_and_no_refusal(
    books: Ledger,
    amount: int,
) -> None:
    unkeyed = replace(consume(amount), keyed=False, entry_id="01M7Z9HEG08CP6XPN50R41V4MB")
    with answer_lost(books.table, "TransactWriteItems", 1):
        outcome = books.execute(unkeyed)
    assert (outcome.entry is not None, outcome.replayed) == (True, False)
    assert balance(books) == 150 - amount


ACCOUNT, ENTRY, REFUNDED = (
    ("ACCOUNT#u1", "ACCOUNT"),
    ("LEDGER#u1", "ENTRY#c1"),
    ("ACCOUNT#u1", "REFUNDED#c1"),
)


EDITS: list[tuple[tuple[str, str], str, Any]] = [
    (ACCOUNT, "balance", {"N": "1000000"}),
    (ACCOUNT, "balance", {"S": "145"}),
    (ACCOUNT, "balance", None),
    (ACCOUNT, "grants", {"L": []}),
    (ACCOUNT, "debt", {"N": "-5"}),
    (ACCOUNT, "version", {"S": "2"}),
    (ACCOUNT, "version", None),
    (ACCOUNT, "seq_last", None),
    (ACCOUNT, "hash", None),
    (ACCOUNT, "hash", {"B": b"short"}),
    (ACCOUNT, "time_zone", {"S": "Mars/Olympus"}),
    (ACCOUNT, "time_zone", {"S": "Europe"}),
    (ACCOUNT, "period", {"N": "1000000000"}),
    (ACCOUNT, "anchor", {"N": "253402300799000"}),
    (ACCOUNT, "status", {"S": "sleeping"}),
    (ENTRY, "cost", {"N": "5000"}),
    (ENTRY, "type", {"S": "gift"}),
    (ENTRY, "metadata", {"S": "{"}),
    (REFUNDED, "refunded", {"N": "-100"}),
    (REFUNDED, "refunded", {"N": "6"}),
    (REFUNDED, "refunded", {"S": "abc"}),
]


def test_an_edited_item_is_corrupt_and_left_unchanged(
    books: Ledger,
    subtests: pytest.Subtests,
) -> None:
    books.execute(consume())
    books.execute(refund(2, "r0"))
    client, name = books.table.client, books.table.name
    for (pk, sk), attribute, value in EDITS:
        with subtests.test(sk=sk, attribute=attribute, value=value):
            key = {"pk": {"S": pk}, "sk": {"S": sk}}
            sound = client.get_item(TableName=name, Key=key)["Item"]
            edited = {**sound, attribute: value}
            if value is None:
                del edited[attribute]
            client.put_item(TableName=name, Item=edited)
            before = items(books.table)
            with pytest.raises(CorruptAccountError):
                books.execute(refund(2))
            assert items(books.table) == before
            client.put_item(TableName=name, Item=sound)
    assert books.execute(refund(2)).entry


def test_a_hold_that_is_opened_while_its_capture_is_decided_can_be_captured(books: Ledger) -> None:
    opened = OpenHold(account_id="u1", entry_id="user:h1", actor=ACTOR, amount=60, expires_in=300)
    capture = CaptureHold(
        account_id="u1", entry_id="p1", actor=ACTOR, hold_id="user:h1", final=True, excess=False
    )
    faster = [opened]

    def before_call(**_: Any) -> None:
        if faster:
            books.execute(faster.pop())

    events = books.table.client.meta.events
    events.register("before-call.dynamodb.TransactGetItems", before_call)
    assert books.execute(capture).entry is not None
    events.unregister("before-call.dynamodb.TransactGetItems", before_call)
    assert not faster
    assert balance(books) == 90


def test_a_free_hold_that_ended_with_its_unlimited_plan_has_ended(table: Table) -> None:
    """Time alone ends the plan, so the account's item still has the hold."""
    clock = Clock()
    books = Ledger(table, clock)
    books.execute(replace(opening("u1"), plan_id="unlimited"))
    books.execute(examples.quota("free"))  # takes effect with the next period
    clock.now += timedelta(days=27, hours=23)
    books.execute(examples.hold(5, expires_in=86_400))
    clock.now += timedelta(days=4)
    for command in (examples.capture(5), examples.release(), examples.extend(60)):
        for run in (books.rehearse, books.execute):
            with pytest.raises(HoldEndedError):
                run(command)


def test_two_deployments_that_open_an_account_at_once_open_one(books: Ledger) -> None:
    ours = opening("u9")
    theirs = replace(ours, signup_credits=7)
    faster = [decide(None, theirs, catalog=DEFAULT_CATALOG, now=NOW)]

    def theirs_is_faster(**_: Any) -> None:
        if faster:
            commit(books.table, faster.pop())

    event = "before-call.dynamodb.TransactWriteItems"
    books.table.client.meta.events.register_first(event, theirs_is_faster)
    try:
        assert books.execute(replace(consume(), account_id="u9"), lambda: ours).entry
    finally:
        books.table.client.meta.events.unregister(event, theirs_is_faster)
    assert books.account("u9").balance == 102


def test_a_commit_never_spends_more_than_the_stored_balance(books: Ledger) -> None:
    snapshot = read(books.table, "u1")
    posting = decide(snapshot.account, consume(), catalog=DEFAULT_CATALOG, now=NOW)
    books.table.client.update_item(
        TableName=books.table.name,
        Key={"pk": {"S": "ACCOUNT#u1"}, "sk": {"S": "ACCOUNT"}},
        UpdateExpression="SET balance = :few",
        ExpressionAttributeValues={":few": {"N": "4"}},
    )
    before = items(books.table)
    with pytest.raises(CorruptAccountError):
        commit(books.table, posting)
    assert items(books.table) == before


@pytest.mark.parametrize("refunded_before", [0, 2])
def test_a_refund_is_not_committed_on_a_total_other_than_the_one_that_was_read(
    books: Ledger,
    refunded_before: int,
) -> None:
    books.execute(consume(10))
    if refunded_before:
        books.execute(refund(refunded_before, "r0"))
    snapshot = read(books.table, "u1", refunds="c1")
    posting = decide(
        snapshot.account,
        refund(8),
        catalog=DEFAULT_CATALOG,
        now=NOW,
        refundable=snapshot.refundable,
    )
    books.table.client.put_item(
        TableName=books.table.name,
        Item={"pk": {"S": "ACCOUNT#u1"}, "sk": {"S": "REFUNDED#c1"}, "refunded": {"N": "9"}},
    )
    before = items(books.table)
    with pytest.raises(CorruptAccountError):
        commit(books.table, posting)
    assert items(books.table) == before


def test_an_account_is_identified_by_its_key_and_not_by_an_attribute(books: Ledger) -> None:
    books.table.client.update_item(
        TableName=books.table.name,
        Key={"pk": {"S": "ACCOUNT#u1"}, "sk": {"S": "ACCOUNT"}},
        UpdateExpression="SET account_id = :other",
        ExpressionAttributeValues={":other": {"S": "u2"}},
    )
    books.execute(consume())
    assert balance(books) == 145


def test_an_account_with_entries_but_no_item_is_corrupt_and_not_opened_again(books: Ledger) -> None:
    books.table.client.delete_item(
        TableName=books.table.name,
        Key={"pk": {"S": "ACCOUNT#u1"}, "sk": {"S": "ACCOUNT"}},
    )
    with pytest.raises(CorruptAccountError):
        books.execute(consume(), partial(opening, "u1"))


@pytest.mark.parametrize("corrupt", [{"N": "-5"}, {"N": "0"}, {"S": "x"}])
def test_a_corrupt_price_disables_its_feature_and_nothing_else(
    books: Ledger,
    corrupt: dict[str, str],
) -> None:
    books.table.client.update_item(
        TableName=books.table.name,
        Key={"pk": {"S": "CATALOG"}, "sk": {"S": "FEATURE#chat"}},
        UpdateExpression="SET cost = :cost",
        ExpressionAttributeValues={":cost": corrupt},
    )
    fresh = Ledger(books.table, lambda: NOW)
    with pytest.raises(UnknownFeatureError):
        fresh.execute(replace(consume(), amount=None, feature="chat", quantity=1))
    assert fresh.execute(consume()).entry


def test_an_account_with_a_term_and_four_grants_and_an_entry_are_each_within_1_kb(
    books: Ledger,
) -> None:
    paid = examples.pay_terms(
        examples.line(NOW, NOW + timedelta(days=30), item_id="si_" + "a" * 14),
        payment_id="stripe:in_" + "b" * 24,
        subscription_id="stripe:sub_" + "c" * 24,
    )
    books.execute(paid)
    for n, kind in enumerate(("a" * 36, "b" * 36), start=1):
        books.execute(
            Adjust(
                account_id="u1",
                entry_id=kind,
                actor=ACTOR,
                reason="r",
                action=AdjustAction.ADD,
                amount=10**12,
                expires_at=NOW + timedelta(days=n),
            ),
        )
    logger.set_correlation_id("e" * 36)
    books.execute(replace(consume(10**9, "c" * 36), reference="d" * 36))
    written = {item["sk"]["S"]: item for item in items(books.table)}
    assert item_bytes(written["ACCOUNT"]) <= 1024
    entry = written["ENTRY#" + "c" * 36]
    assert entry["correlation_id"] == {"S": "e" * 36}
    assert item_bytes(entry) <= 1024


def item_bytes(item: dict[str, dict[str, object]]) -> int:
    """Return an item's size as DynamoDB counts it.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """

    def value_bytes(value: dict[str, object]) -> int:
        [(kind, content)] = value.items()
        match kind, content:
            case "S", str():
                return len(content.encode())
            case "N", str():
                return (len(content.lstrip("-").rstrip("0")) + 1) // 2 + 1 + content.startswith("-")
            case "B", bytes():
                return len(content)
            case "BOOL" | "NULL", _:
                return 1
            case "L", list():
                return 3 + sum(1 + value_bytes(element) for element in content)
            case "M", dict():
                return 3 + sum(
                    1 + len(name) + value_bytes(element) for name, element in content.items()
                )
        raise TypeError(kind)

    return sum(len(name) + value_bytes(value) for name, value in item.items())
