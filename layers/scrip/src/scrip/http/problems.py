"""Problem details (RFC 9457): refusals and failures as `application/problem+json`."""

import json
from dataclasses import fields
from datetime import datetime

from aws_lambda_powertools.event_handler import Response

from scrip.domain.entries import iso
from scrip.domain.errors import (
    BusyError,
    HoldRateLimitedError,
    InsufficientCreditsError,
    NewerVersionError,
    ScripError,
)
from scrip.settings import settings

CONTENT_TYPE = "application/problem+json"

ERRORS_MAX = 20
TEXT_CHARACTERS_MAX = 300
DETAIL_CHARACTERS_MAX = 1_000
"""How much of a caller's input an error repeats at most, in characters."""


class ForbiddenError(ScripError):
    """This token does not allow the request.

    Use a token of the account's owner, of a service or of an admin, as the operation requires.
    """

    status, code = 403, "forbidden"


class RouteNotFoundError(ScripError):
    """This path or method does not exist.

    Check the method and the path.
    """

    status, code = 404, "not_found"


class MalformedError(ScripError):
    """The request could not be read.

    Send JSON in UTF-8 in which no object repeats a name.
    """

    status, code = 400, "malformed"
    detail = "The request could not be read: {problem}."
    problem: str


class BodyTooLargeError(ScripError):
    """The body is too large.

    Send at most `bytes_max` bytes.
    """

    status, code = 413, "body_too_large"
    detail = "The body is larger than {bytes_max} bytes."
    bytes_max: int


class UnsupportedMediaTypeError(ScripError):
    """The media type of the body is not supported.

    Send `Content-Type: application/json`.
    """

    status, code = 415, "unsupported_media_type"
    detail = "The media type of the body must be {expected}."
    expected: str


class InvalidError(ScripError):
    """The request is not valid.

    Correct what `errors` lists: where, and what is wrong. It has at most 20 lines.
    """

    status, code = 422, "invalid"
    detail = "The request is not valid: {errors}"
    errors: list[str]


def problem(error: ScripError, instance: str) -> Response[str]:
    """Return the answer for an error; `instance` names this occurrence of it."""
    data = {field.name: _shown(getattr(error, field.name)) for field in fields(error)}
    if isinstance(error, InsufficientCreditsError):
        data |= {
            "unit": "credits",
            "top_up_url": settings().top_up_url or None,
            "credits_url": settings().user_page_url or None,
        }
    title = (type(error).__doc__ or "").splitlines()[0]
    texts = {name: "; ".join(v) if isinstance(v, list) else v for name, v in data.items()}
    detail = error.detail.format(**texts) if error.detail else title
    retry = {}
    if isinstance(error, BusyError | HoldRateLimitedError | NewerVersionError):
        retry = {"Retry-After": str(error.retry_after)}
    return Response(
        status_code=error.status,
        content_type=CONTENT_TYPE,
        headers=retry,
        body=json.dumps(
            {
                "type": f"urn:scrip:problem:{error.code}",
                "title": title,
                "status": error.status,
                "detail": _clipped(detail, DETAIL_CHARACTERS_MAX),
                "instance": instance,
                "code": error.code,
                **data,
            },
        ),
    )


def _shown(value: object) -> object:
    match value:
        case datetime():
            return iso(value)
        case str():
            return _clipped(value, TEXT_CHARACTERS_MAX)
        case [*texts]:
            shown = texts if len(texts) <= ERRORS_MAX else texts[: ERRORS_MAX - 1]
            more = [f"and {len(texts) - len(shown)} more"] if len(shown) < len(texts) else []
            return [_clipped(str(text), TEXT_CHARACTERS_MAX) for text in shown] + more
    return value


def _clipped(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else f"{text[: characters_max - 1]}…"
