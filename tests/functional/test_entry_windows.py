"""The reads of a request for entries: for a time window, little more than it returns."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil, log2
from typing import TYPE_CHECKING, Any, cast

import pytest

from scrip.domain.audit.skew import REWIND_MAX
from scrip.domain.entries import GENESIS_HASH, Actor, ActorType, Entry, EntryType
from scrip.store.client import Table
from scrip.store.items import entry_item, to_wire
from scrip.store.queries import PAGE_MAX, READ_MAX, WINDOW_PAGE_MAX, EntryFilter, read_entries
from simulation.dynamodb import SimulatedDynamoDB, item_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from types_boto3_dynamodb import DynamoDBClient

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
LENGTH = 20_000
"""Two weeks with an entry a minute."""

QUERIES = 8
"""The pages that a request reads at most: each is twice as long as the one before."""

RARE = 4_000
"""Each entry whose seq is a multiple of it is a refund; all others are uses."""

ENTRY = Entry(
    entry_id="",
    seq=1,
    type=EntryType.USAGE,
    amount=-1,
    balance_after=1,
    actor=Actor(ActorType.USER, "u1"),
    recorded_at=START,
    effective_at=START,
    feature="chat",
    request_hash=GENESIS_HASH,
    previous_hash=GENESIS_HASH,
    hash=GENESIS_HASH,
)


class MeteredDynamoDB(SimulatedDynamoDB):
    """Counts the reads of queries: entries, and units as DynamoDB counts them for an index."""

    def __init__(self) -> None:
        super().__init__("scrip")
        self.entries_read, self.units = 0, 0.0

    def query(self, **request: Any) -> dict[str, Any]:
        answer = super().query(**request)
        self.entries_read += answer["ScannedCount"]
        self.units += ceil(answer["ScannedCount"] * ENTRY_BYTES / 4096) / 2
        return answer

    @property
    def queries(self) -> int:
        return self.calls["Query"]


class Ledger:
    """An account's entries, and a count of the reads that list some of them."""

    def __init__(self, recorded_at: Iterable[datetime]) -> None:
        self.client = MeteredDynamoDB()
        self.table = Table(cast("DynamoDBClient", self.client), "scrip")
        self.entries: list[Entry] = []
        for seq, at in enumerate(recorded_at, 1):
            entry_type = EntryType.USAGE if seq % RARE else EntryType.REFUND
            entry = replace(ENTRY, entry_id=f"e{seq}", seq=seq, recorded_at=at, type=entry_type)
            self.client.put_item(TableName="scrip", Item=to_wire(entry_item("u1", entry)))
            self.entries.append(entry)

    def expected(self, **filters: Any) -> list[int]:
        """Return the seqs of the entries that match a filter, newest first."""
        entry_filter = EntryFilter(account_id="u1", **filters)
        return [entry.seq for entry in reversed(self.entries) if entry_filter.wants(entry)]

    def list(self, limit: int = 1000, **filters: Any) -> tuple[list[int], int]:
        """Return the seqs of all pages and the number of requests; reset the meter first.

        Each request must stay within its bound.
        """
        entry_filter = EntryFilter(account_id="u1", **filters)
        client = self.client
        client.calls.clear()
        client.entries_read, client.units = 0, 0.0
        found: list[int] = []
        cursor, requests, read = None, 0, 0
        while requests == 0 or cursor:
            entries, cursor = read_entries(self.table, entry_filter, limit=limit, cursor=cursor)
            assert len(entries) <= limit
            found += [entry.seq for entry in entries]
            read, before = client.entries_read, read
            assert read - before <= READ_MAX + log2(LENGTH) + 1
            requests += 1
        return found, requests


ENTRY_BYTES = item_size(to_wire(entry_item("u1", replace(ENTRY, entry_id="e12345", seq=12345))))


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return Ledger(START + seq * MINUTE for seq in range(1, LENGTH + 1))


def reads_max(window: int) -> float:
    """Return the entries that a request may read to return those of a window.

    A page is at most twice as long as the one before. On either side there are entries within the
    margin for clock skew, and at most a page that is not returned. A search finds the start.
    """
    return 2 * window + 2 * REWIND_MAX / MINUTE + 2 * WINDOW_PAGE_MAX + log2(LENGTH) + 1


WINDOWS = [0, 1, 30, 300, 900]


@pytest.mark.parametrize("window", WINDOWS)
def test_listing_entries_since_an_instant_reads_little_more_than_it_returns(
    ledger: Ledger, window: int
) -> None:
    since = START + (LENGTH + 1 - window) * MINUTE
    found, requests = ledger.list(from_=since)
    assert found == list(range(LENGTH, LENGTH - window, -1))
    assert requests == 1
    assert ledger.client.entries_read <= reads_max(window)
    assert ledger.client.queries <= QUERIES


