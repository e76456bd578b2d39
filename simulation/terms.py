"""Terms: what an account has paid for, and what that brings, from the messages of its payments.

It is stated once more, as plainly as possible, and computed from scratch each time something is
heard. Times are in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from simulation.plain import DAY, milliseconds, month

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

GRACE = 3 * DAY
MEAN_MONTH = 365.2425 * DAY / 12

type Span = tuple[int, int]


@dataclass(frozen=True)
class Term:
    """A line of a payment: it gives a plan from `start` to `end`, or takes that time back."""

    payment: str
    number: int
    subscription: str
    item: str
    plan: str
    quantity: int
    start: int
    end: int
    prorated: bool
    credited: bool

    @property
    def name(self) -> str:
        """Its name, from which the entries of its months have theirs."""
        return f"{self.payment}:{self.number}"

    @property
    def rank(self) -> tuple[int, int, str, int]:
        """Sort key: of two terms of one item, the later one replaces the other."""
        return self.start, self.end, self.payment, self.number


@dataclass(frozen=True)
class Month:
    """A month of a term; one that begins within it is covered from `start` on."""

    begins: int
    start: int
    end: int

    @property
    def covered(self) -> Fraction:
        """The part that is covered."""
        return Fraction(self.end - self.start, self.end - self.begins)


def terms_of(payment: str, data: Mapping[str, Any]) -> list[Term]:
    """Return the terms of a payment's message, numbered by when they begin, credited ones first."""
    lines = sorted(
        (
            milliseconds(line["period_start"]),
            not line.get("credited", False),
            milliseconds(line["period_end"]),
            line["plan"],
            line["quantity"],
            line["item_id"],
            line.get("prorated", False),
        )
        for line in data.get("lines", [data])
    )
    return [
        Term(
            payment=payment,
            number=number,
            subscription=f"standard:subscription:{data['subscription_id']}",
            item=item,
            plan=plan,
            quantity=quantity,
            start=start,
            end=end,
            prorated=prorated,
            credited=not is_given,
        )
        for number, (start, is_given, end, plan, quantity, item, prorated) in enumerate(lines)
    ]


