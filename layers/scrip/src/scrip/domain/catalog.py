"""Plans and features: the credits of each period, and what a use costs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from scrip.domain.errors import (
    CatalogUnsoundError,
    CostOutOfRangeError,
    NewerVersionError,
    UnknownFeatureError,
    UnknownMeterError,
    UnknownPlanError,
)

CREDITS_MAX = 10**12
"""The largest amount of credits in one request, and the most that one use can cost."""

ROLLOVER_PERIODS_MAX = 12
"""How many periods a rollover grant can live: each one is a live grant."""

ID_PATTERN = (
    r"^([A-Za-z0-9_-][A-Za-z0-9._-]{0,127}"
    r"|\.[A-Za-z0-9_-][A-Za-z0-9._-]{0,126}"
    r"|\.\.[A-Za-z0-9._-]{1,126})$"
)
"""The ID of a plan or a feature: 1 to 128 of `A-Z a-z 0-9 . _ -`.

Not `.` and `..`, which cannot be a part of a path.
"""

METER_PATTERN = "^[a-z][a-z0-9_]{0,31}$"
"""The name of a meter: `input`, `cached_input`."""

METERS_MAX = 16
"""How many meters one feature can have, so that items stay small."""

QUANTITY = "quantity"
"""What a feature without meters counts: its units."""

LIMITS_MAX = 50
PROVIDER_IDS_MAX = 50
"""How many limits and provider IDs one plan can have, so that its item stays small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollover:
    """How much of an unspent plan grant rolls over.

    `max` limits all live rollover credits of an account together; each rollover grant lives for
    `periods` periods.
    """

    max: int
    periods: int

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: a number is out of range.
        """
        _within("max", self.max, 0, CREDITS_MAX)
        _within("periods", self.periods, 1, ROLLOVER_PERIODS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an account gets each period, in credits."""

    plan_id: str
    name: str
    monthly_credits: int
    unlimited: bool = False
    rollover: Rollover | None = None
    overdraft_limit: int = 0
    limits: Mapping[str, int] = field(default_factory=dict)
    provider_ids: tuple[str, ...] = ()
    active: bool = True
    version: int = 1

    def __post_init__(self) -> None:
        """Check the ranges: no plan takes credits away.

        Raises:
            ValueError: a number is out of range.
        """
        _within("monthly_credits", self.monthly_credits, 0, CREDITS_MAX)
        _within("overdraft_limit", self.overdraft_limit, 0, CREDITS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What is counted costs `cost` credits for each `per`."""

    cost: int
    per: int = 1

    def __post_init__(self) -> None:
        """Check the ranges: no price is zero or negative.

        Raises:
            ValueError: a number is out of range.
        """
        _within("cost", self.cost, 1, CREDITS_MAX)
        _within("per", self.per, 1, CREDITS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Something that costs credits: `cost` for each `per` units, or a price for each meter."""

    feature_id: str
    name: str
    cost: int | None = None
    per: int = 1
    unit: str = "use"
    meters: Mapping[str, Price] = field(default_factory=dict)
    active: bool = True
    version: int = 1

    def __post_init__(self) -> None:
        """Check that it has either a cost or meters.

        Raises:
            ValueError: it has both or neither, or a number is out of range.
        """
        if (self.cost is None) == (not self.meters):
            raise ValueError("a feature has either a cost or meters")
        _within("meters", len(self.prices), 1, METERS_MAX)

    @property
    def prices(self) -> Mapping[str, Price]:
        """The price of each meter. A feature without meters counts its quantity."""
        if self.cost is None:
            return self.meters
        return {QUANTITY: Price(cost=self.cost, per=self.per)}

    def price(self, usage: Mapping[str, int]) -> int:
        """Return what a use costs, in credits: the exact sum over its meters, rounded up once.

        Raises:
            UnknownMeterError: the feature has no such meter.
            CostOutOfRangeError: it is more than CREDITS_MAX.
        """
        prices, exact = self.prices, Fraction()
        for meter, count in usage.items():
            if meter not in prices:
                raise UnknownMeterError(
                    feature=self.feature_id, meter=meter, meters=", ".join(prices)
                )
            exact += Fraction(count * prices[meter].cost, prices[meter].per)
        cost = ceil(exact)
        if cost > CREDITS_MAX:
            raise CostOutOfRangeError(cost=cost, cost_max=CREDITS_MAX)
        return cost


type CatalogItem = Plan | Feature
"""What admins edit, each by its version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All plans and features at one moment, by their ids.

    `is_partial` if there are others that a newer version wrote. What is missing may be one of them.
    """

    plans: Mapping[str, Plan]
    features: Mapping[str, Feature]
    is_partial: bool = False

    def check_is_whole(self) -> None:
        """Check that nothing is missing.

        Raises:
            NewerVersionError: there are plans or features that a newer version wrote.
        """
        if self.is_partial:
            raise NewerVersionError

    def plan(self, plan_id: str) -> Plan:
        """Return a plan, active or not: accounts stay on a deactivated plan.

        Raises:
            CatalogUnsoundError: there is no such plan.
            NewerVersionError: there may be one that a newer version wrote.
        """
        if plan_id not in self.plans:
            self.check_is_whole()
            raise CatalogUnsoundError(plan_id=plan_id)
        return self.plans[plan_id]

    def open_plan(self, plan_id: str) -> Plan:
        """Return a plan that accounts can be moved to.

        Raises:
            UnknownPlanError: there is no such plan, or it is inactive.
            NewerVersionError: there may be one that a newer version wrote.
        """
        plan = self.plans.get(plan_id)
        if plan is None:
            self.check_is_whole()
        if plan is None or not plan.active:
            raise UnknownPlanError(plan_id=plan_id)
        return plan

    def plan_named(self, provider_ids: Collection[str]) -> Plan | None:
        """Return the plan that has one of these provider IDs, active or not.

        Edits keep a provider ID unique. If two plans were edited at the same moment, or the IDs
        belong to several plans, the plan with the lowest ID wins.

        Raises:
            NewerVersionError: there may be one that a newer version wrote.
        """
        known = (
            plan
            for plan in self.plans.values()
            if not set(provider_ids).isdisjoint(plan.provider_ids)
        )
        found = min(known, key=lambda plan: plan.plan_id, default=None)
        if found is None:
            self.check_is_whole()
        return found

    def feature(self, feature_id: str) -> Feature:
        """Return an active feature.

        Raises:
            UnknownFeatureError: there is no such feature, or it is inactive.
            NewerVersionError: there may be one that a newer version wrote.
        """
        feature = self.held_feature(feature_id)
        if not feature.active:
            raise UnknownFeatureError(feature=feature_id)
        return feature

    def held_feature(self, feature_id: str) -> Feature:
        """Return a feature that credits are held for, even if it is inactive by now.

        Raises:
            UnknownFeatureError: there is no such feature.
            NewerVersionError: there may be one that a newer version wrote.
        """
        if feature_id not in self.features:
            self.check_is_whole()
            raise UnknownFeatureError(feature=feature_id)
        return self.features[feature_id]


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}, not between {least} and {most}")