@pytest.mark.parametrize("window", WINDOWS)
def test_listing_entries_until_an_instant_reads_little_more_than_it_returns(
    ledger: Ledger, window: int
) -> None:
    found, requests = ledger.list(to=START + (window + 1) * MINUTE)
    assert found == list(range(window, 0, -1))
    assert requests == 1
    assert ledger.client.entries_read <= reads_max(window)
    assert ledger.client.queries <= QUERIES + log2(LENGTH) + 1


@pytest.mark.parametrize("first", [1, 5_000, 12_345, LENGTH - 900])
@pytest.mark.parametrize("window", WINDOWS)
def test_listing_a_window_reads_little_more_than_it_returns_wherever_it_is(
    ledger: Ledger, window: int, first: int
) -> None:
    since = START + first * MINUTE
    found, requests = ledger.list(from_=since, to=since + window * MINUTE)
    assert found == list(range(first + window - 1, first - 1, -1))
    assert requests == 1
    assert ledger.client.entries_read <= reads_max(window)
    assert ledger.client.queries <= QUERIES + log2(LENGTH) + 1
    # The search and the pages, each rounded up to half a unit.
    assert ledger.client.units <= reads_max(window) * ENTRY_BYTES / 8192 + ledger.client.queries / 2


@pytest.mark.parametrize("limit", [1, 7, 50, 1000])
def test_a_cursor_within_a_window_continues_without_another_search(
    ledger: Ledger, limit: int
) -> None:
    since, until = START + 9_000 * MINUTE, START + 9_120 * MINUTE
    found, requests = ledger.list(limit, from_=since, to=until)
    assert found == list(range(9_119, 8_999, -1))
    assert requests <= 120 / limit + 1 + 2 * REWIND_MAX / MINUTE / WINDOW_PAGE_MAX
    assert ledger.client.queries <= log2(LENGTH) + 1 + requests * QUERIES


@pytest.mark.parametrize("at", [START - DAY, START + 30 * DAY])
def test_a_window_before_or_after_the_ledger_is_empty_after_one_request(
    ledger: Ledger, at: datetime
) -> None:
    assert ledger.list(from_=at, to=at + DAY) == ([], 1)
    assert ledger.client.entries_read <= reads_max(0)


def test_a_search_by_type_ends_with_its_window_and_each_request_at_its_bound(
    ledger: Ledger,
) -> None:
    since = START + (LENGTH - 2 * RARE) * MINUTE
    found, requests = ledger.list(type=EntryType.REFUND, from_=since)
    assert found == [LENGTH, LENGTH - RARE, LENGTH - 2 * RARE]
    assert (
        ledger.client.entries_read
        <= 2 * RARE + REWIND_MAX / MINUTE + PAGE_MAX + ledger.client.queries
    )
    assert requests <= 2 * RARE / READ_MAX + 1
    found, requests = ledger.list(type=EntryType.REFUND, to=START + (RARE + 1) * MINUTE)
    assert found == [RARE]
    assert requests <= RARE / READ_MAX + 1
    assert ledger.list(feature="image", from_=since, to=since + MINUTE) == ([], 1)
    found, requests = ledger.list(type=EntryType.REFUND)
    assert (found, requests) == (ledger.expected(type=EntryType.REFUND), LENGTH / READ_MAX)


@pytest.mark.parametrize("seed", range(2))
def test_no_window_misses_an_entry_of_a_writer_with_a_slow_clock(seed: int) -> None:
    chance = random.Random(seed)
    behind = REWIND_MAX / 2
    ledger = Ledger(
        START + seq * MINUTE + chance.uniform(-1, 1) * behind for seq in range(1, 1_441)
    )
    for _ in range(25):
        instants = [START + chance.uniform(-0.1, 1.2) * DAY for _ in range(2)]
        filters: dict[str, Any] = dict(zip(("from_", "to"), sorted(instants), strict=True))
        for left_out in chance.choice([[], ["from_"], ["to"]]):
            del filters[left_out]
        if chance.random() < 0.3:
            filters["type"] = EntryType.USAGE
        limit = chance.choice([20, 100, 1000])
        assert ledger.list(limit, **filters)[0] == ledger.expected(**filters), (filters, limit)


def test_entries_of_one_instant_are_all_inside_a_window_or_all_outside() -> None:
    ledger = Ledger([START] * 300)
    everything, moment = list(range(300, 0, -1)), timedelta(milliseconds=1)
    for limit in (7, 300):
        assert ledger.list(limit, from_=START)[0] == everything
        assert ledger.list(limit, from_=START, to=START + moment)[0] == everything
        assert ledger.list(limit, from_=START + moment)[0] == []
        assert ledger.list(limit, to=START)[0] == []


def test_windows_may_begin_in_the_year_1_and_end_in_9999() -> None:
    ledger = Ledger([START] * 30)
    everything = list(range(30, 0, -1))
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    assert ledger.list(from_=first)[0] == ledger.list(to=last)[0] == everything
    assert ledger.list(from_=last) == ledger.list(to=first) == ([], 1)
