"""What callers are told of holds, held to what the model knows of them.

Instants are in seconds; a process's clock may be off by `apart`.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from simulation.findings import wrong
from simulation.plain import milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulation.books import Books
    from simulation.holds import Hold
    from simulation.traffic import Step

NOT_OF_THE_HOLD = {"account_frozen", "account_not_found", "idempotency_key_reused"}
"""Refusals that say nothing of the hold that a call is about."""


def may_end_with_plan(books: Books, hold: Hold) -> bool:
    """Tell whether a reader may see a hold for nothing end before anybody has written that down."""
    return bool(hold.free and (books.is_billed or (books.image or {}).get("next_quota")))


def check_extended(
    books: Books, step: Step, told: dict[str, Any], *, since: float, apart: float
) -> None:
    """An extension is answered with a hold that lives as long as was asked for, or as it may."""
    name = told["hold"]["hold_id"]
    if name != step.hold_id or told["hold"]["opened_by"] != books.openers[name]:
        wrong("violation", f"{step} was told of another hold than its own")
    ends_at = milliseconds(told["hold"]["expires_at"])
    if ends_at not in {end for _, end in books.lives[name]}:
        wrong("lost", f"{step} was told that {name} ends at {ends_at}, which it does not")
    wanted = min(books.bounds[name], (since + step.body["expires_in"]) * 1000 - apart)
    if ends_at < wanted and not books.is_billed:
        wrong("lost", f"{step}: {name} ends at {ends_at}")
    if ends_at > books.bounds[name]:
        wrong("made", f"{step}: {name} ends at {ends_at}, later than {books.bounds[name]}")


def check_listed(
    books: Books, listed: Sequence[dict[str, Any]], *, since: float, now: float, apart: float
) -> None:
    """Compare the holds that a reader was told of with those that were open since it asked."""
    for hold in listed:
        name, end = hold["hold_id"], books.hold_ends.get(hold["hold_id"])
        if name not in books.opened:
            wrong("made", f"{books.account_id} is told of a hold that is not there: {name}")
        if end is not None and end.at < since:
            wrong("violation", f"{books.account_id} is told of the hold {name}, which has ended")
        if hold["opened_by"] != books.openers[name]:
            wrong("violation", f"{books.account_id} is told that {name} is {hold['opened_by']}'s")
        if hold["expires_at"] and milliseconds(hold["expires_at"]) / 1000 < now - apart:
            wrong("violation", f"{books.account_id} is told of the hold {name}, which is over")
    told = {hold["hold_id"] for hold in listed}
    for name, kept in books.holds.items():
        # It may have been extended since it was read.
        ends = [kept.expires_at, *books.ends_since(name, since)]
        is_open = min(ends) / 1000 > now + apart and books.opened[name] < since
        if is_open and not may_end_with_plan(books, kept) and name not in told:
            wrong("lost", f"{books.account_id} is not told of the hold {name}")


def check_refusal(
    books: Books, step: Step, told: dict[str, Any], *, since: float, now: float, apart: float
) -> None:
    """A user is refused what they may not do, and nobody what they may."""
    if told["code"] == "hold_rate_limited":
        if not step.by_user or told["retry_after"] > 3_600 + apart:
            wrong("violation", f"{step} is told {told}")
    elif "hold_id" in step.path:
        _check_owner(books, step, told)
        if told["code"] == "hold_not_found":
            if books.opened.get(step.hold_id, inf) < since:
                wrong("lost", f"{step}: the hold is not found")
        elif told["code"] == "hold_ended":
            _check_ended(books, step, told, since=since, now=now, apart=apart)


def _check_owner(books: Books, step: Step, told: dict[str, Any]) -> None:
    """A user is told of every hold but a user's that it is not theirs, if it is there or not."""
    opener = books.openers.get(step.hold_id, "user" if step.hold_id.startswith("user:") else None)
    is_forbidden = step.by_user and opener != "user"
    is_told = told["code"] == "hold_not_yours"
    if is_told != is_forbidden and told["code"] not in NOT_OF_THE_HOLD:
        wrong("violation", f"{step}: the hold is a {opener}'s, and is told {told}")
    if told["code"] == "account_frozen" and not step.by_user and "excess" not in step.body:
        wrong("violation", f"{step}: a service may end what is held")


def _check_ended(
    books: Books, step: Step, told: dict[str, Any], *, since: float, now: float, apart: float
) -> None:
    """A hold is refused as ended when it has, and by what has ended it."""
    hold, end = books.holds.get(step.hold_id), books.hold_ends.get(step.hold_id)
    if hold is not None and hold.expires_at / 1000 > now + apart:
        if not may_end_with_plan(books, hold):
            wrong("lost", f"{step}: the hold is open, and is told to have ended")
    elif told["ended_by"] is None:
        if end is not None and end.by and end.at < since:
            wrong("violation", f"{step}: the hold was ended by {end.by}, and nobody is told")
    elif end is None or end.by != told["ended_by"]:
        wrong("violation", f"{step}: the hold was ended by {end}, not by {told['ended_by']}")
