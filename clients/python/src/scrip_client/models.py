"""The API's answers. Credits are whole numbers; instants have the time zone UTC.

Entry types, grant kinds and statuses are plain strings: a newer Scrip may add some.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime  # noqa: TC003 - `read` resolves types at run time
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Period:
    """A period, from `start` (inclusive) to `end` (exclusive)."""

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
    """An account's credits. `available` can be spent: it is the balance less what is held."""

    account_id: str
    balance: int
    available: int
    held: int
    debt: int
    unlimited: bool


@dataclass(frozen=True, kw_only=True)
class Account(Balance):
    """An account. `used` counts within the period, the totals since the account was opened.

    `clock` is the time at which the account lives if that is not the present (stage dev only).
    """

    status: str
    plan_id: str
    subscription_status: str | None
    period: Period
    used: int
    granted_total: int
    consumed_total: int
    grants: tuple[Grant, ...]
    clock: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Change(Balance):
    """What time alone will do to an account at an instant, and the balance after it.

    `granted` are new credits, `expired` are lost ones, and `released` were held until then.
    `plan_id` is the plan from then on.
    """

    at: datetime
    begins_period: bool
    granted: int
    expired: int
    released: int
    plan_id: str


@dataclass(frozen=True, kw_only=True)
class Upcoming:
    """The next changes, the soonest first."""

    upcoming: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True)
class StatementLine:
    """What `count` entries of one type come to: `amount` is how much they changed the balance.

    `cost` is what uses cost and refunds gave back; on an unlimited plan only the `amount` is 0.
    Of day, feature, model and reference, a line has what the statement was asked for.
    """

    day: date | None = None
    feature: str | None = None
    model: str | None = None
    reference: str | None = None
    type: str
    count: int
    amount: int
    cost: int


@dataclass(frozen=True, kw_only=True)
class Statement:
    """What changed a balance from `from_` (inclusive) to `to` (exclusive)."""

    from_: datetime
    to: datetime
    balance_before: int
    balance_after: int
    lines: tuple[StatementLine, ...]


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
    """Who made a change. The id is None for a user's token."""

    type: str
    id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a meter costs: `cost` credits for every `per` that are counted."""

    cost: int
    per: int


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One immutable line of the ledger. `amount` is negative if credits left the account.

    `usage` is what a use counted of each meter, and `price` what each of them cost at that time.

    `expired` is how many of the credits that a release gave back expired at once; the next entry
    removes them.
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
    usage: dict[str, int] | None = field(default=None, hash=False)
    price: dict[str, Price] | None = field(default=None, hash=False)
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
    """An entry, and how many of its credits have been refunded."""

    refunded: int


@dataclass(frozen=True, kw_only=True)
class Posting:
    """The entry that a call wrote, the balance right before it, and the account after it.

    `replayed` means that an earlier call with the same key wrote the entry. An older Scrip does not
    send `balance_before`.
    """

    entry: Entry
    balance_before: int | None = None
    account: Balance
    replayed: bool


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The entries of a batch, in the order of its uses, and the account after the last one.

    `balance_before` is the balance right before the first. An older Scrip does not send it.
    """

    entries: tuple[Entry, ...]
    balance_before: int | None = None
    account: Balance
    replayed: bool


@dataclass(frozen=True, kw_only=True)
class Held:
    """A hold: credits that are set aside, of which `left` can still be captured.

    On an unlimited plan `amount` is 0, and `left` can be used free of charge. `expires_at` is None
    for credits that a payment dispute has set aside. `opened_by` is "user", "service" or "webhook".
    `features` are all that it was opened for; `feature` is None if it has several lines.
    """

    hold_id: str
    opened_by: str = "service"
    amount: int
    left: int
    feature: str | None
    features: tuple[str, ...] = ()
    expires_at: datetime | None
    allocations: tuple[Allocation, ...]


@dataclass(frozen=True, kw_only=True)
class CapturePosting(Posting):
    """The entries of a capture, one for each use; `entry` is the first. An older Scrip has one."""

    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HoldPosting(CapturePosting):
    """A new hold, its entries, the balance right before them, and the account after them."""

    hold: Held


@dataclass(frozen=True, kw_only=True)
class HoldState:
    """A hold and its account after a change that wrote no entry."""

    hold: Held
    account: Balance


@dataclass(frozen=True, kw_only=True)
class Holds:
    """The open holds, oldest first."""

    holds: tuple[Held, ...]


@dataclass(frozen=True, kw_only=True)
class Rollover:
    """How much of an unspent allowance is kept, and for how many periods."""

    max: int
    periods: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an account on the plan receives every period.

    `provider_ids` are its prices and products at billing providers; an older Scrip does not say.
    """

    plan_id: str
    name: str
    monthly_credits: int
    unlimited: bool
    rollover: Rollover | None
    overdraft_limit: int
    limits: dict[str, int] = field(hash=False)
    provider_ids: tuple[str, ...] = ()
    version: int


@dataclass(frozen=True, kw_only=True)
class Feature:
    """The price of a use: `cost` credits for every `per` units, rounded up, or `meters`.

    With `meters` the `cost` is None, and a use costs the sum over its usage, rounded up once.
    """

    feature_id: str
    name: str
    cost: int | None
    per: int
    unit: str
    meters: dict[str, Price] = field(default_factory=dict, hash=False)
    version: int

    def price(self, quantity: int) -> int:
        """Return the credits that a use of `quantity` units costs.

        Raises:
            ValueError: the feature has meters; `quote` prices its usage.
        """
        if self.cost is None:
            raise ValueError(f"{self.feature_id} has a price for each meter: ask for a quote")
        return -(-quantity * self.cost // self.per)


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """The active plans and features, by id."""

    plans: tuple[Plan, ...]
    features: tuple[Feature, ...]


@dataclass(frozen=True, kw_only=True)
class Page:
    """Entries, newest first. Even a short page may have a successor; the last has no `cursor`."""

    entries: tuple[Entry, ...]
    cursor: str | None
