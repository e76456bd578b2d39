"""The table's stream, as Lambda hands it over: usage, events, and what is done about failures."""

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

RIGHT: list[dict[str, Any]] = [
    {"day": "2026-11-21", "feature": "chat", "credits": 5, "count": 1, "refunded": 3},
    {"day": "2026-11-21", "feature": None, "credits": 7, "count": 1, "refunded": 0},
    {"day": "2026-11-21", "feature": "image-generation", "credits": 25, "count": 1, "refunded": 0},
    {"day": "2026-11-22", "feature": "chat", "credits": 5, "count": 1, "refunded": 0},
    {"day": "2026-11-22", "feature": "image-generation", "credits": 0, "count": 0, "refunded": 25},
]
"""What events/events/day.json has of the user."""


def records(name: str) -> list[dict[str, Any]]:
    return event(f"events/{name}")["Records"]  # type: ignore[no-any-return]


def deliver(batch: list[dict[str, Any]]) -> str | None:
    """Hand a batch over; return the number of the record from which it is wanted again."""
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
def before_each_put(table: Table, do: Any) -> Iterator[None]:
    """Call `do` with the body of each PutItem; an answer of its own goes instead of sending it."""

    def before_call(params: dict[str, Any], **_: Any) -> Any:
        return do(params["body"].decode())

    table.client.meta.events.register_first("before-call.dynamodb.PutItem", before_call)
    try:
        yield
    finally:
        table.client.meta.events.unregister("before-call.dynamodb.PutItem", before_call)


def test_the_stream_delivered_twice_and_in_two_halves_leaves_the_usage_right(
    table: Table,
    outside: Outside,
) -> None:
    day = records("day")
    for deliveries in ((day, day), (day[:9], day[9:])):
        assert [deliver(batch) for batch in deliveries] == [None, None]
        assert usage() == RIGHT


def test_halves_in_the_wrong_order_leave_the_usage_right(table: Table, outside: Outside) -> None:
    # Neither across the shards of a partition that was split, nor within a transaction, does the
    # stream promise an order.
    day = records("day")
    deliver(day[9:][::-1])
    deliver(day[:12])
    assert by_day_and_feature(usage()) == by_day_and_feature(RIGHT)


def test_a_batch_delivered_twice_at_once_leaves_the_usage_right(
    table: Table,
    outside: Outside,
) -> None:
    day, begun = records("day"), list[bool]()

    def somebody_else_is_faster(_: str) -> None:
        if not begun:
            begun.append(True)
            deliver(day[:9])
            deliver(day[9:])

    with before_each_put(table, somebody_else_is_faster):
        assert deliver(day[:9]) is None
    assert usage() == RIGHT


