"""Movements: where the credits of an entry of each type come from, and where they go."""

from __future__ import annotations

import json
from math import inf
from typing import TYPE_CHECKING, Any

from tests.simulation.facts import payment_of
from tests.simulation.findings import wrong
from tests.simulation.plain import DAY, milliseconds, month

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.books import Line

GRANT_KINDS = {
    "signup": "signup", "purchase": "purchase", "plan": "plan", "rollover": "rollover",
    "admin_grant": "admin", "promo": "promo", "referral": "referral",
}  # fmt: skip
"""The entries that bring new credits, and the kind of grant that they go into."""

REFUND_LIFE = 7 * DAY
HOUR = 3_600_000
"""Up to so much longer does a refund grant live."""


def move(line: Line) -> None:
    """Move the credits of an entry, as its type says."""
    if any(part <= 0 for _, part in line.moved):
        wrong("violation", f"{line} moves nothing, or backwards")
    MOVEMENTS[line.type](line)
    books = line.books
    if books.debt < 0 or books.held < 0:
        wrong("violation", f"{line} leaves a debt of {books.debt} and {books.held} held")


def _take(line: Line) -> None:
    _change_grants(line, -1)


def _put(line: Line) -> None:
    _change_grants(line, 1)


def _change_grants(line: Line, sign: int) -> None:
    for name, part in line.moved:
        grant = line.books.grants.setdefault(
            name,
            # It comes and goes in one posting, such as one that closes the account.
            {
                "kind": GRANT_KINDS.get(line.type, "plan"),
                "expires_at": inf,
                "granted_at": 0,
                "remaining": 0,
                "amount": inf,
            },
        )
        grant["remaining"] += sign * part
        if grant["remaining"] < 0:
            wrong("made", f"{line} takes more out of grant {name} than is there")


# ---- Out of grants -------------------------------------------------------------------------------


def _usage(line: Line) -> None:
    books = line.books
    _check_order(line)
    books.debt += -line.amount - line.total
    books.consumed += line.entry["cost"]
    _check_debt(line)
    _take(line)


def _admin_deduct(line: Line) -> None:
    _check_order(line)
    if line.image.get("status") == "closed":
        line.books.held -= -line.amount - line.total
    elif line.total != -line.amount:
        wrong("violation", f"{line} takes {line.total} out of grants")
    _take(line)


def _check_order(line: Line) -> None:
    """Credits are drawn in the order of spending, from what is alive, and borrowed last."""
    left = line.total
    expected = []
    for name, grant in line.books.in_spending_order():
        if grant["expires_at"] <= line.entry["recorded_at"]:
            wrong("violation", f"{line}: grant {name} had expired")
        if part := min(left, grant["remaining"]):
            expected.append((name, part))
            left -= part
    if expected != line.moved:
        wrong("violation", f"{line} draws on {line.moved}, not on {expected}")
    borrows = line.type == "usage" and -line.amount > line.total
    if (left or borrows) and line.books.spendable > line.total:
        wrong("violation", f"{line} borrows although there are credits")


def _check_debt(line: Line) -> None:
    """Only a clawback or an overdraft may leave less than nothing."""
    books = line.books
    lent = line.facts.overdraft(line.image["plan_id"]) + books.clawed_into_debt
    borrows = -line.amount > line.total
    if borrows and books.spendable - books.debt < -lent:
        wrong("made", f"{line} spends what is not there")


def _expiry(line: Line) -> None:
    _take(line)
    books, entry = line.books, line.entry
    recorded_at, effective_at = entry["recorded_at"], entry["effective_at"]
    is_released = any(one["type"] == "release" for one in line.posting)
    for name, part in line.moved:
        grant = books.grants[name]
        if part != -line.amount or grant["remaining"]:
            wrong("violation", f"{line} leaves {grant['remaining']}")
        if grant["kind"] != "plan":
            if grant["expires_at"] > recorded_at and not is_released:
                wrong("lost", f"{line}: its grant would have lived on")
        elif not books.is_billed and books.anchor is not None:
            ends_then = effective_at == grant.get("expires_at", effective_at)
            if effective_at > recorded_at or not ends_then:
                wrong("lost", f"{line}: its grant would have lived on")


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
    _take(line)
    line.books.held += line.total


