"""Prints the OpenAPI document of all HTTP functions, generated from their code.

A handler's decorator, signature and docstring declare its operation. Its problems, headers, links
and code samples follow from these by the rules in this file and in `code_samples.py`, which no
function needs at run time.
"""

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from aws_lambda_powertools.event_handler import Depends
from aws_lambda_powertools.event_handler.api_gateway import Route
from aws_lambda_powertools.event_handler.openapi.dependant import get_dependant
from aws_lambda_powertools.event_handler.openapi.merge import OpenAPIMerge
from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, Server
from code_samples import code_samples
from pydantic import BaseModel, create_model

from scrip import __version__
from scrip.domain import errors
from scrip.domain.errors import ScripError
from scrip.http import principals, problems
from scrip.http.resolver import Api, Operation

FUNCTIONS = Path(__file__).parent.parent / "functions"

DESCRIPTION = """\
Credits for apps that sell AI features: sign-up credits, metered use, refunds, adjustments, and a
ledger that explains every change.

Credits are whole numbers. Instants are ISO 8601 in UTC. Every POST to an account accepts an
`Idempotency-Key`, which is unique within the account and never expires: the same request again gets
the first answer, with `Idempotency-Replayed: true`. Edits of the catalog name the version that they
replace in `If-Match`. Errors are RFC 9457 problems; switch on `code`. Every answer by Scrip itself
has an `X-Request-Id`, which is also in logs, entries and events.
"""

TAGS = {
    "Spend credits": "Price a use, charge for it, and give credits back.",
    "Hold credits": "Set credits aside for work whose price is known only afterwards.",
    "Ledger and usage": "What changed a balance, when and why, and what was used by day.",
    "Accounts": "Balances, what happens next, and opening, freezing and closing accounts.",
    "Credits and plan of an account": "What support does: add or deduct credits, change the plan.",
    "Prices and plans": "The catalog: what features cost, and what plans include.",
    "Webhooks": "Messages from billing and identity providers, and repairing what they missed.",
    "Service": "Whether the API and the stack are healthy.",
}
"""The groups of operations, in their order. Those of one group are sorted by path."""

WHO = {
    principals.any_caller: "the account's owner, a service, an admin",
    principals.service_caller: "a service, an admin",
    principals.admin_caller: "an admin",
    principals.admin_actor: "an admin",
    None: "anyone",
}
"""Who may call an operation, by the principal that its handler depends on."""

HEALTH = "health"
"""An operation that reads nothing and so refuses nothing."""

WEBHOOK = "webhook"
"""An operation for providers, which sign its requests."""

ACCOUNT_ID = "$response.body#/account_id"
ENTRY_ID = "$response.body#/entry/entry_id"
HOLD_ID = "$response.body#/hold/hold_id"
WEBHOOK_ID = "$response.body#/webhook_id"
SAME_ACCOUNT = {"account_id": "$request.path.account_id"}

Document = dict[str, Any]


def openapi() -> str:
    """Return the document as JSON."""
    merge = OpenAPIMerge(
        title="Scrip",
        version=__version__,
        description=DESCRIPTION,
        servers=[Server(url="..", description="The stack that serves this document.")],
        security_schemes={
            "token": HTTPBearer(
                bearerFormat="JWT",
                description="The token of a user, of a service (scope `scrip/service`), or of an "
                "admin (scope `scrip/admin`, or group `admin` after signing in to the console).",
            ),
        },
        security=[{"token": []}],
        on_conflict="error",
    )
    described: dict[tuple[str, str], _Described] = {}
    for path in sorted(FUNCTIONS.glob("*/handler.py")):
        app = getattr(import_module(f"functions.{path.parent.name}.handler"), "app", None)
        if isinstance(app, Api):
            for route in app.routes:
                if route.include_in_schema:
                    found = _Described(route, app.operations[route.operation_id])
                    route.responses = found.responses()
                    described[route.openapi_path, route.method.lower()] = found
            merge.add_schema(json.loads(app.get_openapi_json_schema()))
    document = json.loads(merge.get_openapi_json_schema())
    document["paths"] = dict(sorted(document["paths"].items()))
    document["tags"] = [{"name": name, "description": said} for name, said in TAGS.items()]
    for (route_path, method), operation in described.items():
        document["paths"][route_path][method] |= operation.beside_responses()
    return json.dumps(document, indent=1) + "\n"


