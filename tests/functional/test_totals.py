"""The totals of all accounts, and who ran out of credits, as the table's stream keeps them."""

from __future__ import annotations

import copy
from datetime import date
from typing import TYPE_CHECKING, Any

from scrip.store.items import to_wire
from scrip.store.keys import totals_key
from tests.functional.conftest import USER, send
from tests.functional.faults import instead_of
from tests.functional.test_events import OTHER, deliver, records

if TYPE_CHECKING:
    import pytest

    from scrip.store.client import Table
    from tests.functional.outside import Outside

CONFLICT = {
    "Error": {"Code": "TransactionCanceledException", "Message": ""},
    "CancellationReasons": [{"Code": "TransactionConflict"}],
}


def totals(**query: str) -> dict[str, Any]:
    return send("admin/totals", query={"from": "2026-11-21", "to": "2026-11-23", **query}).body


def days(found: dict[str, Any]) -> list[tuple[int, ...]]:
    names = ("granted", "bought", "used", "refunded", "expired", "uses")
    return [tuple(day[name] for name in names) for day in found["days"]]


def test_each_entry_is_in_the_totals_once_however_the_stream_delivers_it(
    table: Table, outside: Outside
) -> None:
    day = records("day")
    for batch in (day[9:], day, day[:9], day[::-1]):
        assert deliver(batch) is None
    found = totals()
    assert days(found) == [(300, 0, 62, 3, 0, 4), (0, 0, 5, 25, 0, 1)]
    assert [(row["feature"], row["credits"], row["count"]) for row in found["features"]] == [
        ("image-generation", 50, 2),
        ("chat", 10, 2),
        (None, 7, 1),
    ]
    assert [(row["model"], row["credits"]) for row in found["models"]] == [
        (None, 62),
        ("größte", 5),
    ]
    assert found["accounts"] == [
        {"account_id": USER, "credits": 42},
        {"account_id": OTHER, "credits": 25},
    ]
    [grants] = [one for one in found["days"][0]["types"] if one["type"] == "signup"]
    assert grants == {"type": "signup", "count": 2, "amount": 100}


def test_usage_and_totals_are_counted_together_or_not_at_all(
    table: Table, outside: Outside
) -> None:
    with instead_of(table, "TransactWriteItems", CONFLICT, times=2):
        assert deliver(records("day")) is None
    assert days(totals())[0] == (300, 0, 62, 3, 0, 4)


def test_totals_edited_by_hand_keep_no_entry_from_being_counted(
    table: Table, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited = to_wire({**totals_key(date(2026, 11, 21), 0), "lines": "x", "version": 1})
    table.client.put_item(TableName=table.name, Item=edited)
    shards = iter([0, 1])
    monkeypatch.setattr("random.randrange", lambda _: next(shards))
    assert deliver(records("day")[5:6]) is None
    query = {"from": "2026-11-21", "to": "2026-11-22", "group_by": "total"}
    assert send("account/usage", query=query).body["usage"][0]["credits"] == 5


def test_a_range_of_totals_has_every_day_and_at_most_92(table: Table) -> None:
    for query, status in (
        ({"from": "2026-09-01", "to": "2026-12-02"}, 200),
        ({"from": "2026-08-31", "to": "2026-12-02"}, 422),
        ({"to": "2026-12-02", "from": "2026-12-02"}, 422),
    ):
        answer = send("admin/totals", query=query)
        assert answer.status == status, query
        assert status != 200 or len(answer.body["days"]) == 92


def test_who_ran_out_is_listed_once_a_day_the_last_one_first(
    table: Table, outside: Outside
) -> None:
    send("account/me")
    batch = records("depleted")
    again = copy.deepcopy(batch)
    for record in again:
        record["dynamodb"]["ApproximateCreationDateTime"] += 3600
    for one in (batch, batch, again, records("recovered"), records("month")):
        deliver(one)
    found = send("admin/ran_out", query={"day": "2026-11-22"}).body
    [row] = found["ran_out"]
    assert (row["ran_out_at"], row["account"]["account_id"]) == ("2026-11-22T10:00:00.000Z", USER)
    assert found["cursor"] is None
    assert send("admin/ran_out", query={"day": "2026-11-23"}).body["ran_out"] == []
