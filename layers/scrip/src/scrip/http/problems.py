"""Problem details (RFC 9457): every refusal and failure as `application/problem+json`."""

import json
from dataclasses import dataclass, fields
from datetime import datetime

from aws_lambda_powertools.event_handler import Response

from scrip.domain.entries import iso
from scrip.domain.errors import (
    BusyError,
    HoldRateLimitedError,
    InsufficientCreditsError,
    ScripError,
)
from scrip.settings import settings

CONTENT_TYPE = "application/problem+json"

ERRORS_MAX = 20
TEXT_CHARACTERS_MAX = 300
DETAIL_CHARACTERS_MAX = 1_000
"""How much of a caller's input an error repeats at most, in characters."""


@dataclass(eq=False, repr=False)
class ForbiddenError(ScripError):
    """The token does not allow that.

    Use a token of the account's owner, of a service or of an admin, as the operation wants it.
    """

    status, code = 403, "forbidden"


@dataclass(eq=False, repr=False)
class RouteNotFoundError(ScripError):
    """There is nothing at this path.

    Check method and path.
    """

    status, code = 404, "not_found"


@dataclass(eq=False, repr=False)
class MalformedError(ScripError):
    """The request cannot be read.

    Send JSON in UTF-8 in which no name stands twice.
    """

    status, code = 400, "malformed"
    problem: str


@dataclass(eq=False, repr=False)
class BodyTooLargeError(ScripError):
    """The body is too large.

    Send at most `bytes_max` bytes.
    """

    status, code = 413, "body_too_large"
    bytes_max: int


@dataclass(eq=False, repr=False)
class UnsupportedMediaTypeError(ScripError):
    """The body is not of a type that can be read.

    Send `Content-Type: application/json`.
    """

    status, code = 415, "unsupported_media_type"
    expected: str


@dataclass(eq=False, repr=False)
class InvalidError(ScripError):
    """The request is not valid.

    Correct what `errors` lists: where, and what is wrong with it. It has at most 20 lines.
    """

    status, code = 422, "invalid"
    errors: list[str]


def problem(error: ScripError, instance: str) -> Response[str]:
    """Return the answer that tells an error; `instance` names this occurrence of it."""
    data = {field.name: _told(getattr(error, field.name)) for field in fields(error)}
    if isinstance(error, InsufficientCreditsError):
        data |= {"unit": "credits", "top_up_url": settings().top_up_url or None}
    title = (type(error).__doc__ or "").splitlines()[0]
    said = ", ".join(
        f"{name}: {'; '.join(value) if isinstance(value, list) else value}"
        for name, value in data.items()
        if value is not None
    )
    retry = {}
    if isinstance(error, BusyError | HoldRateLimitedError):
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
                "detail": _clipped(f"{title} {said}".strip(), DETAIL_CHARACTERS_MAX),
                "instance": instance,
                "code": error.code,
                **data,
            },
        ),
    )


def _told(value: object) -> object:
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
