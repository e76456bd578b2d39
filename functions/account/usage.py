"""Usage: the rows of what an account used, by day, feature, model and reference."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Literal, cast

from functions.account.answers import UsageGroup, UsageRow
from scrip.domain.entries import EntryType, iso
from scrip.domain.errors import InvalidCursorError
from scrip.domain.usage import Line, used
from scrip.http.problems import InvalidError
from scrip.store.client import Table
from scrip.store.pages import PAGE_BYTES_MAX, sent_bytes
from scrip.store.references import (
    DayOfReference,
    list_references,
    read_reference,
    read_references,
)
from scrip.store.usage import read_usage

REFERENCES_MAX = 5_000
"""How many references of days are added up for one answer."""

type GroupBy = Literal[
    "day,feature", "day", "feature", "model", "day,model", "reference", "day,reference", "total"
]

PAGED: GroupBy = "day,reference"
"""The only rows that come in pages: there can be any number of references."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageFilter:
    """Which usage to return; `from_` is included, `to` is not (UTC)."""

    account_id: str
    from_: date
    to: date
    group_by: GroupBy
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Lines of uses and refunds on a day, of a reference or of all that happened."""

    day: date
    lines: Iterable[Line]
    reference: str | None = None
    first_at: datetime | None = None
    last_at: datetime | None = None


def usage_of_references(found: Iterable[DayOfReference]) -> Iterator[Usage]:
    """Yield the usage of references by day, except of those that have none."""
    for day, reference, usage in found:
        if lines := used(usage.lines):
            yield Usage(
                day=day,
                lines=lines,
                reference=reference,
                first_at=usage.first_at,
                last_at=usage.last_at,
            )


def usage_json(found: Iterable[Usage], group_by: Container[str]) -> list[UsageRow]:
    """Return rows of usage, grouped by any of `day`, `feature`, `model` and `reference`."""
    rows: dict[tuple[str | None, ...], UsageRow] = {}
    for usage in found:
        for line in usage.lines:
            values = {
                "day": usage.day.isoformat(),
                "feature": line.feature,
                "model": line.model,
                "reference": usage.reference,
            }
            group = {name: value for name, value in values.items() if name in group_by}
            row = rows.setdefault(
                tuple(group.values()),
                {
                    **cast("UsageGroup", group),
                    "credits": 0,
                    "count": 0,
                    "refunded": 0,
                    "meters": {},
                },
            )
            if usage.first_at and usage.last_at and "reference" in group_by:
                first, last = iso(usage.first_at), iso(usage.last_at)
                row["first_at"] = min(row.get("first_at") or first, first)
                row["last_at"] = max(row.get("last_at") or last, last)
            if line.type is EntryType.REFUND:
                row["refunded"] += line.credits
            else:
                row["credits"] += line.credits
                row["count"] += line.count
            row["meters"] = dict(Counter(row["meters"]) + Counter(line.meters))
    return list(rows.values())


def usage_rows(
    table: Table, asked: UsageFilter, *, limit: int, cursor: str | None
) -> tuple[list[UsageRow], str | None]:
    """Return rows of usage, and the cursor after them if they come in pages.

    Raises:
        InvalidCursorError: the cursor belongs to a different query.
        InvalidError: there are too many rows for one answer.
    """
    groups = frozenset(asked.group_by.split(","))
    of_account = table, asked.account_id
    if asked.group_by == PAGED and asked.reference is None:
        page, next_cursor = list_references(
            *of_account,
            asked.from_,
            asked.to,
            limit=limit,
            cursor=cursor,
            shown=lambda one: usage_json(usage_of_references([one]), groups),
        )
        return usage_json(usage_of_references(page), groups), next_cursor
    if cursor is not None:
        raise InvalidCursorError
    if asked.reference is not None:
        one = read_reference(*of_account, asked.reference, asked.from_, asked.to)
        rows = usage_json(usage_of_references(one), groups)
    elif "reference" in groups:
        every = read_references(*of_account, asked.from_, asked.to)
        some = list(islice(every, REFERENCES_MAX + 1))
        if len(some) > REFERENCES_MAX:
            raise InvalidError(
                [f"query: too many references; request fewer days or group by {PAGED}"]
            )
        rows = usage_json(usage_of_references(some), groups)
        rows.sort(key=lambda row: -row["credits"])
    else:
        days = read_usage(*of_account, asked.from_, asked.to)
        rows = usage_json((Usage(day=day, lines=usage.used) for day, usage in days.items()), groups)
    if sent_bytes(rows) > PAGE_BYTES_MAX:
        raise InvalidError(
            ["query: the answer would be too large; request fewer days or group by less"]
        )
    return rows, None
