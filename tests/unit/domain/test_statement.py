"""Statements: their lines are the ledger's entries, and their sum the change of the balance."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from scrip.domain.entries import Entry, EntryType
from scrip.domain.statement import (
    CountedDay,
    Group,
    Span,
    StatementLine,
    statement_lines,
    uncovered,
)
from scrip.domain.usage import DayUsage, ReferenceUsage, length
from tests.unit.domain.examples import consume, do, opened, own_entry

if TYPE_CHECKING:
    from datetime import date

START = datetime(2026, 10, 1, tzinfo=UTC)
DAYS = 40

LEDGERS, MONTHS = 250, 40
"""How many random ledgers there are, and how many months of each: 10 000 months in all."""

EXAMPLE = own_entry(do(opened(), consume(1)))
REST = (EntryType.PLAN, EntryType.PURCHASE, EntryType.EXPIRY, EntryType.HOLD, EntryType.CLAWBACK)


@dataclass
class Life:
    """A ledger, and its days as the stream has counted them so far."""

    entries: list[Entry]
    days: dict[date, CountedDay]


def random_life(chance: random.Random) -> Life:
    """Return a life of some weeks whose entries come in bursts, by clocks that differ a little."""
    entries: list[Entry] = []
    at, balance = START, 0
    while at < START + timedelta(days=DAYS):
        at += timedelta(seconds=chance.choice([1, 60, 7200, 200_000]) * chance.random())
        kind = chance.choice(
            [EntryType.USAGE, EntryType.USAGE, EntryType.REFUND, chance.choice(REST)]
        )
        cost = chance.randint(1, 99)
        is_used = kind in {EntryType.USAGE, EntryType.REFUND}
        amount = {EntryType.USAGE: -cost, EntryType.HOLD: 0, EntryType.EXPIRY: -cost}.get(
            kind, cost
        )
        if is_used and chance.random() < 0.2:
            amount = 0  # on an unlimited plan
        balance += amount
        entries.append(
            replace(
                EXAMPLE,
                entry_id=f"e{len(entries) + 1}",
                seq=len(entries) + 1,
                type=kind,
                amount=amount,
                cost=cost if is_used else None,
                balance_after=balance,
                feature=chance.choice([None, "chat", "image"]) if is_used else None,
                reference=chance.choice([None, None, "run-1", "run-2"]),
                metadata=chance.choice([None, {"model": "gpt-5"}, {"model": 5}]),
                recorded_at=at - timedelta(seconds=chance.choice([0, 0, 0, 90])),
            )
        )
    return Life(entries, counted(entries, chance))


def counted(entries: list[Entry], chance: random.Random) -> dict[date, CountedDay]:
    """Count a ledger as the stream does: late, in parts, and some days by the version before."""
    by_day: dict[date, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_day[entry.recorded_at.date()].append(entry)
    days = {}
    for day, of_day in by_day.items():
        seen = [one for one in of_day if chance.random() < 0.99]
        seen_by_reference = seen if chance.random() < 0.9 else seen[:-1]
        usage = DayUsage()
        for some in (seen[len(seen) // 2 :], seen):
            usage = usage.with_entries(some)
            if chance.random() < 0.02:
                usage = replace(usage, lines=(), referenced=0)  # by the version before
        references = defaultdict(list)
        for one in seen_by_reference:
            if one.reference:
                references[one.reference].append(one)
        days[day] = CountedDay(
            usage=usage,
            references={
                name: ReferenceUsage().with_entries(of_name).lines
                for name, of_name in references.items()
            },
        )
    return days


def newest(life: Life, at: datetime) -> Entry | None:
    return next((one for one in reversed(life.entries) if one.recorded_at < at), None)


def by_hand(entries: list[Entry], group: Group) -> list[StatementLine]:
    """Return the lines of entries alone, which a statement without any counted day has."""
    return statement_lines({}, entries, group)


def test_in_10_000_random_months_the_lines_sum_to_the_change_of_the_balance() -> None:
    chance = random.Random(17)
    from_days = 0
    for _ in range(LEDGERS):
        life = random_life(chance)
        for _ in range(MONTHS):
            group = chance.choice(list(Group))
            start = START + timedelta(days=DAYS) * chance.uniform(-0.1, 1)
            end = start + timedelta(days=31) * chance.random()
            if chance.random() < 0.5:
                start, end = (one.replace(hour=0, minute=0, second=0) for one in (start, end))
            before, after = newest(life, start), newest(life, end)
            span = Span(after=before.seq if before else 0, last=after.seq if after else 0)
            days = {day: one for day, one in life.days.items() if one.is_within(span, group)}
            missing = uncovered(days.values(), span)
            read = [one for first, last in missing for one in life.entries[first - 1 : last]]
            lines = statement_lines(days, read, group)
            change = (after.balance_after if after else 0) - (before.balance_after if before else 0)
            assert sum(line.amount for line in lines) == change
            assert lines == by_hand(life.entries[span.after : span.last], group)
            from_days += span.last - span.after - length(missing)
    assert from_days > 100_000


def test_by_day_each_line_has_a_day_and_by_feature_only_uses_and_refunds_have_one() -> None:
    life = random_life(random.Random(1))
    assert all(line.value for line in by_hand(life.entries, Group.DAY))
    grouped = {line.type for line in by_hand(life.entries, Group.FEATURE) if line.value}
    assert grouped == {EntryType.USAGE, EntryType.REFUND}


def test_what_no_day_has_counted_is_read_from_the_ledger() -> None:
    day = CountedDay(usage=DayUsage(counted=((3, 4), (7, 7))))
    assert uncovered([day], Span(after=1, last=9)) == ((2, 2), (5, 6), (8, 9))
    assert uncovered([], Span(after=1, last=9)) == ((2, 9),)
    assert uncovered([], Span(after=9, last=9)) == ()
