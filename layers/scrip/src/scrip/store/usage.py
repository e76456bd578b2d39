"""The usage items: counting entries into the days they were recorded on, and reading them."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from scrip.domain.errors import BusyError, CorruptAccountError
from scrip.domain.usage import DayUsage
from scrip.store.client import Table, answered
from scrip.store.items import from_wire, to_wire, usage_item, usage_of
from scrip.store.keys import id_of, usage_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scrip.domain.entries import Entry

# Holds for the first entries of a day only.
NOT_THERE = "attribute_not_exists(pk)"
# Holds while nobody has counted anything since the item was read.
SAME_COUNTED = "counted = :seen"

TRIES_MAX = 6
BACKOFF_SECONDS = 0.01
"""Usage is counted so often; the pause after try n is up to BACKOFF * 2^n."""


def count_usage(table: Table, account_id: str, day: date, entries: Iterable[Entry]) -> None:
    """Count entries of one account and day, each once for ever. Two round trips, one if all were.

    Raises:
        BusyError: too contended or too slow; counting again is safe.
    """
    entries = tuple(entries)
    for n in range(TRIES_MAX):
        with suppress(BusyError, table.client.exceptions.ConditionalCheckFailedException):
            _count_if_unchanged(table, account_id, day, entries)
            return
        time.sleep(random.uniform(0, BACKOFF_SECONDS * 2**n))  # noqa: S311 - no secret
    raise BusyError


def read_usage(table: Table, account_id: str, from_: date, to: date) -> dict[date, DayUsage]:
    """Return an account's usage by day, oldest first; `from_` is included, `to` is not."""
    first, last = usage_key(account_id, from_), usage_key(account_id, to - timedelta(days=1))
    query: dict[str, Any] = {
        "TableName": table.name,
        "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
        "ExpressionAttributeValues": to_wire(
            {":pk": first["pk"], ":first": first["sk"], ":last": last["sk"]},
        ),
    }
    found = {}
    with answered():
        for page in table.client.get_paginator("query").paginate(**query):
            for item in page["Items"]:
                found[date.fromisoformat(id_of(from_wire(item)["sk"]))] = usage_of(item)
    return found


def _count_if_unchanged(
    table: Table,
    account_id: str,
    day: date,
    entries: tuple[Entry, ...],
) -> None:
    key = to_wire(usage_key(account_id, day))
    with answered():
        answer = table.client.get_item(TableName=table.name, Key=key, ConsistentRead=True)
    before = usage_of(answer["Item"]) if "Item" in answer else DayUsage()
    if "Item" in answer and not before.counted:
        raise CorruptAccountError(account_id)  # somebody has taken away what it has counted
    after = before.with_entries(entries)
    if after != before:
        with answered():
            table.client.put_item(
                TableName=table.name,
                Item=to_wire(usage_item(account_id, day, after)),
                **_unchanged(before),
            )


def _unchanged(before: DayUsage) -> dict[str, Any]:
    if not before.counted:
        return {"ConditionExpression": NOT_THERE}
    return {
        "ConditionExpression": SAME_COUNTED,
        "ExpressionAttributeValues": to_wire({":seen": before.counted}),
    }
