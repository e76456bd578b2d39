"""Movements: the grants that entries of each type take credits from or add credits to."""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Any

from simulation.books import Clawback
from simulation.entitlement import check_disputed, lot_granted
from simulation.facts import payment_of
from simulation.findings import wrong
from simulation.holds import (
    HELD_PAST_EXPIRY,
    HOLD_LIFE,
    HOLD_SECONDS,
    Hold,
    is_cut,
    joined,
    some,
    total,
)
from simulation.plain import DAY, entry_id, milliseconds, month

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.books import Line
    from simulation.holds import Parts

GRANT_KINDS = {
    "signup": "signup", "purchase": "purchase", "plan": "plan", "rollover": "rollover",
    "admin_grant": "admin", "promo": "promo", "referral": "referral",
}  # fmt: skip
"""The entry types that bring new credits, each with its kind of grant."""

GRANTS_MAX = 50
RETURNED_MAX = 60
REFUND_LIFE = 7 * DAY
HOUR = 3_600_000
"""By how much longer a refund grant may live."""


def move(line: Line) -> None:
    """Move the credits of an entry according to its type."""
    if any(part <= 0 for _, part in line.moved):
        wrong("violation", f"{line} moves no credits, or in the wrong direction")
    MOVEMENTS[line.type](line)
    books = line.books
    if books.debt < 0 or books.held < 0:
        wrong("violation", f"{line} leaves a debt of {books.debt}, with {books.held} held")


def _take(line: Line) -> None:
    _change_grants(line, line.moved, -1)


def _put(line: Line) -> None:
    _change_grants(line, line.moved, 1)


def _change_grants(line: Line, moved: Parts, sign: int) -> None:
    for name, part in moved:
        grant = line.books.grants.setdefault(
            name,
            # It is added and removed in one posting, such as one that closes the account.
            {
                "kind": "refund" if line.type == "refund" else GRANT_KINDS.get(line.type, "plan"),
                "expires_at": inf,
                "granted_at": 0,
                "remaining": 0,
                "amount": inf,
            },
        )
        grant["remaining"] += sign * part
        if grant["remaining"] < 0:
            wrong("made", f"{line} takes more out of grant {name} than it has")


# ---- Out of grants -------------------------------------------------------------------------------


def _usage(line: Line) -> None:
    books = line.books
    held = _captured(line) if "hold_id" in line.entry else []
    drawn = _check_order(line, held)
    books.debt += -line.amount - line.total
    books.consumed += line.entry["cost"]
    books.held -= total(held)
    _check_debt(line)
    _change_grants(line, drawn, -1)


def _admin_deduct(line: Line) -> None:
    _check_order(line, [])
    if line.image.get("status") == "closed":
        line.books.held -= -line.amount - line.total
        line.books.holds.clear()
    elif line.total != -line.amount:
        wrong("violation", f"{line} takes {line.total} out of grants")
    _take(line)


def _check_order(line: Line, held: Parts) -> Parts:
    """Check that an entry takes credits in order, from live grants, and borrows last.

    The credits that were `held` come first. Returns the credits taken from grants.
    """
    left = line.total - total(held)
    expected: Parts = []
    for name, grant in line.books.in_spending_order():
        if grant["expires_at"] <= line.entry["recorded_at"]:
            wrong("violation", f"{line}: grant {name} had expired")
        if part := min(left, grant["remaining"]):
            expected.append((name, part))
            left -= part
    if joined([*held, *expected]) != line.moved:
        wrong("violation", f"{line} takes {line.moved}, not {held} and {expected}")
    borrows = line.type == "usage" and -line.amount > line.total
    if (left or borrows) and line.books.spendable > total(expected):
        wrong("violation", f"{line} borrows although there are credits")
    return expected


def _check_debt(line: Line) -> None:
    """Check that only a clawback or an overdraft leaves a negative balance."""
    books = line.books
    lent = max(map(line.facts.overdraft, books.plans)) + books.clawed_into_debt
    borrows = -line.amount > line.total
    if borrows and books.spendable - books.debt < -lent:
        wrong("made", f"{line} spends more than is available")


