"""The account: a balance, the grants that make it up, and where it is in its periods."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from scrip.domain.catalog import Plan
from scrip.domain.grants import Allocation, Grant, GrantKind
from scrip.domain.periods import boundary

PAYMENT_GRACE = timedelta(days=3)
"""How long a paid period's plan grant outlives it, so that a slow payment cuts no user off."""

SUBSCRIPTIONS_MAX = 3
"""How many subscriptions an account remembers: the latest."""

STATUS_ORDER = ("incomplete", "trialing", "active", "past_due", "unpaid", "canceled")
"""If the provider reports two states for one instant, the one further right is the later."""

HALF_MONTH = timedelta(days=15)
"""A month that would end less than this before the paid period ends, or after it, ends with it."""


class AccountStatus(StrEnum):
    """Whether an account may spend."""

    ACTIVE = "active"
    FROZEN = "frozen"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """A plan, and what an admin gave one account instead of the plan's own. Credits a period."""

    plan_id: str
    monthly_credits: int | None = None
    limits: Mapping[str, int] = field(default_factory=dict)

    def allowance(self, plan: Plan) -> int:
        """Return the credits of a period."""
        return plan.monthly_credits if self.monthly_credits is None else self.monthly_credits


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """The state of the account's subscription that the billing provider reported at `at`.

    `ended`: it will not be paid again. After the paid period the account continues by the clock, on
    the plan `plan_after`.
    """

    subscription_id: str
    status: str
    ended: bool
    at: datetime
    plan_after: str

    @property
    def order(self) -> tuple[datetime, int, str]:
        """Sort key that puts the later of two states last."""
        known = self.status in STATUS_ORDER
        return self.at, STATUS_ORDER.index(self.status) if known else len(STATUS_ORDER), self.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Credits set aside out of grants; they are still the account's, but only the hold spends them.

    `expires_at` is None for credits that a dispute set aside: that hold ends with the dispute.
    `ends_by` is the latest instant to which it can be extended; None if an earlier version opened
    it. `uncharged` are credits of use that are free because the plan was unlimited when the hold
    was opened. `rolls_over` are credits that were held when their period ended and would have
    rolled over until `rolls_until`: on release, that many become a rollover grant.
    """

    hold_id: str
    allocations: tuple[Allocation, ...]
    expires_at: datetime | None = None
    ends_by: datetime | None = None
    feature: str | None = None
    uncharged: int = 0
    rolls_over: int = 0
    rolls_until: datetime | None = None

    @property
    def amount(self) -> int:
        """Credits held."""
        return sum(allocation.amount for allocation in self.allocations)

    @property
    def left(self) -> int:
        """Credits of use that can still be captured within the hold."""
        return self.amount + self.uncharged

    def has_of(self, grant_id: str) -> bool:
        """Return whether credits of a grant are among those held."""
        return any(allocation.grant_id == grant_id for allocation in self.allocations)

    def has_died(self, now: datetime) -> bool:
        """Return whether the hold has expired."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldCalls:
    """How many calls about holds the account's user has made in the hour that began at `hour`.

    Opening, extending and releasing holds costs the user nothing, so the calls are limited.
    """

    hour: datetime
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account at one version. Credits; instants in UTC.

    `period` counts from 0 at the anchor. `granted_total` is the total of all grants (rollover and
    refunds are not counted again), `consumed_total` all usage less refunds, `used` the same within
    the current period. `seq_last` and `hash` are those of the newest entry.

    `monthly_credits` and `limits` override the plan's; `next_quota` takes effect with the next
    period. If `paid_until` is set, the payment `paid_by` opened the period, the next period waits
    for a payment too, and the anchor is the start of the paid period.
    """

    account_id: str
    version: int
    status: AccountStatus = AccountStatus.ACTIVE
    plan_id: str
    monthly_credits: int | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    next_quota: Quota | None = None
    subscriptions: tuple[Subscription, ...] = ()
    paid_until: datetime | None = None
    paid_by: str | None = None
    time_zone: str = "UTC"
    anchor: datetime
    period: int
    seq_last: int
    hash: bytes
    used: int = 0
    granted_total: int = 0
    consumed_total: int = 0
    debt: int = 0
    grants: tuple[Grant, ...] = ()
    holds: tuple[Hold, ...] = ()
    hold_calls: HoldCalls | None = None

    @property
    def quota(self) -> Quota:
        """What is in force in the current period."""
        return Quota(
            plan_id=self.plan_id,
            monthly_credits=self.monthly_credits,
            limits=self.limits,
        )

    @property
    def subscription(self) -> Subscription | None:
        """The subscription that counts: one that has not ended, if any; of several the latest."""
        return max(self.subscriptions, key=lambda one: (not one.ended, one.order), default=None)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which its months are counted."""
        return ZoneInfo(self.time_zone)

    @property
    def spendable(self) -> int:
        """Credits in grants, regardless of debt."""
        return sum(grant.remaining for grant in self.grants)

    @property
    def held(self) -> int:
        """Credits set aside by open holds."""
        return sum(hold.amount for hold in self.holds)

    @property
    def balance(self) -> int:
        """What is left in live grants plus what is held, less debt."""
        return self.spendable + self.held - self.debt

    @property
    def available(self) -> int:
        """What a consume can draw on."""
        return self.balance - self.held

    def begins(self, period: int) -> datetime:
        """Return the first instant of a period."""
        return boundary(self.anchor, self.zone, period)

    @property
    def period_end(self) -> datetime:
        """The first instant after the current period.

        A paid year is divided into months; the provider's own months, which may end on another day
        than ours, are never split.
        """
        end = self.begins(self.period + 1)
        if self.paid_until is not None and end > self.paid_until - HALF_MONTH:
            return self.paid_until
        return end

    @property
    def allowance_end(self) -> datetime:
        """When the plan grant of the current period expires."""
        end = self.period_end
        return end + PAYMENT_GRACE if end == self.paid_until else end

    @property
    def awaits_payment(self) -> bool:
        """Whether the next period begins with a payment, and not by the clock."""
        lives = self.subscription is not None and not self.subscription.ended
        return self.period_end == self.paid_until and lives

    def held_of(self, grant_id: str) -> int:
        """Return how many credits of a grant are held."""
        return sum(
            allocation.amount
            for hold in self.holds
            for allocation in hold.allocations
            if allocation.grant_id == grant_id
        )

    def hold(self, hold_id: str) -> Hold | None:
        """Return an open hold by its id."""
        return next((hold for hold in self.holds if hold.hold_id == hold_id), None)

    def grant(self, grant_id: str) -> Grant | None:
        """Return a grant by its id."""
        return next((grant for grant in self.grants if grant.grant_id == grant_id), None)

    @property
    def plan_grant(self) -> Grant | None:
        """The plan grant of the current period; its amount is what the plan has granted so far."""
        ends = {self.period_end, self.allowance_end}
        of_period = (
            grant
            for grant in self.grants
            if grant.kind is GrantKind.PLAN and grant.expires_at in ends
        )
        return next(of_period, None)
