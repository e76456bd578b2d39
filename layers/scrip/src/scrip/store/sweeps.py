"""The sweep's items: how far it has come, and the directory that it walks."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from scrip.domain.audit.skew import SKEW_MAX
from scrip.store.client import Table, answered
from scrip.store.items import account_of, to_wire, watermark_item, watermark_of
from scrip.store.keys import account_key, directory_end, directory_partition, watermark_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from scrip.domain.account import Account

PAGE = 100
"""How many accounts are read at once: as many as one BatchGetItem takes."""

# Holds before the first sweep, while no other has come further, for what nobody can read, and for
# what no sweep can have come to yet.
FURTHER = (
    "attribute_not_exists(pk) OR NOT attribute_type(watermark, :number)"
    " OR watermark < :watermark OR watermark > :ahead"
)


def read_watermark(table: Table) -> datetime | None:
    """Return the instant up to which the sweep has asked for renewals; None if that is unknown."""
    with answered():
        answer = table.client.get_item(
            TableName=table.name,
            Key=to_wire(watermark_key()),
            ConsistentRead=True,
        )
    return watermark_of(answer["Item"]) if "Item" in answer else None


def move_watermark(table: Table, watermark: datetime) -> None:
    """Move the watermark forward, to about now; where another sweep has come further it stays.

    One that is further ahead than clocks can differ is moved back.
    """
    item = to_wire(watermark_item(watermark))
    try:
        with answered():
            table.client.put_item(
                TableName=table.name,
                Item=item,
                ConditionExpression=FURTHER,
                ExpressionAttributeValues={
                    ":watermark": item["watermark"],
                    **to_wire({":number": "N", ":ahead": watermark + SKEW_MAX}),
                },
            )
    except table.client.exceptions.ConditionalCheckFailedException:
        return


def directory_pages(
    table: Table,
    *,
    day: int,
    shard: int,
    first: str,
    last: str,
) -> Iterator[list[str]]:
    """Yield where the accounts of an anchor day and shard are listed: `HH:MM#<account_id>`s.

    They come in order, from the place or time of day `first` to the end of the minute `last`.
    """
    query: dict[str, Any] = {
        "TableName": table.name,
        "IndexName": "directory",
        "KeyConditionExpression": "directory_pk = :pk AND directory_sk BETWEEN :first AND :last",
        "ExpressionAttributeValues": to_wire(
            {
                ":pk": directory_partition(day, shard),
                ":first": first,
                ":last": directory_end(last),
            },
        ),
        "PaginationConfig": {"PageSize": PAGE},
    }
    with answered():
        for page in table.client.get_paginator("query").paginate(**query):
            if page["Items"]:
                yield [item["directory_sk"]["S"] for item in page["Items"]]


def read_sound_accounts(table: Table, account_ids: Iterable[str]) -> Iterator[Account]:
    """Yield the accounts of a page, maybe as they were a moment ago, but those not to be read."""
    keys = [to_wire(account_key(account_id)) for account_id in account_ids]
    with answered():
        answer = table.client.batch_get_item(RequestItems={table.name: {"Keys": keys}})
    for item in answer["Responses"][table.name]:
        with suppress(Exception):  # whatever is wrong with one stops no other
            yield account_of(item)
