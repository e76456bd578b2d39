"""Terms: what is paid for, as a list of stretches of time, and what that entitles an account to.

Everything here is a pure function of the whole list and an instant, so the order in which payments
and refunds are heard cannot matter, and what a term brought can always be taken back.

- A term is in force from its start to its end, and for `GRACE` after that while its subscription
  lives and no later term of it has begun.
- Of one item of a subscription, the term that began last supersedes the others while it is in
  force. A credited line takes back the rest of one earlier term of the same plan.
- A term brings its plan's credits at the start of each of its months. Of a month that is superseded
  or credited in part, that part goes back, rounded down.
- Of money that went back, the same share of the term goes back, from its last month on, beside what
  was credited: that was paid back, too.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from scrip.domain.periods import boundary

GRACE = timedelta(days=3)
"""How long a term outlives its end, so that a slow payment cuts no user off."""

MEAN_MONTH = timedelta(days=365.2425) / 12
NO_TIME = timedelta()
TICK = timedelta(milliseconds=1)
NOTHING, WHOLE = Fraction(0), Fraction(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a payment gives for one item of a subscription, from `start` to `end`.

    `item_id` is the provider's ID of the item, or what stands for it: lines of the same item
    supersede each other. `quantity` multiplies the plan's credits. A `prorated` line covers the
    rest of a period that another line has begun. A `credited` one gives nothing: it takes the time
    back that an earlier line of the same plan gave.
    """

    item_id: str = ""
    plan_id: str
    quantity: int = 1
    start: datetime
    end: datetime
    prorated: bool = False
    credited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """What became of the credits of one month of a term.

    `allowance` is what the whole month brings, as of when it was first booked. `booked` are the
    credits granted less those taken back. `spent` are those used up of grants that are gone, and
    `owed` those used up that became debt when they were taken back. What was booked and is neither
    spent nor in a grant has expired.
    """

    allowance: int
    booked: int
    spent: int = 0
    owed: int = 0


class Month(NamedTuple):
    """A month of a term.

    A prorated term may cover only the part from `start` on of the first: `covered` says how much.
    """

    begins: datetime
    start: datetime
    end: datetime
    covered: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Term(Line):
    """A stretch of time that a payment gives, and what has been booked for it.

    The payment and its place among the payment's lines name it. `back` is the share of the
    payment's money that was returned, `disputed` the share in open disputes, each as (part, whole).
    What is owed for a `forgiven` one does not come back.
    """

    payment_id: str
    number: int
    subscription_id: str
    back: tuple[int, int] | None = None
    disputed: tuple[int, int] | None = None
    forgiven: bool = False
    lots: Mapping[int, Lot] = field(default_factory=dict)

    @property
    def term_id(self) -> str:
        """The name of the term, from which its entries derive theirs."""
        return f"{self.payment_id}:{self.number}"

    def lot_id(self, month: int) -> str:
        """Return the name of a month's credits: the ID of the entry that first granted them."""
        return f"{self.term_id}:{month}"

    def overlaps(self, other: "Term") -> bool:
        """Return whether both are terms of one subscription and have time in common."""
        return (
            self.subscription_id == other.subscription_id
            and self.start < other.end
            and other.start < self.end
        )

    @property
    def is_returned(self) -> bool:
        """Whether all of its money went back."""
        return self.back is not None and self.back[0] >= self.back[1]

    @property
    def facts(self) -> tuple[object, ...]:
        """All that is known of the term, except what has been booked for it."""
        return (
            *(self.payment_id, self.number, self.subscription_id, self.item_id, self.plan_id),
            *(self.quantity, self.start, self.end, self.prorated, self.credited),
            *(self.back, self.disputed, self.forgiven),
        )

    @property
    def rank(self) -> tuple[datetime, datetime, str, int]:
        """Sort key: of two terms of one item, the later one supersedes the other."""
        return self.start, self.end, self.payment_id, self.number


type Window = tuple[datetime, datetime]


class _Facts:
    """Terms that are equal if all that is known of them is, whatever has been booked."""

    def __init__(self, terms: Sequence[Term]) -> None:
        self.terms = terms
        self.known = tuple(term.facts for term in terms)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Facts) and self.known == other.known

    def __hash__(self) -> int:
        return hash(self.known)


def seen_together(terms: Sequence[Term], ended: Collection[str], zone: ZoneInfo) -> "Terms":
    """Return terms together, as `Terms` says; what has been booked for them may be outdated."""
    return _seen(_Facts(terms), frozenset(ended), zone)


@lru_cache(maxsize=256)  # a command needs the same ones several times
def _seen(facts: _Facts, ended: frozenset[str], zone: ZoneInfo) -> "Terms":
    return Terms(facts.terms, ended, zone)


