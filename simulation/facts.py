"""What the model knows beside the accounts: who asked for what, the catalog, and the payments."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import inf
from typing import TYPE_CHECKING, Any

from simulation.findings import wrong
from simulation.plain import entry_id
from simulation.traffic import email_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from simulation.books import Line
    from simulation.traffic import Step

CATALOG_STALE = 31_000
"""Milliseconds for which a process may go by an old price."""

PAYMENT = "standard:payment:"
"""What the names of payments begin with."""


class Facts:
    """Steps by the reference that their entries carry, and what has come of them."""

    def __init__(self, steps: Iterable[Step], signup_credits: int) -> None:
        """Know who asks for what."""
        self.steps: dict[str, Step] = {}
        self.askers: dict[str, set[tuple[bool, str | None]]] = defaultdict(set)
        """Who asks for each thing: a user's token or another, and the name that their key gives."""
        self.extensions: dict[tuple[str | None, str], list[Step]] = defaultdict(list)
        """What asks to extend a hold of an account."""
        for step in steps:
            self.know(step)
        self.signup_credits = signup_credits
        self.now = 0.0
        self.effects: dict[str, str] = {}
        """The entry that each step has written."""
        self.catalog: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        """What each plan and feature has been, and since when."""
        self.payments: dict[str, str] = {}
        """The account that each payment went to."""
        self.clawed: Counter[str] = Counter()
        self.welcomed: dict[str, str] = {}
        """The account that got the sign-up credits of each mailbox."""

    def know(self, step: Step) -> None:
        """Know of a step. Of several that ask for the same, the first."""
        for reference in step.asked:
            self.steps.setdefault(reference, step)
            self.askers[reference].add((step.by_user, step.name))
        if step.kind == "extend":
            self.extensions[step.account_id, step.hold_id].append(step)

    def asked_by_users(self, reference: str) -> set[bool]:
        """Tell for each who asks for a thing whether it is a user's token."""
        return {by_user for by_user, _ in self.askers[reference]}

    def is_shared(self, step: Step) -> bool:
        """Tell whether others ask for the same, under a key of their own."""
        return len(self.askers[step.reference]) > 1

    # ---- The catalog -----------------------------------------------------------------------------

    def edited(self, key: str, item: dict[str, Any]) -> None:
        """Take what a plan or a feature is from now on: an edit of what it was just before."""
        versions = self.catalog[key]
        if item["version"] != (versions[-1][1]["version"] + 1 if versions else 1):
            wrong("violation", f"{key}: an edit was lost under version {item['version']}")
        versions.append((int(self.now * 1000), item))

    def rollover_max(self, plan_id: str) -> int:
        """Return how many credits may roll over together on a plan."""
        rollover = self.catalog[f"PLAN#{plan_id}"][-1][1].get("rollover", {"max": 0})
        return int(rollover["max"])

    def price(self, line: Line, asked: dict[str, Any]) -> int:
        """Return what the use that an entry is of costs, by the version that it names."""
        if "amount" in asked:
            return int(asked["amount"])
        versions = self.catalog[f"FEATURE#{asked['feature']}"]
        version = line.entry["feature_version"]
        n, (since, feature) = next(
            (n, one) for n, one in enumerate(versions) if one[1]["version"] == version
        )
        until = versions[n + 1][0] if n + 1 < len(versions) else inf
        if not since <= self.now * 1000 < until + CATALOG_STALE:
            wrong("violation", f"{line} goes by version {version} of its price")
        cost: int = -(-asked.get("quantity", 1) * feature["cost"] // feature["per"])
        return cost

    def allowances(self, quota: dict[str, Any]) -> set[int]:
        """Return what a quota may bring a month: its own, or what its plan says or said."""
        if quota.get("monthly_credits") is not None:
            return {quota["monthly_credits"]}
        return {plan["monthly_credits"] for _, plan in self.catalog[f"PLAN#{quota['plan_id']}"]}

    def is_unlimited(self, plan_id: str) -> bool:
        """Tell whether a plan gives use for nothing."""
        return bool(self.catalog[f"PLAN#{plan_id}"][-1][1].get("unlimited", False))

    def overdraft(self, plan_id: str) -> int:
        """Return what a plan lends, or once lent."""
        lent = (plan.get("overdraft_limit", 0) for _, plan in self.catalog[f"PLAN#{plan_id}"])
        return max(map(int, lent))

    # ---- Mailboxes -------------------------------------------------------------------------------

    def opened(self, account_id: str, *, with_credits: bool, is_noted: bool) -> None:
        """Take that an account was opened: only the first of its mailbox has sign-up credits."""
        local, _, domain = email_of(account_id).partition("@")
        mailbox = f"{local.partition('+')[0]}@{domain}"
        first = self.welcomed.setdefault(mailbox, account_id)
        if with_credits and first != account_id:
            wrong("double", f"{account_id} is welcomed, and {first} of {mailbox} was")
        if not with_credits and first == account_id:
            wrong("lost", f"{account_id}, the first of {mailbox}, is not welcomed")
        if with_credits and not is_noted:
            wrong("violation", f"nothing says that {mailbox} was welcomed")

    # ---- Payments --------------------------------------------------------------------------------

    def messages(self, payment: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield type and data of the messages, or of those that tell of one payment."""
        for step in self.steps.values():
            if step.kind == "message":
                data = step.body["data"]
                if not payment or payment_of(data) == payment:
                    yield step.body["type"], data

    def paid(self, line: Line, payment: str) -> None:
        """Take that a payment has brought its credits."""
        if payment in self.payments:
            wrong("double", f"{line}: {self.payments[payment]} has it, too")
        self.payments[payment] = line.books.account_id

    def to_claw_back(self, payment: str) -> int:
        """Return the credits that the money which went back had bought, as far as anybody told."""
        bought: dict[str, Any] = {}
        total, lost = 0, {}
        for type_, data in self.messages(payment):
            if type_ == "credits.purchased":
                bought = bought or data
            elif type_ == "payment.refunded":
                total = max(total, data["total"])
            elif type_ == "payment.disputed" and data["outcome"] == "lost":
                lost[data["dispute_id"]] = data["money"]
        back = min(total + sum(lost.values()), bought["money"])
        return int(bought["credits"] * back // bought["money"])


def payment_of(data: dict[str, Any]) -> str:
    """Return the name of the payment that a message tells of."""
    return f"{PAYMENT}{data.get('payment_id')}"


def payment_clawed_back(entry: dict[str, Any]) -> str:
    """Return the name of the payment that a clawback is of."""
    return entry_id(entry).partition(":clawback:")[0]
