"""Keeps the lists of accounts up to date with the table's stream."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from scrip.retrying import retrying
from scrip.store.listing import end_row, put_row, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from functions.events.stream import AccountChanged
    from scrip.store.client import Table

TRIES_MAX = 6
BACKOFF_SECONDS = 0.01


def move(table: Table, changed: Iterable[AccountChanged]) -> None:
    """Put the rows that accounts got by some changes, and end those that they lost.

    Only what has changed is written, and nothing is read: one round trip for each row.

    Raises:
        BusyError: some may not have been written; doing it again is safe.
    """
    writes: dict[tuple[str, str], Callable[[], bool]] = {}
    for one in changed:
        account_id, version = one.after.account_id, one.after.version
        if one.before is None and version > 1:
            continue  # it was restored from a backup, which has its rows, too
        before = rows_of(one.before) if one.before else set()
        after = rows_of(one.after)
        since = one.at if one.before else one.after.as_of
        # Of several changes of a row, the last one is enough.
        for row in after - before:
            writes[account_id, row] = partial(put_row, table, account_id, row, version, since)
        for row in before - after:
            writes[account_id, row] = partial(end_row, table, account_id, row, version, one.at)
    for write in writes.values():
        retrying(write, tries=TRIES_MAX, backoff=BACKOFF_SECONDS)
