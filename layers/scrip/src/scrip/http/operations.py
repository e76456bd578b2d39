"""The operations of the API as its OpenAPI document tells them: names, answers, problems.

Each is the keyword arguments of one route: `@app.post(path, **CONSUME)`.
"""

from typing import Any

from scrip.domain import errors
from scrip.domain.errors import ScripError
from scrip.http import problems
from scrip.http.models import (
    AccountAnswer,
    ArchivedEntriesAnswer,
    EntriesAnswer,
    GatewayMessage,
    HealthAnswer,
    OneEntryAnswer,
    PostedAnswer,
    QuoteAnswer,
    UsageAnswer,
)

ANYWHERE: tuple[type[ScripError], ...] = (
    problems.ForbiddenError,
    problems.RouteNotFoundError,
    errors.AccountNotFoundError,
    problems.InvalidError,
    ScripError,
    errors.CatalogUnsoundError,
    errors.CorruptAccountError,
    errors.BusyError,
)
"""What any operation on an account may answer."""

WITH_BODY: tuple[type[ScripError], ...] = (
    problems.MalformedError,
    problems.BodyTooLargeError,
    problems.UnsupportedMediaTypeError,
    errors.IdempotencyKeyReusedError,
)
"""What any operation that takes a body may answer too."""


def _operation(
    operation_id: str,
    summary: str,
    tag: str,
    model: type,
    *errors_: type[ScripError],
    status: int = 200,
) -> dict[str, Any]:
    told: dict[int, Any] = {}
    for error in (*errors_, *ANYWHERE):
        found = told.setdefault(error.status, {"description": "", "content": {}})
        found["description"] += f"`{error.code}` "
        shape = problems.problem_model(error)  # type: ignore[arg-type] # a class can be hashed
        found["content"].setdefault(problems.CONTENT_TYPE, {"model": shape})["model"] |= shape
    by_gateway = {"application/json": {"model": GatewayMessage}}
    return {
        "operation_id": operation_id,
        "summary": summary,
        "tags": [tag],
        "responses": {
            status: {
                "description": (model.__doc__ or "").splitlines()[0],
                "content": {"application/json": {"model": model}},
            },
            401: {"description": "No valid token (API Gateway's answer).", "content": by_gateway},
            429: {
                "description": "Too many requests (API Gateway's answer).",
                "content": by_gateway,
            },
            **told,
        },
    }


CONSUME = _operation(
    "consume",
    "Spend credits",
    "Credits",
    PostedAnswer,
    *WITH_BODY,
    errors.InsufficientCreditsError,
    errors.AccountFrozenError,
    errors.UnknownFeatureError,
    errors.CostOutOfRangeError,
)
QUOTE = _operation(
    "quote",
    "Ask what a consume would cost",
    "Credits",
    QuoteAnswer,
    *WITH_BODY,
    errors.UnknownFeatureError,
    errors.CostOutOfRangeError,
)
REFUND = _operation(
    "refund",
    "Refund a consume",
    "Credits",
    PostedAnswer,
    *WITH_BODY,
    errors.EntryNotFoundError,
    errors.AlreadyRefundedError,
    errors.RefundTooLargeError,
    errors.NotRefundableError,
    status=201,
)
ADJUST = _operation(
    "adjust",
    "Add, deduct or set credits",
    "Admin",
    PostedAnswer,
    *WITH_BODY,
    errors.DeductionTooLargeError,
    errors.TooManyGrantsError,
    errors.ExpiryInThePastError,
    status=201,
)
FREEZE = _operation("freeze", "Stop an account from spending", "Admin", PostedAnswer, *WITH_BODY)
UNFREEZE = _operation("unfreeze", "Let an account spend again", "Admin", PostedAnswer, *WITH_BODY)
GET_ACCOUNT = _operation("get_account", "Read an account", "Accounts", AccountAnswer)
LIST_ENTRIES = _operation(
    "list_entries",
    "List entries",
    "Accounts",
    EntriesAnswer,
    errors.InvalidCursorError,
)
GET_ENTRY = _operation(
    "get_entry",
    "Read one entry",
    "Accounts",
    OneEntryAnswer,
    errors.EntryNotFoundError,
)
GET_USAGE = _operation("get_usage", "Read use by day and feature", "Accounts", UsageAnswer)
LIST_ALL_ENTRIES = _operation(
    "list_all_entries",
    "List entries of all accounts",
    "Admin",
    ArchivedEntriesAnswer,
    errors.InvalidCursorError,
)
HEALTH: dict[str, Any] = {
    "operation_id": "health",
    "summary": "Ask whether the API is up",
    "tags": ["Service"],
    "responses": {
        200: {
            "description": "It is.",
            "content": {"application/json": {"model": HealthAnswer}},
        },
    },
}
