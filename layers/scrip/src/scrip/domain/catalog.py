"""Plans and features: what credits arrive by themselves, and what a use costs."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from scrip.domain.errors import (
    CatalogUnsoundError,
    CostOutOfRangeError,
    UnknownFeatureError,
    UnknownPlanError,
)

CREDITS_MAX = 10**12
"""The largest amount of credits that one request may name, and that one use may cost."""

ROLLOVER_PERIODS_MAX = 12
"""How many periods a rollover grant may live: each is a live grant of its own."""

ID_PATTERN = (
    r"^([A-Za-z0-9_-][A-Za-z0-9._-]{0,127}"
    r"|\.[A-Za-z0-9_-][A-Za-z0-9._-]{0,126}"
    r"|\.\.[A-Za-z0-9._-]{1,126})$"
)
"""What the id of a plan or a feature looks like: 1 to 128 of `A-Z a-z 0-9 . _ -`.

Not `.` and `..`, which no address can have as a part.
"""

LIMITS_MAX = 50
PROVIDER_IDS_MAX = 50
"""How many limits, and how many ids at providers, one plan may have: it stays a small item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollover:
    """What of an unspent plan grant outlives its period.

    `max` bounds all live rollover credits of an account together; each rollover grant lives
    `periods` periods.
    """

    max: int
    periods: int

    def __post_init__(self) -> None:
        """Refuse what no settlement could carry out."""
        _within("max", self.max, 0, CREDITS_MAX)
        _within("periods", self.periods, 1, ROLLOVER_PERIODS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an account gets every period. Credits."""

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
        """Refuse a plan that would take credits away."""
        _within("monthly_credits", self.monthly_credits, 0, CREDITS_MAX)
        _within("overdraft_limit", self.overdraft_limit, 0, CREDITS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Something that costs credits: `cost` for each `per` units."""

    feature_id: str
    name: str
    cost: int
    per: int = 1
    unit: str = "use"
    active: bool = True
    version: int = 1

    def __post_init__(self) -> None:
        """Refuse a price that is free or negative."""
        _within("cost", self.cost, 1, CREDITS_MAX)
        _within("per", self.per, 1, CREDITS_MAX)

    def price(self, quantity: int) -> int:
        """Return ceil(quantity * cost / per), in credits.

        Raises:
            CostOutOfRangeError: it is more than an amount of credits can be.
        """
        cost = -(-quantity * self.cost // self.per)
        if cost > CREDITS_MAX:
            raise CostOutOfRangeError(cost=cost, cost_max=CREDITS_MAX)
        return cost


type CatalogItem = Plan | Feature
"""What admins edit, each by its version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """All plans and features at one moment, by their ids."""

    plans: Mapping[str, Plan]
    features: Mapping[str, Feature]

    def plan(self, plan_id: str) -> Plan:
        """Return a plan, active or not: accounts stay on a plan that was deactivated.

        Raises:
            CatalogUnsoundError: there is none of that id.
        """
        try:
            return self.plans[plan_id]
        except KeyError:
            raise CatalogUnsoundError(plan_id=plan_id) from None

    def open_plan(self, plan_id: str) -> Plan:
        """Return a plan that accounts may be put on.

        Raises:
            UnknownPlanError: there is none of that id, or it is inactive.
        """
        plan = self.plans.get(plan_id)
        if plan is None or not plan.active:
            raise UnknownPlanError(plan_id=plan_id)
        return plan

    def plan_named(self, provider_ids: Collection[str]) -> Plan | None:
        """Return the plan that a billing provider knows by one of these ids, active or not.

        Edits see to it that an id is of one plan. Where two were edited at the same moment, or the
        ids are of several plans, it is the one whose own id comes first.
        """
        known = (
            plan
            for plan in self.plans.values()
            if not set(provider_ids).isdisjoint(plan.provider_ids)
        )
        return min(known, key=lambda plan: plan.plan_id, default=None)

    def feature(self, feature_id: str) -> Feature:
        """Return an active feature.

        Raises:
            UnknownFeatureError: there is none of that id, or it is inactive.
        """
        feature = self.features.get(feature_id)
        if feature is None or not feature.active:
            raise UnknownFeatureError(feature=feature_id)
        return feature

    def held_feature(self, feature_id: str) -> Feature:
        """Return a feature that credits were set aside for, active or not any more.

        Raises:
            UnknownFeatureError: there is none of that id.
        """
        feature = self.features.get(feature_id)
        if feature is None:
            raise UnknownFeatureError(feature=feature_id)
        return feature


def _within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}, not within {least} and {most}")
