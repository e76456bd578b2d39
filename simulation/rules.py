"""Rules: what an entry of each type may say, given its request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulation.facts import clawed_back, payment_of
from simulation.findings import wrong
from simulation.holds import is_priced, only_feature
from simulation.plain import entry_id, named

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulation.books import Line
    from simulation.traffic import Step

BY_ITSELF = {"signup", "plan", "rollover", "expiry", "debt_settled"}
"""The entry types that need no request."""


def check_request(line: Line) -> None:
    """Check that an entry was requested, and that its request took effect once."""
    reference, step, facts = line.entry.get("reference"), line.step, line.facts
    if reference is None:
        is_of_term = line.type == "clawback" and clawed_back(line.entry) in line.books.terms.by_name
        # What is taken back otherwise is in dispute no longer.
        is_of_term |= line.type == "release" and ":taken:" in line.entry_id
        if line.type not in BY_ITSELF and not line.ends_hold_by_itself and not is_of_term:
            wrong("made", f"{line} was not requested")
        return
    if step is None or step.account_id not in {None, line.books.account_id}:
        wrong("made", f"{line}: {reference} did not ask for it")
    if step.kind == "message":
        return
    if line.type not in step.writes:
        wrong("violation", f"{line} is no {step.kind}")
    _check_permission(line)
    if line.type == "release" and step.kind == "adjustment":
        _check_deduction_ends_hold(line)
        return
    if line.type == "release" and step.kind == "capture":
        _check_belongs_to_capture(line)
        return
    if line.type == "clawback":
        return
    # Repeating a change of quota after another one changes it back.
    is_next_line = 0 < line.number < len(step.body.get("lines", ()))
    if reference in facts.effects and step.kind != "quota" and not is_next_line:
        wrong("double", f"{reference} took effect twice: {facts.effects[reference]}, {line}")
    facts.effects.setdefault(reference, line.entry_id)
    _check_name(line, step)


def _check_permission(line: Line) -> None:
    """Check that a user ends no hold of the app's and does nothing to a frozen account."""
    if line.entry["actor"]["type"] != "user":
        return
    image, books = line.books.image, line.books
    if image is not None and image.get("status") == "frozen":
        wrong("violation", f"{line}: a user changed a frozen account")
    if "hold_id" in line.entry and books.openers.get(line.entry["hold_id"], "user") != "user":
        wrong("made", f"{line}: a user ends the app's hold")


def _check_deduction_ends_hold(line: Line) -> None:
    """Check that a deduction ends the user's newest hold, and only if it needs the credits."""
    books, asked = line.books, line.asked
    own = [
        name for name, hold in books.holds.items() if hold.amount and books.openers[name] == "user"
    ]
    name = line.entry["hold_id"]
    if own[-1:] != [name] or line.entry_id != f"release:{name}":
        wrong("violation", f"{line}: of {own} the newest ends first")
    wanted = asked["amount"] if asked["action"] == "deduct" else books.balance - asked["amount"]
    if asked["action"] == "add" or wanted <= max(0, books.available):
        wrong("violation", f"{line}: {wanted} could be deducted without ending it")


def _check_belongs_to_capture(line: Line) -> None:
    """Check that the release of what a capture leaves is in the capture's posting, once."""
    uses = [entry_id(one) for one in line.posting if one["type"] == "usage"]
    if [line.entry_id] != [f"release:{name}" for name in uses[:1]]:
        wrong("made", f"{line}: its posting has no capture")


def _check_name(line: Line, step: Step) -> None:
    """Check that the key names the entry, or the first of several, which are written together.

    The IDs of entries that a user's token wrote differ from all of the app's.
    """
    references, number = step.references, line.number
    key = line.entry_id.removesuffix(f"~{number + 1}") if number else line.entry_id
    by_user = line.entry["actor"]["type"] == "user"
    if key.startswith("user:") != by_user:
        wrong("violation", f"{line} is by {line.entry['actor']}, whose entries have other IDs")
    askers = line.facts.askers[references[0]]
    if not {(by_user, None), (by_user, key)} & askers:
        wrong("violation", f"{line} has an ID that none of {askers} gives")
    if line.type in {"usage", "hold"}:
        uses = [(entry_id(one), one["reference"]) for one in line.siblings]
        if uses != list(zip(named(key, len(references)), references, strict=True)):
            wrong("violation", f"{line} is of {step}, but the entries are {uses}")


def check_amount(line: Line) -> None:
    """Check that an entry moves the requested amount."""
    if (rule := RULES.get(line.type)) is not None:
        rule(line)


def _usage(line: Line) -> None:
    _check_plan(line)
    if "hold_id" in line.entry:
        _capture(line)
        return
    cost = line.entry["cost"]
    _check_price(line, line.use)
    if line.amount != (0 if line.entry.get("unlimited") else -cost):
        wrong("violation", f"{line} takes {line.amount} for {cost}")
    _check_not_frozen(line)


