"""The bodies of requests that add plans and features."""

from scrip.http.admin_models import CatalogId, FeatureRequest, PlanRequest


class NewPlanRequest(PlanRequest):
    """A complete plan with its ID."""

    plan_id: CatalogId


class NewFeatureRequest(FeatureRequest):
    """A complete feature with its ID."""

    feature_id: CatalogId
