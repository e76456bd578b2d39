"""Usage and entries by reference: counted from the table's stream, and read without a scan."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from scrip.domain.entries import GENESIS_HASH, Actor, ActorType, Entry, EntryType
from scrip.store.client import Table
from scrip.store.items import entry_item, to_wire
from scrip.store.queries import EntryFilter
from scrip.store.references import (
    ENTRIES_MAX,
    count_reference,
    read_entries_of_reference,
    read_reference,
)
from simulation.dynamodb import SimulatedDynamoDB
from tests.functional.conftest import USER, event, invoke, send

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

    from tests.functional.outside import Outside

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)

ENTRY = Entry(
    entry_id="",
    seq=1,
    type=EntryType.USAGE,
    amount=-1,
    cost=1,
    balance_after=1,
    actor=Actor(ActorType.SERVICE, "app"),
    recorded_at=NOON,
    effective_at=NOON,
    feature="chat",
    request_hash=GENESIS_HASH,
    previous_hash=GENESIS_HASH,
    hash=GENESIS_HASH,
)


def entry(seq: int, reference: str | None = None, **changes: Any) -> Entry:
    changes = {"entry_id": f"e{seq}", "seq": seq, "reference": reference, **changes}
    return replace(ENTRY, **changes)


def stream(*entries: Entry) -> None:
    """Deliver new entries of the user as the table's stream does."""
    records = []
    for one in entries:
        image = to_wire(entry_item(USER, one))
        for name in ("request_hash", "previous_hash", "hash"):
            image.pop(name)
        keys = {"pk": image["pk"], "sk": image["sk"]}
        change = {"SequenceNumber": str(one.seq), "Keys": keys, "NewImage": image}
        records.append({"eventName": "INSERT", "dynamodb": change})
    assert invoke("events", {"Records": records}) == {"batchItemFailures": []}


def rows(**query: str) -> list[dict[str, Any]]:
    asked = {"from": "2026-11-21", "to": "2026-11-23", "group_by": "reference", **query}
    return send("account/usage", query=asked).body["usage"]  # type: ignore[no-any-return]


def briefly(found: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in (*names, "credits", "count", "refunded")) for row in found]


@pytest.fixture
def runs(table: Table, outside: Outside) -> None:
    """Two runs on two days, a use without a reference, and a purchase with one."""
    counted = [
        entry(1, "run-1", cost=5, metadata={"model": "gpt-5"}),
        entry(2, "run-2", cost=3, feature="image-generation"),
        entry(3, None, cost=100),
        entry(4, "run-1", cost=7, feature=None, recorded_at=NOON + DAY),
        entry(5, "run-1", cost=2, type=EntryType.REFUND, recorded_at=NOON + DAY),
        entry(6, "evt_1", type=EntryType.PURCHASE, cost=None, feature=None, amount=9),
    ]
    stream(*counted)
    stream(*counted[::-1])


@pytest.mark.usefixtures("runs")
def test_usage_by_reference_begins_with_what_cost_most_and_counts_each_entry_once() -> None:
    first, second = rows()
    assert briefly([first, second], "reference") == [("run-1", 12, 2, 2), ("run-2", 3, 1, 0)]
    assert (first["first_at"], first["last_at"]) == (
        "2026-11-21T12:00:00.000Z",
        "2026-11-22T12:00:00.000Z",
    )


@pytest.mark.usefixtures("runs")
def test_one_reference_is_grouped_as_all_usage_is() -> None:
    assert briefly(rows(reference="run-1", group_by="day"), "day") == [
        ("2026-11-21", 5, 1, 0),
        ("2026-11-22", 7, 1, 2),
    ]
    assert briefly(rows(reference="run-1", group_by="feature"), "feature") == [
        ("chat", 5, 1, 2),
        (None, 7, 1, 0),
    ]
    assert briefly(rows(reference="run-1", group_by="total")) == [(12, 2, 2)]
    assert rows(reference="run-3") == []


@pytest.mark.usefixtures("runs")
def test_usage_by_model_is_what_the_entries_metadata_name() -> None:
    assert briefly(rows(group_by="model"), "model") == [("gpt-5", 5, 1, 0), (None, 110, 3, 2)]


@pytest.mark.usefixtures("runs")
def test_usage_by_day_and_reference_comes_in_pages() -> None:
    found: list[dict[str, Any]] = []
    cursor, pages = "", 0
    while pages == 0 or cursor:
        query = {"from": "2026-11-21", "to": "2026-11-23", "group_by": "day,reference"}
        query |= {"limit": "1", **({"cursor": cursor} if cursor else {})}
        body = send("account/usage", query=query).body
        found, cursor, pages = found + body["usage"], body["cursor"], pages + 1
    assert briefly(found, "day", "reference") == [
        ("2026-11-21", "run-1", 5, 1, 0),
        ("2026-11-21", "run-2", 3, 1, 0),
        ("2026-11-22", "run-1", 7, 1, 2),
    ]


def test_only_pages_by_day_and_reference_take_a_cursor(table: Table) -> None:
    assert send("account/usage", query={"cursor": "x"}).status == 400


