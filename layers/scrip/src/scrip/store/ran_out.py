"""Who ran out of credits, by day: noted by the stream's function, and listed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from scrip.store.keys import id_of, ran_out_directory_keys, ran_out_key, ran_out_partition
from scrip.store.pages import read_page

if TYPE_CHECKING:
    from scrip.store.client import Table
    from scrip.store.pages import Place, Steps

KEPT = timedelta(days=92)

LATEST = "~"
"""Sorts after every time of day."""


def note_ran_out(table: Table, account_id: str, at: datetime) -> None:
    """Note that an account ran out of credits; of a day it is the last time that counts."""
    day = at.date()
    purge_at = int(datetime.combine(day + KEPT, time.min, UTC).timestamp())
    keys = {**ran_out_key(account_id, day), **ran_out_directory_keys(account_id, at)}
    table.put({**keys, "purge_at": purge_at})


def list_ran_out(
    table: Table, day: date, *, limit: int, cursor: str | None
) -> tuple[list[tuple[str, datetime]], str | None]:
    """Return up to `limit` accounts that ran out on a day, the last one first, and the next cursor.

    The last page has the cursor None. It can be empty.

    Raises:
        InvalidCursorError: the cursor belongs to a different query.
    """

    def steps_after(place: Place) -> Steps[tuple[str, datetime]]:
        found = table.query_all(
            "directory_pk = :pk AND directory_sk < :place",
            {":pk": ran_out_partition(day), ":place": place or LATEST},
            IndexName="directory",
            ScanIndexForward=False,
            Limit=limit + 1,
        )
        for item in found:
            listed = item["directory_sk"]["S"]
            at = datetime.combine(day, time.fromisoformat(listed.partition("#")[0]), UTC)
            yield (id_of(listed), at), listed

    query = ["ran out", day.isoformat()]
    return read_page(query, steps_after, limit=limit, cursor=cursor, shown=lambda one: one[0])
