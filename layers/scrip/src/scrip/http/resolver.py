"""The resolver that every HTTP function uses: strict reading, problems for all that goes wrong."""

import json
from typing import Annotated, Any, NoReturn

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.content_types import APPLICATION_JSON
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)
from aws_lambda_powertools.event_handler.openapi.params import Header, Path
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from scrip.domain.commands import KEY_PATTERN
from scrip.domain.errors import BusyError, ScripError
from scrip.http.problems import (
    BodyTooLargeError,
    InvalidError,
    MalformedError,
    RouteNotFoundError,
    UnsupportedMediaTypeError,
    problem,
)
from scrip.observability import count, logger

BODY_BYTES_MAX = 64 * 1024

FAILURE = 500
"""From this status on it is not the caller's doing."""

AccountId = Annotated[
    str,
    Path(description="An account's id, or `me` for the caller's own.", max_length=128),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Names the request: repeating it with its key has no further effect.",
        pattern=KEY_PATTERN,
    ),
]
IfMatch = Annotated[
    str,
    Header(
        alias="If-Match",
        description="The version that is to be replaced, as its ETag said.",
        pattern='^("[0-9]{1,15}"|[0-9]{1,15})$',
    ),
]


def api() -> APIGatewayHttpResolver:
    """Return a resolver that reads strictly and answers every error as a problem."""
    app = APIGatewayHttpResolver(enable_validation=True, json_body_deserializer=_read_json)

    def failed(exc: Exception) -> Response[str]:
        error = _error_of(exc, app.current_event)
        told = {"code": error.code, "status": error.status}
        if error.status >= FAILURE and error.__cause__ is not None:
            # Throttled, unreachable, or not allowed to: who operates the stack has to know.
            told["cause"] = repr(error.__cause__)
        logger.info("refused", extra=told)
        if isinstance(error, BusyError):
            count("Busy")
        request_id = app.current_event.request_context.request_id
        answer = problem(error, f"urn:scrip:request:{request_id}")
        answer.headers["X-Request-Id"] = request_id
        return answer

    app.use(middlewares=[_with_request_id, _json_only])
    app.exception_handler_manager.update_exception_handlers({Exception: failed})
    return app


def _error_of(exc: Exception, event: APIGatewayProxyEventV2) -> ScripError:
    """Return what to tell the caller of an exception."""
    match exc:
        case ScripError():
            return exc
        case NotFoundError():
            return RouteNotFoundError()
        case UnicodeDecodeError():
            return MalformedError("the body is not UTF-8")
        case RequestUnsupportedContentType() | RequestValidationError() if not _is_json(event):
            return UnsupportedMediaTypeError(APPLICATION_JSON)
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


def _read_json(body: str) -> Any:
    """Read a bounded body as JSON, without what is ambiguous or not JSON."""
    if len(body) > BODY_BYTES_MAX:
        raise BodyTooLargeError(BODY_BYTES_MAX)
    try:
        return json.loads(body, parse_constant=_no_such_number, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as exc:
        raise MalformedError("the body is not JSON") from exc


def _no_such_number(name: str) -> NoReturn:
    raise ValueError(name)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _is_json(event: APIGatewayProxyEventV2) -> bool:
    media_type = event.headers.get("content-type", APPLICATION_JSON)
    return not event.body or media_type.partition(";")[0].strip() == APPLICATION_JSON


def _with_request_id(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    """Tell the caller the id under which logs, entries and events have the request."""
    answer = next_middleware(app)
    answer.headers["X-Request-Id"] = app.current_event.request_context.request_id
    return answer


def _json_only(app: APIGatewayHttpResolver, next_middleware: NextMiddleware) -> Response[Any]:
    """Refuse the forms that Powertools would read, too."""
    if not _is_json(app.current_event):
        raise UnsupportedMediaTypeError(APPLICATION_JSON)
    return next_middleware(app)