def _release(line: Line) -> None:
    _put(line)
    line.books.held -= line.total


# ---- Into grants ---------------------------------------------------------------------------------


def _refund(line: Line) -> None:
    _put_all(line)
    books, entry = line.books, line.entry
    books.consumed -= entry["cost"]
    taken = {one["grant_id"] for one in books.by_id[entry["refunds"]].get("allocations", ())}
    for name, _ in line.moved:
        grant = books.grants[name]
        if grant["remaining"] > grant["amount"]:
            wrong("made", f"{line} puts more into grant {name} than it had")
        if name not in taken and grant["kind"] != "refund":
            wrong("violation", f"{line} puts credits into grant {name}")
        if grant["kind"] == "refund" and grant.get("is_new"):
            lives = grant["expires_at"] - entry["recorded_at"]
            if not REFUND_LIFE <= lives <= REFUND_LIFE + HOUR:
                wrong("violation", f"{line}: grant {name} lives {lives} ms")


def _reset(line: Line) -> None:
    _put_all(line)
    line.books.granted += line.amount


def _credit(line: Line) -> None:
    """New credits go into a grant of their kind, for as long as that kind lives."""
    _put_all(line)
    line.books.granted += line.amount
    for grant in _grants_of_its_kind(line):
        expires_at = grant["expires_at"]
        if grant["kind"] in {"signup", "purchase"} and expires_at != inf:
            wrong("lost", f"{line} expires")
        if grant["kind"] in {"admin", "promo", "referral"} and line.step is not None:
            told = line.asked.get("expires_at")
            if expires_at != (milliseconds(told) if told else inf):
                wrong("violation", f"{line} expires at {expires_at}")


def _plan(line: Line) -> None:
    _put_all(line)
    books = line.books
    books.granted += line.amount
    if line.step is not None and line.step.kind == "message":
        line.facts.paid(line, payment_of(line.asked["data"]))
    for grant in _grants_of_its_kind(line):
        if line.entry_id.startswith("period:") and not books.is_billed:
            _check_period(line, grant)


def _check_period(line: Line, grant: dict[str, Any]) -> None:
    """A period begins at a boundary, is granted once, and brings what its plan says."""
    books, start, period = line.books, line.entry["effective_at"], line.image["period"]
    if books.anchor is None:
        books.anchor = start
    if start in books.periods:
        wrong("double", f"{line}: the period was granted before")
    if start not in {month(books.anchor, k) for k in range(period + 1)}:
        wrong("violation", f"{line} begins at {start}, which is no boundary")
    if grant["expires_at"] not in {inf, month(books.anchor, period + 1)}:
        wrong("violation", f"{line} expires at {grant['expires_at']}")
    # An earlier period in the same posting says only what its allowance paid of a debt.
    if start == month(books.anchor, period):
        books.periods.add(start)
        _check_allowance(line)


def _check_allowance(line: Line) -> None:
    before, period = line.books.image, line.image["period"]
    skipped = json.loads(line.entry.get("metadata", "{}")).get("periods_skipped", 0)
    if before is not None and period != before["period"] + 1 + skipped:
        wrong("violation", f"{line}: {skipped} periods were skipped")
    # A command of the same posting may have changed the plan since.
    quotas = [before, before.get("next_quota")] if before else [line.image]
    allowed = {brought for quota in quotas if quota for brought in line.facts.allowances(quota)}
    if line.amount not in allowed:
        wrong("violation", f"{line} brings {line.amount}, not {allowed}")


def _rollover(line: Line) -> None:
    _put_all(line)
    books = line.books
    _grants_of_its_kind(line)
    if books.is_billed:
        return
    if books.image is None or line.entry_id in books.by_id:
        wrong("double", f"{line} rolled over before")
    # Of several periods that were missed, the later ones may have been on the plan to come.
    quotas = [books.image, books.image.get("next_quota")]
    bound = max(line.facts.rollover_max(quota["plan_id"]) for quota in quotas if quota)
    live = sum(grant["remaining"] for grant in books.grants.values() if grant["kind"] == "rollover")
    if live > bound:
        wrong("made", f"{line}: {live} roll over, more than {bound}")


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
