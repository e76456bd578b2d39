"""The HTTP answer with which an app explains to its own user that a charge failed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scrip_client.errors import (
    AccountClosedError,
    AccountFrozenError,
    ApiError,
    InsufficientCreditsError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

USER_ERRORS = (
    InsufficientCreditsError,
    AccountFrozenError,
    AccountClosedError,
    UnavailableError,
)
"""Errors that a user should see. All others are the app's own."""

RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True)
class ProblemAnswer:
    """An HTTP answer; called as an ASGI application, it sends itself."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    async def __call__(
        self,
        _scope: MutableMapping[str, Any],
        _receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer an ASGI request."""
        headers = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        start = {"type": "http.response.start", "status": self.status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body})


def problem_answer(error: Exception) -> ProblemAnswer:
    """Return the answer (RFC 9457) for one of `USER_ERRORS`: Scrip's own problem, or a 503."""
    headers = {"Content-Type": "application/problem+json", "Cache-Control": "no-store"}
    if isinstance(error, ApiError):
        return ProblemAnswer(error.status, headers, json.dumps(error.problem).encode())
    problem = {
        "type": "urn:scrip:problem:unavailable",
        "title": "Credits cannot be charged right now.",
        "status": 503,
        "detail": "Credits cannot be charged right now. Try again in a moment.",
        "code": "unavailable",
    }
    headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return ProblemAnswer(503, headers, json.dumps(problem).encode())
