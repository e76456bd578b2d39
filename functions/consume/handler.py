"""Consume, quote and hold: of a user's own account, or of any for a service."""

from dataclasses import asdict
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Depends, Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext

from scrip.domain.commands import (
    CaptureHold,
    Consume,
    ConsumeBatch,
    ExtendHold,
    OpenHold,
    ReleaseHold,
    Use,
)
from scrip.domain.spending import quote
from scrip.http.answers import (
    answer,
    extended_hold,
    hold_json,
    posted,
    posted_batch,
    posted_hold,
)
from scrip.http.models import (
    BatchRequest,
    CaptureRequest,
    CommandRequest,
    ConsumeRequest,
    ExtendRequest,
    HoldRequest,
    ReleaseRequest,
)
from scrip.http.principals import Caller, any_caller
from scrip.http.requests import command_fields, opening_for
from scrip.http.resolver import AccountId, HoldId, IdempotencyKey, api
from scrip.ledger import ledger
from scrip.observability import logger
from scrip.warm_up import warm_up

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


@app.post("/v1/accounts/<account_id>/consume/batch", operation_id="consume_batch")
def post_batch(
    account_id: AccountId,
    body: Annotated[BatchRequest, Body()],
    caller: Annotated[Caller, Depends(any_caller)],
    idempotency_key: IdempotencyKey = None,
) -> Response[Any]:
    """Take the prices of several uses: all of them or none, an entry each."""
    command = ConsumeBatch(
        **command_fields(caller, CommandRequest(), idempotency_key),
        uses=tuple(Use(**use.model_dump()) for use in body.uses),
    )
    return posted_batch(command, ledger().execute(command, opening_for(caller)))


@app.post("/v1/accounts/<account_id>/holds", operation_id="open_hold")
def post_hold(
    account_id: AccountId,
    body: Annotated[HoldRequest, Body()],
    caller: Annotated[Caller, Depends(any_caller)],
    idempotency_key: IdempotencyKey = None,
) -> Response[Any]:
    """Set aside the price of a feature, or an amount, for a while."""
    command = OpenHold(
        **command_fields(caller, body, idempotency_key),
        feature=body.feature,
        quantity=body.quantity,
        amount=body.amount,
        expires_in=body.expires_in,
    )
    return posted_hold(command, ledger().execute(command, opening_for(caller)))


@app.get("/v1/accounts/<account_id>/holds", operation_id="list_holds")
def get_holds(
    account_id: AccountId,
    caller: Annotated[Caller, Depends(any_caller)],
) -> Response[Any]:
    """List what is set aside now, in the order in which it was."""
    account = ledger().account(caller.account_id, opening_for(caller))
    return answer({"holds": [hold_json(hold) for hold in account.holds]})


@app.post("/v1/accounts/<account_id>/holds/<hold_id>/capture", operation_id="capture_hold")
def post_capture(
    account_id: AccountId,
    hold_id: HoldId,
    caller: Annotated[Caller, Depends(any_caller)],
    body: Annotated[CaptureRequest | None, Body()] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Any]:
    """Spend what was set aside, a part of it, or more than it."""
    asked = body or CaptureRequest()
    command = CaptureHold(
        **command_fields(caller, asked, idempotency_key),
        hold_id=hold_id,
        quantity=asked.quantity,
        amount=asked.amount,
        final=asked.final,
        excess=asked.excess == "available",
    )
    return posted(command, ledger().execute(command, opening_for(caller)), 200)


@app.post("/v1/accounts/<account_id>/holds/<hold_id>/extend", operation_id="extend_hold")
def post_extension(
    account_id: AccountId,
    hold_id: HoldId,
    caller: Annotated[Caller, Depends(any_caller)],
    body: Annotated[ExtendRequest | None, Body()] = None,
) -> Response[Any]:
    """Let a hold live longer. That writes no entry, so no key names it."""
    command = ExtendHold(
        **command_fields(caller, CommandRequest(), None),
        hold_id=hold_id,
        expires_in=(body or ExtendRequest()).expires_in,
    )
    outcome = ledger().execute(command, opening_for(caller))
    assert outcome.account is not None, outcome
    return extended_hold(hold_id, outcome.account, ledger().catalog())


@app.post("/v1/accounts/<account_id>/holds/<hold_id>/release", operation_id="release_hold")
def post_release(
    account_id: AccountId,
    hold_id: HoldId,
    caller: Annotated[Caller, Depends(any_caller)],
    body: Annotated[ReleaseRequest | None, Body()] = None,
    idempotency_key: IdempotencyKey = None,
) -> Response[Any]:
    """Give back all that is left of a hold."""
    told = command_fields(caller, body or ReleaseRequest(), idempotency_key)
    command = ReleaseHold(**told, hold_id=hold_id)
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


warm_up(ledger)
