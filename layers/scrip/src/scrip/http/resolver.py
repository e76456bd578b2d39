"""The resolver of every HTTP function: operations, strict parsing, problems and headers."""

from __future__ import annotations

import base64
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from urllib.parse import parse_qsl, unquote

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.content_types import APPLICATION_JSON
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.middlewares.openapi_validation import (
    OpenAPIRequestValidationMiddleware,
)
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query

from scrip.domain.commands import HOLD_ID_PATTERN, KEY_PATTERN, USER_PREFIX
from scrip.domain.entries import is_text
from scrip.domain.errors import BusyError, ScripError
from scrip.http.problems import (
    BodyTooLargeError,
    InvalidError,
    MalformedError,
    RouteNotFoundError,
    UnsupportedMediaTypeError,
    problem,
)
from scrip.observability import count, logger, summary

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from aws_lambda_powertools.event_handler.api_gateway import Route
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from scrip.domain.commands import Command

BODY_BYTES_MAX = 64 * 1024

FUNCTION_URL_ROUTE = "$default"
"""The route of every request to a function URL. The API has no such route."""

FAILURE = 500
"""The first status of a failure that the caller did not cause."""

AccountId = Annotated[
    str,
    Path(description="The account's ID, or `me` for the caller's own account.", max_length=128),
]
HoldId = Annotated[
    str,
    Path(
        description="The hold's ID: the idempotency key that opened it, prefixed with "
        f"`{USER_PREFIX}` if a user's token did.",
        pattern=HOLD_ID_PATTERN,
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description=(
            "Identifies the request: repeating it with the same key has no further effect. It "
            f"becomes the entry's ID, prefixed with `{USER_PREFIX}` for a user's token."
        ),
        pattern=KEY_PATTERN,
    ),
]
DryRun = Annotated[
    bool,
    Query(description="Return what the answer would be, and change nothing."),
]
IfMatch = Annotated[
    str,
    Header(
        alias="If-Match",
        description="The version to replace, from the `ETag` header.",
        pattern='^("[0-9]{1,15}"|[0-9]{1,15})$',
    ),
]


SECURITY_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of every response, unless a route sets its own value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a route's parameters do not say about an operation of the API.

    `answer` is the type of the JSON in its response, whose status is `status`. `refusals` are the
    errors of this operation beside those of its `command`, which that class lists.
    """

    answer: Any
    status: int
    command: type[Command] | None
    refusals: tuple[type[ScripError], ...]


class Api(APIGatewayHttpResolver):
    """Resolver with strict parsing, problem responses for all errors, and security headers.

    `operations` are those of the routes that the OpenAPI document describes, by operation ID.
    """

    def __init__(self, *, any_query: bool) -> None:
        """Let Powertools validate requests, but parse queries and bodies here."""
        super().__init__(enable_validation=True)
        self.operations: dict[str, Operation] = {}
        self._request_validation_middleware = _Validation(any_query=any_query)
        self.exception_handler_manager.update_exception_handlers({Exception: self._failed})

    def resolve(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one request, to the API or to a function URL."""
        if event["routeKey"] == FUNCTION_URL_ROUTE:  # API Gateway decodes paths; these are as sent
            event = {**event, "rawPath": unquote(event["rawPath"])}
        answer = super().resolve(event, context)
        # Logs, entries and events record the request under this ID.
        request_id = {"X-Request-Id": event["requestContext"]["requestId"]}
        answer["headers"] = SECURITY_HEADERS | request_id | answer["headers"]
        return answer

    def prepare(self) -> None:
        """Build what the first request of each route would build: checks of what it takes."""
        for route in self.routes:
            _ = route.dependant, route.has_dependencies

    @property
    def routes(self) -> tuple[Route, ...]:
        """All routes."""
        return (*self._static_routes, *self._dynamic_routes)

    def operation[Handler: Callable[..., Response[Any]]](
        self,
        method: str,
        path: str,
        *,
        operation_id: str,
        summary: str,
        tag: str,
        status: int = 200,
        command: type[Command] | None = None,
        refusals: tuple[type[ScripError], ...] = (),
    ) -> Callable[[Handler], Handler]:
        """Register a handler as an operation of the API, which `scripts/openapi.py` documents."""
        route = self.route(path, method, operation_id=operation_id, summary=summary, tags=[tag])

        def register(handler: Handler) -> Handler:
            (answer,) = handler.__annotations__["return"].__args__
            self.operations[operation_id] = Operation(
                answer=answer,
                status=status,
                command=command,
                refusals=refusals,
            )
            # mypy has checked the answer; Powertools would build a model to check it again.
            handler.__annotations__["return"] = Response[Any]
            return route(handler)

        return register

    def _failed(self, exc: Exception) -> Response[str]:
        error = _error_of(exc)
        details = {"code": error.code, "status": error.status}
        if error.status >= FAILURE and error.__cause__ is not None:
            # Throttled, unreachable or not permitted: the stack's operator has to know.
            details["cause"] = summary(error.__cause__)
        logger.info("refused", extra=details)
        if isinstance(error, BusyError):
            count("Busy")
        elif error.status == FAILURE:
            count("Failed")
        request_id = self.current_event.request_context.request_id
        return problem(error, f"urn:scrip:request:{request_id}")