class Terms:
    """All terms of an account as they are known at one time.

    `back` is the returned part of each payment, `disputed` the part in open disputes, `ended` are
    the subscriptions that will not be paid again.
    """

    def __init__(
        self,
        lines: Collection[Term] = (),
        back: Mapping[str, Fraction] | None = None,
        disputed: Mapping[str, Fraction] | None = None,
        ended: Collection[str] = (),
    ) -> None:
        """Count the months, and find out what was credited of each term."""
        self.back, self.disputed, self.ended = back or {}, disputed or {}, ended
        self.given = [term for term in lines if not term.credited]
        self.by_name = {term.name: term for term in self.given}
        self.months = {term.name: self._months(term) for term in self.given}
        self.credited: dict[str, list[Span]] = {term.name: [] for term in self.given}
        for line in sorted(
            (line for line in lines if line.credited),
            key=lambda line: (line.start, line.quantity, line.rank),
        ):
            self._credit(line)
        self._spans = {term.name: list(self._given_spans(term)) for term in self.given}
        self._later = {
            term.name: [later for later in self.given if self._replaces(later, term)]
            for term in self.given
        }

    # ---- Credits ---------------------------------------------------------------------------------

    def begun(self, now: float) -> Iterator[tuple[Term, int]]:
        """Yield the months that have begun, each as its term and number."""
        for term in self.given:
            for number, each in enumerate(self.months[term.name]):
                if each.start <= now:
                    yield term, number

    def due(
        self, term: Term, number: int, allowance: int, now: float, *, disputed: bool = False
    ) -> int:
        """Return what a month has brought by `now`, less what has gone back of it.

        `allowance` is what a whole month brings. With `disputed`, what is in dispute counts as
        returned.
        """
        each = self.months[term.name][number]
        brought = -int(-allowance * each.covered // 1) if term.prorated else allowance
        share = self.back.get(term.payment, Fraction(0))
        if disputed:
            share += self.disputed.get(term.payment, Fraction(0))
        cut = sum(end - start for start, end in self._cut(term, each, now))
        lost = brought * cut // (each.end - each.start)
        returned = self._returned(term, number, share)
        if returned == self._kept(term, each):
            return 0
        return max(0, brought - lost - int(brought * returned))

    def _cut(self, term: Term, each: Month, now: float) -> list[Span]:
        """Return the parts of a month that were credited, or that what has begun by `now` took."""
        return _parts_in(sorted(self._cuts(term, now)), each)

    def _cuts(self, term: Term, now: float) -> Iterator[Span]:
        yield from self.credited[term.name]
        for later in self._later[term.name]:
            if later.start <= now:
                yield from self._spans[later.name]

    def _returned(self, term: Term, number: int, share: Fraction) -> Fraction:
        """Return the part of a month that a returned share takes, the last month first.

        It takes nothing of what was credited.
        """
        months = self.months[term.name]
        if not share:
            return share
        kept = [each.covered * self._kept(term, each) for each in months]
        gone = min(share, Fraction(1)) * sum(each.covered for each in months)
        gone = min(kept[number], max(Fraction(0), gone - sum(kept[number + 1 :])))
        return gone / months[number].covered

    def _kept(self, term: Term, each: Month) -> Fraction:
        """Return the part of a month that was not credited."""
        lost = sum(end - start for start, end in _parts_in(sorted(self.credited[term.name]), each))
        return 1 - Fraction(lost, each.end - each.start)

    def _is_gone(self, term: Term, number: int) -> bool:
        share = self.back.get(term.payment, Fraction(0))
        returned = self._returned(term, number, share)
        return returned == self._kept(term, self.months[term.name][number])

    # ---- Time ------------------------------------------------------------------------------------

    def in_force(self, now: float) -> list[Term]:
        """Return the terms that give their plan at an instant."""
        return [term for term in self.given if self._is_in_force(term, now)]

    def _is_in_force(self, term: Term, now: float) -> bool:
        if not term.start <= now < self.lasts_until(term):
            return False
        if now >= term.end:
            return True
        is_cut = any(start <= now < end for start, end in self._cuts(term, now))
        return not is_cut and not self._is_gone(term, self.month_at(term, now))

    def lasts_until(self, term: Term) -> int:
        """Return when a term is over.

        That is some days late, unless its last days were taken away, its subscription has ended, or
        a later term has come.
        """
        last = len(self.months[term.name]) - 1
        is_credited = any(end >= term.end for _, end in self.credited[term.name])
        if term.subscription in self.ended or self._is_gone(term, last) or is_credited:
            return term.end
        followers = (
            max(other.start, term.end)
            for other in self.given
            if other.subscription == term.subscription
            and other.end >= term.end
            and (other.start >= term.end or self._replaces(other, term))
        )
        return min([term.end + GRACE, *followers])

    def month_at(self, term: Term, now: float) -> int:
        """Return the number of the month that an instant is in; the last one for what follows."""
        months = self.months[term.name]
        return next((n for n, one in enumerate(months) if now < one.end), len(months) - 1)

    def expiry(self, term: Term, number: int) -> int:
        """Return when the credits of a month expire."""
        months = self.months[term.name]
        return self.lasts_until(term) if number == len(months) - 1 else months[number].end

    def rolled_until(self, term: Term, number: int, periods: int) -> int:
        """Return until when a month's credits live that roll over for some periods."""
        months = self.months[term.name]
        first, end = months[0].begins, months[number].end
        if month(first, number + 1) == end:
            return month(first, number + 1 + periods)
        return month(end, periods)

    def instants(self) -> Iterator[int]:
        """Yield the instants at which time alone may change anything."""
        for term in self.given:
            yield from (each.start for each in self.months[term.name])
            yield from (term.end, self.lasts_until(term))
            for span in (*self.credited[term.name], *self._spans[term.name]):
                yield from span

    # ---- From scratch ----------------------------------------------------------------------------

    def _months(self, term: Term) -> list[Month]:
        """Return the months of a term; those of a prorated one are of the period it continues."""
        bounds = _bounds(term.start, term.end)
        if term.prorated:
            continued = [
                other
                for other in self.given
                if other.subscription == term.subscription
                and not other.prorated
                and other.start <= term.start
                and other.end == term.end
            ]
            if continued:
                first = max(continued, key=lambda other: other.rank)
                bounds = _bounds(first.start, first.end)
            else:
                bounds = [term.end]
                while bounds[0] > term.start:
                    bounds.insert(0, month(term.end, -len(bounds)))
        return [
            Month(begins, max(begins, term.start), end)
            for begins, end in pairwise(bounds)
            if end > term.start
        ]

    def _credit(self, line: Term) -> None:
        """Take the time back from the term of the same plan that it was paid for."""
        if self.back.get(line.payment) == 1:
            return
        paid = [
            term
            for term in self.given
            if (term.subscription, term.plan) == (line.subscription, line.plan)
            and term.start <= line.start < term.end
            and (term.start < line.start or (term.end, term.quantity) == (line.end, line.quantity))
            and not any(start <= line.start < end for start, end in self.credited[term.name])
        ]
        if paid:
            found = min(
                paid,
                key=lambda term: (
                    term.item != line.item,
                    term.quantity != line.quantity,
                    term.rank,
                ),
            )
            self.credited[found.name].append((line.start, line.end))

    def _given_spans(self, term: Term) -> Iterator[Span]:
        """Yield the time that was neither credited nor returned."""
        kept = [n for n in range(len(self.months[term.name])) if not self._is_gone(term, n)]
        if not kept:
            return
        reached, end = term.start, self.months[term.name][kept[-1]].end
        for gone in sorted(self.credited[term.name]):
            if gone[0] > reached:
                yield reached, min(gone[0], end)
            reached = max(reached, gone[1])
        if reached < end:
            yield reached, end

    def _replaces(self, later: Term, term: Term) -> bool:
        """Return whether a later term of the same item replaces another."""
        is_same = (later.subscription, later.item) == (term.subscription, term.item)
        adds_up = (later.payment, later.start) == (term.payment, term.start)
        is_back = self.back.get(later.payment) == 1
        return is_same and later.rank > term.rank and not adds_up and not is_back


def _parts_in(spans: Iterable[Span], each: Month) -> list[Span]:
    """Return the parts of a month that spans share with it, each part once."""
    parts: list[Span] = []
    for start, end in spans:
        from_, to = max(start, each.start, parts[-1][1] if parts else 0), min(end, each.end)
        if from_ < to:
            parts.append((from_, to))
    return parts


def _bounds(start: int, end: int) -> list[int]:
    """Return where the months of a whole term begin, and its end."""
    count = max(1, round((end - start) / MEAN_MONTH))
    return [*(month(start, k) for k in range(count)), end]


def shares(payment: Mapping[str, Any]) -> tuple[Fraction, Fraction]:
    """Return the returned and the disputed part of a payment, from what is known of its money.

    Refunds are known one by one, or by their total; either may be incomplete. Those that have
    failed returned nothing.
    """
    returned = disputed = 0
    idle = 0
    for refund in payment["refunds"].values():
        if refund.get("status", "succeeded") in {"pending", "succeeded"}:
            returned += refund["money"]
        else:
            idle += refund["money"]
    total = max([0, *(charge.get("total", 0) for charge in payment["charges"].values())])
    returned = max(returned, total - idle)
    for dispute in payment["disputes"].values():
        money = dispute.get("money", 0) or payment["money"]
        returned += money if dispute["outcome"] == "lost" else 0
        disputed += money if dispute["outcome"] == "open" else 0
    price = payment["money"]
    if not price:
        return Fraction(int(returned > 0)), Fraction(0)
    back = min(Fraction(1), Fraction(returned, price))
    return back, min(Fraction(disputed, price), 1 - back)


def instants_after(instants: Iterable[int], now: float) -> float:
    """Return the first of some instants after `now`."""
    return min((instant for instant in instants if instant > now), default=float("inf"))
