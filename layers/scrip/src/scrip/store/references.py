"""References: what an account's entries with each come to, and the entries themselves.

The stream's function counts them by the day on which they were recorded, a few seconds behind the
ledger. Nothing here scans a ledger: a list reads a reference's own entries, by their seqs.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING

from scrip.domain.errors import CorruptAccountError
from scrip.domain.usage import ReferenceUsage
from scrip.retrying import retrying
from scrip.store.client import BATCH_MAX
from scrip.store.items import REFERENCES_KEPT, entry_of, reference_item, reference_of
from scrip.store.keys import ledger_partition, reference_key, references_partition
from scrip.store.pages import read_page
from scrip.store.usage import BACKOFF_SECONDS, TRIES_MAX, put_counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from scrip.domain.entries import Entry
    from scrip.domain.usage import Ranges
    from scrip.store.client import Table
    from scrip.store.pages import Place, Steps
    from scrip.store.queries import EntryFilter

type DayOfReference = tuple[date, str, ReferenceUsage]
"""A day, a reference, and what the entries of both come to."""

ENTRIES_MAX, QUERIES_MAX = 2_000, 100
"""How many entries one request reads at most, and in how many queries."""

GAP_MAX = 25
"""How many other entries are read along, because another query would cost more."""


def count_reference(
    table: Table, account_id: str, day: date, reference: str, entries: Iterable[Entry]
) -> None:
    """Count entries of one account, day and reference, each at most once.

    Two round trips, one if all were counted before.

    Raises:
        BusyError: the item is too contended, or the table too slow; counting again is safe.
    """

    def count(entries: Sequence[Entry]) -> None:
        item = table.get(reference_key(account_id, day, reference))
        before = reference_of(item)[2] if item else ReferenceUsage()
        if item and not before.counted:
            raise CorruptAccountError(account_id)  # its counted entries were removed by hand
        after = before.with_entries(entries)
        if after != before:
            item = reference_item(account_id, day, reference, after)
            put_counted(table, item, before.counted)

    retrying(partial(count, tuple(entries)), tries=TRIES_MAX, backoff=BACKOFF_SECONDS)


def read_reference(
    table: Table, account_id: str, reference: str, from_: date, to: date
) -> list[DayOfReference]:
    """Return what a reference's entries come to by day, oldest first. A round trip each 100 days.

    `from_` is included, `to` is not.
    """
    days = [from_ + timedelta(days=n) for n in range((to - from_).days)]
    found = [
        reference_of(wire)
        for some in batched(days, BATCH_MAX, strict=False)
        for wire in table.get_batch(reference_key(account_id, day, reference) for day in some)
    ]
    return sorted(found, key=lambda one: one[0])


def read_references(
    table: Table, account_id: str, from_: date, to: date, after: str = ""
) -> Iterator[DayOfReference]:
    """Yield what all references' entries come to by day, oldest first, after a sort key."""
    first, last = max(from_.isoformat(), after), to.isoformat()
    found = table.query_all(
        "pk = :pk AND sk BETWEEN :first AND :last",
        {":pk": references_partition(account_id), ":first": first, ":last": last},
    )
    return map(reference_of, found)


def list_references(
    table: Table,
    account_id: str,
    from_: date,
    to: date,
    *,
    limit: int,
    cursor: str | None,
    shown: Callable[[DayOfReference], Any],
) -> tuple[list[DayOfReference], str | None]:
    """Return a page of what all references' entries come to by day, and the cursor after it.

    Raises:
        InvalidCursorError: the cursor belongs to a different query.
    """

    def steps_after(place: Place) -> Steps[DayOfReference]:
        for one in read_references(table, account_id, from_, to, place or ""):
            day, reference, _ = one
            # Nothing sorts between a key and itself followed by the smallest character.
            yield one, reference_key(account_id, day, reference)["sk"] + "\0"

    query = ["references", account_id, from_.isoformat(), to.isoformat()]
    return read_page(query, steps_after, limit=limit, cursor=cursor, shown=shown)


def read_entries_of_reference(
    table: Table,
    asked: EntryFilter,
    today: date,
    *,
    limit: int,
    cursor: str | None,
) -> tuple[list[Entry], str | None]:
    """Return up to `limit` entries of a reference, newest first, and the cursor after them.

    A page can be short before the end, even empty.

    Raises:
        InvalidCursorError: the cursor belongs to a different query.
    """
    reference = asked.reference or ""
    oldest = max(asked.from_.date() if asked.from_ else date.min, today - REFERENCES_KEPT)
    newest = min((asked.to - timedelta(milliseconds=1)).date() if asked.to else today, today)

    def steps_after(place: Place) -> Steps[Entry]:
        start, before = (date.fromisoformat(place[0]), place[1]) if place else (newest, None)
        entries_left, queries_left = ENTRIES_MAX, QUERIES_MAX
        for first, last in _stretches(oldest, start):
            days = read_reference(table, asked.account_id, reference, first, last)
            for day, _, usage in reversed(days):
                ranges = below(usage.counted, before if day == start else None)
                for low, high in reversed(near(ranges)):
                    entries_left -= high - low + 1
                    queries_left -= 1
                    for entry in _between(table, asked.account_id, low, high, limit + GAP_MAX):
                        if asked.wants(entry):
                            yield entry, [day.isoformat(), entry.seq]
                    if min(entries_left, queries_left) <= 0:
                        yield None, [day.isoformat(), low]

    return read_page(
        repr(asked), steps_after, limit=limit, cursor=cursor, shown=lambda entry: entry.to_json()
    )


def below(ranges: Ranges, seq: int | None) -> Ranges:
    """Return what ranges have below a seq."""
    if seq is None:
        return ranges
    return tuple((first, min(last, seq - 1)) for first, last in ranges if first < seq)


def near(ranges: Ranges) -> Ranges:
    """Return the ranges to read: some together with what is between them, and none too long."""
    found: list[tuple[int, int]] = []
    for first, last in ranges:
        if found and first - found[-1][1] <= GAP_MAX:
            first = found.pop()[0]  # noqa: PLW2901 - it begins there
        found += [
            (low, min(low + ENTRIES_MAX, last + 1) - 1)
            for low in range(first, last + 1, ENTRIES_MAX)
        ]
    return tuple(found)


def read_entries_between(table: Table, account_id: str, seqs: Ranges) -> Iterator[Entry]:
    """Yield the entries of an account that have these seqs."""
    for first, last in seqs:
        yield from _between(table, account_id, first, last, ENTRIES_MAX)


def _between(table: Table, account_id: str, first: int, last: int, size: int) -> Iterator[Entry]:
    """Yield the entries of an account in a range of seqs, newest first, `size` read at once."""
    found = table.query_all(
        "pk = :pk AND seq BETWEEN :first AND :last",
        {":pk": ledger_partition(account_id), ":first": first, ":last": last},
        IndexName="history",
        ScanIndexForward=False,
        Limit=size,
    )
    return map(entry_of, found)


def _stretches(oldest: date, newest: date) -> Iterator[tuple[date, date]]:
    """Yield stretches of up to BATCH_MAX days, newest first: the first day, and the day after."""
    end = newest + timedelta(days=1)
    while end > oldest:
        start = max(oldest, end - timedelta(days=BATCH_MAX))
        yield start, end
        end = start
