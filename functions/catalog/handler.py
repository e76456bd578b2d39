"""The catalog: plans and the prices of features, for anyone to read and for admins to edit.

An edit names the version that it replaces (`If-Match`), so no edit silently undoes another.
"""

from dataclasses import replace
from typing import Annotated, Any

# First: it makes the imports after it cheaper, and botocore is faster before Powertools.
from scrip.ledger import ledger, prepare  # isort: skip

from aws_lambda_powertools.event_handler import Depends, Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.catalog.answers import (
    CatalogAnswer,
    FeatureAnswer,
    FeaturesAnswer,
    PlanAnswer,
    PlansAnswer,
    VersionsAnswer,
    catalog_json,
    feature_json,
    plan_json,
    versions_json,
)
from functions.catalog.requests import NewFeatureRequest, NewPlanRequest
from scrip.domain.catalog import ID_PATTERN, Feature, Plan
from scrip.domain.editing import Edit, Editor
from scrip.domain.entries import Actor
from scrip.domain.errors import (
    AlreadyExistsError,
    DefaultPlanError,
    FeatureNotFoundError,
    PlanNotFoundError,
    ProviderIdTakenError,
    StaleVersionError,
)
from scrip.http.admin_models import FeatureRequest, PlanRequest
from scrip.http.answers import answer
from scrip.http.models import Name, Reason
from scrip.http.principals import admin_actor
from scrip.http.requests import feature_of, plan_of
from scrip.http.resolver import IfMatch, api
from scrip.observability import logger
from scrip.settings import settings
from scrip.store.catalogs import commit_edit, read_catalog, read_versions
from scrip.warm_up import warm_up

PUBLIC = {"Cache-Control": "public, max-age=30"}

PLAN_RULES = (DefaultPlanError, ProviderIdTakenError)
"""Why a plan may be refused."""

Admin = Annotated[Actor, Depends(admin_actor)]
PlanId = Annotated[str, Path(description="The plan's ID.", pattern=ID_PATTERN)]
FeatureId = Annotated[str, Path(description="The feature's ID.", pattern=ID_PATTERN)]
EditReason = Annotated[Reason | None, Query(description="For the audit record.")]

app = api()


@app.operation(
    "GET",
    "/v1/catalog",
    operation_id="get_catalog",
    summary="Read prices and plans",
    tag="Prices and plans",
)
def get_catalog() -> Response[CatalogAnswer]:
    """Return the active plans and features, as they were at most 30 seconds ago."""
    catalog = ledger().catalog()
    catalog.check_is_whole()
    return answer(catalog_json(catalog), headers=PUBLIC)


@app.operation(
    "GET",
    "/v1/admin/plans",
    operation_id="list_plans",
    summary="List plans",
    tag="Prices and plans",
)
def get_plans(
    _: Admin,
    provider_id: Annotated[
        Name | None,
        Query(description="Only the plan that has this ID at a billing provider, if any."),
    ] = None,
) -> Response[PlansAnswer]:
    """Return all plans, including inactive ones, as they are now."""
    plans = read_catalog(ledger().table).plans.values()
    found = [plan for plan in plans if provider_id in {None, *plan.provider_ids}]
    return answer({"plans": [plan_json(plan) for plan in found]})


@app.operation(
    "POST",
    "/v1/admin/plans",
    operation_id="create_plan",
    summary="Create a plan",
    tag="Prices and plans",
    status=201,
    refusals=(AlreadyExistsError, *PLAN_RULES),
)
def post_plan(body: Annotated[NewPlanRequest, Body()], actor: Admin) -> Response[PlanAnswer]:
    """Create a plan, at version 1."""
    return _edited_plan(_editor(actor, body.reason).create(plan_of(body.plan_id, body)), 201)


@app.operation(
    "PUT",
    "/v1/admin/plans/<plan_id>",
    operation_id="change_plan",
    summary="Replace a plan",
    tag="Prices and plans",
    refusals=(PlanNotFoundError, StaleVersionError, *PLAN_RULES),
)
def put_plan(
    plan_id: PlanId,
    body: Annotated[PlanRequest, Body()],
    actor: Admin,
    if_match: IfMatch,
) -> Response[PlanAnswer]:
    """Replace the whole plan. Omitted fields get their default."""
    editor = _editor(actor, body.reason)
    return _edited_plan(
        editor.change(editor.plan(plan_id), plan_of(plan_id, body), _version(if_match))
    )


