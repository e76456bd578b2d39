"""One call, from its token to its answer: tried again for as long as its bounds allow."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from scrip_client.calls import next_page
from scrip_client.errors import UnavailableError, UnreadableAnswerError, api_error
from scrip_client.reading import read
from scrip_client.retries import NEVER_SENT, TRANSIENT, is_transient, pause_seconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from scrip_client.calls import Call
    from scrip_client.models import Entry, Page
    from scrip_client.retries import Retries
    from scrip_client.tokens import Tokens
    from scrip_client.wires import Wires

Answer = TypeVar("Answer")


@dataclass
class Patience:
    """What one call has used up of its bounds, and whether it may have taken effect."""

    bounds: Retries
    deadline: float
    tries: int = 0
    may_have_taken_effect: bool = False

    @property
    def seconds_left(self) -> float:
        """How long the call may still take."""
        return self.deadline - monotonic()

    def renewed(self) -> Patience:
        """Return the patience for another request of the same call: all tries, no more time."""
        return replace(self, tries=0)

    def is_over_after(self, pause: float) -> bool:
        """Whether there is no time or no try left after a pause."""
        return self.tries >= self.bounds.tries_max or self.seconds_left <= pause


class Caller:
    """Makes calls to one API. Its coroutines suspend only where its wires do."""

    def __init__(self, url: str, wires: Wires, tokens: Tokens, retries: Retries) -> None:
        """Know where the API is, and how to reach it."""
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"the API's address begins with https://, unlike {url!r}")
        self._url = url.rstrip("/")
        self._wires = wires
        self._tokens = tokens
        self._retries = retries

    async def answer(self, call: Call[Answer], retries: Retries | None = None) -> Answer:
        """Return what the API answers to a call.

        Raises:
            ApiError: it refuses; each reason has a class of its own.
            UnavailableError: it could not be reached, or was too busy.
            TokenError: the client's credentials were refused.
            UnreadableAnswerError: something else answers.
        """
        bounds = retries or self._retries
        patience = Patience(bounds, monotonic() + bounds.deadline_seconds)

        async def fetched(request: httpx.Request) -> httpx.Response:
            return await self._sent(request, patience.renewed())

        token = await self._tokens.get(fetched)
        response = await self._sent(self._request(call, token), patience)
        if response.status_code == httpx.codes.UNAUTHORIZED and self._tokens.is_renewable:
            token = await self._tokens.get(fetched, refused=token)
            response = await self._sent(self._request(call, token), patience.renewed())
        return _read(call, response)

    async def entries(self, call: Call[Page]) -> AsyncIterator[Entry]:
        """Yield entries page by page."""
        while True:
            page = await self.answer(call)
            for entry in page.entries:
                yield entry
            if page.cursor is None:
                return
            call = next_page(call, page.cursor)

    def _request(self, call: Call[Any], token: str) -> httpx.Request:
        headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {token}",
            "User-Agent": "scrip-client",
        }
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        if call.key is not None:
            headers["Idempotency-Key"] = call.key
        return httpx.Request(
            call.method,
            f"{self._url}/{call.path}",
            params=call.query,
            headers=headers,
            content=None if call.body is None else json.dumps(call.body),
        )

    async def _sent(self, request: httpx.Request, patience: Patience) -> httpx.Response:
        """Return the first answer that asking again would not better.

        Raises:
            UnavailableError: there was none within the bounds.
        """
        changes = "Idempotency-Key" in request.headers
        last: Exception = TimeoutError("no time was left")
        pause = 0.0
        while not patience.is_over_after(pause):
            await self._wires.sleep(pause)
            seconds = min(patience.bounds.try_seconds, patience.seconds_left)
            request.extensions["timeout"] = httpx.Timeout(seconds).as_dict()
            patience.tries += 1
            retry_after = None
            try:
                response = await self._wires.send(request)
            except TRANSIENT as exc:
                last = exc
                happened = changes and not isinstance(exc, NEVER_SENT)
            else:
                problem = _problem(response)
                if not is_transient(response.status_code, problem):
                    return response
                last = api_error(response.status_code, problem)
                happened = changes and response.status_code != httpx.codes.TOO_MANY_REQUESTS
                retry_after = response.headers.get("Retry-After")
            patience.may_have_taken_effect |= happened
            pause = pause_seconds(patience.tries - 1, retry_after, datetime.now(UTC))
        raise UnavailableError(
            f"{request.url.host} gave no good answer in {patience.tries} tries: {last!r}",
            may_have_taken_effect=patience.may_have_taken_effect,
        ) from last


def _read(call: Call[Answer], response: httpx.Response) -> Answer:
    replayed = "Idempotency-Replayed" in response.headers
    try:
        if not response.is_success:
            raise api_error(response.status_code, _problem(response))
        answer: Answer = read(call.answer, {**response.json(), "replayed": replayed})
    except (KeyError, TypeError, ValueError) as exc:
        raise UnreadableAnswerError(f"{response.url} answers what cannot be read: {exc!r}") from exc
    return answer


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    """Return what an error's answer tells, nothing if it is not JSON: a proxy's page, perhaps."""
    if response.is_success:
        return {}
    try:
        told = response.json()
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
