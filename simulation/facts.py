"""What the model knows besides the accounts: requests, the catalog, and payments."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import inf, prod
from typing import TYPE_CHECKING, Any

from simulation.findings import wrong
from simulation.plain import entry_id
from simulation.terms import shares
from simulation.traffic import email_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from fractions import Fraction

    from simulation.books import Line
    from simulation.traffic import Step

CATALOG_STALE = 31_000
"""For how many milliseconds a process may use an old price."""

PAYMENT = "standard:payment:"
"""The prefix of payment IDs."""


class Facts:
    """Steps by the reference of their entries, and their effects."""

    def __init__(self, steps: Iterable[Step], signup_credits: int) -> None:
        """Index the steps."""
        self.steps: dict[str, Step] = {}
        self.askers: dict[str, set[tuple[bool, str | None]]] = defaultdict(set)
        """By reference: whether a user's token asks, and the entry ID that the key gives."""
        self.extensions: dict[tuple[str | None, str], list[Step]] = defaultdict(list)
        """The steps that extend a hold, by account and hold."""
        for step in steps:
            self.know(step)
        self.signup_credits = signup_credits
        self.now = 0.0
        self.effects: dict[str, str] = {}
        """The entry that each step wrote."""
        self.catalog: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        """The versions of each plan and feature, each with its start."""
        self.payments: dict[str, str] = {}
        """The account that each payment went to."""
        self.clawed: Counter[str] = Counter()
        self.bought: dict[str, int] = {}
        """What was taken back of each payment that bought credits, and how many it bought."""
        self.money: dict[str, dict[str, Any]] = {}
        """What is known of each payment's money, from the table's item."""
        self.welcomed: dict[str, str] = {}
        """The account that received the sign-up credits of each mailbox."""

    def know(self, step: Step) -> None:
        """Add a step. Of several with the same reference, the first is kept."""
        for reference in step.references:
            self.steps.setdefault(reference, step)
            self.askers[reference].add((step.by_user, step.name))
        if step.kind == "extend":
            self.extensions[step.account_id, step.hold_id].append(step)

    def asked_by_users(self, reference: str) -> set[bool]:
        """Return whether users, others or both use a reference."""
        return {by_user for by_user, _ in self.askers[reference]}

    def is_shared(self, step: Step) -> bool:
        """Return whether other steps ask for the same under keys of their own."""
        return len(self.askers[step.reference]) > 1

    # ---- The catalog -----------------------------------------------------------------------------

    def edited(self, key: str, item: dict[str, Any]) -> None:
        """Add a version of a plan or a feature, which must follow the latest one."""
        versions = self.catalog[key]
        if item["version"] != (versions[-1][1]["version"] + 1 if versions else 1):
            wrong("violation", f"{key}: an edit was lost under version {item['version']}")
        versions.append((int(self.now * 1000), item))

    def plan(self, plan_id: str) -> dict[str, Any]:
        """Return a plan, which nobody edits."""
        [(_, plan)] = self.catalog[f"PLAN#{plan_id}"]
        return plan

    def rollover_max(self, plan_id: str) -> int:
        """Return how many credits may roll over together on a plan."""
        return int(self.plan(plan_id).get("rollover", {"max": 0})["max"])

    def price(self, line: Line, asked: dict[str, Any]) -> int:
        """Return the price of an entry's use by the feature version that it names."""
        if "amount" in asked:
            return int(asked["amount"])
        versions = self.catalog[f"FEATURE#{asked['feature']}"]
        version = line.entry["feature_version"]
        n, (since, feature) = next(
            (n, one) for n, one in enumerate(versions) if one[1]["version"] == version
        )
        until = versions[n + 1][0] if n + 1 < len(versions) else inf
        if not since <= self.now * 1000 < until + CATALOG_STALE:
            wrong("violation", f"{line} uses version {version} of its price")
        prices = feature.get("meters") or {"quantity": feature}
        used = asked.get("usage") or {"quantity": asked.get("quantity", 1)}
        if not used.keys() <= prices.keys():
            wrong("made", f"{line} is for what has no price")
        if "usage" in asked:
            self._check_kept(line, used, prices)
        # The sum over a common denominator, rounded up.
        whole = prod(prices[meter].get("per", 1) for meter in used)
        exact = sum(
            count * prices[meter]["cost"] * (whole // prices[meter].get("per", 1))
            for meter, count in used.items()
        )
        return int(-(-exact // whole))

    def _check_kept(self, line: Line, used: dict[str, int], prices: dict[str, Any]) -> None:
        """Check that an entry has what was used and each price, so that it explains itself."""
        kept = line.entry.get("usage"), line.entry.get("price")
        # A price per 1 is stored without saying so.
        known = {
            meter: {k: n for k, n in prices[meter].items() if (k, n) != ("per", 1)}
            for meter in used
        }
        if kept != (used, known):
            wrong("violation", f"{line} keeps {kept}")

    def monthly_credits(self, image: dict[str, Any], plan_id: str, quantity: int = 1) -> int:
        """Return what a month of a plan brings: what an admin said, or what the plan says."""
        own = image.get("overrides", {}).get(plan_id, {}).get("monthly_credits")
        return int(self.plan(plan_id)["monthly_credits"] * quantity if own is None else own)

    def is_unlimited(self, plan_id: str) -> bool:
        """Return whether a plan is unlimited."""
        return bool(self.plan(plan_id).get("unlimited", False))

    def overdraft(self, plan_id: str) -> int:
        """Return the overdraft limit of a plan."""
        return int(self.plan(plan_id).get("overdraft_limit", 0))

    # ---- Mailboxes -------------------------------------------------------------------------------

    def opened(self, account_id: str, *, with_credits: bool, is_noted: bool) -> None:
        """Check that only the first account of a mailbox receives sign-up credits."""
        local, _, domain = email_of(account_id).partition("@")
        mailbox = f"{local.partition('+')[0]}@{domain}"
        first = self.welcomed.setdefault(mailbox, account_id)
        if with_credits and first != account_id:
            wrong("double", f"{account_id} got sign-up credits; {first} of {mailbox} has them")
        if not with_credits and first == account_id:
            wrong("lost", f"{account_id}, the first of {mailbox}, got no sign-up credits")
        if with_credits and not is_noted:
            wrong("violation", f"the sign-up credits of {mailbox} were not recorded")

    # ---- Payments --------------------------------------------------------------------------------

    def messages(self, payment: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield type and data of all messages, or of those about one payment."""
        for step in self.steps.values():
            if step.kind == "message":
                data = step.body["data"]
                if not payment or payment_of(data) == payment:
                    yield step.body["type"], data

    def paid(self, line: Line, payment: str) -> None:
        """Note that a payment's credits were granted."""
        if payment in self.payments:
            wrong("double", f"{line}: {self.payments[payment]} has the payment, too")
        self.payments[payment] = line.books.account_id

    def said(self, payment: str) -> dict[str, Any]:
        """Return what all messages say of a payment's money, as the table's item would."""
        known: dict[str, Any] = {"charges": {"-": {"total": 0}}, "refunds": {}, "disputes": {}}
        for type_, data in self.messages(payment):
            if type_ in {"credits.purchased", "subscription.renewed"}:
                known["money"] = data["money"]
            elif "total" in data:
                charge = known["charges"]["-"]
                charge["total"] = max(charge["total"], data["total"])
            elif type_ == "payment.refunded":
                said = known["refunds"].setdefault(data["refund_id"], {"status": "pending"})
                status = max(said["status"], data["status"], key=STATUSES.index)
                said |= {"money": max(data["money"], said.get("money", 0)), "status": status}
            elif type_ == "payment.disputed":
                said = known["disputes"].setdefault(data["dispute_id"], {"outcome": "open"})
                outcome = max(said["outcome"], data["outcome"], key=OUTCOMES.index)
                said |= {"money": max(data["money"], said.get("money", 0)), "outcome": outcome}
        return known

    def back(self, payment: str) -> Fraction:
        """Return which part of a payment's money went back, as far as it was heard of."""
        return shares(self.money[payment])[0]


STATUSES = ("pending", "succeeded", "failed")
OUTCOMES = ("open", "lost", "won")
"""The states of refunds and disputes; the later ones replace the earlier ones."""


def payment_of(data: dict[str, Any]) -> str:
    """Return the ID of the payment in a message."""
    return f"{PAYMENT}{data.get('payment_id')}"


def clawed_back(entry: dict[str, Any]) -> str:
    """Return what a clawback takes credits back of: a payment, or a term."""
    return entry_id(entry).partition(":clawback:")[0]
