"""Plans and features, as anyone can read them and as admins see them."""

from collections.abc import Iterable
from typing import TypedDict

from scrip.domain.catalog import Catalog, Feature, Plan
from scrip.domain.entries import iso
from scrip.http.answers import ActorAnswer, IsoInstant, PriceAnswer
from scrip.store.catalogs import FeatureVersion


class RolloverAnswer(TypedDict):
    """How much of an unspent allowance outlives its period."""

    max: int
    periods: int


class PublicPlan(TypedDict):
    """What an account gets every period. Credits."""

    plan_id: str
    name: str
    monthly_credits: int
    unlimited: bool
    rollover: RolloverAnswer | None
    overdraft_limit: int
    limits: dict[str, int]
    provider_ids: list[str]
    version: int


class PlanAnswer(PublicPlan):
    """A plan as admins see it."""

    active: bool


class PlansAnswer(TypedDict):
    """All plans, by id."""

    plans: list[PlanAnswer]


class PublicFeature(TypedDict):
    """What a use costs: `cost` credits for each `per` units, or a price for each meter."""

    feature_id: str
    name: str
    cost: int | None
    per: int
    unit: str
    meters: dict[str, PriceAnswer]
    version: int


class FeatureAnswer(PublicFeature):
    """A feature as admins see it."""

    active: bool


class FeaturesAnswer(TypedDict):
    """All features, by id."""

    features: list[FeatureAnswer]


class VersionAnswer(FeatureAnswer):
    """A version of a feature, and the edit that made it; the stack's own first one has no edit."""

    since: IsoInstant | None
    actor: ActorAnswer | None
    reason: str | None


class VersionsAnswer(TypedDict):
    """All versions of a feature, newest first."""

    versions: list[VersionAnswer]


class CatalogAnswer(TypedDict):
    """The active plans and features, by id."""

    plans: list[PublicPlan]
    features: list[PublicFeature]


def catalog_json(catalog: Catalog) -> CatalogAnswer:
    """Return the catalog as `GET /v1/catalog` shows it to anyone."""
    return {
        "plans": [_public_plan(plan) for plan in catalog.plans.values() if plan.active],
        "features": [
            _public_feature(feature) for feature in catalog.features.values() if feature.active
        ],
    }


def plan_json(plan: Plan) -> PlanAnswer:
    """Return a plan as admins see it."""
    return {**_public_plan(plan), "active": plan.active}


def feature_json(feature: Feature) -> FeatureAnswer:
    """Return a feature as admins see it."""
    return {**_public_feature(feature), "active": feature.active}


def versions_json(versions: Iterable[FeatureVersion]) -> VersionsAnswer:
    """Return the versions of a feature as admins see them."""
    return {
        "versions": [
            {
                **feature_json(version.feature),
                "since": iso(version.edit.recorded_at) if version.edit else None,
                "actor": {"type": version.edit.actor.type, "id": version.edit.actor.id}
                if version.edit
                else None,
                "reason": version.edit.reason if version.edit else None,
            }
            for version in versions
        ]
    }


def _public_plan(plan: Plan) -> PublicPlan:
    rollover = plan.rollover
    return {
        "plan_id": plan.plan_id,
        "name": plan.name,
        "monthly_credits": plan.monthly_credits,
        "unlimited": plan.unlimited,
        "rollover": {"max": rollover.max, "periods": rollover.periods} if rollover else None,
        "overdraft_limit": plan.overdraft_limit,
        "limits": dict(plan.limits),
        "provider_ids": list(plan.provider_ids),
        "version": plan.version,
    }


def _public_feature(feature: Feature) -> PublicFeature:
    return {
        "feature_id": feature.feature_id,
        "name": feature.name,
        "cost": feature.cost,
        "per": feature.per,
        "unit": feature.unit,
        "meters": {
            name: {"cost": price.cost, "per": price.per} for name, price in feature.meters.items()
        },
        "version": feature.version,
    }
