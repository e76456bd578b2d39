"""What the API answers. Credits are whole numbers, instants are aware and in UTC.

Types of entries, kinds of grants and states are plain strings: a newer Scrip may have more of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - `read` looks types up at run time
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Period:
    """A period, half-open."""

    start: datetime
    end: datetime


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A bucket of credits, and what is left of it."""

    grant_id: str
    kind: str
    amount: int
    remaining: int
    priority: int
    granted_at: datetime
    expires_at: datetime | None
    source: str


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What an account has. `available` is what can be spent: the balance less what is held."""

    account_id: str
    balance: int
    available: int
    held: int
    debt: int
    unlimited: bool


@dataclass(frozen=True, kw_only=True)
class Account(Balance):
    """An account as it is now. `used` counts in the period, the totals since the beginning."""

    status: str
    plan_id: str
    subscription_status: str | None
    period: Period
    used: int
    granted_total: int
    consumed_total: int
    grants: tuple[Grant, ...]


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What a use would cost, and whether it would be allowed."""

    cost: int
    feature_version: int | None
    available: int
    shortfall: int
    unlimited: bool
    allowed: bool


@dataclass(frozen=True, kw_only=True)
class Allocation:
    """Credits of an entry that came from or went to one grant."""

    grant_id: str
    amount: int


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who made a change. A user's token sees no id."""

    type: str
    id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One immutable line of the ledger. `amount` is negative where credits left.

    `expired` of the credits that a release gave back expired at once, by the entry that follows.
    """

    entry_id: str
    seq: int
    type: str
    amount: int
    balance_after: int
    held_after: int
    debt_after: int
    unlimited: bool
    allocations: tuple[Allocation, ...]
    feature: str | None
    quantity: int | None
    cost: int | None
    feature_version: int | None
    reason: str | None
    reference: str | None
    metadata: dict[str, Any] | None = field(hash=False)
    actor: Actor
    source: str | None
    refunds: str | None
    hold_id: str | None
    expires_at: datetime | None
    expired: int | None = None
    recorded_at: datetime
    effective_at: datetime
    previous_hash: str
    hash: str


@dataclass(frozen=True, kw_only=True)
class OneEntry(Entry):
    """An entry with the credits of it that have been refunded."""

    refunded: int


@dataclass(frozen=True, kw_only=True)
class Posting:
    """The entry that a call wrote, and the account after it.

    `replayed`: an earlier call with the same key wrote it, and this is its answer again.
    """

    entry: Entry
    account: Balance
    replayed: bool


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The entries that a batch of uses wrote, in its order, and the account after the last."""

    entries: tuple[Entry, ...]
    account: Balance
    replayed: bool


@dataclass(frozen=True, kw_only=True)
class Held:
    """Credits that are set aside; `left` of them can still be captured.

    On an unlimited plan `amount` is 0, and `left` may be used for nothing. `expires_at` is None for
    what a dispute of a payment has set aside. `opened_by` is "user", "service" or "webhook".
    """

    hold_id: str
    opened_by: str = "service"
    amount: int
    left: int
    feature: str | None
    expires_at: datetime | None
    allocations: tuple[Allocation, ...]


@dataclass(frozen=True, kw_only=True)
class HoldPosting(Posting):
    """A hold as it was opened, its entry, and the account after it."""

    hold: Held


@dataclass(frozen=True, kw_only=True)
class HoldState:
    """A hold as it is now, and its account. What was done wrote no entry."""

    hold: Held
    account: Balance


@dataclass(frozen=True, kw_only=True)
class Holds:
    """The holds that are open now, in the order in which they were opened."""

    holds: tuple[Held, ...]


@dataclass(frozen=True, kw_only=True)
class Rollover:
    """What of an unspent allowance outlives its period."""

    max: int
    periods: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an account gets every period."""

    plan_id: str
    name: str
    monthly_credits: int
    unlimited: bool
    rollover: Rollover | None
    overdraft_limit: int
    limits: dict[str, int] = field(hash=False)
    version: int


@dataclass(frozen=True, kw_only=True)
class Feature:
    """What a use costs: `cost` credits for each `per` units, rounded up."""

    feature_id: str
    name: str
    cost: int
    per: int
    unit: str
    version: int

    def price(self, quantity: int) -> int:
        """Return the credits that a use of so many units costs."""
        return -(-quantity * self.cost // self.per)


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The active plans and features, by id."""

    plans: tuple[Plan, ...]
    features: tuple[Feature, ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """Entries, newest first. A page may be short before the end, which is `cursor` None."""

    entries: tuple[Entry, ...]
    cursor: str | None
