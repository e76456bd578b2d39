"""The model's books: for each account a list of entries and a dictionary of grants."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulation.holds import End, Hold, Parts
from simulation.plain import entry_id, milliseconds, month_at
from simulation.terms import Term, Terms

if TYPE_CHECKING:
    from simulation.facts import Facts
    from simulation.traffic import Step

PRIORITY = {
    "rollover": 10, "plan": 20, "signup": 30, "promo": 30, "referral": 30, "admin": 40,
    "refund": 40, "purchase": 50,
}  # fmt: skip
"""The order in which kinds of grant are spent, lowest first."""


@dataclass
class Lot:
    """What became of the allowance of one month, of a term or of the account's own plan.

    `due` is what it should have brought, less what should have gone back, after the last posting.
    Of that posting's entries, `granted` brought credits, of which `again` are some that it had
    brought before, and `taken` took some out of its grants.
    `expired` is what expired unspent and did not roll over, of which `silent` was returned since:
    no entry says that again. `owed` was spent and became debt when it was returned. `allowance` is
    what a whole month brings.
    """

    due: int = 0
    granted: int = 0
    again: int = 0
    taken: int = 0
    expired: int = 0
    silent: int = 0
    owed: int = 0
    allowance: int = 0
    is_known: bool = False


@dataclass
class Clawback:
    """What a posting took back of one term: what became debt, and of each month what then was left.

    `expired` and `left` are what had expired, and what was left in grants, by the month's name.
    """

    owed: int = 0
    expired: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)


class Books:
    """What the model knows of one account. `image` is its item as last written."""

    def __init__(self, account_id: str) -> None:  # noqa: PLR0915 - a line for each thing to know
        """Start empty."""
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
        """Who opened each hold: a user, a service (which includes admins), or a webhook."""
        self.features: dict[str, list[str | None]] = {}
        """What each hold was opened for: the feature of each line, None for an amount."""
        self.bounds: dict[str, float] = {}
        """The latest end of each hold, whatever extends it."""
        self.opened: dict[str, float] = {}
        self.hold_ends: dict[str, End] = {}
        """When each hold was opened, in seconds, and how each of them ended."""
        self.ended_by: dict[str, str] = {}
        """The entry that ended each hold, according to the table's items."""
        self.retired: dict[str, dict[str, Any]] = {}
        """The grants that have left the account's item, from their own items."""
        self.late: dict[str, int] = {}
        self.rollover_bound = 0
        """How much of each hold still rolls over when it ends, and the limit of all rollovers."""
        self.left: dict[str, dict[str, Any]] = {}
        """The account after each entry's posting, as responses show it."""
        self.lives: dict[str, list[tuple[float, float]]] = defaultdict(list)
        """Each hold's ends (milliseconds), each with the time when it was set (seconds)."""
        self.now = 0.0
        self.granted = self.consumed = 0
        self.hash = bytes(32)
        self.refunded: Counter[str] = Counter()
        self.refunded_totals: dict[str, int] = {}
        """By usage entry: the sum of its refunds, and the total in the table's item."""
        self.clawed_into_debt = 0
        self.lines: list[Term] = []
        """What was paid for, as far as it was heard of."""
        self.terms = self.terms_before = Terms()
        """What that brings, as known now and as known before the last posting."""
        self.lots: dict[str, Lot] = defaultdict(Lot)
        """By the name of a term and the number of its month, or by when a period began."""
        self.clawbacks: dict[str, Clawback] = {}
        """What the posting that is being written takes back of each term."""
        self.covered = 0
        """How much of what went back counts as spent of other terms instead of as owed."""
        self.anchor: int | None = None
        self.at: float = 0
        """When the last posting was decided."""
        self.plans: set[str] = set()
        """The plans that may have shown then."""
        self.has_same_terms = False
        """Whether nothing was heard of what was paid for since the posting before."""
        self.is_unlimited = self.stays_unlimited = False
        """Whether an unlimited plan was in force then, and all the time since the one before."""
        self.crossings: set[tuple[str, int]] = set()
        self.balances: list[tuple[float, int, float]] = []
        """Its balances: when each began, and the time until which only a posting changes it."""
        self.shown: list[set[str]] = []
        """The plans that it was on from each of those times on."""

    @property
    def available(self) -> int:
        """The credits that can be spent."""
        return self.balance - self.held

    @property
    def spendable(self) -> int:
        """The credits that are left in its grants."""
        return sum(grant["remaining"] for grant in self.grants.values())

    def held_of(self, grant_id: str) -> int:
        """Return how much of a grant is held."""
        parts = (part for hold in self.holds.values() for part in hold.parts)
        return sum(amount for name, amount in parts if name == grant_id)

    def ends_since(self, hold_id: str, since: float) -> list[float]:
        """Return the ends (milliseconds) that a hold had at `since` and has had after it."""
        lives = self.lives[hold_id]
        first = max((n for n, (at, _) in enumerate(lives) if at <= since), default=0)
        return [ends_at for _, ends_at in lives[first:]]

    def end(self, hold_id: str, by: str | None) -> None:
        """Note that a hold ended, by an entry or by itself."""
        del self.holds[hold_id]
        self.hold_ends[hold_id] = End(by, self.now)

    @property
    def is_closed(self) -> bool:
        """Whether the account is closed."""
        return self.image is not None and self.image.get("status") == "closed"

    @property
    def is_billed(self) -> bool:
        """Whether anything was paid for."""
        return bool(self.lines)

    def lot_of(self, grant_id: str) -> str | None:
        """Return the month that a grant's credits come from, even if they rolled over."""
        source = str(self.grants[grant_id].get("source", "")).removeprefix("rollover:")
        if source.startswith("period:"):
            return f"period:{milliseconds(source.removeprefix('period:'))}"
        return source if source.rpartition(":")[0] in self.terms.by_name else None

    def left_of(self, lot_id: str) -> int:
        """Return what is left in the grants of a month."""
        return sum(
            grant["remaining"] for name, grant in self.grants.items() if self.lot_of(name) == lot_id
        )

    def base_plan(self, image: dict[str, Any]) -> str:
        """Return the plan that the account is on by itself."""
        return str(image.get("given_plan_id") or image["plan_id"])

    def is_on_base_plan(self, image: dict[str, Any], now: float) -> bool:
        """Return whether that plan is in force: one that an admin gave always is."""
        return "given_plan_id" in image or not self.terms.in_force(now)

    def period_at(self, now: float) -> int:
        """Return the number of the month that an instant is in, counted from the anchor."""
        assert self.anchor is not None
        return month_at(self.anchor, now)

    def in_spending_order(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the grants that have credits, in the order of spending."""
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
    """An entry that is being written, and its context.

    `posting` has all entries of the transaction, `image` is the account's item after it, and
    `step` is the request, None if there was none.
    """

    entry: dict[str, Any]
    posting: list[dict[str, Any]]
    image: dict[str, Any]
    books: Books
    facts: Facts
    step: Step | None

    def __str__(self) -> str:
        """Return a label for findings."""
        return f"entry {self.entry_id} ({self.type}) of {self.books.account_id}"

    @property
    def entry_id(self) -> str:
        """The entry's ID."""
        return entry_id(self.entry)

    @property
    def type(self) -> str:
        """The entry's type."""
        return str(self.entry["type"])

    @property
    def ends_hold_by_itself(self) -> bool:
        """Whether it records that a hold expired."""
        is_named = self.entry_id == f"release:{self.entry.get('hold_id')}"
        return self.type == "release" and is_named and "reference" not in self.entry

    @property
    def amount(self) -> int:
        """By how many credits the entry changes the balance."""
        return int(self.entry["amount"])

    @property
    def moved(self) -> Parts:
        """The credits that it moves into or out of each grant."""
        return [(one["grant_id"], one["amount"]) for one in self.entry.get("allocations", ())]

    @property
    def total(self) -> int:
        """The credits that it moves into or out of grants, added up."""
        return sum(one["amount"] for one in self.entry.get("allocations", ()))

    @property
    def asked(self) -> dict[str, Any]:
        """The body of the request."""
        return self.step.body if self.step else {}

    @property
    def siblings(self) -> list[dict[str, Any]]:
        """The entries of its type that its request wrote, itself included, in their order."""
        references = self.step.references if self.step else [None]
        return [
            one
            for one in self.posting
            if one["type"] == self.type and one.get("reference") in references
        ]

    @property
    def number(self) -> int:
        """Its place among them."""
        return self.siblings.index(self.entry)

    @property
    def use(self) -> dict[str, Any]:
        """What the request says of the use that it is for."""
        return self.step.uses[self.number] if self.step else {}
