"""What an account's balance is, by brute force: every instant at which anything may change.

For lives of plans that roll nothing over, in which nothing is held and no use is refunded. Each
month of a term is a lot, which brings what the oracle says is due. What goes back of it and was
used is debt, unless others brought enough for the same time: live allowances pay it at once, and
what is left of it the next credits that arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scrip.domain.commands import Command
    from tests.unit.domain.entitlement.oracle import Oracle

from tests.unit.domain.entitlement.oracle import Key, Span, after_months

PLAN, SIGNUP, REFUND, PURCHASE = 20, 30, 40, 50
NEVER = 2**62
HOUR, WEEK = 3_600, 7 * 86_400


@dataclass(eq=False)
class Lot:
    """Credits of one origin, usable until `end`.

    What it `brought` is `left`, or `used` for uses and debt, or `gone` unused when it ended. `owed`
    is what went back of it although it was used.
    """

    name: str
    priority: int
    start: int
    end: int
    brought: int = 0
    used: int = 0
    gone: int = 0
    owed: int = 0
    is_paid: bool = False
    waits: bool = False
    """Whether something else is in force instead of the base plan that brought it."""

    @property
    def left(self) -> int:
        return 0 if self.waits else self.brought - self.used - self.gone


class Books:
    """An account's lots, moved forward in time."""

    def __init__(self, oracle: Oracle, base_allowance: int, signup_credits: int) -> None:
        self.oracle, self.base_allowance = oracle, base_allowance
        self.now = oracle.anchor
        self.debt = 0
        self.lots: dict[Key, Lot] = {
            ("signup", 0): Lot("signup", SIGNUP, self.now, NEVER, signup_credits),
        }
        self.months = [after_months(self.now, k, oracle.zone) for k in range(80)]
        self._step({})

    def pass_to(self, now: int) -> None:
        """Live through every instant until now at which anything could change."""
        changes = self.oracle.changes()
        ends = (lot.end for lot in self.lots.values())
        instants = {*(at for at, _, _ in changes), *self.oracle.instants(), *self.months, *ends}
        for instant in sorted({*instants, now}):
            if self.now < instant <= now:
                self.now = instant
                self._step({key: credits_ for at, key, credits_ in changes if at == instant})

    def hear(self, command: Command, now: int) -> None:
        """Take in a message."""
        self.pass_to(now)
        self.oracle.hear(command)
        due = dict.fromkeys((key for key, lot in self.lots.items() if lot.is_paid), 0)
        for term in self.oracle.terms():
            if lot := self.lots.get((term.name, term.months[-1].span[0])):
                lot.end = self.oracle.ends(term)
        self._step(due | self.oracle.due(now))

    def use(self, credits_wanted: int, now: int) -> bool:
        """Use credits if there are enough; return whether there are."""
        self.pass_to(now)
        if credits_wanted > self.balance:
            return False
        for lot in self._in_spend_order():
            part = min(credits_wanted, lot.left)
            lot.used += part
            credits_wanted -= part
        return True

    def buy(self, name: str, credits_bought: int, now: int) -> None:
        """Add credits that never expire."""
        self.pass_to(now)
        lot = self.lots[name, now] = Lot(name, PURCHASE, now, NEVER, credits_bought)
        self._pay_with(lot)

    @property
    def balance(self) -> int:
        return sum(lot.left for lot in self.lots.values()) - self.debt

    def _step(self, due: dict[Key, int]) -> None:
        """Make lots what they have to be: first what goes back, then what ends and what arrives.

        What is owed now is paid by what arrives, and then by what ends first, even if it ends now.
        """
        debt = self.debt
        ranks = {term.name: term.rank for term in self.oracle.terms()}
        ordered = sorted(due, key=lambda key: (key[1], ranks[key[0]]))
        changes = {key: due[key] - self._lot(key).brought for key in ordered}
        for key, change in changes.items():
            self._take_back(self.lots[key], -change)
        if lot := self.lots.get(("base", self._month[0])):
            lot.waits = lot.waits or bool(self.oracle.in_force(self.now))
        is_owing = self.debt > debt
        if not is_owing:
            self._end()
        for key, change in changes.items():
            self._bring(self.lots[key], change)
        self._bring_base()
        if is_owing:
            passing = (lot for lot in self.lots.values() if lot.priority in {PLAN, REFUND})
            self._pay_with(*sorted(passing, key=lambda lot: (lot.end, lot.start)))
        self._end()

    def _take_back(self, lot: Lot, amount: int) -> None:
        """Take credits back: first what ended unused, then what is left, then what was used."""
        if amount <= 0:
            return
        lot.brought -= amount
        lot.gone -= min(amount, lot.gone)
        short = max(0, lot.used + lot.gone - lot.brought)
        lot.used -= short
        if lot.end <= self.now:
            short -= self._used_of_others(lot, short)
        lot.owed += short
        self.debt += short

    def _used_of_others(self, lot: Lot, used: int) -> int:
        """Use what others brought for the same time and nobody used; return how much."""
        rest, (start, end) = used, self._span(lot)
        for other in self.lots.values():
            if other.is_paid and other is not lot:
                begins, ends = self._span(other)
                part = min(rest, other.gone) if begins < end and start < ends else 0
                other.gone, other.used, rest = other.gone - part, other.used + part, rest - part
        return used - rest

    def _span(self, lot: Lot) -> Span:
        """Return the month of a lot that was paid for, without the grace that may follow it."""
        [term] = [term for term in self.oracle.terms() if term.name == lot.name]
        return next(month.span for month in term.months if month.span[0] == lot.start)

    def _bring(self, lot: Lot, amount: int) -> None:
        """Bring credits. Of a lot that has ended, those that were owed live a week more."""
        if amount <= 0:
            return
        back = min(amount, lot.owed)
        lot.owed -= back
        lot.brought += amount
        if back and lot.end <= self.now:
            lot.used += back
            end = -(-(self.now + WEEK) // HOUR) * HOUR
            refund = Lot("refund", REFUND, self.now, end, back)
            self.lots[f"refund of {lot.name} {lot.start}", self.now] = refund
            self._pay_with(refund)
        self._pay_with(lot)

    def _end(self) -> None:
        """Let go of what has ended unused."""
        for lot in self.lots.values():
            if lot.end <= self.now:
                lot.waits = False
                lot.gone += lot.left

    def _lot(self, key: Key) -> Lot:
        name, start = key
        if key not in self.lots:
            [term] = [term for term in self.oracle.terms() if term.name == name]
            [month] = [month for month in term.months if month.span[0] == start]
            end = self.oracle.ends(term) if month is term.months[-1] else month.span[1]
            self.lots[key] = Lot(name, PLAN, start, end, is_paid=True)
        return self.lots[key]

    def _bring_base(self) -> None:
        start, end = self._month
        if not self.base_allowance or self.oracle.in_force(self.now):
            return
        lot = self.lots.get(("base", start))
        if lot is None:
            lot = Lot("base", PLAN, start, end, self.base_allowance, waits=True)
            self.lots["base", start] = lot
        if lot.waits:
            lot.waits = False
            self._pay_with(lot)

    @property
    def _month(self) -> Span:
        return next(month for month in pairwise(self.months) if month[0] <= self.now < month[1])

    def _in_spend_order(self) -> list[Lot]:
        """Return all lots; of those that begin and end together, what came first is used first."""
        return sorted(self.lots.values(), key=lambda lot: (lot.priority, lot.end, lot.start))

    def _pay_with(self, *lots: Lot) -> None:
        """Pay debt out of what is left of lots."""
        for lot in lots:
            part = min(self.debt, lot.left)
            lot.used += part
            self.debt -= part
