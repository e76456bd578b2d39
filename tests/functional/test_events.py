"""The table's stream as Lambda delivers it: usage, events, and the handling of failures."""

from __future__ import annotations

import copy
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from functions.events.handler import UndeliveredError
from tests.functional.conftest import USER, event, invoke, items, send
from tests.functional.faults import THROTTLED, instead_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.store.client import Table
    from tests.functional.outside import Outside

OTHER = "7f3a9b10-2c64-4d0e-b1f7-3e8d5a6c9b02"

RESTORED = {"restored_at": {"N": "1795266301000"}}

RIGHT: list[dict[str, Any]] = [
    {"day": "2026-11-21", "feature": "chat", "credits": 5, "count": 1, "refunded": 3, "meters": {}},
    {"day": "2026-11-21", "feature": None, "credits": 7, "count": 1, "refunded": 0, "meters": {}},
    {
        "day": "2026-11-21",
        "feature": "image-generation",
        "credits": 25,
        "count": 1,
        "refunded": 0,
        "meters": {},
    },
    {"day": "2026-11-22", "feature": "chat", "credits": 5, "count": 1, "refunded": 0, "meters": {}},
    {
        "day": "2026-11-22",
        "feature": "image-generation",
        "credits": 0,
        "count": 0,
        "refunded": 25,
        "meters": {},
    },
]
"""The user's usage in events/events/day.json."""


def records(name: str) -> list[dict[str, Any]]:
    return event(f"events/{name}")["Records"]  # type: ignore[no-any-return]


def deliver(batch: list[dict[str, Any]]) -> str | None:
    """Deliver a batch; return the sequence number of the record to continue from, if one failed."""
    failures = invoke("events", {"Records": batch})["batchItemFailures"]
    assert len(failures) <= 1
    return failures[0]["itemIdentifier"] if failures else None


def number(record: dict[str, Any]) -> str:
    return record["dynamodb"]["SequenceNumber"]  # type: ignore[no-any-return]


def usage(**query: str) -> list[dict[str, Any]]:
    query = {"from": "2026-11-21", "to": "2026-11-23", **query}
    return send("account/usage", query=query).body["usage"]  # type: ignore[no-any-return]


def by_day_and_feature(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: (row["day"], row["feature"] or ""))


@contextmanager
def before_each_transaction(table: Table, do: Any) -> Iterator[None]:
    """Call `do` with the body of each transaction; if it returns an answer, none is sent."""

    def before_call(params: dict[str, Any], **_: Any) -> Any:
        return do(params["body"].decode())

    table.client.meta.events.register_first("before-call.dynamodb.TransactWriteItems", before_call)
    try:
        yield
    finally:
        table.client.meta.events.unregister("before-call.dynamodb.TransactWriteItems", before_call)


def test_the_usage_is_right_after_repeated_and_split_batches(
    table: Table,
    outside: Outside,
) -> None:
    day = records("day")
    for deliveries in ((day, day), (day[:9], day[9:])):
        assert [deliver(batch) for batch in deliveries] == [None, None]
        assert usage() == RIGHT


def test_the_usage_is_right_after_batches_in_the_wrong_order(
    table: Table, outside: Outside
) -> None:
    # The stream promises no order across the shards of a split partition or within a transaction.
    day = records("day")
    deliver(day[9:][::-1])
    deliver(day[:12])
    assert by_day_and_feature(usage()) == by_day_and_feature(RIGHT)


def test_the_usage_is_right_after_a_batch_is_delivered_twice_at_once(
    table: Table,
    outside: Outside,
) -> None:
    day, started = records("day"), list[bool]()

    def another_delivery_is_faster(_: str) -> None:
        if not started:
            started.append(True)
            deliver(day[:9])
            deliver(day[9:])

    with before_each_transaction(table, another_delivery_is_faster):
        assert deliver(day[:9]) is None
    assert usage() == RIGHT