def _expiry(line: Line) -> None:
    _take(line)
    books, entry = line.books, line.entry
    recorded_at, effective_at = entry["recorded_at"], entry["effective_at"]
    released = _released_before(line)
    is_of_dispute = any("hold_id" not in one for one in line.posting if one["type"] == "release")
    if line.total != -line.amount or any(books.grants[name]["remaining"] for name, _ in line.moved):
        wrong("violation", f"{line} leaves credits in its grant")
    for name, _ in line.moved:
        grant = books.grants[name]
        if grant["kind"] != "plan":
            if grant["expires_at"] > recorded_at and not is_of_dispute:
                wrong("lost", f"{line}: its grant would have lived on")
        elif effective_at > recorded_at or not _ends_then(line, name, is_released=released):
            wrong("lost", f"{line}: its grant would have lived on")


def _ends_then(line: Line, grant_id: str, *, is_released: bool) -> bool:
    """Return whether an allowance ends when an entry says.

    That is with its month, or when a term sets the account's own allowance aside. Meanwhile a
    payment may have moved the end.
    """
    books, at = line.books, line.entry["effective_at"]
    lot_id = books.lot_of(grant_id)
    if lot_id is None:
        return True
    name, _, number = lot_id.rpartition(":")
    ends, is_aside = {books.grants[grant_id]["expires_at"]}, False
    if name == "period":
        assert books.anchor is not None
        ends.add(month(books.anchor, books.period_at(int(number)) + 1))
        images = [one for one in (books.image, line.image) if one]
        is_aside = not all(books.is_on_base_plan(one, at) for one in images)
        # That its payment goes back may have been heard of only after it had begun.
        is_aside |= any(term.start == at for term in books.terms.given)
    else:
        # Time may have ended it within the posting whose message then moved its end.
        ends |= {
            terms.expiry(terms.by_name[name], int(number))
            for terms in (books.terms_before, books.terms)
            if name in terms.by_name
        }
    return is_aside or (min(ends) <= at if is_released else at in ends)


def _released_before(line: Line) -> bool:
    """Return whether it expires what a hold returned to an expired grant."""
    releases = [entry_id(one) for one in line.posting if one["type"] == "release"]
    names = {name if ":" in name else f"release:{name}" for name in releases}
    return line.entry_id.removeprefix("expiry:") in names


def _clawback(line: Line) -> None:
    _take(line)
    owed = -line.amount - line.total
    line.books.debt += owed
    line.books.clawed_into_debt += owed


def _debt_settled(line: Line) -> None:
    _take(line)
    line.books.debt -= line.total


# ---- Holds ---------------------------------------------------------------------------------------


def _hold(line: Line) -> None:
    """Set credits aside: the first line opens the hold, the others add theirs to it."""
    books, entry = line.books, line.entry
    name, lives = entry.get("hold_id"), 1000 * line.asked.get("expires_in", HOLD_SECONDS)
    if name is None:
        name, opener = line.entry_id.removesuffix(":opened"), "webhook"
        books.holds[name], books.features[name] = Hold(line.moved), [None]
    else:
        _check_order(line, [])
        opener = "user" if entry["actor"]["type"] == "user" else "service"
        if (
            name != entry_id(line.siblings[0])
            or entry["expires_at"] != entry["recorded_at"] + lives
        ):
            wrong("violation", f"{line} opens {name} until {entry['expires_at']}")
        if not line.number:
            books.holds[name], books.features[name] = Hold([], entry["expires_at"]), []
            books.bounds[name] = entry["recorded_at"] + HOLD_LIFE[opener]
        hold, free = books.holds[name], entry["cost"] - line.total
        parts = joined([*hold.parts, *line.moved])
        books.holds[name] = hold._replace(parts=parts, free=hold.free + free)
        books.features[name].append(entry.get("feature"))
        ends = [books.grants[grant]["expires_at"] + HELD_PAST_EXPIRY for grant, _ in line.moved]
        books.bounds[name] = min([books.bounds[name], *ends])
    books.openers[name], books.opened[name] = opener, books.now
    _take(line)
    books.held += line.total
    if opener == "webhook":
        check_disputed(line, name.removesuffix(f":{entry['source']}"))


