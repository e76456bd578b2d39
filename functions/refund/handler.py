"""Refund a usage entry, in full or in part: for services and admins."""

from typing import Annotated, Any

# First: it makes the imports after it cheaper, and botocore is faster before Powertools.
from scrip.ledger import prepare  # isort: skip

from aws_lambda_powertools.event_handler import Depends, Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.refund.requests import RefundRequest
from scrip.domain.commands import Refund
from scrip.domain.entries import ActorType
from scrip.http.answers import PostedAnswer, posted
from scrip.http.principals import Caller, service_caller
from scrip.http.problems import InvalidError
from scrip.http.requests import carry_out, command_of
from scrip.http.resolver import AccountId, DryRun, IdempotencyKey, api
from scrip.observability import logger
from scrip.warm_up import warm_up

app = api()


@app.operation(
    "POST",
    "/v1/accounts/<account_id>/refunds",
    operation_id="refund",
    summary="Refund a consume",
    tag="Spend credits",
    status=201,
    command=Refund,
)
def post_refund(
    account_id: AccountId,
    body: Annotated[RefundRequest, Body()],
    caller: Annotated[Caller, Depends(service_caller)],
    *,
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Response[PostedAnswer]:
    """Return credits to the grants that the entry took them from, in reverse order."""
    if body.note is not None and caller.actor.type is not ActorType.ADMIN:
        raise InvalidError(["body.note: only an admin can leave one, for the audit record"])
    command = command_of(Refund, caller, body, idempotency_key, refunds=body.entry_id)
    return posted(command, carry_out(command, caller, dry_run=dry_run), 201)


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)


warm_up(app.prepare, prepare)
