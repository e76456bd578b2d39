"""The operations of the API as its OpenAPI document tells them: names, answers, problems.

A route names its own, `@app.post(path, operation_id="consume")`, and nothing else of this is there
when a function runs: the document's maker puts the two together.
"""

from collections.abc import Mapping
from typing import Any

from scrip.domain import errors
from scrip.domain.errors import ScripError
from scrip.http import problems
from scrip.http.answer_models import (
    AccountAnswer,
    AccountsAnswer,
    AdminHealthAnswer,
    ArchivedEntriesAnswer,
    AuditsAnswer,
    BatchAnswer,
    CatalogAnswer,
    ClosedAnswer,
    EntriesAnswer,
    ExtendedAnswer,
    FeatureAnswer,
    FeaturesAnswer,
    GatewayMessage,
    HealthAnswer,
    HoldAnswer,
    HoldsAnswer,
    ListedAccount,
    ListedWebhook,
    OneEntryAnswer,
    OneWebhookAnswer,
    PlanAnswer,
    PlansAnswer,
    PostedAnswer,
    QuotaAnswer,
    QuoteAnswer,
    SyncAnswer,
    UsageAnswer,
    WebhookAnswer,
    WebhooksAnswer,
    problem_model,
)

ANYWHERE: tuple[type[ScripError], ...] = (
    problems.ForbiddenError,
    errors.UnusableAccountIdError,
    problems.RouteNotFoundError,
    errors.AccountNotFoundError,
    problems.InvalidError,
    ScripError,
    errors.CatalogUnsoundError,
    errors.CorruptAccountError,
    errors.BusyError,
)
"""What any operation on an account may answer."""

ADMIN_ANYWHERE: tuple[type[ScripError], ...] = (
    problems.ForbiddenError,
    problems.RouteNotFoundError,
    problems.InvalidError,
    ScripError,
    errors.BusyError,
)
"""What any operation for admins that is about no account may answer."""

WITH_BODY: tuple[type[ScripError], ...] = (
    problems.MalformedError,
    problems.BodyTooLargeError,
    problems.UnsupportedMediaTypeError,
    errors.AccountClosedError,
    errors.IdempotencyKeyReusedError,
)
"""What any command may answer too."""

EDIT_WITH_BODY: tuple[type[ScripError], ...] = (
    problems.MalformedError,
    problems.BodyTooLargeError,
    problems.UnsupportedMediaTypeError,
)
"""What any edit of the catalog that takes a body may answer too: it needs no idempotency key."""

OF_HOLD: tuple[type[ScripError], ...] = (
    errors.HoldNotFoundError,
    errors.HoldNotYoursError,
    errors.HoldEndedError,
    errors.AccountFrozenError,
)
"""What any call about an opened hold may answer."""

PLAN_RULES: tuple[type[ScripError], ...] = (
    errors.DefaultPlanError,
    errors.ProviderIdTakenError,
)
"""Why a plan may be refused."""

ENTRY_ID = "$response.body#/entry/entry_id"
CURSOR = "$response.body#/cursor"

SAME_ACCOUNT = {"account_id": "$request.path.account_id"}
SAME_WINDOW = {"from": "$request.query.from", "to": "$request.query.to"}
ACCOUNT_ID = {"account_id": "$response.body#/account_id"}
PLAN_ID = {"plan_id": "$response.body#/plan_id"}
FEATURE_ID = {"feature_id": "$response.body#/feature_id"}
WEBHOOK_ID = {"webhook_id": "$response.body#/webhook_id"}

