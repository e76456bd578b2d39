"""Editing the catalog: how an admin changes plans and features, and which edits are refused.

An edit is decided on the catalog as just read, and committed if its item is unchanged.
"""

from dataclasses import asdict, dataclass, replace
from datetime import datetime

from scrip.domain.catalog import Catalog, CatalogItem, Feature, Plan
from scrip.domain.entries import Actor
from scrip.domain.errors import (
    DefaultPlanError,
    FeatureNotFoundError,
    PlanNotFoundError,
    ProviderIdTakenError,
    StaleVersionError,
)
from scrip.domain.posting import AuditRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A decided change of one plan or feature; `before` is None for a new one."""

    before: CatalogItem | None
    after: CatalogItem
    audit: AuditRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Editor:
    """Who edits, why and when; the catalog as read; and the plan for new accounts."""

    catalog: Catalog
    default_plan: str
    actor: Actor
    reason: str | None
    now: datetime

    def plan(self, plan_id: str) -> Plan:
        """Return a plan to change.

        Raises:
            PlanNotFoundError: there is no such plan.
        """
        if plan_id not in self.catalog.plans:
            raise PlanNotFoundError(plan_id)
        return self.catalog.plans[plan_id]

    def feature(self, feature_id: str) -> Feature:
        """Return a feature to change.

        Raises:
            FeatureNotFoundError: there is no such feature.
        """
        if feature_id not in self.catalog.features:
            raise FeatureNotFoundError(feature_id)
        return self.catalog.features[feature_id]

    def create(self, item: CatalogItem) -> Edit:
        """Add a plan or feature; the commit has the condition that its ID is new.

        Raises:
            DefaultPlanError, ProviderIdTakenError: the rules for plans do not allow it.
        """
        return self._edit("create", None, replace(item, version=1))

    def change(self, before: CatalogItem, after: CatalogItem, seen: int) -> Edit:
        """Replace a plan or feature if its version is the one that the editor has `seen`.

        Raises:
            StaleVersionError: it has another version.
            DefaultPlanError, ProviderIdTakenError: the rules for plans do not allow it.
        """
        if before.version != seen:
            raise StaleVersionError(before.version)
        verb = "deactivate" if before.active and not after.active else "change"
        return self._edit(verb, before, replace(after, version=seen + 1))

    def _edit(self, verb: str, before: CatalogItem | None, after: CatalogItem) -> Edit:
        if isinstance(after, Plan):
            self._check(after)
        audit = AuditRecord(
            action=f"{type(after).__name__.lower()}.{verb}",
            actor=self.actor,
            reason=self.reason,
            before=asdict(before) if before else {},
            after=asdict(after),
            recorded_at=self.now,
        )
        return Edit(before=before, after=after, audit=audit)

    def _check(self, plan: Plan) -> None:
        if plan.plan_id == self.default_plan and not plan.active:
            raise DefaultPlanError(plan.plan_id)
        others = {name: other for name, other in self.catalog.plans.items() if name != plan.plan_id}
        for provider_id in plan.provider_ids:
            if owner := replace(self.catalog, plans=others).plan_named([provider_id]):
                raise ProviderIdTakenError(provider_id, owner.plan_id)
