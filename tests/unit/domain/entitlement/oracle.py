"""What an account is due, by brute force from what was paid for which time and what went back.

It shares no rule with the ledger: it reads the fields of the provider's messages and knows
calendar months, fractions of time, and nothing else. Times are whole seconds since 1970.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from scrip.domain.commands import FollowSubscription, PayTerms, SetQuota, TakeBack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scrip.domain.commands import Command

MONTH = 365.2425 * 86_400 / 12
GRACE = 3 * 86_400
OUTCOMES = ("open", "lost", "won")
"""Of a dispute: money that was lost may come back."""


def seconds(instant: datetime) -> int:
    return int(instant.timestamp())


@lru_cache(maxsize=4_096)
def after_months(start: int, months: int, zone: ZoneInfo) -> int:
    """Return the same day and time of day, some calendar months on; the last day if there is none.

    Lives begin at hours of the day that no clock skips or repeats.
    """
    local = datetime.fromtimestamp(start, zone)
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    day = min(local.day, monthrange(year, month + 1)[1])
    return seconds(datetime(year, month + 1, day, *local.timetuple()[3:6], tzinfo=zone))


type Span = tuple[int, int]
type Key = tuple[str, int]
type Share = tuple[int, int]


def overlap(one: Span, other: Span) -> Span | None:
    start, end = max(one[0], other[0]), min(one[1], other[1])
    return (start, end) if start < end else None


def without(spans: Iterable[Span], gone: Span) -> list[Span]:
    """Return spans less another one."""
    parts = []
    for start, end in spans:
        parts += [(start, min(end, gone[0])), (max(start, gone[1]), end)]
    return [part for part in parts if part[0] < part[1]]


def length(spans: Iterable[Span]) -> int:
    """Return how long spans are together, whatever they share."""
    total, reached = 0, -(2**62)
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def is_whole(share: Share) -> bool:
    return share[0] == share[1]


@dataclass(frozen=True)
class Month:
    """A month of a term, or the part of it that the term covers, and what it brings."""

    span: Span
    part: Fraction
    credits: int


@dataclass(eq=False)
class PaidTime:
    """One line of a payment that gives something."""

    name: str
    subscription: str
    item: str
    plan: str
    quantity: int
    span: Span
    prorated: bool
    back: Share
    months: list[Month] = field(default_factory=list)
    credited: list[Span] = field(default_factory=list)
    later: list[PaidTime] = field(default_factory=list)

    @property
    def rank(self) -> tuple[int, int, str, int]:
        payment_id, _, number = self.name.partition(":")
        return *self.span, payment_id, int(number)

    @property
    def is_back(self) -> bool:
        return is_whole(self.back)

    def back_of(self, number: int) -> Share:
        """Return which part of a month was returned: the last month goes back first.

        What was credited is gone by itself.
        """
        gone = Fraction(*self.back) * sum(month.part for month in self.months)
        for later in self.months[number + 1 :]:
            gone -= later.part * self.kept_of(later)
        month = self.months[number]
        return min(self.kept_of(month), max(Fraction(0), gone / month.part)).as_integer_ratio()

    def kept_of(self, month: Month) -> Fraction:
        """Return which part of a month was not credited."""
        start, end = month.span
        gone = length(part for one in self.credited if (part := overlap(one, month.span)))
        return 1 - Fraction(gone, end - start)

    @cached_property
    def given(self) -> list[Span]:
        """Return when it is in force by itself: where nothing was credited or returned."""
        spans = [
            month.span
            for number, month in enumerate(self.months)
            if Fraction(*self.back_of(number)) < self.kept_of(month)
        ]
        for gone in self.credited:
            spans = without(spans, gone)
        return spans


class Oracle:
    """What is known of one account, and what follows from it."""

    def __init__(self, allowances: Mapping[str, int], zone: str, anchor: datetime) -> None:
        self.allowances = allowances
        self.zone = ZoneInfo(zone)
        self.anchor = seconds(anchor)
        self.payments: dict[str, PayTerms] = {}
        self.refunds: dict[str, dict[str, int]] = {}
        self.failed: set[tuple[str, str]] = set()
        self.totals: dict[str, dict[str, int]] = {}
        self.disputes: dict[str, dict[str, tuple[str, int]]] = {}
        self.states: dict[str, list[tuple[datetime, bool]]] = {}
        self.overrides: dict[str, int] = {}
        self.granted: dict[Key, int] = {}
        """What a whole month brings, as of when it first brought something."""
        self.base = [(self.anchor, "free")]
        """Which base plan is in force from when on."""
        self._terms: list[PaidTime] | None = None
        self._changes: list[tuple[int, Key, int]] | None = None

    def hear(self, command: Command) -> None:
        """Take in a message, whatever came before."""
        if not isinstance(command, FollowSubscription):
            self._terms = self._changes = None
        match command:
            case PayTerms():
                self.payments[command.entry_id] = command
            case FollowSubscription():
                states = self.states.setdefault(command.subscription_id, [])
                states.append((command.at, command.ended))
            case TakeBack(refund_id=str() as refund_id):
                known = self.refunds.setdefault(command.payment_id, {})
                known[refund_id] = command.money
                if command.status not in {"pending", "succeeded"}:
                    self.failed.add((command.payment_id, refund_id))
            case TakeBack(total=int() as total):
                totals = self.totals.setdefault(command.payment_id, {})
                charge = command.charge_id
                totals[charge] = max(total, totals.get(charge, 0))
            case TakeBack(dispute_id=str() as dispute_id):
                disputes = self.disputes.setdefault(command.payment_id, {})
                known_outcome, _ = disputes.get(dispute_id, ("open", 0))
                outcome = max(str(command.outcome), known_outcome, key=OUTCOMES.index)
                disputes[dispute_id] = (outcome, command.money)

    def pass_to(self, now: int) -> None:
        """Live until an instant: what an admin changes later is not for the months before."""
        due = self.due(now)
        for term in self.terms():
            for month in term.months:
                key, credits_ = (term.name, month.span[0]), self.allowance(term)
                begun = month.span[0] <= now
                if begun and key not in self.granted and (due.get(key) or not credits_):
                    self.granted[key] = credits_

    def allowance(self, term: PaidTime) -> int:
        """Return what a whole month of a term brings."""
        return self.overrides.get(term.plan, self.allowances[term.plan] * term.quantity)

    def set_quota(self, command: SetQuota, now: int) -> None:
        """Take in what an admin changes: more counts at once, less from the next month on."""
        plan = command.plan_id or self.plan(now)
        before = {term.name: self.allowance(term) for term in self.terms()}
        base_before = self.overrides.get(self.base_plan(now), self.allowances[self.base_plan(now)])
        if command.plan_id:
            self.overrides.pop(plan, None)
        if command.monthly_credits is not None:
            self.overrides[plan] = command.monthly_credits
        for term in self.terms():
            for number, month in enumerate(term.months):
                last = number == len(term.months) - 1
                runs = month.span[0] <= now < (self.ends(term) if last else month.span[1])
                key, credits_ = (term.name, month.span[0]), self.allowance(term)
                if runs and key in self.granted and credits_ > before[term.name]:
                    self.granted[key] = max(self.granted[key], credits_)
        if command.plan_id and plan not in {term.plan for term in self.in_force(now)}:
            credits_ = self.overrides.get(plan, self.allowances[plan])
            self.base = [one for one in self.base if one[0] <= now]
            if plan != self.base_plan(now):
                waits = credits_ < base_before and self._is_on_base(now)
                months = (after_months(self.anchor, k, self.zone) for k in range(200))
                since = next(month for month in months if month > now) if waits else now
                self.base.append((since, plan))
        self._terms = self._changes = None

    def base_plan(self, now: int) -> str:
        """Return the plan that the account is on by itself."""
        return [plan for since, plan in self.base if since <= now][-1]

    def _is_on_base(self, now: int) -> bool:
        return self.base_plan(now) != "free" or not self.in_force(now)

    def plan(self, now: int) -> str:
        """Return the plan that shows: of those with most credits the one that began first."""
        base = self.base_plan(now)
        credits_ = self.overrides.get(base, self.allowances[base])
        shown = [(credits_, False, 0, "", base)] if self._is_on_base(now) else []
        shown += [
            (self.allowance(term), True, -term.span[0], term.name, term.plan)
            for term in self.in_force(now)
        ]
        return max(shown)[-1]

    def back(self, payment_id: str) -> Share:
        """Return which part of a payment's money went back, of which whole."""
        refunds = self.refunds.get(payment_id)
        if refunds:
            money = sum(
                part
                for refund_id, part in refunds.items()
                if (payment_id, refund_id) not in self.failed
            )
        else:
            money = sum(self.totals.get(payment_id, {}).values())
        disputes = self.disputes.get(payment_id, {}).values()
        money += sum(part for outcome, part in disputes if outcome == "lost")
        paid = self.payments[payment_id].money
        if not paid:
            return min(1, money), 1
        return min(money, paid), paid

    def is_disputed(self, payment_id: str) -> bool:
        """Return whether a dispute is open: until it ends, the months to come wait."""
        disputes = self.disputes.get(payment_id, {}).values()
        return any(outcome == "open" for outcome, _ in disputes)

    def terms(self) -> list[PaidTime]:
        """Return all that was paid for, each with its months and what was credited of it."""
        if self._terms is None:
            lines = [
                (payment_id, number, payment.subscription_id, line)
                for payment_id, payment in sorted(self.payments.items())
                for number, line in enumerate(payment.lines)
                if line.quantity
            ]
            self._terms = [
                PaidTime(
                    name=f"{payment_id}:{number}",
                    subscription=subscription,
                    item=line.item_id,
                    plan=line.plan_id,
                    quantity=line.quantity,
                    span=(seconds(line.start), seconds(line.end)),
                    prorated=line.prorated,
                    back=self.back(payment_id),
                )
                for payment_id, number, subscription, line in lines
                if not line.credited
            ]
            for term in self._terms:
                term.months = self._months(term)
            credited = [
                (
                    seconds(line.start),
                    line.quantity,
                    seconds(line.end),
                    payment_id,
                    number,
                    name,
                    line,
                )
                for payment_id, number, name, line in lines
                if line.credited and not is_whole(self.back(payment_id))
            ]
            for start, quantity, end, *_, subscription, line in sorted(
                credited, key=lambda one: one[:5]
            ):
                matching = [
                    term
                    for term in self._terms
                    if (term.subscription, term.plan) == (subscription, line.plan_id)
                    and term.span[0] <= start < term.span[1]
                    and not any(a <= start < b for a, b in term.credited)
                    # What began together with it is what it was changed to, unless it is the same.
                    and (term.span[0] < start or (term.span[1], term.quantity) == (end, quantity))
                ]
                best = min(
                    matching,
                    key=lambda term: (
                        term.item != line.item_id,
                        term.quantity != quantity,
                        term.rank,
                    ),
                    default=None,
                )
                if best is not None:
                    best.credited.append((start, end))
            for term in self._terms:
                term.later = self._later(term)
        return self._terms

    def _grid(self, term: PaidTime) -> list[int]:
        """Return the boundaries of the months that a term is counted in."""
        start, end = term.span
        if not term.prorated:
            count = max(1, round((end - start) / MONTH))
            return [*(after_months(start, k, self.zone) for k in range(count)), end]
        around = [
            other
            for other in self._terms or ()
            if not other.prorated
            and other.subscription == term.subscription
            and other.span[1] == end
            and other.span[0] <= start
        ]
        if around:
            return self._grid(max(around, key=lambda other: other.span[0]))
        back, grid = 0, [end]
        while grid[0] > start:
            back += 1
            grid.insert(0, after_months(end, -back, self.zone))
        return grid

    def _months(self, term: PaidTime) -> list[Month]:
        grid = self._grid(term)
        months = []
        for whole in pairwise(grid):
            if covered := overlap(whole, term.span):
                allowance = self.granted.get((term.name, covered[0]), self.allowance(term))
                part = Fraction(1)
                if term.prorated:
                    part = Fraction(covered[1] - covered[0], whole[1] - whole[0])
                months.append(
                    Month(covered, part, -(-allowance * part.numerator // part.denominator))
                )
        return months

    def _later(self, term: PaidTime) -> list[PaidTime]:
        """Return what stands in a term's place once it has begun."""
        return [
            later
            for later in self._terms or ()
            if (later.subscription, later.item) == (term.subscription, term.item)
            and term.rank < later.rank
            # Lines of one payment that begin together, such as the tiers of a price, add up.
            and (term.rank[2], term.span[0]) != (later.rank[2], later.span[0])
            and not later.is_back
        ]

    def _cuts(self, term: PaidTime, now: int) -> list[Span]:
        """Return when something later stands in a term's place, or its money was credited."""
        begun = (part for later in term.later if later.span[0] <= now for part in later.given)
        return [part for cut in (*term.credited, *begun) if (part := overlap(cut, term.span))]

    def _credits(self, term: PaidTime, number: int, now: int) -> int:
        """Return what a month brings, less what has gone back of it by an instant."""
        month = term.months[number]
        start, end = month.span
        cut = length(part for one in self._cuts(term, now) if (part := overlap(one, month.span)))
        back, whole = term.back_of(number)
        if Fraction(back, whole) == term.kept_of(month):
            return 0
        lost = month.credits * cut // (end - start) + month.credits * back // whole
        return max(0, month.credits - lost)

    def changes(self) -> list[tuple[int, Key, int]]:
        """Return when the credits of each month of each term become how many, in order."""
        if self._changes is None:
            begins = {
                term.name: [later.span[0] for later in term.later if later.span[0] < term.span[1]]
                for term in self.terms()
            }
            self._changes = sorted(
                (instant, (term.name, month.span[0]), self._credits(term, number, instant))
                for term in self.terms()
                for number, month in enumerate(term.months)
                for instant in {
                    month.span[0],
                    *(begun for begun in begins[term.name] if begun > month.span[0]),
                }
            )
        return self._changes

    def due(self, now: int) -> dict[Key, int]:
        """Return the credits that each month of each term has brought and not lost by an instant.

        The key is the term's name and the month's start.
        """
        return {key: credits_ for instant, key, credits_ in self.changes() if instant <= now}

    def instants(self) -> list[int]:
        """Return every instant at which a term may come into force or go out of it."""
        return sorted(
            {
                instant
                for term in self.terms()
                for instant in (
                    term.span[0],
                    self.ends(term),
                    *(edge for cut in self._cuts(term, 2**62) for edge in cut),
                    *(edge for part in term.given for edge in part),
                )
            }
        )

    def lives(self, subscription: str) -> bool:
        """Return whether a subscription may still be paid, by its latest state."""
        states = self.states.get(subscription, ())
        return not max(states, default=(None, False))[1]

    def ends(self, term: PaidTime) -> int:
        """Return when a term is over, with its grace, if it is in force up to its end."""
        end = term.span[1]
        if not self.lives(term.subscription) or not self._is_given(term, end - 1, end):
            return end
        later = [
            other.span[0]
            for other in self.terms()
            if other.subscription == term.subscription and other.span[0] >= end
        ]
        return min([end + GRACE, *later])

    def _is_given(self, term: PaidTime, at: int, now: int) -> bool:
        """Return whether a term gives something at an instant, as far as is known at another."""
        cut = any(start <= at < end for start, end in self._cuts(term, now))
        return not cut and any(start <= at < end for start, end in term.given)

    def in_force(self, now: int) -> list[PaidTime]:
        """Return the terms that are in force at an instant."""
        found = []
        for term in self.terms():
            if not term.span[0] <= now < self.ends(term):
                continue
            if now >= term.span[1] or self._is_given(term, now, now):
                found.append(term)
        return found


def epoch(instant: int) -> datetime:
    return datetime.fromtimestamp(instant, UTC)
