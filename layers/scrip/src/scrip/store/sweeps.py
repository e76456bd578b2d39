"""The sweep's items: how far it has come, and the directory that it walks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrip.store.client import Table, answered
from scrip.store.items import to_wire, watermark_item, watermark_of
from scrip.store.keys import directory_end, directory_partition, watermark_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

PAGE = 200
"""How many accounts of the directory are asked for at once."""

# Holds before the first sweep, and while no other has come further.
FURTHER = "attribute_not_exists(pk) OR watermark < :watermark"


def read_watermark(table: Table) -> datetime | None:
    """Return the instant up to which the sweep has asked for renewals; None before the first."""
    with answered():
        answer = table.client.get_item(
            TableName=table.name,
            Key=to_wire(watermark_key()),
            ConsistentRead=True,
        )
    return watermark_of(answer["Item"]) if "Item" in answer else None


def move_watermark(table: Table, watermark: datetime) -> None:
    """Move the watermark forward; where another sweep has come further it stays."""
    item = to_wire(watermark_item(watermark))
    try:
        with answered():
            table.client.put_item(
                TableName=table.name,
                Item=item,
                ConditionExpression=FURTHER,
                ExpressionAttributeValues={":watermark": item["watermark"]},
            )
    except table.client.exceptions.ConditionalCheckFailedException:
        return


def directory_places(
    table: Table,
    *,
    day: int,
    shard: int,
    first: str,
    last: str,
) -> Iterator[str]:
    """Yield where the accounts of an anchor day and shard are listed: `HH:MM#<account_id>`.

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
            for item in page["Items"]:
                yield item["directory_sk"]["S"]
