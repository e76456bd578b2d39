"""The model's books: of each account a list of entries and a dictionary of grants."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from simulation.holds import End, Hold, Parts
from simulation.plain import entry_id, month

if TYPE_CHECKING:
    from simulation.facts import Facts
    from simulation.traffic import Step

PRIORITY = {
    "rollover": 10, "plan": 20, "signup": 30, "promo": 30, "referral": 30, "admin": 40,
    "refund": 40, "purchase": 50,
}  # fmt: skip
"""Which kinds of grant are spent first: those with the lowest number."""


class Books:
    """What the model knows of one account. `image` is its item as it was written last."""

    def __init__(self, account_id: str) -> None:
        """Begin with nothing."""
        self.account_id = account_id
        self.entries: list[dict[str, Any]] = []
        self.by_id: dict[str, dict[str, Any]] = {}
        self.grants: dict[str, dict[str, Any]] = {}
        self.image: dict[str, Any] | None = None
        self.balance = self.debt = self.held = 0
        self.holds: dict[str, Hold] = {}
        self.holds_before: dict[str, Hold] = {}
        """The open holds now, and before the posting that is being written."""
        self.openers: dict[str, str] = {}
        """Who opened each hold: a user, a service (or an admin), or a webhook."""
        self.bounds: dict[str, float] = {}
        """When each hold ends at the latest, whatever extends it."""
        self.opened: dict[str, float] = {}
        self.hold_ends: dict[str, End] = {}
        """When each hold was opened, in seconds, and how each of them ended."""
        self.ended_by: dict[str, str] = {}
        """Which entry ended each hold, as the items of the table say."""
        self.retired: dict[str, dict[str, Any]] = {}
        """The grants that have left the account's item, as items of their own say."""
        self.late: dict[str, int] = {}
        self.rollover_bound = 0
        """What of each hold still rolls over when it ends, and how much may have rolled over."""
        self.left: dict[str, dict[str, Any]] = {}
        """The account as each entry's posting left it, as callers are told of it."""
        self.lives: dict[str, list[tuple[float, float]]] = defaultdict(list)
        """Since when (seconds) each hold was to end when (milliseconds)."""
        self.now = 0.0
        self.granted = self.consumed = 0
        self.hash = bytes(32)
        self.refunded: Counter[str] = Counter()
        self.refunded_totals: dict[str, int] = {}
        """By the usage entry: what its refunds add up to, and what its item of the table says."""
        self.clawed_into_debt = 0
        self.periods: set[int] = set()
        self.anchor: int | None = None
        self.is_billed = False
        """Whether payments move its periods, or have moved them once."""
        self.crossings: set[tuple[str, int]] = set()
        self.balances: list[tuple[float, int, float]] = []
        """Since when it had which balance, and until when time alone would not change it."""

    @property
    def available(self) -> int:
        """What can be spent."""
        return self.balance - self.held

    @property
    def spendable(self) -> int:
        """What is left in its grants."""
        return sum(grant["remaining"] for grant in self.grants.values())

    def held_of(self, grant_id: str) -> int:
        """Return how much of a grant is held."""
        parts = (part for hold in self.holds.values() for part in hold.parts)
        return sum(amount for name, amount in parts if name == grant_id)

    def ends_since(self, hold_id: str, since: float) -> list[float]:
        """Return when a hold was to end (milliseconds), each time it was written from `since` on.

        With what stood then.
        """
        lives = self.lives[hold_id]
        first = max((n for n, (at, _) in enumerate(lives) if at <= since), default=0)
        return [ends_at for _, ends_at in lives[first:]]

    def end(self, hold_id: str, by: str | None) -> None:
        """Take that a hold has ended by an entry, or by itself."""
        del self.holds[hold_id]
        self.hold_ends[hold_id] = End(by, self.now)

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self.image is not None and self.image.get("status") == "closed"

    @property
    def period_end(self) -> float:
        """The end of the period that it was left in."""
        if self.anchor is None or self.image is None:
            return inf
        return month(self.anchor, self.image["period"] + 1)

    def in_spending_order(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the grants that have credits, those that are spent first first."""
        return sorted(
            ((name, grant) for name, grant in self.grants.items() if grant["remaining"]),
            key=lambda one: (
                PRIORITY[one[1]["kind"]],
                one[1]["expires_at"],
                one[1]["granted_at"],
                int(one[0].removeprefix("g")),
            ),
        )


@dataclass(slots=True, eq=False)
class Line:
    """An entry that is being written, and what there is beside it.

    `posting` are all entries of the transaction, `image` is the account's item after it, `step`
    who asked for it, None when nobody did.
    """

    entry: dict[str, Any]
    posting: list[dict[str, Any]]
    image: dict[str, Any]
    books: Books
    facts: Facts
    step: Step | None

    def __str__(self) -> str:
        """Tell which entry it is."""
        return f"entry {self.entry_id} ({self.type}) of {self.books.account_id}"

    @property
    def entry_id(self) -> str:
        """The name of the entry."""
        return entry_id(self.entry)

    @property
    def type(self) -> str:
        """The type of the entry."""
        return str(self.entry["type"])

    @property
    def ends_hold_by_itself(self) -> bool:
        """Whether it says that a hold ended because its time was over."""
        is_named = self.entry_id == f"release:{self.entry.get('hold_id')}"
        return self.type == "release" and is_named and "reference" not in self.entry

    @property
    def amount(self) -> int:
        """The credits by which the entry changes the balance."""
        return int(self.entry["amount"])

    @property
    def moved(self) -> Parts:
        """The grants that it moves credits in or out of, and how many."""
        return [(one["grant_id"], one["amount"]) for one in self.entry.get("allocations", ())]

    @property
    def total(self) -> int:
        """The credits that it moves in or out of grants."""
        return sum(one["amount"] for one in self.entry.get("allocations", ()))

    @property
    def asked(self) -> dict[str, Any]:
        """What was asked for."""
        return self.step.asked[self.entry["reference"]] if self.step else {}
