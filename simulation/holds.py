"""Holds in the model: their credits by grant, and how they ended."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from simulation.environment import HOLD_CALLS_MAX
from simulation.findings import wrong
from simulation.plain import DAY

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from simulation.books import Books
    from simulation.facts import Facts

type Parts = list[tuple[str, int]]
"""Grant IDs, each with a number of credits."""

HOLDS_MAX = 32
HOLD_SECONDS = 300
"""How many holds callers may have open, and how long each lives by default."""

HOLD_LIFE = {"user": DAY, "service": 7 * DAY}
"""How long a hold lives at most after its opening, by who opened it."""

HELD_PAST_EXPIRY = DAY
"""How long credits are held at most after they would have expired."""

HOUR = 3_600_000


class Hold(NamedTuple):
    """An open hold: credits in the order in which they were added, and `free` uncharged ones.

    The hold of a dispute never expires.
    """

    parts: Parts
    expires_at: float = inf
    free: int = 0

    @property
    def amount(self) -> int:
        """The credits that it holds."""
        return total(self.parts)

    @property
    def left(self) -> int:
        """How many credits may be captured from it."""
        return self.amount + self.free

    def split(self, cost: int) -> tuple[Parts, Hold]:
        """Return the credits that a use takes out of the hold, and what is left of it."""
        free = min(self.free, cost)
        wanted, used, kept = cost - free, [], []
        for name, amount in self.parts:
            part = min(wanted, amount)
            wanted -= part
            used.append((name, part))
            kept.append((name, amount - part))
        return some(used), self._replace(parts=some(kept), free=self.free - free)


class End(NamedTuple):
    """How a hold ended: by which entry (None if it expired), and when (seconds)."""

    by: str | None
    at: float


def total(parts: Iterable[tuple[str, int]]) -> int:
    """Return the sum of the parts."""
    return sum(amount for _, amount in parts)


def some(parts: Iterable[tuple[str, int]]) -> Parts:
    """Return the parts that are not empty."""
    return [(name, amount) for name, amount in parts if amount]


def joined(parts: Iterable[tuple[str, int]]) -> Parts:
    """Merge the parts of each grant, in the place of the first of them."""
    amounts: dict[str, int] = {}
    for name, amount in parts:
        amounts[name] = amounts.get(name, 0) + amount
    return list(amounts.items())


def is_cut(books: Books, image: dict[str, Any], hold: Hold, ends_at: float) -> bool:
    """Return whether a hold may end early because a payment ended its plan grant."""
    return books.is_billed and has_ended(books, image, hold) and ends_at < hold.expires_at


def has_ended(books: Books, image: dict[str, Any], hold: Hold) -> bool:
    """Return whether a hold has credits of a plan grant that has ended."""
    there = {grant["grant_id"] for grant in image.get("grants", ()) if not grant.get("ended")}
    plans = {name for name, _ in hold.parts if books.grants[name]["kind"] == "plan"}
    return not plans <= there


def check_extensions(
    books: Books,
    image: dict[str, Any],
    posting: Sequence[dict[str, Any]],
    facts: Facts,
    *,
    now: float,
    apart: float,
) -> None:
    """Process new ends of holds. No entry records them, so find the step that asked for each.

    `now` is in milliseconds, and so is `apart`, by which a process's clock may be off.
    """
    counted = [one for one in posting if _is_counted(one, facts)]
    most = len(counted)
    for stored in image.get("holds", ()):
        name, ends_at = stored["hold_id"], stored.get("expires_at", inf)
        hold = books.holds.get(name)
        if hold is None or ends_at == inf:
            continue
        if ends_at > hold.expires_at:
            most += _extended(books, name, ends_at, facts, apart)
        elif ends_at < hold.expires_at and not is_cut(books, image, hold, ends_at):
            wrong("lost", f"{books.account_id}: {name} ends at {ends_at}, not {hold.expires_at}")
        if has_ended(books, image, hold):
            books.bounds[name] = min(books.bounds[name], now + apart + HELD_PAST_EXPIRY)
        if ends_at > books.bounds[name]:
            wrong("made", f"{books.account_id}: {name} lives beyond {books.bounds[name]}")
        books.holds[name] = hold._replace(expires_at=ends_at)
        if not books.lives[name] or books.lives[name][-1][1] != ends_at:
            books.lives[name].append((books.now, ends_at))
    _check_calls(books, image, counted, most)


def _is_counted(entry: dict[str, Any], facts: Facts) -> bool:
    """Return whether an entry is of a user who opened or released a hold. Each line has one."""
    step = facts.steps.get(entry.get("reference", ""))
    is_own = step is not None and step.kind in {"hold", "release"}
    return is_own and entry["actor"]["type"] == "user"


def _extended(books: Books, name: str, ends_at: float, facts: Facts, apart: float) -> bool:
    """Check that a permitted caller asked for an extension; return whether it may be a user."""
    image, who = books.image or {}, books.account_id
    asked = [
        step
        for step in facts.extensions[who, name]
        if step.at <= books.now
        and ends_at <= (books.now + step.body["expires_in"]) * 1000 + apart
        and not (step.by_user and books.openers[name] != "user")
        and not (step.by_user and image.get("status") == "frozen")
    ]
    if not asked:
        wrong("made", f"{who}: {name} was extended to {ends_at} without permission")
    return any(step.by_user for step in asked)


def _check_calls(
    books: Books, image: dict[str, Any], counted: Sequence[dict[str, Any]], most: int
) -> None:
    """Check that calls about holds with a user's token are counted and limited by the hour."""
    before = (books.image or {}).get("hold_calls", {"hour": 0, "calls": 0})
    after = image.get("hold_calls", before)
    new = after["calls"] - (before["calls"] if after["hour"] == before["hour"] else 0)
    if not len(counted) <= new <= most or after["hour"] < before["hour"]:
        wrong("violation", f"{books.account_id}: {after} after {before} with {len(counted)} calls")
    if counted and after["hour"] != max(before["hour"], counted[0]["recorded_at"] // HOUR * HOUR):
        wrong("violation", f"{books.account_id}: {counted[0]} is counted within {after}")
    if after["calls"] > HOLD_CALLS_MAX:
        wrong("violation", f"{books.account_id}: more calls than a user may make: {after}")


def is_priced(use: dict[str, Any]) -> bool:
    """Return whether a use is of a feature; otherwise it is an amount of credits."""
    return bool(use.keys() & {"feature", "quantity", "usage"})


def only_feature(lines: Sequence[str | None]) -> str | None:
    """Return the feature of a hold's line, None if it has several lines."""
    return lines[0] if len(lines) == 1 else None


def check_features(books: Books, name: str, shown: dict[str, Any]) -> None:
    """Check that a hold is shown with the feature of its only line, or with those of all lines."""
    lines = books.features[name]
    one, features = only_feature(lines), sorted({feature for feature in lines if feature})
    if shown.get("feature") != one or shown.get("features", [one] if one else []) != features:
        wrong("violation", f"{books.account_id}: {name} is for {lines}, not for {shown}")


def check_holds(books: Books, image: dict[str, Any], now: float) -> None:
    """Compare an account's holds with what its entries say. `now` is in milliseconds.

    A hold without credits ends without an entry: it expires, or its plan ends.
    """
    stored = {
        hold["hold_id"]: Hold(
            [(part["grant_id"], part["amount"]) for part in hold["allocations"]],
            hold.get("expires_at", inf),
            hold.get("uncharged", 0),
        )
        for hold in image.get("holds", ())
    }
    for name in sorted(books.holds.keys() - stored.keys()):
        hold = books.holds[name]
        if not hold.amount and (hold.expires_at <= now or not books.stays_unlimited):
            books.end(name, None)
    who = books.account_id
    if stored != books.holds:
        wrong("violation", f"{who} has the holds {stored}, but its entries say {books.holds}")
    for hold in image.get("holds", ()):
        bounds = image.get("hold_bounds", {}).get(hold["hold_id"], {})
        check_features(books, hold["hold_id"], {**hold, **bounds})
    if any(hold.free for hold in stored.values()) and not books.is_unlimited:
        wrong("made", f"{who} has an uncharged hold but no unlimited plan: {stored}")
    if sum(hold.expires_at != inf for hold in stored.values()) > HOLDS_MAX:
        wrong("violation", f"{who} has {len(stored)} holds")
    by_entries = {name: end.by for name, end in books.hold_ends.items() if end.by}
    if books.ended_by != by_entries:
        wrong("violation", f"{who}: {books.ended_by} ended holds, but entries say {by_entries}")
