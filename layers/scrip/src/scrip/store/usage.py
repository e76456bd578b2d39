"""Usage items: counting entries by the day on which they were recorded, and reading the counts."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import date, timedelta
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING

from scrip.domain.errors import BusyError, CorruptAccountError, ScripError
from scrip.domain.totals import Totals
from scrip.domain.usage import DayUsage, uncounted
from scrip.retrying import retrying
from scrip.store.client import IS_NEW, ConditionFailedError, putting
from scrip.store.items import totals_item, totals_of, usage_item, usage_of
from scrip.store.keys import TOTALS_SHARDS, id_of, totals_key, usage_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scrip.domain.entries import Entry
    from scrip.domain.usage import Ranges
    from scrip.store.client import Table
    from scrip.store.items import Item, Wire

# Holds if no entries have been counted since the item was read.
SAME_COUNTED = "counted = :seen"

# Holds if the totals are as they were read.
SAME_VERSION = "version = :seen"

ACCOUNTS_MAX = 40
"""How many accounts of a day are counted in one transaction, which can have 4 MB."""

type AccountDay = tuple[str, date]

TRIES_MAX = 6
BACKOFF_SECONDS = 0.01


def count_usage(
    table: Table, groups: Mapping[AccountDay, Sequence[Entry]]
) -> Iterator[tuple[AccountDay, ScripError]]:
    """Count entries by account and day, each at most once; yield what was not counted, and why.

    Each is counted into its account's usage and into the totals of its day, both or neither. Two
    round trips for up to ACCOUNTS_MAX accounts of a day, one if all were counted before. Counting
    again is safe.
    """
    by_day: dict[date, list[AccountDay]] = defaultdict(list)
    for place in groups:
        by_day[place[1]].append(place)
    for day, places in by_day.items():
        for some in batched(places, ACCOUNTS_MAX, strict=False):
            group = {account_id: groups[account_id, day] for account_id, _ in some}
            refused: dict[str, ScripError] = {}
            try:
                count = partial(_count_if_unchanged, table, day, group, refused)
                retrying(count, tries=TRIES_MAX, backoff=BACKOFF_SECONDS)
            except ScripError as exc:
                refused = dict.fromkeys(group, exc)
            yield from (((account_id, day), exc) for account_id, exc in refused.items())


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
    day: date,
    groups: Mapping[str, Sequence[Entry]],
    refused: dict[str, ScripError],
) -> None:
    """Count entries of accounts on a day, except of those that are `refused`, and why."""
    totals = totals_key(day, random.randrange(TOTALS_SHARDS))  # noqa: S311 - no secret
    keys = [usage_key(account_id, day) for account_id in groups]
    found = {wire["pk"]["S"]: wire for wire in table.get_batch([*keys, totals], consistent=True)}
    fresh, used, actions = [], {}, []
    for account_id, entries in groups.items():
        try:
            before = _counted_before(account_id, found.get(usage_key(account_id, day)["pk"]))
        except ScripError as exc:
            refused[account_id] = exc
            continue
        after = before.with_entries(entries)
        if after != before:
            fresh += uncounted(before.counted, entries)
            used[account_id] = sum(use.credits for use in after.uses)
            item = usage_item(account_id, day, after)
            actions.append(putting(item, *unless_counted(before.counted)))
    if not actions:
        return
    stored = found.get(totals["pk"])
    try:
        version, so_far = totals_of(stored) if stored else (0, Totals())
    except CorruptAccountError as exc:
        raise BusyError from exc  # edited by hand: the next try takes another part
    item = totals_item(totals, so_far.with_entries(fresh, used), version + 1)
    condition = (SAME_VERSION, {":seen": version}) if stored else (IS_NEW, None)
    try:
        table.transact(*actions, putting(item, *condition))
    except ConditionFailedError as exc:
        raise BusyError from exc


def _counted_before(account_id: str, item: Wire | None) -> DayUsage:
    """Return the usage in an item.

    Raises:
        CorruptAccountError: it cannot be read, or its counted entries were removed by hand.
    """
    if item is None:
        return DayUsage()
    usage = usage_of(item)
    if not usage.counted:
        raise CorruptAccountError(account_id)
    return usage


def put_counted(table: Table, item: Item, seen: Ranges) -> None:
    """Put an item that counts entries, of which `seen` were counted when it was read.

    Raises:
        BusyError: others have been counted since.
    """
    try:
        table.put(item, *unless_counted(seen))
    except ConditionFailedError as exc:
        raise BusyError from exc


def unless_counted(seen: Ranges) -> tuple[str, Item | None]:
    """Return the condition that no others have been counted than `seen`, and its values."""
    return (SAME_COUNTED, {":seen": seen}) if seen else (IS_NEW, None)
