"""Statements: lines whose sum is the change of a balance between two instants.

A statement covers the entries of a span of seqs. Days that the stream has counted, and of which all
entries are in the span, bring their lines; every other entry of the span is read from the ledger.
So it is exact at any instant, however far the counting is, and whatever the version before counted.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from scrip.domain.entries import Entry, EntryType
from scrip.domain.usage import USED, DayUsage, Line, Ranges, model_of, used

ORDER = {entry_type: place for place, entry_type in enumerate(EntryType)}


class Group(StrEnum):
    """What the lines of uses and refunds are grouped by. By day, all lines are."""

    DAY = "day"
    FEATURE = "feature"
    MODEL = "model"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The entries with a seq above `after`, up to `last`."""

    after: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedDay:
    """A day as it was counted, and its lines by reference, of which only that grouping needs any.

    What has no reference is the rest.
    """

    usage: DayUsage
    references: Mapping[str, tuple[Line, ...]] = field(default_factory=dict)

    def is_within(self, span: Span, group: Group) -> bool:
        """Return whether its lines stand for all entries counted, and all are in a span."""
        counted = self.usage.counted
        if not counted or counted[0][0] <= span.after or counted[-1][1] > span.last:
            return False
        if group is Group.REFERENCE:
            found = sum(line.count for lines in self.references.values() for line in lines)
            return self.usage.is_whole and found == self.usage.referenced
        return self.usage.is_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """What `count` entries of one type come to; `value` is the day, feature, model or reference.

    `amount` is by how much they changed the balance, `credits` what uses cost and refunds gave
    back: on an unlimited plan only the balance stays as it was.
    """

    type: EntryType
    value: str | None
    count: int = 0
    amount: int = 0
    credits: int = 0


def uncovered(days: Iterable[CountedDay], span: Span) -> Ranges:
    """Return the seqs of a span that no day has counted."""
    ranges = sorted(one for day in days for one in day.usage.counted)
    gaps, after = [], span.after
    for first, last in [*ranges, (span.last + 1, span.last + 1)]:
        if first > after + 1:
            gaps.append((after + 1, first - 1))
        after = max(after, last)
    return tuple(gaps)


def statement_lines(
    days: Mapping[date, CountedDay], entries: Iterable[Entry], group: Group
) -> list[StatementLine]:
    """Return the lines of days and of entries, in the order of days or of types, largest first."""
    lines: dict[tuple[EntryType, str | None], StatementLine] = {}
    for one in (*_of_days(days, group), *(_of_entry(entry, group) for entry in entries)):
        place = one.type, one.value
        so_far = lines.get(place, StatementLine(type=one.type, value=one.value))
        lines[place] = StatementLine(
            type=one.type,
            value=one.value,
            count=so_far.count + one.count,
            amount=so_far.amount + one.amount,
            credits=so_far.credits + one.credits,
        )
    return sorted(
        (line for line in lines.values() if line.count),
        key=lambda line: (
            line.value or "" if group is Group.DAY else "",
            ORDER[line.type],
            -line.credits,
            line.value or "",
        ),
    )


def _of_days(days: Mapping[date, CountedDay], group: Group) -> Iterator[StatementLine]:
    for day, counted in days.items():
        for line in counted.usage.lines:
            values = {
                Group.DAY: day.isoformat(),
                Group.FEATURE: line.feature,
                Group.MODEL: line.model,
            }
            yield _of_line(line, values.get(group) if _is_grouped(line.type, group) else None)
        references = counted.references if group is Group.REFERENCE else {}
        for reference, lines in references.items():
            for line in used(lines):
                yield _of_line(line, reference)
                yield _of_line(line, None, sign=-1)


def _of_line(line: Line, value: str | None, sign: int = 1) -> StatementLine:
    return StatementLine(
        type=line.type,
        value=value,
        count=sign * line.count,
        amount=sign * line.amount,
        credits=sign * line.credits,
    )


def _of_entry(entry: Entry, group: Group) -> StatementLine:
    values = {
        Group.DAY: entry.recorded_at.date().isoformat(),
        Group.FEATURE: entry.feature,
        Group.MODEL: model_of(entry),
        Group.REFERENCE: entry.reference,
    }
    return StatementLine(
        type=entry.type,
        value=values[group] if _is_grouped(entry.type, group) else None,
        count=1,
        amount=entry.amount,
        credits=entry.cost or 0,
    )


def _is_grouped(entry_type: EntryType, group: Group) -> bool:
    return group is Group.DAY or entry_type in USED
