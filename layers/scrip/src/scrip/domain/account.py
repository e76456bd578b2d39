"""The account: a balance, the grants that make it up, and where it is in its periods."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from scrip.domain.clocks import OwnClock
from scrip.domain.entries import iso
from scrip.domain.grants import Allocation, Grant
from scrip.domain.periods import boundary
from scrip.domain.terms import Lot, Term, Terms, seen_together

SUBSCRIPTIONS_MAX = 3
"""How many subscriptions without a term an account remembers: the latest."""

PERIOD = "period:"
"""How the names of the base plan's allowances begin."""

STATUS_ORDER = ("incomplete", "trialing", "active", "past_due", "unpaid", "canceled")
"""If the provider reports two states for one instant, the one further right is the later."""


class AccountStatus(StrEnum):
    """Whether an account may spend."""

    ACTIVE = "active"
    FROZEN = "frozen"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What an admin gave one account instead of what one of its plans gives. Credits a month."""

    monthly_credits: int | None = None
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """The state of the account's subscription that the billing provider reported at `at`.

    `ended`: it will not be paid again, so its terms have no grace.
    """

    subscription_id: str
    status: str
    ended: bool
    at: datetime

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
    rolled over until `rolls_until`: on release, that many become a rollover grant. `feature` is
    what it was opened for; with several lines, `features` are theirs.
    """

    hold_id: str
    allocations: tuple[Allocation, ...]
    expires_at: datetime | None = None
    ends_by: datetime | None = None
    feature: str | None = None
    uncharged: int = 0
    rolls_over: int = 0
    rolls_until: datetime | None = None
    features: tuple[str, ...] = ()

    @property
    def amount(self) -> int:
        """Credits held."""
        return sum(allocation.amount for allocation in self.allocations)

    @property
    def left(self) -> int:
        """Credits of use that can still be captured within the hold."""
        return self.amount + self.uncharged

    @property
    def all_features(self) -> tuple[str, ...]:
        """The features that it was opened for."""
        return (self.feature,) if self.feature else self.features

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

    `plan_id` is the plan that it was opened on, which is in force while no term is. An admin may
    have given it another one instead, `given_plan_id`, which is in force beside its terms, too;
    `next_plan_id` replaces that with the next period. `overrides` are listed by plan.

    `period` is the last one in which the base plan was in force, -1 if none was; it brings
    `allowance`, of which `allowance_spent` were spent before a term set it aside. `as_of` is the
    last instant at which time alone has changed the account. `is_behind`: not all that has happened
    is booked yet; the next posting goes on. `is_old_form`: its item has a form that this version
    would not write.
    """

    account_id: str
    version: int
    status: AccountStatus = AccountStatus.ACTIVE
    plan_id: str
    given_plan_id: str | None = None
    next_plan_id: str | None = None
    overrides: Mapping[str, Override] = field(default_factory=dict)
    terms: tuple[Term, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    time_zone: str = "UTC"
    anchor: datetime
    period: int
    allowance: int
    allowance_spent: int = 0
    as_of: datetime
    is_behind: bool = False
    seq_last: int
    hash: bytes
    used: int = 0
    granted_total: int = 0
    consumed_total: int = 0
    debt: int = 0
    grants: tuple[Grant, ...] = ()
    holds: tuple[Hold, ...] = ()
    hold_calls: HoldCalls | None = None
    clock: OwnClock | None = None
    is_old_form: bool = field(default=False, compare=False)

    def time(self, stack_time: datetime) -> datetime:
        """Return the time at which it lives when the stack's clock shows `stack_time`."""
        return self.clock.time(stack_time) if self.clock else stack_time

    @property
    def base_plan_id(self) -> str:
        """The plan that it is on by itself, whatever is paid for."""
        return self.given_plan_id or self.plan_id

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

    def period_at(self, now: datetime) -> int:
        """Return the number of the period that an instant is in."""
        if self.begins(self.period) <= now < self.begins(self.period + 1):
            return self.period
        local, anchor = now.astimezone(self.zone), self.anchor.astimezone(self.zone)
        period = (local.year - anchor.year) * 12 + local.month - anchor.month
        while self.begins(period) > now:
            period -= 1
        while self.begins(period + 1) <= now:
            period += 1
        return period

    @property
    def all_terms(self) -> Terms:
        """Its terms, seen together; its lots are not to be read from there."""
        ended = {one.subscription_id for one in self.subscriptions if one.ended}
        return seen_together(self.terms, ended, self.zone)

    def month_of(self, lot_id: str) -> tuple[Term, int] | None:
        """Return the term and its month whose credits have this name."""
        term_id, _, month = lot_id.rpartition(":")
        known = (term for term in self.terms if term.term_id == term_id)
        return next(((term, int(month)) for term in known), None)

    def lot(self, lot_id: str) -> Lot | None:
        """Return what became of the credits of a term's month."""
        found = self.month_of(lot_id)
        return found[0].lots.get(found[1]) if found else None

    @property
    def allowance_source(self) -> str:
        """The source of the grants of the base plan's allowance for the period."""
        return f"{PERIOD}{iso(self.begins(self.period))}"

    @property
    def allowance_grant(self) -> Grant | None:
        """The live grant of the base plan's allowance, even if it is exhausted."""
        own = (grant for grant in self.grants if grant.source.startswith(PERIOD))
        return next((grant for grant in own if not grant.ended), None)

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
