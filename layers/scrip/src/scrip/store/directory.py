"""The directory: all accounts, and all messages of the inbox by day, a page at a time.

It is an index that has keys only. Its accounts are spread over 496 partitions, by anchor day and
shard, and most of those can be empty. So admins' lists have rows of their own: store/listing.py.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

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
    from collections.abc import Iterator

    from scrip.store.client import Table
    from scrip.store.inbox import InboxStatus
    from scrip.store.pages import Place, Steps

INBOX_DAYS = 366
"""How many days of messages are listed. Only messages that need attention are kept over 90 days."""

INBOX_QUERIES_MAX = 60
"""How many queries one request for messages makes, even if they find nothing of the status."""

INBOX_PAGE = 100
"""How many messages are read at once: as many as one BatchGetItem takes."""


def account_ids(table: Table) -> Iterator[str]:
    """Yield all open accounts, by the day and time at which the sweep looks at them.

    That is one query for each of the 496 partitions, and for each further megabyte. One that moves
    meanwhile may be missing or come twice.
    """
    for day in range(1, ANCHOR_DAYS + 1):
        for shard in range(DIRECTORY_SHARDS):
            partition = {":pk": directory_partition(day, shard)}
            found = table.query_all("directory_pk = :pk", partition, IndexName="directory")
            yield from (id_of(item["directory_sk"]["S"]) for item in found)


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


def _newest_places(table: Table, partition: str, before: str) -> tuple[list[str], bool]:
    """Return what a partition lists before a place, newest first, and whether that is all."""
    items, last = table.query(
        "directory_pk = :pk AND directory_sk < :place",
        {":pk": partition, ":place": before or "~"},
        IndexName="directory",
        ScanIndexForward=False,
        Limit=INBOX_PAGE,
    )
    return [item["directory_sk"]["S"] for item in items], last is None
