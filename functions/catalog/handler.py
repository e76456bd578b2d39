"""The catalog: what features cost and what plans give, for anybody; edited by admins.

An edit names the version that it replaces (`If-Match`), so that nobody undoes an edit unseen.
"""

from dataclasses import asdict, replace
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Depends, Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext

from scrip.domain.catalog import ID_PATTERN
from scrip.domain.editing import Edit, Editor
from scrip.domain.entries import Actor
from scrip.http.admin_models import FeatureRequest, NewFeatureRequest, NewPlanRequest, PlanRequest
from scrip.http.answers import answer, catalog_json
from scrip.http.models import Text
from scrip.http.principals import admin_actor
from scrip.http.requests import feature_of, plan_of
from scrip.http.resolver import IfMatch, api
from scrip.ledger import ledger
from scrip.observability import logger
from scrip.settings import settings
from scrip.store.catalogs import commit_edit, read_catalog
from scrip.warm_up import warm_up

PUBLIC = {"Cache-Control": "public, max-age=30"}

Admin = Annotated[Actor, Depends(admin_actor)]
PlanId = Annotated[str, Path(description="The plan's id.", pattern=ID_PATTERN)]
FeatureId = Annotated[str, Path(description="The feature's id.", pattern=ID_PATTERN)]
Reason = Annotated[Text | None, Query(description="For the audit record.")]

app = api()


@app.get("/v1/catalog", operation_id="get_catalog")
def get_catalog() -> Response[Any]:
    """Return the active plans and features, as they were at most 30 seconds ago."""
    return answer(catalog_json(ledger().catalog()), headers=PUBLIC)


@app.get("/v1/admin/plans", operation_id="list_plans")
def get_plans(_: Admin) -> Response[Any]:
    """Return all plans as they are now, inactive ones too."""
    plans = read_catalog(ledger().table).plans.values()
    return answer({"plans": [asdict(plan) for plan in plans]})


@app.post("/v1/admin/plans", operation_id="create_plan")
def post_plan(body: Annotated[NewPlanRequest, Body()], actor: Admin) -> Response[Any]:
    """Create a plan, its version being 1."""
    return _edited(_editor(actor, body.reason).create(plan_of(body.plan_id, body)), 201)


@app.put("/v1/admin/plans/<plan_id>", operation_id="change_plan")
def put_plan(
    plan_id: PlanId,
    body: Annotated[PlanRequest, Body()],
    actor: Admin,
    if_match: IfMatch,
) -> Response[Any]:
    """Replace the whole plan; what is left out of it gets its default."""
    editor = _editor(actor, body.reason)
    return _edited(editor.change(editor.plan(plan_id), plan_of(plan_id, body), _version(if_match)))


@app.delete("/v1/admin/plans/<plan_id>", operation_id="deactivate_plan")
def delete_plan(
    plan_id: PlanId,
    actor: Admin,
    if_match: IfMatch,
    reason: Reason = None,
) -> Response[Any]:
    """Make a plan inactive: its accounts stay on it, and no other can come to it."""
    editor = _editor(actor, reason)
    plan = editor.plan(plan_id)
    return _edited(editor.change(plan, replace(plan, active=False), _version(if_match)))


@app.get("/v1/admin/features", operation_id="list_features")
def get_features(_: Admin) -> Response[Any]:
    """Return all features as they are now, inactive ones too."""
    features = read_catalog(ledger().table).features.values()
    return answer({"features": [asdict(feature) for feature in features]})


@app.post("/v1/admin/features", operation_id="create_feature")
def post_feature(body: Annotated[NewFeatureRequest, Body()], actor: Admin) -> Response[Any]:
    """Create a feature, its version being 1."""
    return _edited(_editor(actor, body.reason).create(feature_of(body.feature_id, body)), 201)


@app.put("/v1/admin/features/<feature_id>", operation_id="change_feature")
def put_feature(
    feature_id: FeatureId,
    body: Annotated[FeatureRequest, Body()],
    actor: Admin,
    if_match: IfMatch,
) -> Response[Any]:
    """Replace the whole feature: within 30 seconds every consume pays the new price."""
    editor = _editor(actor, body.reason)
    before, after = editor.feature(feature_id), feature_of(feature_id, body)
    return _edited(editor.change(before, after, _version(if_match)))


@app.delete("/v1/admin/features/<feature_id>", operation_id="deactivate_feature")
def delete_feature(
    feature_id: FeatureId,
    actor: Admin,
    if_match: IfMatch,
    reason: Reason = None,
) -> Response[Any]:
    """Make a feature inactive: within 30 seconds every consume of it is refused."""
    editor = _editor(actor, reason)
    feature = editor.feature(feature_id)
    return _edited(editor.change(feature, replace(feature, active=False), _version(if_match)))


def _editor(actor: Actor, reason: str | None) -> Editor:
    return Editor(
        catalog=read_catalog(ledger().table),
        default_plan=settings().default_plan,
        actor=actor,
        reason=reason,
        now=ledger().clock(),
    )


def _edited(edit: Edit, status: int = 200) -> Response[Any]:
    commit_edit(ledger().table, edit)
    return answer(asdict(edit.after), status, {"ETag": f'"{edit.after.version}"'})


def _version(if_match: str) -> int:
    return int(if_match.strip('"'))


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)


warm_up(ledger)