def test_a_batch_that_fails_in_the_middle_continues_there(
    table: Table,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scrip.store.usage.BACKOFF_SECONDS", 0)
    day = records("day")

    def second_day_is_throttled(body: str) -> Any:
        if "USAGE#2026-11-22" in body:
            return AWSResponse("http://dynamodb", 400, HTTPHeaders(), None), THROTTLED
        return None

    with before_each_transaction(table, second_day_is_throttled):
        failed = deliver(day)
    [first] = [n for n, record in enumerate(day) if number(record) == failed]
    assert day[first]["dynamodb"]["Keys"]["sk"]["S"] == "ENTRY#chat-2"
    assert usage() == RIGHT[:3]
    assert deliver(day[first:]) is None
    assert usage() == RIGHT


def test_a_batch_whose_first_record_fails_is_an_error_so_that_lambda_splits_it(
    table: Table,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = records("day")[:1]
    monkeypatch.setattr("scrip.store.usage.BACKOFF_SECONDS", 0)
    with (
        instead_of(table, "BatchGetItem", THROTTLED, times=100),
        pytest.raises(UndeliveredError, match=number(batch[0])),
    ):
        deliver(batch)
    assert deliver(batch) is None


def test_usage_is_grouped_by_day_feature_or_in_total(table: Table, outside: Outside) -> None:
    deliver(records("day"))
    assert usage(group_by="day") == [
        {"day": "2026-11-21", "credits": 37, "count": 3, "refunded": 3, "meters": {}},
        {"day": "2026-11-22", "credits": 5, "count": 1, "refunded": 25, "meters": {}},
    ]
    assert usage(group_by="feature") == [
        {"feature": "chat", "credits": 10, "count": 2, "refunded": 3, "meters": {}},
        {"feature": None, "credits": 7, "count": 1, "refunded": 0, "meters": {}},
        {"feature": "image-generation", "credits": 25, "count": 1, "refunded": 25, "meters": {}},
    ]
    assert usage(group_by="total") == [{"credits": 42, "count": 4, "refunded": 28, "meters": {}}]
    assert usage(group_by="total", to="2026-11-21T00:00:00.001Z") == [
        {"credits": 37, "count": 3, "refunded": 3, "meters": {}},
    ]
    days = send("account/usage", query={"to": "2026-11-22", "group_by": "day"}).body
    assert (days["from"], days["to"], len(days["usage"])) == ("2026-10-23", "2026-11-22", 1)


def test_usage_can_be_requested_for_at_most_a_year(table: Table) -> None:
    for query, status in (
        ({"from": "2024-01-01", "to": "2025-01-01"}, 200),
        ({"from": "2024-01-01", "to": "2025-01-02"}, 422),
        ({"from": "2026-11-21", "to": "2026-11-21"}, 422),
        ({"from": "2026-11-22", "to": "2026-11-21"}, 422),
        ({"to": "0001-01-02"}, 422),
        ({"to": "9999-12-31T12:00:00Z"}, 422),
        ({"group_by": "week"}, 422),
    ):
        assert send("account/usage", query=query).status == status, query


def test_every_entry_becomes_an_event_as_the_api_shows_it_in_order_of_seq(
    table: Table, outside: Outside
) -> None:
    deliver(records("day")[::-1])
    received = outside.received
    assert [(name, detail["seq"]) for name, detail in received if detail["account_id"] == USER] == [
        ("credits.granted", 1),
        ("credits.renewed", 2),
        ("credits.consumed", 3),
        ("credits.consumed", 4),
        ("credits.refunded", 5),
        ("credits.consumed", 6),
        ("credits.consumed", 7),
        ("credits.refunded", 8),
    ]
    [chat] = [detail for _, detail in received if detail.get("entry_id") == "chat-1"]
    assert (chat["amount"], chat["feature"], chat["recorded_at"]) == (
        -5,
        "chat",
        "2026-11-21T13:05:00.000Z",
    )
    assert chat["metadata"] == {"model": "größte", "tokens": 812}


def test_an_event_says_when_a_posting_crosses_a_threshold(table: Table, outside: Outside) -> None:
    def events_of(batch: str) -> list[tuple[str, int]]:
        outside.received.clear()
        deliver(records(batch))
        return [(name, detail["seq"]) for name, detail in outside.received]

    assert events_of("depleted") == [
        ("credits.consumed", 9),
        ("credits.low", 9),
        ("credits.depleted", 9),
    ]
    assert events_of("recovered") == [("credits.granted", 10), ("credits.recovered", 10)]
    # The new allowance replaces the old one: the user was never without credits.
    assert events_of("month") == [
        ("credits.expired", 4),
        ("credits.renewed", 5),
        ("credits.consumed", 6),
    ]


def test_an_entry_that_is_edited_or_removed_is_reported(
    table: Table, outside: Outside, caplog: pytest.LogCaptureFixture
) -> None:
    [entry] = [one for one in records("depleted") if "ENTRY#" in one["dynamodb"]["Keys"]["sk"]["S"]]
    was = entry["dynamodb"].pop("NewImage")
    changed = {**entry, "eventName": "MODIFY"}
    edits = {
        "another amount": (was, was | {"amount": {"N": "-1"}}),
        "an attribute that deletes it": (was, was | {"purge_at": {"N": "1"}}),
        "an edit that looks restored": (was, was | {"amount": {"N": "-1"}} | RESTORED),
        "removed": (was, None),
    }
    for name, (old, new) in edits.items():
        outside.received.clear()
        caplog.clear()
        images = {"OldImage": old, **({"NewImage": new} if new else {})}
        assert deliver([{**changed, "dynamodb": entry["dynamodb"] | images}]) is None
        [(event_name, detail)] = outside.received
        change = "edited" if new else "removed"
        assert (event_name, detail["seq"], detail["change"]) == ("ledger.tampered", 9, change), name
        [line] = [one for one in caplog.records if one.levelname == "ERROR"]
        assert line.__dict__["code"] == "entry_tampered"
    put_back = {
        "from a backup, as it was": (was, was | RESTORED),
        "in place of an edit": (was | {"amount": {"N": "-1"}}, was | RESTORED),
    }
    outside.received.clear()
    for old, new in put_back.values():
        images = {"OldImage": old, "NewImage": new}
        assert deliver([{**changed, "dynamodb": entry["dynamodb"] | images}]) is None
    assert outside.received == []


def test_a_corrupt_account_does_not_stop_its_events(table: Table, outside: Outside) -> None:
    batch = copy.deepcopy(records("depleted"))
    batch[0]["dynamodb"]["NewImage"]["balance"]["N"] = "1000000"
    assert deliver(batch) is None
    assert [name for name, _ in outside.received] == ["credits.consumed"]


@pytest.mark.parametrize("corruption", ["REMOVE counted", "SET counted = :x", "SET uses = :x"])
def test_corrupt_usage_does_not_stop_events(
    table: Table,
    outside: Outside,
    corruption: str,
) -> None:
    batch = records("day")
    deliver(batch[:1])
    keys = [item for item in items(table) if item["sk"]["S"].startswith("USAGE#")]
    key = {name: keys[0][name] for name in ("pk", "sk")}
    values: Any = {"ExpressionAttributeValues": {":x": {"S": "x"}}} if ":x" in corruption else {}
    table.client.update_item(TableName=table.name, Key=key, UpdateExpression=corruption, **values)
    outside.received.clear()
    assert deliver(batch) is None
    published = {
        f"ENTRY#{detail['entry_id']}" for _, detail in outside.received if "entry_id" in detail
    }
    written = (record["dynamodb"]["Keys"]["sk"]["S"] for record in batch)
    assert published == {sk for sk in written if sk.startswith("ENTRY#")}


def test_an_unreadable_entry_is_isolated_and_the_others_are_delivered(
    table: Table,
    outside: Outside,
) -> None:
    # As Lambda does: from the record that failed, then in halves, until it is alone.
    batch = records("unreadable")
    assert deliver(batch) == number(batch[2])
    for rest in (batch[2:], batch[2:4], batch[2:3]):
        with pytest.raises(UndeliveredError, match=number(batch[2])):
            deliver(rest)
    assert deliver(batch[4:]) is None
    assert {detail["entry_id"] for _, detail in outside.received} == {"period:2026-12-21", "chat-4"}


@pytest.mark.parametrize("times", [1, 100])
def test_an_event_that_the_bus_rejects_is_sent_again_a_few_times(
    table: Table,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
) -> None:
    monkeypatch.setattr("functions.events.bus.BACKOFF_SECONDS", 0)
    batch, left = records("depleted"), [times]

    def before_call(params: dict[str, Any], **_: Any) -> Any:
        if not left[0]:
            return None
        left[0] -= 1
        entries = [
            {"ErrorCode": "ThrottlingException"} for _ in json.loads(params["body"])["Entries"]
        ]
        return AWSResponse("http://events", 200, HTTPHeaders(), None), {"Entries": entries}

    events = outside.bus.client.meta.events
    events.register_first("before-call.events.PutEvents", before_call)
    try:
        if times == 1:
            assert deliver(batch) is None
        else:
            with pytest.raises(UndeliveredError):
                deliver(batch)
    finally:
        events.unregister("before-call.events.PutEvents", before_call)
    assert len(outside.received) == (3 if times == 1 else 0)