def _check_price(line: Line, use: dict[str, Any]) -> None:
    cost, price = line.entry["cost"], line.facts.price(line, use)
    if cost != price:
        wrong("violation", f"{line} costs {cost}, not {price}")
    _check_feature(line, use.get("feature"))


def _check_feature(line: Line, feature: str | None) -> None:
    if line.entry.get("feature") != feature:
        wrong("violation", f"{line} is for {line.entry.get('feature')}, not {feature}")


def _check_plan(line: Line) -> None:
    """Check that a use is free if an unlimited plan is in force, and only then."""
    if line.entry.get("unlimited", False) != line.books.is_unlimited:
        wrong("violation", f"{line} was on {line.books.plans}")


def _check_not_frozen(line: Line) -> None:
    image = line.books.image
    if image is not None and image.get("status") == "frozen":
        wrong("violation", f"{line}: the account is frozen")


def _hold(line: Line) -> None:
    if line.step is None or line.step.kind != "hold":
        return
    books, cost = line.books, line.entry["cost"]
    _check_plan(line)
    _check_price(line, line.use)
    _check_not_frozen(line)
    if line.total != (0 if line.entry.get("unlimited") else cost):
        wrong("violation", f"{line} holds {line.total} for {cost}")
    if line.total > books.available:
        wrong("made", f"{line} holds more than is available")


def _capture(line: Line) -> None:
    """Check that a capture is for the request, and exceeds the hold only if that was requested."""
    asked, use, cost = line.asked, line.use, line.entry["cost"]
    hold = line.books.holds_before.get(line.entry["hold_id"])
    if hold is None:
        wrong("double", f"{line} captures what is not held")
    held_for = line.books.features[line.entry["hold_id"]]
    only = only_feature(held_for)
    if is_priced(use):
        feature = use.get("feature", only)
        if feature is None or feature not in held_for:
            wrong("violation", f"{line} is for {feature}, but the hold for {held_for}")
        _check_price(line, {**use, "feature": feature})
    else:
        if cost != use.get("amount", hold.left):
            wrong("violation", f"{line} takes {cost}")
        _check_feature(line, only)
    excess = sum(one["cost"] for one in line.siblings) - hold.left
    is_free = line.entry.get("unlimited", False)
    if excess > 0:
        if asked.get("excess") != "available" or (hold.free and not is_free):
            wrong("made", f"{line} takes {excess} more than was held")
        _check_not_frozen(line)
    if cost <= 0:
        wrong("violation", f"{line} is for nothing")
    if line.amount != (0 if is_free or hold.free else -cost):
        wrong("violation", f"{line} takes {line.amount} for {cost}")


def _refund(line: Line) -> None:
    books, asked, cost = line.books, line.asked, line.entry["cost"]
    of = line.entry["refunds"]
    taken = books.by_id.get(of)
    if taken is None or taken["type"] != "usage":
        wrong("made", f"{line} returns credits that were never taken")
    books.refunded[of] += cost
    total = books.refunded[of]
    if total > taken["cost"]:
        wrong("double", f"{line}: {total} were returned of {taken['cost']}")
    if books.refunded_totals.get(of) != total:
        wrong("violation", f"{line}: the refunded total is not {total}")
    if "amount" in asked and cost != asked["amount"]:
        wrong("violation", f"{line} returns {cost}")
    if "amount" not in asked and total != taken["cost"]:
        wrong("lost", f"{line} returns less than everything")
    if line.amount != (cost if taken["amount"] else 0):
        wrong("violation", f"{line} moves {line.amount} for {cost}")


def _adjustment(line: Line) -> None:
    asked = line.asked
    if "action" not in asked:
        return
    wanted = {
        "add": asked["amount"],
        "deduct": -asked["amount"],
        "set": asked["amount"] - line.books.balance,
    }[asked["action"]]
    if line.amount != wanted:
        wrong("violation", f"{line} moves {line.amount}, not {wanted}")


def _signup(line: Line) -> None:
    if line.books.entries:
        wrong("double", f"{line}: the account has sign-up credits")
    if line.amount != line.facts.signup_credits:
        wrong("violation", f"{line} brings {line.amount}")


def _purchase(line: Line) -> None:
    payment, is_back, _ = line.entry_id.partition(":restored:")
    if is_back:
        line.facts.clawed[payment] -= line.amount
        return
    data = line.asked["data"]
    line.facts.paid(line, payment_of(data))
    line.facts.bought[payment] = data["credits"]
    if line.amount != data["credits"]:
        wrong("violation", f"{line} brings {line.amount}")


def _clawback(line: Line) -> None:
    of = clawed_back(line.entry)
    if of in line.facts.bought:
        line.facts.clawed[of] -= line.amount
    elif of not in line.books.terms.by_name:
        wrong("made", f"{line} takes back what was never brought")


RULES: dict[str, Callable[[Line], None]] = {
    "usage": _usage,
    "hold": _hold,
    "refund": _refund,
    "admin_grant": _adjustment,
    "promo": _adjustment,
    "referral": _adjustment,
    "admin_deduct": _adjustment,
    "signup": _signup,
    "purchase": _purchase,
    "clawback": _clawback,
}