def _open_hold(line: Line) -> Hold:
    """Return an entry's hold, which must be open and not expired."""
    hold = line.books.holds_before.get(line.entry["hold_id"])
    if hold is None:
        wrong("double", f"{line} is about a hold that is not open")
    if hold.expires_at <= line.entry["recorded_at"]:
        wrong("violation", f"{line} is about a hold that had expired")
    return hold


def _captured(line: Line) -> Parts:
    """Take the captured credits out of their hold, and return those that are charged.

    Each line of a capture takes what the lines before it have left of the hold.
    """
    books, name, siblings = line.books, line.entry["hold_id"], line.siblings
    _, left = _open_hold(line).split(sum(one["cost"] for one in siblings[: line.number]))
    used, rest = left.split(line.entry["cost"])
    names, first = {entry_id(one) for one in line.posting}, entry_id(siblings[0])
    if _freed(line, siblings) and f"release:{first}" not in names:
        wrong("lost", f"{line} leaves credits that return to no grant")
    books.holds[name] = rest
    if line.asked.get("final", True) and line.entry == siblings[-1]:
        books.end(name, first)
    return [] if line.entry.get("unlimited") else used


def _freed(line: Line, uses: list[dict[str, Any]]) -> Parts:
    """Return what a capture returns to grants: the rest, and everything if it is not charged."""
    hold = line.books.holds_before[uses[0]["hold_id"]]
    used, rest = hold.split(sum(use["cost"] for use in uses))
    freed = used if uses[0].get("unlimited") else []
    return joined([*freed, *rest.parts]) if line.asked.get("final", True) else freed


def _release(line: Line) -> None:
    books, entry = line.books, line.entry
    if "hold_id" not in entry:
        name = entry["source"]
        freed = dict(line.moved)
        kept = [(grant, part - freed.get(grant, 0)) for grant, part in books.holds[name].parts]
        rest = books.holds[name] = books.holds[name]._replace(parts=some(kept))
        if not rest.amount:
            books.end(name, None)
    elif line.step is None:
        name = entry["hold_id"]
        hold, ended_at = books.holds_before.get(name), entry["effective_at"]
        if hold is None or ended_at > entry["recorded_at"]:
            wrong("violation", f"{line}: the hold had not expired")
        if hold.expires_at != ended_at and not is_cut(books, line.image, hold, ended_at):
            wrong("violation", f"{line}: the hold expired at {hold.expires_at}")
        _check_returned(line, hold.parts)
        books.end(name, None)
    elif line.step.kind in {"adjustment", "message"}:  # a deduction or a dispute takes its credits
        _check_returned(line, books.holds[entry["hold_id"]].parts)
        books.end(entry["hold_id"], None)
    elif line.step.kind == "capture":
        _check_returned(line, _freed(line, [one for one in line.posting if one["type"] == "usage"]))
    else:
        _check_returned(line, _open_hold(line).parts)
        books.end(entry["hold_id"], line.entry_id)
    _put(line)
    books.held -= line.total
    _check_expired(line)


