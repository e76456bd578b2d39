"""A statement over HTTP: its lines add up to the change of the balance, at any instant."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from scrip.domain.entries import EntryType
from scrip.store.items import entry_item, to_wire
from tests.functional.conftest import USER, items, send
from tests.functional.test_references import NOON, entry, stream

if TYPE_CHECKING:
    from scrip.domain.entries import Entry
    from scrip.store.client import Table
    from tests.functional.outside import Outside

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def write(table: Table, *changes: dict[str, Any]) -> list[Entry]:
    """Write entries of the user that follow one another, without their account's own."""
    entries: list[Entry] = []
    for seq, changed in enumerate(changes, 1):
        before = entries[-1].balance_after if entries else 0
        one = entry(seq, **changed)
        entries.append(replace(one, balance_after=before + one.amount))
        table.put(entry_item(USER, entries[-1]))
    return entries


@pytest.fixture
def ledger(table: Table, outside: Outside) -> list[Entry]:
    """Two days of a ledger of which the second is not counted yet."""
    send("account/me")  # opens the account; its own entries are of today
    for item in items(table):
        if item["pk"]["S"] == f"LEDGER#{USER}":
            table.delete({"pk": item["pk"]["S"], "sk": item["sk"]["S"]})
    entries = write(
        table,
        {"type": EntryType.SIGNUP, "amount": 50, "cost": None, "feature": None},
        {"amount": -5, "cost": 5, "reference": "run-1", "metadata": {"model": "gpt-5"}},
        {
            "amount": -7,
            "cost": 7,
            "feature": None,
            "reference": "run-2",
            "recorded_at": NOON + HOUR,
        },
        {
            "type": EntryType.REFUND,
            "amount": 2,
            "cost": 2,
            "reference": "run-1",
            "recorded_at": NOON + 2 * HOUR,
        },
        {"amount": -9, "cost": 9, "reference": "run-1", "recorded_at": NOON + DAY},
    )
    stream(*entries[:4])
    return entries


def statement(**query: str) -> dict[str, Any]:
    asked = {"from": "2026-11-21", "to": "2026-11-23", **query}
    return send("account/statement", query=asked).body


def briefly(found: dict[str, Any], group: str) -> list[tuple[Any, ...]]:
    change = found["balance_after"] - found["balance_before"]
    assert sum(line["amount"] for line in found["lines"]) == change
    return [(line["type"], line[group], line["count"], line["amount"]) for line in found["lines"]]


@pytest.mark.usefixtures("ledger")
def test_a_statement_groups_what_was_used_and_shows_the_rest_by_type() -> None:
    by_feature = statement(group_by="feature")
    assert (by_feature["balance_before"], by_feature["balance_after"]) == (0, 31)
    assert briefly(by_feature, "feature") == [
        ("signup", None, 1, 50),
        ("usage", "chat", 2, -14),
        ("usage", None, 1, -7),
        ("refund", "chat", 1, 2),
    ]
    assert briefly(statement(group_by="reference"), "reference") == [
        ("signup", None, 1, 50),
        ("usage", "run-1", 2, -14),
        ("usage", "run-2", 1, -7),
        ("refund", "run-1", 1, 2),
    ]
    assert briefly(statement(group_by="model"), "model") == [
        ("signup", None, 1, 50),
        ("usage", None, 2, -16),
        ("usage", "gpt-5", 1, -5),
        ("refund", None, 1, 2),
    ]
    assert briefly(statement(), "day") == [
        ("signup", "2026-11-21", 1, 50),
        ("usage", "2026-11-21", 2, -12),
        ("refund", "2026-11-21", 1, 2),
        ("usage", "2026-11-22", 1, -9),
    ]


@pytest.mark.usefixtures("ledger")
def test_a_statement_is_exact_at_any_instant() -> None:
    found = statement(**{"from": "2026-11-21T12:30:00Z", "to": "2026-11-22T12:00:00Z"})
    assert (found["balance_before"], found["balance_after"]) == (45, 40)
    assert briefly(found, "day") == [
        ("usage", "2026-11-21", 1, -7),
        ("refund", "2026-11-21", 1, 2),
    ]
    assert statement(**{"from": "2020-01-01", "to": "2020-12-31"})["lines"] == []


def test_a_day_that_was_counted_by_the_version_before_is_read_from_the_ledger(
    table: Table, ledger: list[Entry]
) -> None:
    right = statement(group_by="model")
    key = {"pk": {"S": f"ACCOUNT#{USER}"}, "sk": {"S": "USAGE#2026-11-21"}}
    table.client.update_item(
        TableName=table.name, Key=key, UpdateExpression="REMOVE #lines, referenced",
        ExpressionAttributeNames={"#lines": "lines"},
    )  # fmt: skip
    assert statement(group_by="model") == right
    later = replace(ledger[3], entry_id="e6", seq=6, balance_after=33)
    table.put(entry_item(USER, later))
    stream(later)
    assert briefly(statement(), "day")[2] == ("refund", "2026-11-21", 2, 4)


@pytest.mark.moto
def test_a_day_edited_by_hand_is_no_statement(table: Table, ledger: list[Entry]) -> None:
    key = {"pk": {"S": f"ACCOUNT#{USER}"}, "sk": {"S": "USAGE#2026-11-21"}}
    table.client.update_item(
        TableName=table.name, Key=key, UpdateExpression="SET #lines[0].amount = :x",
        ExpressionAttributeNames={"#lines": "lines"},
        ExpressionAttributeValues=to_wire({":x": 1_000}),
    )  # fmt: skip
    assert send("account/statement").status == 500


@pytest.mark.usefixtures("ledger")
def test_a_statement_that_takes_too_much_is_refused_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("functions.account.statement.ENTRIES_MAX", 1)
    query = {"from": "2026-11-21", "to": "2026-11-23"}
    assert send("account/statement", query=query).status == 200
    refused = send("account/statement", query={**query, "from": "2026-11-21T12:00:00.001Z"})
    assert refused.status == 422
    assert "midnight UTC" in refused.body["errors"][0]


def test_a_statement_can_be_requested_for_at_most_a_year(table: Table) -> None:
    for query, status in (
        ({"from": "2024-01-01", "to": "2025-01-01"}, 200),
        ({"from": "2024-01-01", "to": "2025-01-02"}, 422),
        ({"from": "2026-11-21T12:00:00Z", "to": "2026-11-21T12:00:00Z"}, 422),
        ({"from": "2026-11-21T12:00:00Z", "to": "2026-11-21T11:00:00Z"}, 422),
        ({"from": "0001-01-01", "to": "0001-01-02"}, 200),
        ({"to": "0001-01-02"}, 422),
        ({"from": "9999-12-30", "to": "9999-12-31"}, 200),
        ({"to": "9999-12-31T12:00:00Z"}, 422),
        ({"group_by": "week"}, 422),
    ):
        assert send("account/statement", query=query).status == status, query


def test_a_statement_is_of_30_days_by_default(table: Table) -> None:
    body = send("account/statement", query={"to": "2026-11-23"}).body
    assert (body["from"], body["to"]) == ("2026-10-24T00:00:00.000Z", "2026-11-23T00:00:00.000Z")