def test_a_batch_that_fails_in_the_middle_is_taken_up_from_there(
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

    with before_each_put(table, second_day_is_throttled):
        failed = deliver(day)
    [first] = [n for n, record in enumerate(day) if number(record) == failed]
    assert day[first]["dynamodb"]["Keys"]["sk"]["S"] == "ENTRY#chat-2"
    assert usage() == RIGHT[:3]
    assert deliver(day[first:]) is None
    assert usage() == RIGHT


def test_a_batch_whose_first_record_fails_is_an_error_so_that_lambda_cuts_it(
    table: Table,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = records("day")[:1]
    monkeypatch.setattr("scrip.store.usage.BACKOFF_SECONDS", 0)
    with (
        instead_of(table, "GetItem", THROTTLED, times=100),
        pytest.raises(UndeliveredError, match=number(batch[0])),
    ):
        deliver(batch)
    assert deliver(batch) is None


def test_usage_is_grouped_as_it_is_asked_for(table: Table, outside: Outside) -> None:
    deliver(records("day"))
    assert usage(group_by="day") == [
        {"day": "2026-11-21", "credits": 37, "count": 3, "refunded": 3},
        {"day": "2026-11-22", "credits": 5, "count": 1, "refunded": 25},
    ]
    assert usage(group_by="feature") == [
        {"feature": "chat", "credits": 10, "count": 2, "refunded": 3},
        {"feature": None, "credits": 7, "count": 1, "refunded": 0},
        {"feature": "image-generation", "credits": 25, "count": 1, "refunded": 25},
    ]
    assert usage(group_by="total") == [{"credits": 42, "count": 4, "refunded": 28}]
    assert usage(group_by="total", to="2026-11-21T00:00:00.001Z") == [
        {"credits": 37, "count": 3, "refunded": 3},
    ]
    days = send("account/usage", query={"to": "2026-11-22", "group_by": "day"}).body
    assert (days["from"], days["to"], len(days["usage"])) == ("2026-10-23", "2026-11-22", 1)


def test_usage_is_asked_for_in_at_most_a_year(table: Table) -> None:
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


def test_every_entry_is_told_as_the_api_shows_it_by_seq(table: Table, outside: Outside) -> None:
    deliver(records("day")[::-1])
    heard = outside.heard
    assert [(name, told["seq"]) for name, told in heard if told["account_id"] == USER] == [
        ("credits.granted", 1),
        ("credits.renewed", 2),
        ("credits.consumed", 3),
        ("credits.consumed", 4),
        ("credits.refunded", 5),
        ("credits.consumed", 6),
        ("credits.consumed", 7),
        ("credits.refunded", 8),
    ]
    [chat] = [told for _, told in heard if told.get("entry_id") == "chat-1"]
    assert (chat["amount"], chat["feature"], chat["recorded_at"]) == (
        -5,
        "chat",
        "2026-11-21T13:05:00.000Z",
    )
    assert chat["metadata"] == {"model": "größte", "tokens": 812}


def test_a_bound_is_told_when_a_posting_crosses_it(table: Table, outside: Outside) -> None:
    def told(name: str) -> list[tuple[str, int]]:
        outside.heard.clear()
        deliver(records(name))
        return [(heard, detail["seq"]) for heard, detail in outside.heard]

    assert told("depleted") == [
        ("credits.consumed", 9),
        ("credits.low", 9),
        ("credits.depleted", 9),
    ]
    assert told("recovered") == [("credits.granted", 10), ("credits.recovered", 10)]
    # The old allowance goes and the new one comes: nobody was without credits in between.
    assert told("month") == [
        ("credits.expired", 4),
        ("credits.renewed", 5),
        ("credits.consumed", 6),
    ]


def test_an_account_spoilt_by_hand_stops_nothing(table: Table, outside: Outside) -> None:
    batch = copy.deepcopy(records("depleted"))
    batch[0]["dynamodb"]["NewImage"]["balance"]["N"] = "1000000"
    assert deliver(batch) is None
    assert [name for name, _ in outside.heard] == ["credits.consumed"]


@pytest.mark.parametrize("spoil", ["REMOVE counted", "SET counted = :x", "SET uses = :x"])
def test_usage_that_was_spoilt_by_hand_keeps_nobody_waiting(
    table: Table,
    outside: Outside,
    spoil: str,
) -> None:
    batch = records("day")
    deliver(batch[:1])
    keys = [item for item in items(table) if item["sk"]["S"].startswith("USAGE#")]
    key = {name: keys[0][name] for name in ("pk", "sk")}
    values: Any = {"ExpressionAttributeValues": {":x": {"S": "x"}}} if ":x" in spoil else {}
    table.client.update_item(TableName=table.name, Key=key, UpdateExpression=spoil, **values)
    outside.heard.clear()
    assert deliver(batch) is None
    told = {f"ENTRY#{detail['entry_id']}" for _, detail in outside.heard if "entry_id" in detail}
    written = (record["dynamodb"]["Keys"]["sk"]["S"] for record in batch)
    assert told == {sk for sk in written if sk.startswith("ENTRY#")}


def test_an_entry_that_nobody_can_read_is_left_alone_at_last(
    table: Table,
    outside: Outside,
) -> None:
    # As Lambda does: again from the record that failed, then in halves, until it is alone.
    batch = records("unreadable")
    assert deliver(batch) == number(batch[2])
    for rest in (batch[2:], batch[2:4], batch[2:3]):
        with pytest.raises(UndeliveredError, match=number(batch[2])):
            deliver(rest)
    assert deliver(batch[4:]) is None
    assert {told["entry_id"] for _, told in outside.heard} == {"period:2026-12-21", "chat-4"}


@pytest.mark.parametrize("times", [1, 100])
def test_an_event_that_the_bus_does_not_take_is_sent_again(
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
    assert len(outside.heard) == (3 if times == 1 else 0)
