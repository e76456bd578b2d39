"""Rules: what an entry of each type may say, given who asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.facts import payment_clawed_back, payment_of
from tests.simulation.findings import wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.books import Line

BY_ITSELF = {"signup", "plan", "rollover", "expiry", "debt_settled"}
"""The entries that nobody asks for."""


def check_request(line: Line) -> None:
    """Every entry has somebody who asked for it, once."""
    reference, step, facts = line.entry.get("reference"), line.step, line.facts
    if reference is None:
        if line.type not in BY_ITSELF:
            wrong("made", f"nobody asked for {line}")
        return
    if step is None or step.account_id not in {None, line.books.account_id}:
        wrong("made", f"{line}: {reference} did not ask for it")
    if step.kind == "message":
        return
    # To repeat a change of quota after another one is to change it back.
    if reference in facts.effects and step.kind != "quota":
        wrong("double", f"{reference} took effect twice: {facts.effects[reference]}, {line}")
    facts.effects[reference] = line.entry_id
    if step.key is not None and line.entry_id != step.key:
        wrong("violation", f"{line} is not named {step.key}")
    if line.type not in step.writes:
        wrong("violation", f"{line} is no {step.kind}")


def check_amount(line: Line) -> None:
    """How much an entry moves follows from what was asked for."""
    if (rule := RULES.get(line.type)) is not None:
        rule(line)


def _usage(line: Line) -> None:
    cost, image = line.entry["cost"], line.books.image
    if cost != (price := line.facts.price(line)):
        wrong("violation", f"{line} costs {cost}, not {price}")
    if line.amount != (0 if line.entry.get("unlimited") else -cost):
        wrong("violation", f"{line} takes {line.amount} for {cost}")
    if image is not None and image.get("status") == "frozen":
        wrong("violation", f"{line}: the account is frozen")


def _refund(line: Line) -> None:
    books, asked, cost = line.books, line.asked, line.entry["cost"]
    of = line.entry["refunds"]
    taken = books.by_id.get(of)
    if taken is None or taken["type"] != "usage":
        wrong("made", f"{line} gives back what was never taken")
    books.refunded[of] += cost
    total = books.refunded[of]
    if total > taken["cost"]:
        wrong("double", f"{line}: {total} were given back of {taken['cost']}")
    if books.refunded_totals.get(of) != total:
        wrong("violation", f"{line}: the refunded total is another than {total}")
    if "amount" in asked and cost != asked["amount"]:
        wrong("violation", f"{line} gives back {cost}")
    if "amount" not in asked and total != taken["cost"]:
        wrong("lost", f"{line} gives back less than all")
    if line.amount != (0 if taken.get("unlimited") else cost):
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
        wrong("double", f"{line}: there was a sign-up before")
    if line.amount != line.facts.signup_credits:
        wrong("violation", f"{line} brings {line.amount}")


def _purchase(line: Line) -> None:
    data = line.asked["data"]
    line.facts.paid(line, payment_of(data))
    if line.amount != data["credits"]:
        wrong("violation", f"{line} brings {line.amount}")


def _clawback(line: Line) -> None:
    payment, facts = payment_clawed_back(line.entry), line.facts
    facts.clawed[payment] -= line.amount
    if facts.clawed[payment] > facts.to_claw_back(payment):
        wrong("lost", f"{line} takes more than the money that went back had bought")


RULES: dict[str, Callable[[Line], None]] = {
    "usage": _usage,
    "refund": _refund,
    "admin_grant": _adjustment,
    "promo": _adjustment,
    "referral": _adjustment,
    "admin_deduct": _adjustment,
    "signup": _signup,
    "purchase": _purchase,
    "clawback": _clawback,
}