def _check_expired(line: Line) -> None:
    """Check that a release says how much of it expired at once: the user cannot spend that.

    What would have rolled over at the end of its period, had it not been held, does so now.
    """
    name = line.entry_id if ":" in line.entry_id else f"release:{line.entry_id}"
    expired = sum(-one["amount"] for one in line.posting if entry_id(one) == f"expiry:{name}")
    # What several months have left rolls over in an entry each.
    rolls = {f"rollover:{name}", *(f"rollover:{name}:{one['seq']}" for one in line.posting)}
    rolled = sum(one["amount"] for one in line.posting if entry_id(one) in rolls)
    if line.entry["recorded_at"] > line.entry["effective_at"] + 28 * DAY:
        # What rolled over and expired within the posting has no entries.
        rolled = max(rolled, expired - line.entry.get("expired", 0))
    if line.entry.get("expired", 0) != expired - rolled:
        wrong("violation", f"{line} says that {line.entry.get('expired')} expired, not {expired}")
    hold_id = line.entry.get("hold_id", "")
    ends = hold_id not in line.books.holds or line.asked.get("final", True)
    late = line.books.late.pop(hold_id, None) if ends else None
    if late is not None and not line.books.is_billed and rolled != min(late, expired):
        kind = "made" if rolled > min(late, expired) else "lost"
        wrong(kind, f"{line}: {rolled} roll over late, not {late} of {expired}")


def _check_returned(line: Line, parts: Parts) -> None:
    if line.moved != parts:
        kind = "made" if line.total > total(parts) else "lost"
        wrong(kind, f"{line} returns {line.moved}, not {parts}")


# ---- Into grants ---------------------------------------------------------------------------------


def _refund(line: Line) -> None:
    """Check that refunded credits live as long as before, or a week if they had expired."""
    books, entry = line.books, line.entry
    books.consumed -= entry["cost"]
    homes, ends = _homes(line)
    given = dict(line.moved)
    others = {name for name in given if given[name] != homes.get(name, 0)}
    _put_all(line)
    for name in {name for name in homes if homes[name] != given.get(name, 0)} - others:
        wrong("lost", f"{line} returns nothing to grant {name}, which is alive")
    if not ends and others:
        wrong("violation", f"{line} returns {given}, not {homes}")
    for name in others:
        grant = books.grants[name]
        if grant["kind"] != "refund":
            wrong("violation", f"{line} puts credits into grant {name}")
        if grant["expires_at"] < max(ends):
            wrong("lost", f"{line}: grant {name} ends at {grant['expires_at']}, not {max(ends)}")
        is_full = len(line.image.get("grants", ())) >= GRANTS_MAX - 1
        if grant["expires_at"] > max(ends) + HOUR and not is_full:
            wrong("made", f"{line}: grant {name} ends at {grant['expires_at']}, not {max(ends)}")
    for name in given:
        if books.grants[name]["remaining"] > books.grants[name]["amount"]:
            wrong("made", f"{line} puts more into grant {name} than it had")


def _homes(line: Line) -> tuple[dict[str, int], list[float]]:
    """Return what a refund returns to each grant, and until when the rest lives at least.

    The credits that were taken last return first.
    """
    books, entry = line.books, line.entry
    usage, now = books.by_id[entry["refunds"]], entry["recorded_at"]
    taken = [(one["grant_id"], one["amount"]) for one in usage.get("allocations", ())]
    taken.append(("", -usage["amount"] - total(taken)))
    skipped, left = books.refunded[entry["refunds"]] - entry["cost"], line.amount
    there = {grant["grant_id"] for grant in line.image.get("grants", ())}
    homes, ends = dict[str, int](), list[float]()
    for name, amount in reversed(taken):
        part = max(0, min(amount - skipped, left))
        skipped, left = max(0, skipped - amount), left - part
        grant = books.grants.get(name)
        if not part:
            continue
        if not name:  # borrowed, and paid back by credits of any life
            ends.append(inf)
            continue
        if grant is None or grant["expires_at"] <= now:
            ends.append(now + REFUND_LIFE)
            continue
        if name not in there and name not in books.retired:
            # A payment ended it early, or a process whose clock was fast.
            ends.append(now + REFUND_LIFE)
            continue
        room = grant["amount"] - grant["remaining"] - books.held_of(name)
        if name not in there and len(there) >= RETURNED_MAX:
            room = 0
        if home := min(part, room):
            homes[name] = home
        if part > room:
            ends.append(grant["expires_at"])
    return homes, ends