class _Described:
    """An operation, with everything that follows from its declaration."""

    def __init__(self, route: Route, operation: Operation) -> None:
        self.route = route
        self.operation_id = route.operation_id
        self.operation = operation
        # An operation with several answers is described by the first.
        [self.answer, *_] = get_args(operation.answer) or [operation.answer]
        takes = get_dependant(path=route.openapi_path, call=route.func)
        self.needs_token = bool(takes.dependencies)
        self.has_body = bool(takes.body_params)
        self.has_key = any(
            field.alias.lower() == "idempotency-key" for field in takes.header_params
        )
        self.path = [field.alias for field in takes.path_params]
        self.query = {field.alias: field.required for field in takes.query_params}
        self.answered = get_type_hints(self.answer)
        # Items of the catalog count their versions. Health answers the version of the code.
        self.is_versioned = self.answered.get("version") is int

    def responses(self) -> dict[int, Any]:
        """Return every response, by status."""
        status = self.operation.status
        success = {
            "description": (self.answer.__doc__ or "").splitlines()[0],
            "content": {"application/json": {"model": self.operation.answer}},
            **{
                name: found
                for name, found in (("headers", self._headers()), ("links", self._links()))
                if found
            },
        }
        found = {status: success}
        if self.operation_id == "add_account":
            found[200] = {**success, "description": "The account already exists."}
        if self.operation_id != HEALTH:
            found |= self._problems()
        return found

    def beside_responses(self) -> Document:
        """Return the description and the samples, and that an operation needs no token.

        Raises:
            ValueError: the operation is in a group that `TAGS` does not list.
        """
        if not TAGS.keys() & self.route.tags:
            raise ValueError(f"{self.operation_id}: its tag must be one of {', '.join(TAGS)}")
        who = WHO[_principal(self.route.func)]
        docstring = inspect.cleandoc(self.route.func.__doc__ or "").partition("\n\nRaises:")[0]
        found: Document = {
            "description": f"{' '.join(docstring.split())}\n\nAllowed for: {who}.",
        }
        if self.operation_id != WEBHOOK:
            found["x-codeSamples"] = code_samples(
                self.operation_id,
                f"{self.route.method} {self.route.openapi_path}",
                token="SERVICE" if "a service" in who else "ADMIN" if self.needs_token else None,
                has_key=self.has_key,
            )
        if not self.needs_token:
            found["security"] = []  # Powertools drops an empty list
        return found

    def _problems(self) -> dict[int, Any]:
        """Return the problems of the operation and the answers of API Gateway, by status."""
        found: dict[int, Any] = {}
        for error in dict.fromkeys(self._errors()):
            one = found.setdefault(error.status, {"description": "", "content": {}})
            one["description"] += f"`{error.code}` "
            if issubclass(error, RETRIED):
                one["headers"] = RETRY_AFTER
            shape = _problem_model(error)  # type: ignore[arg-type] # a class can be hashed
            one["content"].setdefault(problems.CONTENT_TYPE, {"model": shape})["model"] |= shape
        by_gateway = {429: "Too many requests (API Gateway's answer)."}
        if self.needs_token:
            by_gateway[401] = "No valid token (API Gateway's answer)."
        for status, description in by_gateway.items():
            one = found.setdefault(status, {"description": "", "content": {}})
            one["description"] += description
            one["content"]["application/json"] = {"model": GatewayMessage}
        return found

    def _errors(self) -> Iterator[type[ScripError]]:
        if self.has_body:
            yield problems.MalformedError
            yield problems.BodyTooLargeError
            yield problems.UnsupportedMediaTypeError
        if self.operation.command:
            yield from self.operation.command.refusals
        if self.has_key:
            yield errors.IdempotencyKeyReusedError
        if "cursor" in self.query:
            yield errors.InvalidCursorError
        yield from self.operation.refusals
        if self.needs_token:
            yield problems.ForbiddenError
        if self.needs_token or self.path:
            yield problems.RouteNotFoundError
            yield problems.InvalidError
        if "account_id" in self.path:
            yield errors.UnusableAccountIdError
            yield errors.AccountNotFoundError
            yield errors.CatalogUnsoundError
            yield errors.CorruptAccountError
        yield ScripError
        yield errors.BusyError
        yield errors.NewerVersionError

    def _headers(self) -> Document:
        """Return the headers of success: an item's version, or a mark on replayed entries."""
        if self.is_versioned:
            return ETAG
        return REPLAYED if self.has_key and {"entry", "entries"} & self.answered.keys() else {}

    def _links(self) -> Document:
        """Return the links from success to other operations."""
        links = LINKS.get(self.operation_id, {})
        if "entry" in self.answered:
            links = ENTRY | links
        if self.is_versioned:
            name = self.answer.__name__.removesuffix("Answer").lower()
            item = {f"{name}_id": f"$response.body#/{name}_id"}
            edited = {**item, "if-match": "$response.header.ETag"}
            links = {
                "change": _link(f"change_{name}", "Replace it.", edited),
                "deactivate": _link(f"deactivate_{name}", "Make it inactive.", edited),
            }
        if "cursor" in self.query:
            same = {name: f"$request.path.{name}" for name in self.path}
            same |= {
                name: f"$request.query.{name}" for name, required in self.query.items() if required
            }
            links = {
                "next": _link(
                    self.operation_id,
                    "The next page: the same query with this cursor, unless it is null.",
                    {**same, "cursor": "$response.body#/cursor"},
                )
            }
        return links