class Terms:
    """All terms of an account, seen together.

    `ended` are the subscriptions that will not be paid again; months are counted in `zone`.
    """

    def __init__(self, terms: Sequence[Term], ended: Collection[str], zone: ZoneInfo) -> None:
        """Match the credited lines to the terms whose time they take back."""
        self.ended, self.zone = ended, zone
        self.given = [term for term in terms if not term.credited]
        self._months: dict[str, tuple[Month, ...]] = {}
        self._ends: dict[str, datetime] = {}
        self._windows: dict[str, list[Window]] = {}
        self._credited = self._matched([term for term in terms if term.credited])

    def months(self, term: Term) -> tuple[Month, ...]:
        """Return the months of a term: as many as its length has, rounded, at least one.

        Those of a prorated term are the months of the term whose period it continues or, if that
        has not been heard of, months counted back from its end.
        """
        known = self._months.get(term.term_id)
        if known is None:
            known = self._months[term.term_id] = self._counted(term)
        return known

    def entitled(
        self,
        term: Term,
        month: int,
        allowance: int,
        now: datetime,
        *,
        with_disputed: bool = True,
    ) -> int:
        """Return the credits that a month of a term brings by all that has happened until `now`.

        `allowance` is what the whole month brings. `with_disputed`: with those that are in dispute.
        """
        months = self.months(term)
        if month >= len(months):
            return 0  # it was counted before the period was known that the term continues
        the = months[month]
        credits_ = -(-allowance * the.covered // 1) if term.prorated else allowance
        back = self._returned(term, month, with_disputed=not with_disputed)
        if back == self._uncredited(term, the):
            return 0
        cut = _time_of(the, self._cuts(term, now))
        return max(0, credits_ - credits_ * cut // (the.end - the.start) - int(credits_ * back))

    def is_in_force(self, term: Term, now: datetime) -> bool:
        """Return whether a term gives its plan at an instant."""
        if not term.start <= now < self.lasts_until(term):
            return False
        if now >= term.end:
            return True  # in its grace
        return not self._is_gone(term, self.month_at(term, now)) and not any(
            start <= now < end for start, end in self._cuts(term, now)
        )

    def lasts_until(self, term: Term) -> datetime:
        """Return when a term is over, its grace included, as far as is known now."""
        known = self._ends.get(term.term_id)
        if known is None:
            known = self._ends[term.term_id] = self._lasts_until(term)
        return known

    def _lasts_until(self, term: Term) -> datetime:
        last = len(self.months(term)) - 1
        if term.subscription_id in self.ended or self._is_gone(term, last):
            return term.end
        end = term.end + GRACE
        for other in self.given:
            if other.subscription_id == term.subscription_id and (
                other.start >= term.end
                or (
                    other.end >= term.end
                    and self._supersedes(other, term)
                    and not other.is_returned
                )
            ):
                end = min(end, max(other.start, term.end))
        return term.end if any(until >= term.end for _, until in self._credits(term)) else end

    def month_at(self, term: Term, now: datetime) -> int:
        """Return the number of the month that an instant is in; the last one for its grace."""
        months = self.months(term)
        return next((n for n, month in enumerate(months) if now < month.end), len(months) - 1)

    def expiry(self, term: Term, month: int) -> datetime:
        """Return when the credits of a month expire: with it, the last one's with the grace."""
        months = self.months(term)
        return months[month].end if month < len(months) - 1 else self.lasts_until(term)

    def later(self, term: Term, month: int, count: int) -> datetime:
        """Return the end of a month that many months after one of a term.

        It is counted from the term's start, so that from 31 January on a month ends on 28 February
        and the next one on 31 March; after a month that is none of the calendar, from its end.
        """
        months = self.months(term)
        first, end = months[0].begins, months[min(month, len(months) - 1)].end
        if boundary(first, self.zone, month + 1) == end:
            return boundary(first, self.zone, month + 1 + count)
        return boundary(end, self.zone, count)

    def instants(self) -> Iterator[datetime]:
        """Yield the instants at which time alone may change what the terms entitle to."""
        for term in self.given:
            for month in self.months(term):
                yield month.start
            yield term.end
            yield self.lasts_until(term)
            for start, end in self._credits(term):
                yield start
                yield end

    def _counted(self, term: Term) -> tuple[Month, ...]:
        bounds = self._bounds(term.start, term.end)
        if term.prorated:
            continued = max(
                (other for other in self.given if _continues(term, other)),
                key=lambda other: other.rank,
                default=None,
            )
            if continued is not None:
                bounds = self._bounds(continued.start, continued.end)
            else:
                count = 1
                while boundary(term.end, self.zone, -count) > term.start:
                    count += 1
                bounds = [boundary(term.end, self.zone, k - count) for k in range(count)]
                bounds.append(term.end)
        return tuple(
            Month(begins, begins, end, WHOLE)
            if begins >= term.start
            else Month(
                begins,
                term.start,
                end,
                Fraction((end - term.start) // TICK, (end - begins) // TICK),
            )
            for begins, end in pairwise(bounds)
            if end > term.start
        )

    def _bounds(self, start: datetime, end: datetime) -> list[datetime]:
        count = max(1, round((end - start) / MEAN_MONTH))
        return [*(boundary(start, self.zone, k) for k in range(count)), end]

    def _returned(self, term: Term, month: int, *, with_disputed: bool = False) -> Fraction:
        """Return the part of a month that the returned share of its term takes, the last first.

        Time that was credited is gone already, so it takes other time.
        """
        share = Fraction(*term.back) if term.back else NOTHING
        if with_disputed and term.disputed:
            share += Fraction(*term.disputed)
        if not share:
            return share
        months = self.months(term)
        taken = min(share, WHOLE) * sum(each.covered for each in months)
        for later in months[month + 1 :]:
            taken -= later.covered * self._uncredited(term, later)
        the = months[month]
        return min(max(taken / the.covered, NOTHING), self._uncredited(term, the))

    def _uncredited(self, term: Term, month: Month) -> Fraction:
        """Return the part of a month that was not credited."""
        credits_ = self._credits(term)
        if not credits_:
            return WHOLE
        return 1 - Fraction(_time_of(month, credits_) // TICK, (month.end - month.start) // TICK)

    def _is_gone(self, term: Term, month: int) -> bool:
        """Return whether all of a month was credited or returned."""
        return self._returned(term, month) == self._uncredited(term, self.months(term)[month])

    def _supersedes(self, later: Term, term: Term) -> bool:
        return (
            (later.subscription_id, later.item_id) == (term.subscription_id, term.item_id)
            and later.rank > term.rank
            # Lines of one payment that begin together, such as the tiers of a price, add up.
            and not (later.payment_id == term.payment_id and later.start == term.start)
        )

    def _cuts(self, term: Term, now: datetime) -> Iterator[Window]:
        """Yield the time that a term has lost: what was credited, and what others took by `now`."""
        yield from self._credits(term)
        for later in self.given:
            if later.start <= now and self._supersedes(later, term) and not later.is_returned:
                yield from self._kept(later)

    def _credits(self, term: Term) -> Sequence[Window]:
        return self._credited.get(term.term_id, ())

    def _kept(self, term: Term) -> Sequence[Window]:
        """Return the time of a term that was neither credited nor returned."""
        known = self._windows.get(term.term_id)
        if known is None:
            known = self._windows[term.term_id] = list(self._in_force(term))
        return known

    def _in_force(self, term: Term) -> Iterator[Window]:
        kept = [each for n, each in enumerate(self.months(term)) if not self._is_gone(term, n)]
        reached, until = term.start, kept[-1].end if kept else term.start
        for start, end in sorted(self._credits(term)):
            if start > reached:
                yield reached, min(start, until)
            reached = max(reached, end)
        if reached < until:
            yield reached, until

    def _matched(self, credited: list[Term]) -> dict[str, list[Window]]:
        """Return the windows that are credited, by the term whose time they take back.

        A credited line takes back one term: of the terms of its plan in whose time it lies, one of
        its item, or else of its quantity, and of those the one that began first and is not credited
        yet. A term that began together with it is meant only if it is for just that time. A line
        whose own payment went back takes nothing back.
        """
        matched: dict[str, list[Window]] = {}
        for line in sorted(credited, key=lambda line: (line.start, line.quantity, line.rank)):
            if line.is_returned:
                continue
            open_ = [
                term
                for term in self.given
                if (term.subscription_id, term.plan_id) == (line.subscription_id, line.plan_id)
                and term.start <= line.start < term.end
                and (
                    term.start < line.start
                    or (term.end, term.quantity) == (line.end, line.quantity)
                )
                and not any(
                    start <= line.start < end for start, end in matched.get(term.term_id, ())
                )
            ]
            if open_:
                found = min(
                    open_,
                    key=lambda term: (
                        term.item_id != line.item_id,
                        term.quantity != line.quantity,
                        term.rank,
                    ),
                )
                matched.setdefault(found.term_id, []).append((line.start, line.end))
        return matched


def _time_of(month: Month, windows: Iterable[Window]) -> timedelta:
    """Return how much of a month lies in any of some windows."""
    total, reached = NO_TIME, month.start
    for start, end in sorted(windows):
        start, end = max(start, reached), min(end, month.end)  # noqa: PLW2901 - the part in it
        if end > start:
            total, reached = total + (end - start), end
    return total


def _continues(prorated: Term, other: Term) -> bool:
    """Return whether a prorated term covers the rest of another one's period."""
    return (
        not other.prorated
        and other.subscription_id == prorated.subscription_id
        and other.start <= prorated.start
        and other.end == prorated.end
    )
