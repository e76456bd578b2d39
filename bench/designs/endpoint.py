"""Scrip's own consume endpoint, checks and problems, with another way to take credits behind it."""

from collections.abc import Callable
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Depends, Response
from aws_lambda_powertools.event_handler.openapi.params import Body

from functions.consume.requests import ConsumeRequest
from scrip.domain.errors import InsufficientCreditsError
from scrip.http.answers import answer
from scrip.http.principals import Caller, any_caller
from scrip.http.resolver import AccountId, Api, IdempotencyKey, api
from scrip.ledger import utc_now


def consume_api(take: Callable[[str, str, int], None]) -> Api:
    """Return an API with consume; `take` receives the account, the key and the amount."""
    app = api()

    @app.operation(
        "POST",
        "/v1/accounts/<account_id>/consume",
        operation_id="consume",
        summary="Spend credits",
        tag="Credits",
    )
    def post_consume(
        account_id: AccountId,  # noqa: ARG001 - `any_caller` checks it
        body: Annotated[ConsumeRequest, Body()],
        caller: Annotated[Caller, Depends(any_caller)],
        idempotency_key: IdempotencyKey = None,
    ) -> Response[Any]:
        assert idempotency_key
        assert body.amount
        take(caller.account_id, idempotency_key, body.amount)
        return answer({"account_id": caller.account_id, "taken": body.amount})

    return app


def not_enough(required: int, available: int) -> InsufficientCreditsError:
    """Return Scrip's refusal for too few credits."""
    return InsufficientCreditsError(
        required=required,
        available=available,
        shortfall=required - available,
        next_reset_at=utc_now(),
    )
