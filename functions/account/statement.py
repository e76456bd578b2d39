"""Statements: what changed a balance between two instants, and what the balance was at each."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Annotated, TypedDict, cast

from pydantic import Field

from functions.account.usage import REFERENCES_MAX
from scrip.domain.entries import EntryType, iso
from scrip.domain.errors import CorruptAccountError
from scrip.domain.statement import (
    CountedDay,
    Group,
    Span,
    StatementLine,
    statement_lines,
    uncovered,
)
from scrip.domain.usage import Line, length
from scrip.http.answers import IsoDate, IsoInstant
from scrip.http.problems import InvalidError
from scrip.store.client import Table
from scrip.store.pages import PAGE_BYTES_MAX, sent_bytes
from scrip.store.queries import RECORDED_SINCE, read_newest_entry
from scrip.store.references import read_entries_between, read_references
from scrip.store.usage import read_usage

ENTRIES_MAX = 10_000
"""How many entries are read for a statement: of days that it has in part, or not counted yet."""

TOO_MANY_ENTRIES = (
    f"query: over {ENTRIES_MAX} entries are not in whole days that were counted; begin and end at "
    "midnight UTC, or request less time"
)

MILLISECOND = timedelta(milliseconds=1)


class StatementGroup(TypedDict, total=False):
    """What the uses or refunds of a line have in common; null if they name none."""

    day: Annotated[IsoDate | None, Field(default=None)]
    feature: Annotated[str | None, Field(default=None)]
    model: Annotated[str | None, Field(default=None)]
    reference: Annotated[str | None, Field(default=None)]


class StatementLineAnswer(StatementGroup):
    """The total of `count` entries of one type, in credits.

    `amount` is their change of the balance; `cost` is what uses cost and refunds gave
    back. They differ on an unlimited plan, where uses leave the balance as it is.
    """

    type: EntryType
    count: int
    amount: int
    cost: int


_From = TypedDict("_From", {"from": IsoInstant})


class StatementAnswer(_From):
    """The lines of a statement: their amounts add up to the change of the balance."""

    to: IsoInstant
    balance_before: int
    balance_after: int
    lines: list[StatementLineAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFilter:
    """An account, and from which instant (included) to which (not included); its days so, too."""

    account_id: str
    from_: datetime
    to: datetime
    days: tuple[date, date]
    group: Group


def statement(table: Table, asked: StatementFilter) -> StatementAnswer:
    """Return a statement.

    Raises:
        InvalidError: it would take too many entries, references or lines.
        CorruptAccountError: what was counted of a day does not match the ledger.
    """
    # The days first: whatever they have counted, the ledger then has.
    days = _days(table, asked)
    newest = [
        read_newest_entry(table, asked.account_id, max(at, RECORDED_SINCE) - MILLISECOND)
        for at in (asked.from_, asked.to)
    ]
    after, last = (entry.seq if entry else 0 for entry in newest)
    balance_before, balance_after = (entry.balance_after if entry else 0 for entry in newest)
    span = Span(after=after, last=last)
    days = {day: counted for day, counted in days.items() if counted.is_within(span, asked.group)}
    missing = uncovered(days.values(), span)
    if length(missing) > ENTRIES_MAX:
        raise InvalidError([TOO_MANY_ENTRIES])
    entries = read_entries_between(table, asked.account_id, missing)
    lines = statement_lines(days, entries, asked.group)
    if sum(line.amount for line in lines) != balance_after - balance_before:
        raise CorruptAccountError(asked.account_id)
    shown = [line_json(line, asked.group) for line in lines]
    if sent_bytes(shown) > PAGE_BYTES_MAX:
        raise InvalidError(["query: the answer would be too large; request less time"])
    return {
        "from": iso(asked.from_),
        "to": iso(asked.to),
        "balance_before": balance_before,
        "balance_after": balance_after,
        "lines": shown,
    }


def _days(table: Table, asked: StatementFilter) -> dict[date, CountedDay]:
    references: dict[date, dict[str, tuple[Line, ...]]] = defaultdict(dict)
    if asked.group is Group.REFERENCE:
        every = read_references(table, asked.account_id, *asked.days)
        found = list(islice(every, REFERENCES_MAX + 1))
        if len(found) > REFERENCES_MAX:
            raise InvalidError(["query: too many references; request less time"])
        for day, reference, usage in found:
            references[day][reference] = usage.lines
    days = read_usage(table, asked.account_id, *asked.days)
    return {day: CountedDay(usage=usage, references=references[day]) for day, usage in days.items()}


def line_json(line: StatementLine, group: Group) -> StatementLineAnswer:
    """Return a line as the API answers it."""
    return {
        **cast("StatementGroup", {group.value: line.value}),
        "type": line.type,
        "count": line.count,
        "amount": line.amount,
        "cost": line.credits,
    }