def _reset(line: Line) -> None:
    _put_all(line)
    line.books.granted += line.amount


def _credit(line: Line) -> None:
    """Check that new credits go into a grant of their kind, with the expiry of that kind."""
    _put_all(line)
    line.books.granted += line.amount
    for grant in _grants_of_its_kind(line):
        expires_at = grant["expires_at"]
        if grant["kind"] in {"signup", "purchase"} and expires_at != inf:
            wrong("lost", f"{line} expires")
        if grant["kind"] in {"admin", "promo", "referral"} and line.step is not None:
            requested = line.asked.get("expires_at")
            if expires_at != (milliseconds(requested) if requested else inf):
                wrong("violation", f"{line} expires at {expires_at}")


def _plan(line: Line) -> None:
    _put_all(line)
    books = line.books
    books.granted += line.amount
    if line.step is not None and line.step.kind == "message":
        line.facts.paid(line, payment_of(line.asked["data"]))
    for name, _ in line.moved:
        grant = books.grants[name]
        grant.setdefault("source", _source(line))
        if grant["kind"] == "refund":
            _check_restored(line, grant)
        elif grant["kind"] != "plan":
            wrong("violation", f"{line} goes into a {grant['kind']} grant")


def _check_restored(line: Line, grant: dict[str, Any]) -> None:
    """Check that what was owed for a month that is over comes back as a refund does."""
    lot_id = lot_granted(line.books, line.entry)
    ends_at, least = grant["expires_at"], line.entry["recorded_at"] + REFUND_LIFE
    if lot_id is None:
        wrong("made", f"{line} gives back what is of no month")
    owed_now = line.books.clawbacks.get(lot_id.rpartition(":")[0], Clawback()).owed
    if line.books.lots[lot_id].owed + owed_now < line.amount:
        wrong("made", f"{line} gives back what was not owed")
    if not least <= ends_at <= least + HOUR and len(line.image["grants"]) < GRANTS_MAX - 1:
        wrong("violation", f"{line} ends at {ends_at}, not {least}")


def _source(line: Line) -> str:
    """Return what a grant comes from that was gone before the account's item was written."""
    lot_id = lot_granted(line.books, line.entry) if "source" in line.entry else None
    if lot_id is None:
        at = datetime.fromtimestamp(line.entry["effective_at"] / 1000, UTC)
        return f"period:{at.isoformat()}"
    return lot_id


def _rollover(line: Line) -> None:
    _put_all(line)
    for name, _ in line.moved:
        line.books.grants[name].setdefault("source", line.entry_id.rpartition(":")[0])
    _grants_of_its_kind(line)
    if line.entry_id in line.books.by_id:
        wrong("double", f"{line}: this rolled over before")


def _put_all(line: Line) -> None:
    _put(line)
    if line.total != line.amount:
        wrong("violation", f"{line} puts {line.total} into grants")


def _grants_of_its_kind(line: Line) -> list[dict[str, Any]]:
    grants = [line.books.grants[name] for name, _ in line.moved]
    for grant in grants:
        if grant["kind"] != GRANT_KINDS[line.type]:
            wrong("violation", f"{line} goes into a {grant['kind']} grant")
    return grants


def _no_credits(line: Line) -> None:
    if line.moved or line.amount:
        wrong("violation", f"{line} moves credits")


MOVEMENTS: dict[str, Callable[[Line], None]] = {
    "usage": _usage,
    "admin_deduct": _admin_deduct,
    "expiry": _expiry,
    "clawback": _clawback,
    "debt_settled": _debt_settled,
    "hold": _hold,
    "release": _release,
    "refund": _refund,
    "reset": _reset,
    "signup": _credit,
    "purchase": _credit,
    "admin_grant": _credit,
    "promo": _credit,
    "referral": _credit,
    "plan": _plan,
    "rollover": _rollover,
    "freeze": _no_credits,
    "unfreeze": _no_credits,
}
