"""One call, from its token to its answer: tried again for as long as its bounds allow."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from scrip_client.calls import is_meant_for, next_page
from scrip_client.errors import (
    ScripError,
    UnavailableError,
    UnreadableAnswerError,
    api_error,
    is_of_scrip,
)
from scrip_client.reading import read
from scrip_client.retries import NEVER_SENT, TRANSIENT, is_transient, pause_seconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from scrip_client.calls import Call
    from scrip_client.errors import ApiError
    from scrip_client.models import Entry, Page
    from scrip_client.retries import Retries
    from scrip_client.tokens import Tokens
    from scrip_client.wires import Wires

Answer = TypeVar("Answer")

TURNED_AWAY = (httpx.codes.UNAUTHORIZED, httpx.codes.TOO_MANY_REQUESTS)
"""Answers of a door that has let nothing through."""


@dataclass
class Patience:
    """How long one call may still take, and whether it may have taken effect, whatever it raises.

    Its requests, for a token and with another token, have all tries each, and one deadline.
    """

    bounds: Retries
    deadline: float = field(init=False)
    may_have_taken_effect: bool = False

    def __post_init__(self) -> None:
        """Begin to wait."""
        self.deadline = monotonic() + self.bounds.deadline_seconds

    @property
    def seconds_left(self) -> float:
        """How long the call may still take."""
        return self.deadline - monotonic()

    def is_over_after(self, tries: int, pause: float) -> bool:
        """Whether there is no time or no try left after a pause."""
        return tries >= self.bounds.tries_max or self.seconds_left <= pause


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

    def patience(self) -> Patience:
        """Return the patience for one call, which begins now."""
        return Patience(self._retries)

    async def answer(self, call: Call[Answer], patience: Patience | None = None) -> Answer:
        """Return what the API answers to a call.

        Raises:
            RuntimeError: it is asked from where the client cannot send; nothing was sent.
            ApiError: it refuses; each reason has a class of its own.
            UnavailableError: it could not be reached, or was too busy.
            TokenError: the client's credentials were refused.
            UnreadableAnswerError: something else answers.
        """
        self._wires.check()
        patience = patience or self.patience()
        try:
            return _read(call, await self._responded(call, patience))
        except ScripError as exc:
            exc.may_have_taken_effect = patience.may_have_taken_effect
            exc.idempotency_key = call.key
            raise

    async def entries(self, call: Call[Page]) -> AsyncIterator[Entry]:
        """Yield entries page by page."""
        while True:
            page = await self.answer(call)
            for entry in page.entries:
                yield entry
            if page.cursor is None:
                return
            call = next_page(call, page.cursor)

    async def _responded(self, call: Call[Any], patience: Patience) -> httpx.Response:
        async def fetched(request: httpx.Request) -> httpx.Response:
            return await self._sent(request, patience)

        token = await self._tokens.get(fetched)
        response = await self._sent(self._request(call, token), patience)
        if response.status_code == httpx.codes.UNAUTHORIZED and self._tokens.is_renewable:
            token = await self._tokens.get(fetched, refused=token)
            response = await self._sent(self._request(call, token), patience)
        return response

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

        A request that changes something may have taken effect from when it is sent until its answer
        says that it has not, also if what is raised meanwhile is none of ours.

        Raises:
            UnavailableError: there was none within the bounds.
            UnreadableAnswerError: there was one that cannot be read.
        """
        changes = "Idempotency-Key" in request.headers
        last: Exception = TimeoutError("no time was left")
        tries, pause = 0, 0.0
        while not patience.is_over_after(tries, pause):
            await self._wires.sleep(pause)
            seconds = min(patience.bounds.try_seconds, patience.seconds_left)
            request.extensions["timeout"] = httpx.Timeout(seconds).as_dict()
            tries += 1
            retry_after = None
            before = patience.may_have_taken_effect
            patience.may_have_taken_effect = before or changes
            try:
                response = await self._wires.send(request)
            except httpx.DecodingError as exc:
                raise UnreadableAnswerError(f"{request.url} answers garbled: {exc!r}") from exc
            except NEVER_SENT as exc:
                patience.may_have_taken_effect = before
                if not isinstance(exc, TRANSIENT):
                    raise
                last = exc
            except TRANSIENT as exc:
                last = exc
            else:
                if _is_refusal(response):
                    patience.may_have_taken_effect = before
                if not is_transient(response.status_code, _problem(response)):
                    return response
                last = _error(response)
                retry_after = response.headers.get("Retry-After")
            pause = pause_seconds(tries - 1, retry_after, datetime.now(UTC))
        raise UnavailableError(
            f"{request.url.host} gave no good answer in {tries} tries: {last!r}"
        ) from last


def _read(call: Call[Answer], response: httpx.Response) -> Answer:
    if not response.is_success:
        raise _error(response)
    replayed = "Idempotency-Replayed" in response.headers
    try:
        answer: Answer = read(call.answer, {**response.json(), "replayed": replayed})
    except (KeyError, TypeError, ValueError, RecursionError) as exc:
        raise UnreadableAnswerError(f"{response.url} answers what cannot be read: {exc!r}") from exc
    if not is_meant_for(call, answer):
        raise UnreadableAnswerError(f"{response.url} answers what was not asked")
    return answer


def _error(response: httpx.Response) -> ApiError:
    try:
        return api_error(response.status_code, _problem(response))
    except (TypeError, ValueError) as exc:
        raise UnreadableAnswerError(f"{response.url} answers what cannot be read: {exc!r}") from exc


def _is_refusal(response: httpx.Response) -> bool:
    """Whether an answer says for sure that the request has had no effect."""
    status, problem = response.status_code, _problem(response)
    return status in TURNED_AWAY or (is_of_scrip(problem) and not is_transient(status, problem))


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    """Return what an error's answer tells, nothing if it is not JSON: a proxy's page, perhaps."""
    if response.is_success:
        return {}
    try:
        told = response.json()
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
