"""From a request to a command, or to a plan or feature of the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ulid import ULID

from scrip.domain.catalog import Feature, Plan, Rollover
from scrip.domain.commands import entry_name
from scrip.http.models import AdminRequest
from scrip.ledger import ledger
from scrip.users import first_opening

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip.domain.commands import OpenAccount
    from scrip.http.admin_models import FeatureRequest, PlanRequest
    from scrip.http.models import CommandRequest
    from scrip.http.principals import Caller


def command_fields(
    caller: Caller,
    body: CommandRequest,
    idempotency_key: str | None,
) -> dict[str, Any]:
    """Return what every command takes; without a key of the caller's own, a ULID names it."""
    return {
        "account_id": caller.account_id,
        "entry_id": entry_name(caller.actor, idempotency_key or str(ULID())),
        "keyed": idempotency_key is not None,
        "actor": caller.actor,
        "reason": body.reason,
        "reference": body.reference,
        "metadata": body.metadata,
        "note": body.note if isinstance(body, AdminRequest) else None,
    }


def opening_for(caller: Caller) -> Callable[[], OpenAccount] | None:
    """Return a function that makes the command to open a signed-in user's own account.

    None for others' accounts.
    """
    if not caller.is_owner:
        return None
    return lambda: first_opening(
        ledger(),
        caller.account_id,
        caller.pool_username,
        caller.email,
    )


def plan_of(plan_id: str, body: PlanRequest) -> Plan:
    """Return the plan that a request describes."""
    return Plan(
        plan_id=plan_id,
        name=body.name,
        monthly_credits=body.monthly_credits,
        unlimited=body.unlimited,
        rollover=Rollover(**body.rollover.model_dump()) if body.rollover else None,
        overdraft_limit=body.overdraft_limit,
        limits=body.limits,
        provider_ids=tuple(body.provider_ids),
        active=body.active,
    )


def feature_of(feature_id: str, body: FeatureRequest) -> Feature:
    """Return the feature that a request describes."""
    return Feature(
        feature_id=feature_id,
        name=body.name,
        cost=body.cost,
        per=body.per,
        unit=body.unit,
        active=body.active,
    )
