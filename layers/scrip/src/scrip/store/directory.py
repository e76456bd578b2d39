"""The directory: all accounts, and all messages of the inbox by day, a page at a time.

It is an index with keys only. Accounts are spread over 496 of its partitions, by anchor day and
shard. Most of those may be empty: a page looks into them, some at a time, until it is full.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING, Any

from scrip.domain.errors import BusyError, CorruptAccountError
from scrip.store.client import Table, answered
from scrip.store.cursors import seal, unseal
from scrip.store.inbox import InboxRecord, read_heads
from scrip.store.items import account_of, to_wire
from scrip.store.keys import (
    ANCHOR_DAYS,
    DIRECTORY_SHARDS,
    account_key,
    directory_partition,
    id_of,
    inbox_directory_keys,
    inbox_directory_partition,
)
from scrip.store.pages import Page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scrip.domain.account import Account
    from scrip.store.inbox import InboxStatus

THREADS = 8
"""How many partitions are looked into at once."""

INBOX_DAYS = 366
"""How far back messages are listed; only what nobody dealt with is kept for longer than 90 days."""

INBOX_QUERIES_MAX = 60
"""How many queries one request for messages makes, be it of empty days or of the wrong status."""

INBOX_PAGE = 100
"""How many messages are read at once: as many as one BatchGetItem takes."""

ACCOUNTS_QUESTION = "accounts"


def list_account_ids(
    table: Table, *, limit: int, cursor: str | None
) -> tuple[list[str], str | None]:
    """Return up to `limit` open accounts, in the order of the index, and a cursor behind them.

    The end is the cursor None; a page before it can be followed by an empty one.

    Raises:
        InvalidCursorError: the cursor is of something else.
    """
    first, after = (0, "") if cursor is None else unseal(ACCOUNTS_QUESTION, cursor)
    partitions = [
        directory_partition(day, shard)
        for day in range(1, ANCHOR_DAYS + 1)
        for shard in range(DIRECTORY_SHARDS)
    ]
    found: list[str] = []
    read = partial(_places, table, limit=limit)
    with ThreadPoolExecutor(THREADS) as pool:
        for some in batched(enumerate(partitions[first:], first), THREADS, strict=False):
            asked = [(pk, after if number == first else "") for number, pk in some]
            pages = pool.map(lambda told: read(*told), asked)
            for (number, _), (places, is_last) in zip(some, pages, strict=True):
                room = limit - len(found)
                found += [id_of(place) for place in places[:room]]
                if len(places) > room or not is_last:
                    after = places[room - 1] if len(places) > room else places[-1]
                    return found, seal(ACCOUNTS_QUESTION, [number, after])
                if len(found) == limit:
                    return found, seal(ACCOUNTS_QUESTION, [number + 1, ""])
    return found, None


def read_accounts(table: Table, account_ids: Sequence[str]) -> dict[str, Account | None]:
    """Return accounts by their ids, maybe as they were a moment ago; None for a corrupt one.

    At most 100. One that is not there any more is left out.
    """
    if not account_ids:
        return {}
    keys = [to_wire(account_key(account_id)) for account_id in account_ids]
    with answered():
        answer = table.client.batch_get_item(RequestItems={table.name: {"Keys": keys}})
    if answer["UnprocessedKeys"]:
        raise BusyError
    items = {id_of(item["pk"]["S"]): item for item in answer["Responses"][table.name]}
    return {
        account_id: _sound(items[account_id]) for account_id in account_ids if account_id in items
    }


def list_messages(
    table: Table,
    today: date,
    *,
    status: InboxStatus | None,
    limit: int,
    cursor: str | None,
) -> tuple[list[InboxRecord], str | None]:
    """Return up to `limit` messages without their payloads, newest first, and a cursor behind them.

    A page can be short before the end, even empty; the end is the cursor None.

    Raises:
        InvalidCursorError: the cursor was not made for this status.
    """
    question = ["webhooks", status]
    day, before = today, ""
    if cursor is not None:
        told, before = unseal(question, cursor)
        day = date.fromisoformat(told)
    last_day = today - timedelta(days=INBOX_DAYS)
    page: Page[InboxRecord] = Page(limit)
    for _ in range(INBOX_QUERIES_MAX):
        if day < last_day:
            return page.items, None
        places, is_last = _newest_places(table, inbox_directory_partition(day), before)
        for record in read_heads(table, [id_of(place) for place in places]):
            if status in {None, record.status}:
                # What of it can be long.
                page.add(record, [record.reason, *record.waits_for])
            if page.is_full:
                keys = inbox_directory_keys(record.inbox_id, record.received_at)
                return page.items, seal(question, [day.isoformat(), keys["directory_sk"]])
        day, before = (day - timedelta(days=1), "") if is_last else (day, places[-1])
    return page.items, seal(question, [day.isoformat(), before])


def _places(table: Table, partition: str, after: str, *, limit: int) -> tuple[list[str], bool]:
    """Return what a partition lists behind a place, oldest first, and whether that is all."""
    return _query(table, partition, "directory_sk > :place", after or " ", Limit=limit + 1)


def _newest_places(table: Table, partition: str, before: str) -> tuple[list[str], bool]:
    """Return what a partition lists before a place, newest first, and whether that is all."""
    return _query(
        table,
        partition,
        "directory_sk < :place",
        before or "~",
        Limit=INBOX_PAGE,
        ScanIndexForward=False,
    )


def _query(
    table: Table, partition: str, condition: str, place: str, **more: Any
) -> tuple[list[str], bool]:
    with answered():
        answer = table.client.query(
            TableName=table.name,
            IndexName="directory",
            KeyConditionExpression=f"directory_pk = :pk AND {condition}",
            ExpressionAttributeValues=to_wire({":pk": partition, ":place": place}),
            **more,
        )
    places = [item["directory_sk"]["S"] for item in answer["Items"]]
    return places, "LastEvaluatedKey" not in answer


def _sound(wire: dict[str, Any]) -> Account | None:
    try:
        return account_of(wire)
    except CorruptAccountError:
        return None