@app.operation(
    "DELETE",
    "/v1/admin/plans/<plan_id>",
    operation_id="deactivate_plan",
    summary="Close a plan to new accounts",
    tag="Prices and plans",
    refusals=(PlanNotFoundError, StaleVersionError, *PLAN_RULES),
)
def delete_plan(
    plan_id: PlanId,
    actor: Admin,
    if_match: IfMatch,
    reason: EditReason = None,
) -> Response[PlanAnswer]:
    """Make a plan inactive: its accounts stay on it, and no others can join."""
    editor = _editor(actor, reason)
    plan = editor.plan(plan_id)
    return _edited_plan(editor.change(plan, replace(plan, active=False), _version(if_match)))


@app.operation(
    "GET",
    "/v1/admin/features",
    operation_id="list_features",
    summary="List features",
    tag="Prices and plans",
)
def get_features(_: Admin) -> Response[FeaturesAnswer]:
    """Return all features, including inactive ones, as they are now."""
    features = read_catalog(ledger().table).features.values()
    return answer({"features": [feature_json(feature) for feature in features]})


@app.operation(
    "POST",
    "/v1/admin/features",
    operation_id="create_feature",
    summary="Create a feature",
    tag="Prices and plans",
    status=201,
    refusals=(AlreadyExistsError,),
)
def post_feature(
    body: Annotated[NewFeatureRequest, Body()], actor: Admin
) -> Response[FeatureAnswer]:
    """Create a feature, at version 1."""
    return _edited_feature(
        _editor(actor, body.reason).create(feature_of(body.feature_id, body)), 201
    )


@app.operation(
    "PUT",
    "/v1/admin/features/<feature_id>",
    operation_id="change_feature",
    summary="Replace a feature",
    tag="Prices and plans",
    refusals=(FeatureNotFoundError, StaleVersionError),
)
def put_feature(
    feature_id: FeatureId,
    body: Annotated[FeatureRequest, Body()],
    actor: Admin,
    if_match: IfMatch,
) -> Response[FeatureAnswer]:
    """Replace the whole feature. Within 30 seconds every consume pays the new price."""
    editor = _editor(actor, body.reason)
    before, after = editor.feature(feature_id), feature_of(feature_id, body)
    return _edited_feature(editor.change(before, after, _version(if_match)))


@app.operation(
    "DELETE",
    "/v1/admin/features/<feature_id>",
    operation_id="deactivate_feature",
    summary="Deactivate a feature",
    tag="Prices and plans",
    refusals=(FeatureNotFoundError, StaleVersionError),
)
def delete_feature(
    feature_id: FeatureId,
    actor: Admin,
    if_match: IfMatch,
    reason: EditReason = None,
) -> Response[FeatureAnswer]:
    """Make a feature inactive. Within 30 seconds every consume of it is refused."""
    editor = _editor(actor, reason)
    feature = editor.feature(feature_id)
    return _edited_feature(
        editor.change(feature, replace(feature, active=False), _version(if_match))
    )


@app.operation(
    "GET",
    "/v1/admin/features/<feature_id>/versions",
    operation_id="list_versions",
    summary="List the versions of a feature",
    tag="Prices and plans",
    refusals=(FeatureNotFoundError,),
)
def get_versions(feature_id: FeatureId, _: Admin) -> Response[VersionsAnswer]:
    """Return what a feature has cost, and since when: an entry names the version that priced it."""
    return answer(versions_json(read_versions(ledger().table, feature_id)))


def _editor(actor: Actor, reason: str | None) -> Editor:
    return Editor(
        catalog=read_catalog(ledger().table),
        default_plan=settings().default_plan,
        actor=actor,
        reason=reason,
        now=ledger().clock(),
    )


def _edited_plan(edit: Edit, status: int = 200) -> Response[PlanAnswer]:
    commit_edit(ledger().table, edit)
    assert isinstance(edit.after, Plan)
    return answer(plan_json(edit.after), status, _etag(edit))


def _edited_feature(edit: Edit, status: int = 200) -> Response[FeatureAnswer]:
    commit_edit(ledger().table, edit)
    assert isinstance(edit.after, Feature)
    return answer(feature_json(edit.after), status, _etag(edit))


def _etag(edit: Edit) -> dict[str, str]:
    return {"ETag": f'"{edit.after.version}"'}


def _version(if_match: str) -> int:
    return int(if_match.strip('"'))


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)


warm_up(app.prepare, prepare)
