"""Adjust a balance, freeze and unfreeze an account: for admins, each with an audit record."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Depends, Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext

from scrip.domain.commands import Adjust, AdjustAction, SetFrozen
from scrip.domain.grants import GrantKind
from scrip.http import operations
from scrip.http.answers import posted
from scrip.http.models import AdjustRequest, FreezeRequest
from scrip.http.principals import Caller, admin_caller
from scrip.http.requests import command_fields, opening_for
from scrip.http.resolver import AccountId, IdempotencyKey, api
from scrip.ledger import ledger
from scrip.observability import logger

app = api()


@app.post("/v1/accounts/<account_id>/adjustments", **operations.ADJUST)
def post_adjustment(
    account_id: AccountId,
    body: Annotated[AdjustRequest, Body()],
    caller: Annotated[Caller, Depends(admin_caller)],
    idempotency_key: IdempotencyKey = None,
) -> Response[Any]:
    """Change a balance by hand, with the reason why."""
    command = Adjust(
        **command_fields(caller, body, idempotency_key),
        action=AdjustAction(body.action),
        amount=body.amount,
        kind=GrantKind(body.kind or GrantKind.ADMIN),
        expires_at=body.expires_at,
    )
    return posted(command, ledger().execute(command, opening_for(caller)), 201)


@app.post("/v1/accounts/<account_id>/freeze", **operations.FREEZE)
def post_freeze(
    account_id: AccountId,
    caller: Annotated[Caller, Depends(admin_caller)],
    body: Annotated[FreezeRequest | None, Body()] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Any]:
    """Refuse every consume until the account is unfrozen."""
    return _set_frozen(caller, body, idempotency_key, frozen=True)


@app.post("/v1/accounts/<account_id>/unfreeze", **operations.UNFREEZE)
def post_unfreeze(
    account_id: AccountId,
    caller: Annotated[Caller, Depends(admin_caller)],
    body: Annotated[FreezeRequest | None, Body()] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Any]:
    """Let the account consume again."""
    return _set_frozen(caller, body, idempotency_key, frozen=False)


def _set_frozen(
    caller: Caller,
    body: FreezeRequest | None,
    idempotency_key: str | None,
    *,
    frozen: bool,
) -> Response[Any]:
    told = command_fields(caller, body or FreezeRequest(), idempotency_key)
    command = SetFrozen(**told, frozen=frozen)
    return posted(command, ledger().execute(command, opening_for(caller)), 200)


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)
