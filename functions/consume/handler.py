"""Consume, quote and hold credits: of the caller's own account, or of any for a service."""

from typing import Annotated, Any

# First: it makes the imports after it cheaper, and botocore is faster before Powertools.
from scrip.ledger import ledger, prepare  # isort: skip

from aws_lambda_powertools.event_handler import Depends, Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.consume.answers import BatchAnswer, QuoteAnswer, posted_batch, quote_json
from functions.consume.requests import (
    BatchRequest,
    CaptureRequest,
    ConsumeRequest,
    ExtendRequest,
    HoldRequest,
)
from scrip.domain.commands import (
    UNPRICEABLE,
    CaptureHold,
    Consume,
    ConsumeBatch,
    ExtendHold,
    OpenHold,
    ReleaseHold,
    Use,
)
from scrip.domain.errors import AccountClosedError
from scrip.domain.spending import quote
from scrip.http.answers import PostedAnswer, answer, posted
from scrip.http.holds import (
    CaptureAnswer,
    ExtendedAnswer,
    HoldAnswer,
    HoldsAnswer,
    extended_hold,
    hold_json,
    posted_capture,
    posted_hold,
)
from scrip.http.models import ReleaseRequest
from scrip.http.principals import Caller, any_caller
from scrip.http.requests import carry_out, command_of, opening_for, same_fields
from scrip.http.resolver import AccountId, DryRun, HoldId, IdempotencyKey, api
from scrip.observability import logger
from scrip.warm_up import warm_up

app = api()


@app.operation(
    "POST",
    "/v1/accounts/<account_id>/consume",
    operation_id="consume",
    summary="Spend credits",
    tag="Spend credits",
    command=Consume,
)
def post_consume(
    account_id: AccountId,
    body: Annotated[ConsumeRequest, Body()],
    caller: Annotated[Caller, Depends(any_caller)],
    *,
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Response[PostedAnswer]:
    """Charge the price of a feature, or an amount: all of it or nothing."""
    command = command_of(Consume, caller, body, idempotency_key)
    return posted(command, carry_out(command, caller, dry_run=dry_run), 200)


@app.operation(
    "POST",
    "/v1/accounts/<account_id>/consume/batch",
    operation_id="consume_batch",
    summary="Spend credits for several uses at once",
    tag="Spend credits",
    command=ConsumeBatch,
)
def post_batch(
    account_id: AccountId,
    body: Annotated[BatchRequest, Body()],
    caller: Annotated[Caller, Depends(any_caller)],
    *,
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Response[BatchAnswer]:
    """Charge for several uses: all of them or none, one entry each."""
    uses = tuple(Use(**same_fields(Use, use)) for use in body.uses)
    command = command_of(ConsumeBatch, caller, None, idempotency_key, uses=uses)
    return posted_batch(command, carry_out(command, caller, dry_run=dry_run))


@app.operation(
    "POST",
    "/v1/accounts/<account_id>/holds",
    operation_id="open_hold",
    summary="Hold credits for a future use",
    tag="Hold credits",
    status=201,
    command=OpenHold,
)
def post_hold(
    account_id: AccountId,
    body: Annotated[HoldRequest, Body()],
    caller: Annotated[Caller, Depends(any_caller)],
    *,
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Response[HoldAnswer]:
    """Set aside the price of a feature, or an amount, or of several uses, for a while."""
    command = command_of(OpenHold, caller, body, idempotency_key, lines=body.uses)
    return posted_hold(command, carry_out(command, caller, dry_run=dry_run))


@app.operation(
    "GET",
    "/v1/accounts/<account_id>/holds",
    operation_id="list_holds",
    summary="List open holds",
    tag="Hold credits",
)
def get_holds(
    account_id: AccountId,
    caller: Annotated[Caller, Depends(any_caller)],
) -> Response[HoldsAnswer]:
    """Return the open holds, oldest first."""
    account = ledger().account(caller.account_id, opening_for(caller))
    return answer({"holds": [hold_json(hold) for hold in account.holds]})


@app.operation(
    "POST",
    "/v1/accounts/<account_id>/holds/<hold_id>/capture",
    operation_id="capture_hold",
    summary="Spend held credits",
    tag="Hold credits",
    command=CaptureHold,
)
def post_capture(
    account_id: AccountId,
    hold_id: HoldId,
    caller: Annotated[Caller, Depends(any_caller)],
    body: Annotated[CaptureRequest | None, Body()] = None,
    *,
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Response[CaptureAnswer]:
    """Spend a hold, part of it, or more than it holds."""
    body = body or CaptureRequest()
    asked = {"hold_id": hold_id, "excess": body.excess == "available", "lines": body.uses}
    command = command_of(CaptureHold, caller, body, idempotency_key, **asked)
    return posted_capture(command, carry_out(command, caller, dry_run=dry_run))


@app.operation(
    "POST",
    "/v1/accounts/<account_id>/holds/<hold_id>/extend",
    operation_id="extend_hold",
    summary="Extend a hold",
    tag="Hold credits",
    command=ExtendHold,
)
def post_extension(
    account_id: AccountId,
    hold_id: HoldId,
    caller: Annotated[Caller, Depends(any_caller)],
    body: Annotated[ExtendRequest | None, Body()] = None,
    *,
    dry_run: DryRun = False,
) -> Response[ExtendedAnswer]:
    """Keep a hold open longer. This writes no entry, so it takes no idempotency key."""
    command = command_of(ExtendHold, caller, body or ExtendRequest(), None, hold_id=hold_id)
    outcome = carry_out(command, caller, dry_run=dry_run)
    assert outcome.account is not None, outcome
    return extended_hold(hold_id, outcome.account, ledger().entitled(outcome.account))


@app.operation(
    "POST",
    "/v1/accounts/<account_id>/holds/<hold_id>/release",
    operation_id="release_hold",
    summary="Release a hold",
    tag="Hold credits",
    command=ReleaseHold,
)
def post_release(
    account_id: AccountId,
    hold_id: HoldId,
    caller: Annotated[Caller, Depends(any_caller)],
    body: Annotated[ReleaseRequest | None, Body()] = None,
    *,
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Response[PostedAnswer]:
    """Release the rest of a hold."""
    command = command_of(ReleaseHold, caller, body, idempotency_key, hold_id=hold_id)
    return posted(command, carry_out(command, caller, dry_run=dry_run), 200)


@app.operation(
    "POST",
    "/v1/accounts/<account_id>/quote",
    operation_id="quote",
    summary="Quote the price of a consume",
    tag="Spend credits",
    refusals=(AccountClosedError, *UNPRICEABLE),
)
def post_quote(
    account_id: AccountId,
    body: Annotated[ConsumeRequest, Body()],
    caller: Annotated[Caller, Depends(any_caller)],
    idempotency_key: IdempotencyKey = None,
) -> Response[QuoteAnswer]:
    """Price a consume against the account as it is now. Changes nothing."""
    command = command_of(Consume, caller, body, idempotency_key)
    account = ledger().account(caller.account_id, opening_for(caller))
    plan = ledger().entitled(account).plan
    return answer(quote_json(quote(account, plan, command, ledger().catalog())))


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)


warm_up(app.prepare, prepare)