RETRY_AFTER = {
    "Retry-After": {"description": "Seconds.", "required": True, "schema": {"type": "integer"}},
}
REPLAYED = {
    "Idempotency-Replayed": {
        "description": "`true` where this is the first answer again; else there is none.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
ETAG = {
    "ETag": {
        "description": "The version that it has now, for `If-Match`.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
    },
}


def _link(
    operation_id: str,
    description: str,
    parameters: Mapping[str, str],
    body: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return how to go on from an answer; parameters and body say what of it to take."""
    link = {"operationId": operation_id, "description": description, "parameters": parameters}
    return {**link, "requestBody": body} if body else link


def _next_page(operation_id: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
    told = "The next page: the same question with this cursor, unless it is null."
    return {"next": _link(operation_id, told, {**(parameters or {}), "cursor": CURSOR})}


def _edits(name: str, item_id: Mapping[str, str]) -> dict[str, Any]:
    """Return how to edit again what an edit answered with."""
    parameters = {**item_id, "if-match": "$response.header.ETag"}
    return {
        "change": _link(f"change_{name}", "Replace it.", parameters),
        "deactivate": _link(f"deactivate_{name}", "Make it inactive.", parameters),
    }


POSTED = {"entry": _link("get_entry", "The entry.", {**SAME_ACCOUNT, "entry_id": ENTRY_ID})}
CONSUMED = POSTED | {
    "refund": _link(
        "refund",
        "Give the credits back.",
        SAME_ACCOUNT,
        {"entry_id": ENTRY_ID, "reason": "The work failed."},
    ),
}
OPENED_HOLD = {
    name: _link(
        f"{name}_hold",
        description,
        {**SAME_ACCOUNT, "hold_id": "$response.body#/hold/hold_id"},
    )
    for name, description in {
        "capture": "Spend it.",
        "extend": "Let it live longer.",
        "release": "Give it back.",
    }.items()
}
OPENED = {
    "account": _link("get_account", "The account.", ACCOUNT_ID),
    "quota": _link("get_quota", "What it may use.", ACCOUNT_ID),
    "adjust": _link("adjust", "Change its balance.", ACCOUNT_ID),
    "consume": _link("consume", "Spend its credits.", ACCOUNT_ID),
}
ACCEPTED = {
    "webhook": _link("get_webhook", "The message, and what became of it.", WEBHOOK_ID),
    "replay": _link("replay_webhook", "Apply it again.", WEBHOOK_ID),
}
PLAN_EDITS = _edits("plan", PLAN_ID)
FEATURE_EDITS = _edits("feature", FEATURE_ID)


def _operation(
    operation_id: str,
    summary: str,
    tag: str,
    model: type,
    *errors_: type[ScripError],
    status: int = 200,
    anywhere: tuple[type[ScripError], ...] = ANYWHERE,
    headers: dict[str, Any] | None = None,
    links: dict[str, Any] | None = None,
) -> dict[str, Any]:
    told: dict[int, Any] = {}
    for error in (*errors_, *anywhere):
        found = told.setdefault(error.status, {"description": "", "content": {}})
        found["description"] += f"`{error.code}` "
        if issubclass(error, errors.BusyError | errors.HoldRateLimitedError):
            found["headers"] = RETRY_AFTER
        shape = problem_model(error)  # type: ignore[arg-type] # a class can be hashed
        found["content"].setdefault(problems.CONTENT_TYPE, {"model": shape})["model"] |= shape
    by_gateway = {"application/json": {"model": GatewayMessage}}
    for code, description in {
        401: "No valid token (API Gateway's answer).",
        429: "Too many requests (API Gateway's answer).",
    }.items():
        found = told.setdefault(code, {"description": "", "content": {}})
        found["description"] += description
        found["content"] |= by_gateway
    return {
        "operation_id": operation_id,
        "summary": summary,
        "tags": [tag],
        "responses": {
            status: {
                "description": (model.__doc__ or "").splitlines()[0],
                "content": {"application/json": {"model": model}},
                **({"headers": headers} if headers else {}),
                **({"links": links} if links else {}),
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
    headers=REPLAYED,
    links=CONSUMED,
)
CONSUME_BATCH = _operation(
    "consume_batch",
    "Spend credits for several uses at once",
    "Credits",
    BatchAnswer,
    *WITH_BODY,
    errors.InsufficientCreditsError,
    errors.AccountFrozenError,
    errors.UnknownFeatureError,
    errors.CostOutOfRangeError,
    headers=REPLAYED,
)
OPEN_HOLD = _operation(
    "open_hold",
    "Set credits aside for a use that is to come",
    "Holds",
    HoldAnswer,
    *WITH_BODY,
    errors.InsufficientCreditsError,
    errors.AccountFrozenError,
    errors.HoldRateLimitedError,
    errors.TooManyHoldsError,
    errors.UnknownFeatureError,
    errors.CostOutOfRangeError,
    status=201,
    headers=REPLAYED,
    links=POSTED | OPENED_HOLD,
)
CAPTURE_HOLD = _operation(
    "capture_hold",
    "Spend what was set aside",
    "Holds",
    PostedAnswer,
    *WITH_BODY,
    *OF_HOLD,
    errors.HoldExceededError,
    errors.HoldWithoutFeatureError,
    errors.InsufficientCreditsError,
    errors.UnknownFeatureError,
    errors.CostOutOfRangeError,
    headers=REPLAYED,
    links=CONSUMED,
)
EXTEND_HOLD = _operation(
    "extend_hold",
    "Let a hold live longer",
    "Holds",
    ExtendedAnswer,
    *EDIT_WITH_BODY,
    *OF_HOLD,
    errors.AccountClosedError,
    errors.HoldRateLimitedError,
)
RELEASE_HOLD = _operation(
    "release_hold",
    "Give back what was set aside",
    "Holds",
    PostedAnswer,
    *WITH_BODY,
    *OF_HOLD,
    errors.HoldRateLimitedError,
    headers=REPLAYED,
    links=POSTED,
)
LIST_HOLDS = _operation("list_holds", "List open holds", "Holds", HoldsAnswer)
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
    headers=REPLAYED,
    links=POSTED,
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
    headers=REPLAYED,
    links=POSTED,
)
FREEZE = _operation(
    "freeze",
    "Stop an account from spending",
    "Admin",
    PostedAnswer,
    *WITH_BODY,
    headers=REPLAYED,
    links=POSTED,
)
UNFREEZE = _operation(
    "unfreeze",
    "Let an account spend again",
    "Admin",
    PostedAnswer,
    *WITH_BODY,
    headers=REPLAYED,
    links=POSTED,
)
GET_QUOTA = _operation("get_quota", "Read plan, limits and use", "Admin", QuotaAnswer)
CHANGE_QUOTA = _operation(
    "change_quota",
    "Change plan, allowance or limits",
    "Admin",
    QuotaAnswer,
    *EDIT_WITH_BODY,
    errors.AccountClosedError,
    errors.UnknownPlanError,
)
RESET = _operation(
    "reset",
    "Begin the period's use anew",
    "Admin",
    PostedAnswer,
    *WITH_BODY,
    headers=REPLAYED,
    links=POSTED,
)
CLOSE = _operation(
    "close",
    "Close an account for ever",
    "Admin",
    ClosedAnswer,
    *WITH_BODY,
)
LIST_AUDIT = _operation(
    "list_audit",
    "List audit records",
    "Admin",
    AuditsAnswer,
    errors.InvalidCursorError,
    links=_next_page("list_audit", SAME_ACCOUNT),
)
GET_ACCOUNT = _operation("get_account", "Read an account", "Accounts", AccountAnswer)
LIST_ENTRIES = _operation(
    "list_entries",
    "List entries",
    "Accounts",
    EntriesAnswer,
    errors.InvalidCursorError,
    links=_next_page("list_entries", SAME_ACCOUNT),
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
    anywhere=ADMIN_ANYWHERE,
    links=_next_page("list_all_entries", SAME_WINDOW),
)
LIST_ACCOUNTS = _operation(
    "list_accounts",
    "List accounts, or find one by its id or an address",
    "Admin",
    AccountsAnswer,
    errors.InvalidCursorError,
    anywhere=ADMIN_ANYWHERE,
    links=_next_page("list_accounts"),
)
ADD_ACCOUNT = _operation(
    "add_account",
    "Open an account",
    "Admin",
    ListedAccount,
    *EDIT_WITH_BODY,
    errors.AccountClosedError,
    errors.EmailTakenError,
    errors.CatalogUnsoundError,
    errors.CorruptAccountError,
    status=201,
    anywhere=ADMIN_ANYWHERE,
    links=OPENED,
)
ADD_ACCOUNT["responses"][200] = {
    **ADD_ACCOUNT["responses"][201],
    "description": "It was there already.",
}
LIST_WEBHOOKS = _operation(
    "list_webhooks",
    "List the messages of providers",
    "Admin",
    WebhooksAnswer,
    errors.InvalidCursorError,
    anywhere=ADMIN_ANYWHERE,
    links=_next_page("list_webhooks"),
)
GET_WEBHOOK = _operation(
    "get_webhook",
    "Read a message of a provider",
    "Admin",
    OneWebhookAnswer,
    errors.WebhookNotFoundError,
    anywhere=ADMIN_ANYWHERE,
)
REPLAY_WEBHOOK = _operation(
    "replay_webhook",
    "Apply a message of a provider again",
    "Admin",
    ListedWebhook,
    errors.WebhookNotFoundError,
    errors.PayloadErasedError,
    anywhere=ADMIN_ANYWHERE,
)
SYNC = _operation(
    "sync",
    "Repair what sign-ups and webhooks missed",
    "Admin",
    SyncAnswer,
    *EDIT_WITH_BODY,
    errors.InvalidCursorError,
    errors.NotConfiguredError,
    errors.ProviderBusyError,
    anywhere=ADMIN_ANYWHERE,
)
ADMIN_HEALTH = _operation(
    "admin_health",
    "Ask whether all is well",
    "Admin",
    AdminHealthAnswer,
    anywhere=ADMIN_ANYWHERE,
)
GET_CATALOG = _operation(
    "get_catalog",
    "Read what features cost and what plans give",
    "Catalog",
    CatalogAnswer,
    anywhere=(ScripError, errors.BusyError),
)
del GET_CATALOG["responses"][401]  # it wants no token
LIST_PLANS = _operation("list_plans", "List plans", "Admin", PlansAnswer, anywhere=ADMIN_ANYWHERE)
CREATE_PLAN = _operation(
    "create_plan",
    "Create a plan",
    "Admin",
    PlanAnswer,
    *EDIT_WITH_BODY,
    errors.AlreadyExistsError,
    *PLAN_RULES,
    status=201,
    anywhere=ADMIN_ANYWHERE,
    headers=ETAG,
    links=PLAN_EDITS,
)
CHANGE_PLAN = _operation(
    "change_plan",
    "Replace a plan",
    "Admin",
    PlanAnswer,
    *EDIT_WITH_BODY,
    errors.PlanNotFoundError,
    errors.StaleVersionError,
    *PLAN_RULES,
    anywhere=ADMIN_ANYWHERE,
    headers=ETAG,
    links=PLAN_EDITS,
)
DEACTIVATE_PLAN = _operation(
    "deactivate_plan",
    "Close a plan to new accounts",
    "Admin",
    PlanAnswer,
    errors.PlanNotFoundError,
    errors.StaleVersionError,
    *PLAN_RULES,
    anywhere=ADMIN_ANYWHERE,
    headers=ETAG,
    links=PLAN_EDITS,
)
LIST_FEATURES = _operation(
    "list_features",
    "List features",
    "Admin",
    FeaturesAnswer,
    anywhere=ADMIN_ANYWHERE,
)
CREATE_FEATURE = _operation(
    "create_feature",
    "Create a feature",
    "Admin",
    FeatureAnswer,
    *EDIT_WITH_BODY,
    errors.AlreadyExistsError,
    status=201,
    anywhere=ADMIN_ANYWHERE,
    headers=ETAG,
    links=FEATURE_EDITS,
)
CHANGE_FEATURE = _operation(
    "change_feature",
    "Replace a feature",
    "Admin",
    FeatureAnswer,
    *EDIT_WITH_BODY,
    errors.FeatureNotFoundError,
    errors.StaleVersionError,
    anywhere=ADMIN_ANYWHERE,
    headers=ETAG,
    links=FEATURE_EDITS,
)
DEACTIVATE_FEATURE = _operation(
    "deactivate_feature",
    "Stop a feature from being used",
    "Admin",
    FeatureAnswer,
    errors.FeatureNotFoundError,
    errors.StaleVersionError,
    anywhere=ADMIN_ANYWHERE,
    headers=ETAG,
    links=FEATURE_EDITS,
)
WEBHOOK = _operation(
    "webhook",
    "Tell what happened at a billing or identity provider",
    "Webhooks",
    WebhookAnswer,
    problems.BodyTooLargeError,
    problems.UnsupportedMediaTypeError,
    errors.SignatureError,
    errors.PayloadError,
    anywhere=(
        problems.RouteNotFoundError,
        problems.InvalidError,
        ScripError,
        errors.CatalogUnsoundError,
        errors.CorruptAccountError,
        errors.BusyError,
    ),
    links=ACCEPTED,
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

OPERATIONS = {
    operation["operation_id"]: operation
    for operation in (
        CONSUME,
        CONSUME_BATCH,
        OPEN_HOLD,
        LIST_HOLDS,
        CAPTURE_HOLD,
        EXTEND_HOLD,
        RELEASE_HOLD,
        QUOTE,
        REFUND,
        ADJUST,
        FREEZE,
        UNFREEZE,
        GET_QUOTA,
        CHANGE_QUOTA,
        RESET,
        CLOSE,
        LIST_AUDIT,
        GET_ACCOUNT,
        LIST_ENTRIES,
        GET_ENTRY,
        GET_USAGE,
        LIST_ALL_ENTRIES,
        LIST_ACCOUNTS,
        ADD_ACCOUNT,
        LIST_WEBHOOKS,
        GET_WEBHOOK,
        REPLAY_WEBHOOK,
        SYNC,
        ADMIN_HEALTH,
        GET_CATALOG,
        LIST_PLANS,
        CREATE_PLAN,
        CHANGE_PLAN,
        DEACTIVATE_PLAN,
        LIST_FEATURES,
        CREATE_FEATURE,
        CHANGE_FEATURE,
        DEACTIVATE_FEATURE,
        WEBHOOK,
        HEALTH,
    )
}
"""All of them, by their ids."""
