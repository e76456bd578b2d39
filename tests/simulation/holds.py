"""Holds, as the model knows them: what each has of which grant, and how it ended."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.simulation.findings import wrong
from tests.simulation.plain import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.simulation.books import Books
    from tests.simulation.traffic import Step

type Parts = list[tuple[str, int]]
"""Grants, and credits of each."""

HOLDS_MAX = 32
HOLD_SECONDS = 300
"""How many of them callers have open at most, and how long each lives unless told otherwise."""


class Hold(NamedTuple):
    """An open hold: credits in the order in which they came into it, and use that costs nothing.

    One of a dispute has no end of its own.
    """

    parts: Parts
    expires_at: float = inf
    feature: str | None = None
    free: int = 0

    @property
    def amount(self) -> int:
        """The credits that it holds."""
        return total(self.parts)

    @property
    def left(self) -> int:
        """How many credits of use may be captured within it."""
        return self.amount + self.free

    def split(self, cost: int) -> tuple[Parts, Hold]:
        """Take a use out of it; return the credits that are out then, and what is left of it."""
        free = min(self.free, cost)
        wanted, used, kept = cost - free, [], []
        for name, amount in self.parts:
            part = min(wanted, amount)
            wanted -= part
            used.append((name, part))
            kept.append((name, amount - part))
        return some(used), self._replace(parts=some(kept), free=self.free - free)


class End(NamedTuple):
    """How a hold ended: by which entry, None if its time was over, and when (seconds)."""

    by: str | None
    at: float


def total(parts: Iterable[tuple[str, int]]) -> int:
    """Return how many credits parts are together."""
    return sum(amount for _, amount in parts)


def some(parts: Iterable[tuple[str, int]]) -> Parts:
    """Return the parts that are not empty."""
    return [(name, amount) for name, amount in parts if amount]


def joined(parts: Iterable[tuple[str, int]]) -> Parts:
    """Return parts with those of the same grant made one, where the first of them was."""
    amounts: dict[str, int] = {}
    for name, amount in parts:
        amounts[name] = amounts.get(name, 0) + amount
    return list(amounts.items())


def check_holds(books: Books, image: dict[str, Any], now: float) -> None:
    """Compare an account's holds with what its entries say. `now` is in milliseconds.

    No entry tells of the end of one that has no credits.
    """
    stored = {
        hold["hold_id"]: Hold(
            [(part["grant_id"], part["amount"]) for part in hold["allocations"]],
            hold.get("expires_at", inf),
            hold.get("feature"),
            hold.get("uncharged", 0),
        )
        for hold in image.get("holds", ())
    }
    for name in sorted(books.holds.keys() - stored.keys()):
        if not books.holds[name].amount and books.holds[name].expires_at <= now:
            books.end(name, None)
    who = books.account_id
    if stored != books.holds:
        wrong("violation", f"{who} has the holds {stored}, its entries say {books.holds}")
    if sum(hold.expires_at != inf for hold in stored.values()) > HOLDS_MAX:
        wrong("violation", f"{who} has {len(stored)} holds")
    by_entries = {name: end.by for name, end in books.hold_ends.items() if end.by}
    if books.ended_by != by_entries:
        wrong("violation", f"{who}: {books.ended_by} ended holds, its entries say {by_entries}")


def check_listed(
    books: Books, listed: Sequence[dict[str, Any]], *, since: float, now: float, apart: float
) -> None:
    """Compare the holds that a reader was told of with those that were open since it asked.

    Instants are in seconds; a process's clock may be off by `apart`.
    """
    for hold in listed:
        name, end = hold["hold_id"], books.hold_ends.get(hold["hold_id"])
        if name not in books.opened:
            wrong("made", f"{books.account_id} is told of a hold that is not there: {name}")
        if end is not None and end.at < since:
            wrong("violation", f"{books.account_id} is told of the hold {name}, which has ended")
        if hold["expires_at"] and milliseconds(hold["expires_at"]) / 1000 < now - apart:
            wrong("violation", f"{books.account_id} is told of the hold {name}, which is over")
    told = {hold["hold_id"] for hold in listed}
    for name, kept in books.holds.items():
        is_open = kept.expires_at / 1000 > now + apart and books.opened[name] < since
        if is_open and name not in told:
            wrong("lost", f"{books.account_id} is not told of the hold {name}")


def check_refusal(
    books: Books, step: Step, told: dict[str, Any], *, since: float, now: float, apart: float
) -> None:
    """A hold is refused as ended when it has, and by what has ended it."""
    if told["code"] not in {"hold_ended", "hold_not_found"}:
        return
    name = step.hold_id
    hold, end = books.holds.get(name), books.hold_ends.get(name)
    if told["code"] == "hold_not_found":
        if books.opened.get(name, inf) < since:
            wrong("lost", f"{step}: the hold is not found")
    elif hold is not None and hold.expires_at / 1000 > now + apart:
        wrong("lost", f"{step}: the hold is open, and is told to have ended")
    elif told["ended_by"] is None:
        if end is not None and end.by and end.at < since:
            wrong("violation", f"{step}: the hold was ended by {end.by}, and nobody is told")
    elif end is None or end.by != told["ended_by"]:
        wrong("violation", f"{step}: the hold was ended by {end}, not by {told['ended_by']}")