def _principal(handler: Any) -> Any:
    """Return the principal that a handler depends on, None if it has none."""
    hints = get_type_hints(handler, include_extras=True).values()
    depends = [
        extra.dependency
        for hint in hints
        for extra in getattr(hint, "__metadata__", ())
        if isinstance(extra, Depends)
    ]
    return depends[0] if depends else None


def _link(
    operation_id: str,
    description: str,
    parameters: Mapping[str, str],
    body: Mapping[str, str] | None = None,
) -> Document:
    """Return a link to an operation; parameters and body say what to take from the answer."""
    link = {"operationId": operation_id, "description": description, "parameters": parameters}
    return {**link, "requestBody": body} if body else link


RETRIED = errors.BusyError | errors.HoldRateLimitedError | errors.NewerVersionError
"""The errors whose answers say when to try again."""
RETRY_AFTER = {
    "Retry-After": {"description": "Seconds.", "required": True, "schema": {"type": "integer"}},
}
REPLAYED = {
    "Idempotency-Replayed": {
        "description": "`true` if this repeats the first answer; otherwise absent.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
ETAG = {
    "ETag": {
        "description": "The current version, for `If-Match`.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
    },
}
ENTRY = {"entry": _link("get_entry", "The entry.", {**SAME_ACCOUNT, "entry_id": ENTRY_ID})}
REFUND = {
    "refund": _link(
        "refund",
        "Give the credits back.",
        SAME_ACCOUNT,
        {"entry_id": ENTRY_ID, "reason": "The work failed."},
    ),
}
LINKS: Mapping[str, Document] = {
    "consume": REFUND,
    "capture_hold": REFUND,
    "open_hold": {
        name: _link(f"{name}_hold", description, {**SAME_ACCOUNT, "hold_id": HOLD_ID})
        for name, description in {
            "capture": "Spend it.",
            "extend": "Keep it open longer.",
            "release": "Give it back.",
        }.items()
    },
    "add_account": {
        name: _link(operation_id, description, {"account_id": ACCOUNT_ID})
        for name, operation_id, description in (
            ("account", "get_account", "The account."),
            ("quota", "get_quota", "What it may use."),
            ("adjust", "adjust", "Change its balance."),
            ("consume", "consume", "Spend its credits."),
        )
    },
    "webhook": {
        "webhook": _link("get_webhook", "The message and its outcome.", {"webhook_id": WEBHOOK_ID}),
        "replay": _link("replay_webhook", "Apply it again.", {"webhook_id": WEBHOOK_ID}),
    },
}
"""Links from the answer to an operation, beside those that follow from the answer's fields."""


class ProblemAnswer(BaseModel):
    """A refusal or failure, RFC 9457. `code` is for programs; `instance` names the request."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str


class GatewayMessage(BaseModel):
    """An answer from API Gateway itself."""

    message: str


@cache
def _problem_model(error: type[ScripError]) -> type[ProblemAnswer]:
    """Return the schema of the problem that reports an error, as `problems.problem` fills it."""
    data: dict[str, Any] = {field.name: (field.type, ...) for field in fields(error)}
    if issubclass(error, errors.InsufficientCreditsError):
        data |= {
            "unit": (Literal["credits"], ...),
            "top_up_url": (str | None, ...),
            "credits_url": (str | None, ...),
        }
    return create_model(
        error.__name__.removesuffix("Error") + "Problem",
        __base__=ProblemAnswer,
        __doc__=error.__doc__,
        status=(Literal[error.status], ...),
        code=(Literal[error.code], ...),
        **data,
    )


if __name__ == "__main__":
    print(openapi(), end="")
