"""From a request to a command, or to a plan or feature of the catalog."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ulid import ULID

from scrip.domain.catalog import Feature, Plan, Price, Rollover
from scrip.domain.commands import entry_name
from scrip.ledger import ledger
from scrip.users import first_opening

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import DataclassInstance
    from pydantic import BaseModel

    from scrip.domain.commands import Command, OpenAccount
    from scrip.http.admin_models import FeatureRequest, PlanRequest
    from scrip.http.principals import Caller
    from scrip.ledger import Outcome


def command_of[C: Command](
    kind: type[C],
    caller: Caller,
    body: BaseModel | None,
    idempotency_key: str | None,
    /,
    **asked: Any,
) -> C:
    """Return the command that a request asks for; without a key, a ULID names it.

    Fields that the body has under the command's names are taken over; `asked` are the others.
    """
    # Last, so that no field of a body can say whose account it is, or who asks.
    identity = {
        "account_id": caller.account_id,
        "entry_id": entry_name(caller.actor, idempotency_key or str(ULID())),
        "keyed": idempotency_key is not None,
        "actor": caller.actor,
    }
    return kind(**same_fields(kind, body) | asked | identity)


def carry_out(command: Command, caller: Caller, *, dry_run: bool) -> Outcome:
    """Execute a command, or only rehearse it, in an account that a first call opens.

    Raises:
        ScripError: as `Ledger.execute` does.
    """
    carried_out = ledger().rehearse if dry_run else ledger().execute
    return carried_out(command, opening_for(caller))


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
    rollover = Rollover(**body.rollover.model_dump()) if body.rollover else None
    own = {"rollover": rollover, "provider_ids": tuple(body.provider_ids)}
    return Plan(**same_fields(Plan, body) | own | {"plan_id": plan_id})


def feature_of(feature_id: str, body: FeatureRequest) -> Feature:
    """Return the feature that a request describes."""
    meters = {name: Price(cost=one.cost, per=one.per) for name, one in body.meters.items()}
    return Feature(**same_fields(Feature, body) | {"feature_id": feature_id, "meters": meters})


def same_fields(kind: type[DataclassInstance], body: BaseModel | None) -> dict[str, Any]:
    """Return the fields of a body that a dataclass has under the same names."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in body or () if name in names}