def api(*, any_query: bool = False) -> Api:
    """Return the resolver of a function.

    `any_query` ignores unknown query parameters. A page needs it if a browser can open it with
    parameters that a sign-in has added.
    """
    return Api(any_query=any_query)


def read_body(event: APIGatewayProxyEventV2, bytes_max: int) -> bytes:
    """Return the bytes of a body of at most `bytes_max` bytes whose media type is JSON.

    Raises:
        BodyTooLargeError: it has more bytes.
        UnsupportedMediaTypeError: it has another media type.
    """
    body = (event.body or "").encode()
    if event.is_base64_encoded:  # API Gateway encodes what it does not recognize as text
        body = base64.b64decode(body)
    if len(body) > bytes_max:
        raise BodyTooLargeError(bytes_max)
    media_type = event.headers.get("content-type", APPLICATION_JSON)
    if body and media_type.partition(";")[0].strip().lower() != APPLICATION_JSON:
        raise UnsupportedMediaTypeError(APPLICATION_JSON)
    return body


class _Validation(OpenAPIRequestValidationMiddleware):
    """Validation that refuses unknown and repeated query parameters, as it does fields of a body.

    It parses no body that is too large, and none of the form encodings that Powertools accepts.
    """

    def __init__(self, *, any_query: bool) -> None:
        """Check query parameters, unless the function accepts any."""
        super().__init__()  # type: ignore[no-untyped-call] # theirs
        self._any_query = any_query

    def handler(self, app: Any, next_middleware: NextMiddleware) -> Response[Any]:
        """Validate a request before its handler is called.

        Raises:
            InvalidError: a query parameter is unknown or repeated.
            RequestValidationError: another parameter or the body is invalid.
        """
        route = app.context["_route"]
        # Powertools also makes a route for paths that are not found, whatever their query.
        if route in app.routes and not self._any_query:
            known = {field.alias for field in route.dependant.query_params}
            _check_query(app.current_event["rawQueryString"], known)
        return super().handler(app, next_middleware)

    def _get_body(self, app: Any) -> Any:
        body = read_body(app.current_event, BODY_BYTES_MAX)
        found = _read_json(body) if body else None
        # Powertools treats a list as a missing body where the body is optional.
        if not isinstance(found, dict | None):
            raise InvalidError(["body: must be an object"])
        return found


def _check_query(query: str, known: Collection[str]) -> None:
    """Check that every name in a query is known and occurs once.

    Raises:
        InvalidError: a name is unknown or repeated.
    """
    given = Counter(name for name, _ in parse_qsl(query, keep_blank_values=True))
    errors = [
        *(f"query.{name}: unknown parameter" for name in given if name not in known),
        *(f"query.{name}: given {times} times" for name, times in given.items() if times > 1),
    ]
    if errors:
        raise InvalidError(errors)


def _error_of(exc: Exception) -> ScripError:
    """Return the error to report for an exception."""
    match exc:
        case ScripError():
            return exc
        case NotFoundError():
            return RouteNotFoundError()
        case RequestValidationError():
            return InvalidError(
                [
                    f"{'.'.join(str(part) for part in found['loc'])}: {found['msg']}"
                    for found in exc.errors()
                ],
            )
        case _:
            logger.error("failed", exc_info=exc)
            return ScripError()


def _read_json(body: bytes) -> Any:
    """Parse a body as strict JSON: no duplicate names, no NaN, no lone surrogates."""
    try:
        found = json.loads(
            body.decode(),
            parse_constant=_no_such_number,
            object_pairs_hook=_each_once,
        )
        has_text = is_text(found)
    except UnicodeDecodeError as exc:
        raise MalformedError("the body is not UTF-8") from exc
    except (ValueError, RecursionError) as exc:
        raise MalformedError("the body is not JSON") from exc
    if not has_text:
        raise InvalidError(["body: contains half a character (a lone surrogate)"])
    return found


def _no_such_number(name: str) -> NoReturn:
    raise ValueError(name)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("duplicate name")
    return found
