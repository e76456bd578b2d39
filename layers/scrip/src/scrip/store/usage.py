"""Usage items: counting entries by the day on which they were recorded, and reading the counts."""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING

from scrip.domain.errors import BusyError, CorruptAccountError
from scrip.domain.usage import DayUsage
from scrip.retrying import retrying
from scrip.store.client import IS_NEW, ConditionFailedError
from scrip.store.items import usage_item, usage_of
from scrip.store.keys import id_of, usage_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scrip.domain.entries import Entry
    from scrip.domain.usage import Ranges
    from scrip.store.client import Table
    from scrip.store.items import Item

# Holds if no entries have been counted since the item was read.
SAME_COUNTED = "counted = :seen"

TRIES_MAX = 6
BACKOFF_SECONDS = 0.01


def count_usage(table: Table, account_id: str, day: date, entries: Iterable[Entry]) -> None:
    """Count entries of one account and day, each at most once.

    Two round trips, one if all were counted before.

    Raises:
        BusyError: the item is too contended, or the table too slow; counting again is safe.
    """
    count = partial(_count_if_unchanged, table, account_id, day, tuple(entries))
    retrying(count, tries=TRIES_MAX, backoff=BACKOFF_SECONDS)


def read_usage(table: Table, account_id: str, from_: date, to: date) -> dict[date, DayUsage]:
    """Return an account's usage by day, oldest first; `from_` is included, `to` is not."""
    first, last = usage_key(account_id, from_), usage_key(account_id, to - timedelta(days=1))
    found = table.query_all(
        "pk = :pk AND sk BETWEEN :first AND :last",
        {":pk": first["pk"], ":first": first["sk"], ":last": last["sk"]},
    )
    return {date.fromisoformat(id_of(item["sk"]["S"])): usage_of(item) for item in found}


def _count_if_unchanged(
    table: Table,
    account_id: str,
    day: date,
    entries: tuple[Entry, ...],
) -> None:
    item = table.get(usage_key(account_id, day))
    before = usage_of(item) if item else DayUsage()
    if item and not before.counted:
        raise CorruptAccountError(account_id)  # its counted entries were removed by hand
    after = before.with_entries(entries)
    if after == before:
        return
    put_counted(table, usage_item(account_id, day, after), before.counted)


def put_counted(table: Table, item: Item, seen: Ranges) -> None:
    """Put an item that counts entries, of which `seen` were counted when it was read.

    Raises:
        BusyError: others have been counted since.
    """
    condition, values = (SAME_COUNTED, {":seen": seen}) if seen else (IS_NEW, None)
    try:
        table.put(item, condition, values)
    except ConditionFailedError as exc:
        raise BusyError from exc
