"""Items of the sweep: its watermark, and the directory that it walks."""

from __future__ import annotations

from contextlib import suppress
from itertools import batched
from typing import TYPE_CHECKING

from scrip.domain.audit.skew import SKEW_MAX
from scrip.store.client import BATCH_MAX, ConditionFailedError
from scrip.store.items import watermark_item, watermark_of
from scrip.store.keys import directory_end, directory_partition, watermark_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from scrip.store.client import Table

# Holds before the first sweep, unless another sweep has moved the watermark further, and if the
# watermark cannot be read or is further ahead than any sweep can have moved it.
FURTHER = (
    "attribute_not_exists(pk) OR NOT attribute_type(watermark, :number)"
    " OR watermark < :watermark OR watermark > :ahead"
)


def read_watermark(table: Table) -> datetime | None:
    """Return up to which instant the sweep has requested renewals; None if that is unknown."""
    item = table.get(watermark_key())
    return watermark_of(item) if item else None


def move_watermark(table: Table, watermark: datetime) -> None:
    """Move the watermark forward, to about now, unless another sweep has moved it further.

    A watermark further ahead than clocks can differ is moved back.
    """
    values = {":watermark": watermark, ":number": "N", ":ahead": watermark + SKEW_MAX}
    with suppress(ConditionFailedError):
        table.put(watermark_item(watermark), FURTHER, values)


def directory_pages(
    table: Table,
    *,
    day: int,
    shard: int,
    first: str,
    last: str,
) -> Iterator[tuple[str, ...]]:
    """Yield where the directory lists the accounts of an anchor day and shard, up to 100 at a time.

    These places, `HH:MM#<account_id>`, come in order, from the place or time of day `first` to the
    end of the minute `last`.
    """
    found = table.query_all(
        "directory_pk = :pk AND directory_sk BETWEEN :first AND :last",
        {":pk": directory_partition(day, shard), ":first": first, ":last": directory_end(last)},
        IndexName="directory",
        Limit=BATCH_MAX,
    )
    return batched((item["directory_sk"]["S"] for item in found), BATCH_MAX, strict=False)
