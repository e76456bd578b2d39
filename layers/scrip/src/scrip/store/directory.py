"""The directory: all accounts, and all messages of the inbox by day, a page at a time.

It is an index that has keys only. Its accounts are spread over 496 partitions, by anchor day and
shard, and most of those can be empty. So a page is filled from several partitions at once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING, Any

from scrip.store.inbox import InboxRecord, read_heads
from scrip.store.keys import (
    ANCHOR_DAYS,
    DIRECTORY_SHARDS,
    directory_partition,
    id_of,
    inbox_directory_keys,
    inbox_directory_partition,
)
from scrip.store.pages import read_page

if TYPE_CHECKING:
    from scrip.store.client import Table
    from scrip.store.inbox import InboxStatus
    from scrip.store.pages import Place, Steps

THREADS = 8
"""How many partitions are read at once."""

INBOX_DAYS = 366
"""How many days of messages are listed. Only messages that need attention are kept over 90 days."""

INBOX_QUERIES_MAX = 60
"""How many queries one request for messages makes, even if they find nothing of the status."""

INBOX_PAGE = 100
"""How many messages are read at once: as many as one BatchGetItem takes."""


def list_account_ids(
    table: Table, *, limit: int, cursor: str | None
) -> tuple[list[str], str | None]:
    """Return up to `limit` open accounts in the order of the index, and the cursor after them.

    The last page has the cursor None. It can be empty.

    Raises:
        InvalidCursorError: the cursor belongs to a different query.
    """
    partitions = [
        directory_partition(day, shard)
        for day in range(1, ANCHOR_DAYS + 1)
        for shard in range(DIRECTORY_SHARDS)
    ]

    def steps_after(place: Place) -> Steps[str]:
        first, after = place or (0, "")
        with ThreadPoolExecutor(THREADS) as pool:
            for some in batched(enumerate(partitions[first:], first), THREADS, strict=False):
                starts = [after if number == first else "" for number, _ in some]
                read = partial(_oldest_places, table, limit=limit)
                pages = pool.map(read, [partition for _, partition in some], starts)
                for (number, _), (places, is_last) in zip(some, pages, strict=True):
                    for one in places:
                        yield id_of(one), [number, one]
                    if not is_last:
                        yield None, [number, places[-1]]

    return read_page("accounts", steps_after, limit=limit, cursor=cursor, shown=str)


def list_messages(
    table: Table,
    today: date,
    *,
    status: InboxStatus | None,
    limit: int,
    cursor: str | None,
) -> tuple[list[InboxRecord], str | None]:
    """Return up to `limit` messages without their payloads, newest first, and the next cursor.

    A page can be short before the end, even empty. The last page has the cursor None.

    Raises:
        InvalidCursorError: the cursor belongs to a different query.
    """

    def steps_after(place: Place) -> Steps[InboxRecord]:
        day, before = (date.fromisoformat(place[0]), place[1]) if place else (today, "")
        for _ in range(INBOX_QUERIES_MAX):
            if day < today - timedelta(days=INBOX_DAYS):
                return
            places, is_last = _newest_places(table, inbox_directory_partition(day), before)
            for record in read_heads(table, [id_of(one) for one in places]):
                if status in {None, record.status}:
                    keys = inbox_directory_keys(record.inbox_id, record.received_at)
                    yield record, [day.isoformat(), keys["directory_sk"]]
            day, before = (day - timedelta(days=1), "") if is_last else (day, places[-1])
        yield None, [day.isoformat(), before]

    return read_page(
        ["webhooks", status],
        steps_after,
        limit=limit,
        cursor=cursor,
        shown=lambda record: [record.reason, *record.waits_for],  # the fields that can be long
    )


def _oldest_places(
    table: Table, partition: str, after: str, *, limit: int
) -> tuple[list[str], bool]:
    """Return what a partition lists after a place, oldest first, and whether that is all."""
    return _places(table, partition, "directory_sk > :place", after or " ", Limit=limit)


def _newest_places(table: Table, partition: str, before: str) -> tuple[list[str], bool]:
    """Return what a partition lists before a place, newest first, and whether that is all."""
    condition, how = "directory_sk < :place", {"Limit": INBOX_PAGE, "ScanIndexForward": False}
    return _places(table, partition, condition, before or "~", **how)


def _places(
    table: Table, partition: str, condition: str, place: str, **options: Any
) -> tuple[list[str], bool]:
    items, last = table.query(
        f"directory_pk = :pk AND {condition}",
        {":pk": partition, ":place": place},
        IndexName="directory",
        **options,
    )
    return [item["directory_sk"]["S"] for item in items], last is None
