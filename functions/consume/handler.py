"""Consume and quote: of a user's own account, or of any for a service."""

from dataclasses import asdict
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Depends, Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext

from scrip.domain.commands import Consume
from scrip.domain.decide import quote
from scrip.http.answers import answer, posted
from scrip.http.models import ConsumeRequest
from scrip.http.principals import Caller, any_caller
from scrip.http.requests import command_fields, opening_for
from scrip.http.resolver import AccountId, IdempotencyKey, api
from scrip.ledger import ledger
from scrip.observability import logger
from scrip.prepare import prepare

app = api()


@app.post("/v1/accounts/<account_id>/consume", operation_id="consume")
def post_consume(
    account_id: AccountId,
    body: Annotated[ConsumeRequest, Body()],
    caller: Annotated[Caller, Depends(any_caller)],
    idempotency_key: IdempotencyKey = None,
) -> Response[Any]:
    """Take the price of a feature, or an amount: all of it or none."""
    command = _consume(caller, body, idempotency_key)
    return posted(command, ledger().execute(command, opening_for(caller)), 200)


@app.post("/v1/accounts/<account_id>/quote", operation_id="quote")
def post_quote(
    account_id: AccountId,
    body: Annotated[ConsumeRequest, Body()],
    caller: Annotated[Caller, Depends(any_caller)],
    idempotency_key: IdempotencyKey = None,
) -> Response[Any]:
    """Price a consume against the account as it is now. Changes nothing."""
    command = _consume(caller, body, idempotency_key)
    account = ledger().account(caller.account_id, opening_for(caller))
    return answer(asdict(quote(account, command, ledger().catalog())))


def _consume(caller: Caller, body: ConsumeRequest, idempotency_key: str | None) -> Consume:
    return Consume(
        **command_fields(caller, body, idempotency_key),
        feature=body.feature,
        quantity=body.quantity,
        amount=body.amount,
    )


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)


prepare(ledger)
