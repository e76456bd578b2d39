"""Compares what responses say about holds with what the model knows.

Times are in seconds; a process's clock may be off by `apart`.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from simulation.findings import wrong
from simulation.holds import check_features, is_priced, only_feature
from simulation.plain import entry_id, milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulation.books import Books
    from simulation.holds import Hold
    from simulation.traffic import Step

NOT_OF_THE_HOLD = {"account_frozen", "account_not_found", "idempotency_key_reused"}
"""Refusals that do not depend on the hold."""


def may_end_with_plan(books: Books, hold: Hold) -> bool:
    """Return whether a reader may see an uncharged hold end before that is written."""
    return bool(hold.free and (books.is_billed or (books.image or {}).get("next_plan_id")))


def check_opened(
    books: Books, step: Step, hold: dict[str, Any], entries: Sequence[dict[str, Any]]
) -> None:
    """Check that the response to the opening of a hold shows what its entries say."""
    parts = [part for entry in entries for part in entry.get("allocations", ())]
    opened = entry_id(entries[0]), sum(part["amount"] for part in parts)
    left = sum(entry["cost"] for entry in entries)
    if (hold["hold_id"], hold["amount"], hold["left"]) != (*opened, left):
        wrong("violation", f"the response to {step} has the wrong hold")
    check_features(books, hold["hold_id"], hold)


def check_extended(
    books: Books, step: Step, answer: dict[str, Any], *, since: float, apart: float
) -> None:
    """Check that the extended hold lives as long as requested, or as long as it may."""
    name = answer["hold"]["hold_id"]
    if name != step.hold_id or answer["hold"]["opened_by"] != books.openers[name]:
        wrong("violation", f"the response to {step} has the wrong hold")
    check_features(books, name, answer["hold"])
    ends_at = milliseconds(answer["hold"]["expires_at"])
    if ends_at not in {end for _, end in books.lives[name]}:
        wrong("lost", f"the response to {step} says that {name} ends at {ends_at}; it does not")
    wanted = min(books.bounds[name], (since + step.body["expires_in"]) * 1000 - apart)
    if ends_at < wanted and not books.is_billed:
        wrong("lost", f"{step}: {name} ends at {ends_at}")
    if ends_at > books.bounds[name]:
        wrong("made", f"{step}: {name} ends at {ends_at}, later than {books.bounds[name]}")


def check_listed(
    books: Books, listed: Sequence[dict[str, Any]], *, since: float, now: float, apart: float
) -> None:
    """Compare the holds of a response with those that have been open since the request began."""
    for hold in listed:
        name, end = hold["hold_id"], books.hold_ends.get(hold["hold_id"])
        if name not in books.opened:
            wrong("made", f"{books.account_id} is shown with a hold that never was: {name}")
        if end is not None and end.at < since:
            wrong("violation", f"{books.account_id} is shown with hold {name}, which has ended")
        if hold["opened_by"] != books.openers[name]:
            wrong("violation", f"{books.account_id}: {name} is shown as {hold['opened_by']}'s")
        check_features(books, name, hold)
        if hold["expires_at"] and milliseconds(hold["expires_at"]) / 1000 < now - apart:
            wrong("violation", f"{books.account_id} is shown with hold {name}, which has expired")
    names = {hold["hold_id"] for hold in listed}
    for name, kept in books.holds.items():
        # It may have been extended since it was read.
        ends = [kept.expires_at, *books.ends_since(name, since)]
        is_open = min(ends) / 1000 > now + apart and books.opened[name] < since
        if is_open and not may_end_with_plan(books, kept) and name not in names:
            wrong("lost", f"{books.account_id} is shown without the hold {name}")


def check_refusal(
    books: Books, step: Step, answer: dict[str, Any], *, since: float, now: float, apart: float
) -> None:
    """Check that a refusal is justified."""
    if answer["code"] == "hold_rate_limited":
        if not step.by_user or answer["retry_after"] > 3_600 + apart:
            wrong("violation", f"{step} is refused: {answer}")
    elif "hold_id" in step.path:
        _check_owner(books, step, answer)
        if answer["code"] == "hold_not_found":
            if books.opened.get(step.hold_id, inf) < since:
                wrong("lost", f"{step}: the hold is not found")
        elif answer["code"] == "hold_ended":
            _check_ended(books, step, answer, since=since, now=now, apart=apart)
        elif answer["code"] in {"hold_without_feature", "hold_exceeded"}:
            _check_captured(books, step, answer)


def _check_owner(books: Books, step: Step, answer: dict[str, Any]) -> None:
    """Check that users get `hold_not_yours` for holds of others, whether or not they exist."""
    opener = books.openers.get(step.hold_id, "user" if step.hold_id.startswith("user:") else None)
    is_forbidden = step.by_user and opener != "user"
    is_refused = answer["code"] == "hold_not_yours"
    if is_refused != is_forbidden and answer["code"] not in NOT_OF_THE_HOLD:
        wrong("violation", f"{step}: the opener is a {opener}, the response is {answer}")
    if answer["code"] == "account_frozen" and not step.by_user and "excess" not in step.body:
        wrong("violation", f"{step}: the account is frozen, but a service may end holds")


def _check_ended(
    books: Books, step: Step, answer: dict[str, Any], *, since: float, now: float, apart: float
) -> None:
    """Check that `hold_ended` is true and names the entry that ended the hold."""
    hold, end = books.holds.get(step.hold_id), books.hold_ends.get(step.hold_id)
    if hold is not None and hold.expires_at / 1000 > now + apart:
        if not may_end_with_plan(books, hold):
            wrong("lost", f"{step}: the hold is open but refused as ended")
    elif answer["ended_by"] is None:
        if end is not None and end.by and end.at < since:
            wrong("violation", f"{step}: the hold was ended by {end.by}, which is not shown")
    elif end is None or end.by != answer["ended_by"]:
        wrong("violation", f"{step}: the hold was ended by {end}, not by {answer['ended_by']}")


def _check_captured(books: Books, step: Step, answer: dict[str, Any]) -> None:
    """Check that a capture is refused for a feature that was not held, or for too much."""
    held_for, hold = books.features[step.hold_id], books.holds.get(step.hold_id)
    only = only_feature(held_for)
    features = [use.get("feature", only) for use in step.uses if is_priced(use)]
    if answer["code"] == "hold_without_feature":
        if set(features) <= set(held_for) - {None}:
            wrong("violation", f"{step} is refused, but the hold is for {held_for}")
    elif hold is not None and not features:
        # What is left of a hold never grows.
        wanted = sum(use.get("amount", 0) for use in step.uses)
        if wanted <= hold.left and wanted:
            wrong("lost", f"{step} is refused, but {hold.left} are held")