def test_too_many_references_are_refused_with_the_way_out(
    table: Table, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("functions.account.usage.REFERENCES_MAX", 2)
    stream(*(entry(n, f"run-{n}") for n in (1, 2)))
    assert len(rows()) == 2
    stream(entry(3, "run-3"))
    query = {"from": "2026-11-21", "to": "2026-11-23", "group_by": "reference"}
    refused = send("account/usage", query=query)
    assert refused.status == 422
    assert "day,reference" in refused.body["errors"][0]


def test_references_do_not_hide_accounts_from_a_search(table: Table, outside: Outside) -> None:
    invoke("signup", event("signup/confirmed"))
    stream(*(entry(seq, f"alice-{seq}") for seq in range(10, 50)))
    found = send("admin/search", query={"q": "alice"}).body["suggestions"]
    assert (found[0]["kind"], found[0]["account_id"]) == ("account", USER)


def test_a_reference_is_found_by_its_beginning_once_for_each_account(
    table: Table, outside: Outside
) -> None:
    invoke("signup", event("signup/confirmed"))
    day_later = {"recorded_at": NOON + DAY}
    stream(entry(10, "Run-7"), entry(11, "Run-7", **day_later), entry(12, "run-70"))
    count_reference(table, "bob", NOON.date(), "Run-7", [entry(1, "Run-7")])
    for q, results in (
        ("RUN", [("Run-7", USER), ("Run-7", "bob"), ("run-70", USER)]),
        ("run-7", [("Run-7", USER), ("Run-7", "bob"), ("run-70", USER)]),
        ("run-70", [("run-70", USER)]),
        ("un-7", []),
        ("ru", []),
    ):
        found = send("admin/search", query={"q": q}).body["suggestions"]
        assert {one["kind"] for one in found} <= {"reference"}
        assert sorted((one["matched"], one["account_id"]) for one in found) == results, q


class Ledger:
    """An account's entries in a simulated table, each counted by its reference."""

    def __init__(self, references: list[str | None]) -> None:
        self.client = SimulatedDynamoDB("scrip")
        self.table = Table(cast("DynamoDBClient", self.client), "scrip")
        self.entries = [
            entry(seq, reference, recorded_at=NOON + DAY * (seq // 1000))
            for seq, reference in enumerate(references, 1)
        ]
        for one in self.entries:
            self.client.put_item(TableName="scrip", Item=to_wire(entry_item("u1", one)))
        places = {(one.recorded_at.date(), one.reference) for one in self.entries}
        for day, reference in places:
            if reference:
                together = [one for one in self.entries if one.reference == reference]
                count_reference(
                    self.table,
                    "u1",
                    day,
                    reference,
                    [one for one in together if one.recorded_at.date() == day],
                )

    def listed(self, reference: str, limit: int = 50, **filters: Any) -> tuple[list[int], int]:
        """Return the seqs of a reference's entries from all pages, and how many queries it took."""
        asked = EntryFilter(account_id="u1", reference=reference, **filters)
        found: list[int] = []
        cursor, pages = None, 0
        self.client.calls.clear()
        while pages == 0 or cursor:
            page, cursor = read_entries_of_reference(
                self.table, asked, date(2026, 12, 31), limit=limit, cursor=cursor
            )
            assert len(page) <= limit
            found += [one.seq for one in page]
            pages += 1
        return found, self.client.calls["Query"]

    def expected(self, reference: str) -> list[int]:
        return [one.seq for one in reversed(self.entries) if one.reference == reference]


def test_a_references_entries_are_listed_newest_first_whatever_lies_between() -> None:
    names = ["long", None, "other"] * 700 + ["short"] + [None] * 500 + ["short"]
    ledger = Ledger(names)
    for reference, limit in (("long", 50), ("long", 1000), ("other", 7), ("short", 1)):
        assert ledger.listed(reference, limit)[0] == ledger.expected(reference)
    from_ = NOON + DAY
    within = ledger.listed("long", from_=from_, to=from_ + DAY)[0]
    assert within == [seq for seq in ledger.expected("long") if 1000 <= seq < 2000]


def test_few_entries_of_a_long_ledger_take_few_queries() -> None:
    ledger = Ledger(["rare"] + [None] * 3000 + ["rare"] + [None] * 3000)
    found, queries = ledger.listed("rare")
    assert found == [3002, 1]
    assert queries <= 4


def test_a_reference_that_takes_turns_with_others_all_day_stays_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scrip.domain.usage.RANGES_MAX", 5)
    ledger = Ledger([name for _ in range(200) for name in ("mine", *[None] * 30)][:999])
    [(_, _, usage)] = read_reference(
        ledger.table, "u1", "mine", NOON.date(), NOON.date() + timedelta(days=1)
    )
    assert len(usage.counted) == 5
    assert usage.lines[0].count == len(ledger.expected("mine"))
    assert ledger.listed("mine")[0] == ledger.expected("mine")
    assert usage.counted[0][1] < ENTRIES_MAX


@pytest.mark.parametrize("reference", ["Ünïcode/Run 1", "x" * 256, "\N{GRINNING FACE}" * 256])
def test_any_reference_that_an_entry_can_have_is_counted(reference: str) -> None:
    ledger = Ledger([reference, None, reference])
    assert ledger.listed(reference)[0] == [3, 1]
    [(_, found, _)] = read_reference(
        ledger.table, "u1", reference, NOON.date(), NOON.date() + timedelta(days=1)
    )
    assert found == reference
