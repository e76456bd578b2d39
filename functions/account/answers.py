"""The answers to what a caller reads of an account's ledger."""

from collections import Counter
from collections.abc import Container, Mapping
from datetime import date
from typing import Annotated, TypedDict

from pydantic import Field

from scrip.domain.usage import DayUsage
from scrip.http.answers import EntryAnswer, IsoDate


class EntriesAnswer(TypedDict):
    """Entries, newest first. A page may be short before the end; the end is `cursor: null`."""

    entries: list[EntryAnswer]
    cursor: str | None


class OneEntryAnswer(EntryAnswer):
    """An entry, and how many of its credits have been refunded."""

    refunded: int


class UsageGroup(TypedDict, total=False):
    """What a row of usage is about."""

    day: Annotated[IsoDate | None, Field(default=None)]
    feature: Annotated[str | None, Field(default=None)]


class UsageRow(UsageGroup):
    """Usage of one day, one feature, or both, as `group_by` says.

    `feature` is null for uses by amount. `credits` is what `count` uses cost, and `meters` what
    they counted; `refunded` is what was given back within these days, of uses on any day.
    """

    credits: int
    count: int
    refunded: int
    meters: dict[str, int]


_From = TypedDict("_From", {"from": IsoDate})


class UsageAnswer(_From):
    """Usage from a day (included) to a day (not included), in UTC."""

    usage: list[UsageRow]
    to: IsoDate


def usage_json(days: Mapping[date, DayUsage], group_by: Container[str]) -> list[UsageRow]:
    """Return rows of usage, by `day`, by `feature`, by both, or one row in all."""
    rows: dict[tuple[str | None, str | None], UsageRow] = {}
    for day, usage in days.items():
        for use in usage.uses:
            group: UsageGroup = {}
            if "day" in group_by:
                group["day"] = day.isoformat()
            if "feature" in group_by:
                group["feature"] = use.feature
            row = rows.setdefault(
                (group.get("day"), group.get("feature")),
                {**group, "credits": 0, "count": 0, "refunded": 0, "meters": {}},
            )
            row["credits"] += use.credits
            row["count"] += use.count
            row["refunded"] += use.refunded
            row["meters"] = dict(Counter(row["meters"]) + Counter(use.meters))
    return list(rows.values())
