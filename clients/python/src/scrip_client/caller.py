"""One call, from its token to its answer, with as many tries as its limits allow."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from scrip_client.calls import is_answer_to, next_page
from scrip_client.errors import (
    ScripError,
    UnavailableError,
    UnreadableAnswerError,
    api_error,
    is_from_scrip,
)
from scrip_client.reading import read
from scrip_client.retries import NEVER_SENT, TRANSIENT, is_transient, pause_seconds
from scrip_client.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from scrip_client.calls import Call
    from scrip_client.errors import ApiError
    from scrip_client.models import Entry, Page
    from scrip_client.retries import Retries
    from scrip_client.tokens import ClientCredentials
    from scrip_client.transport import Transport

Answer = TypeVar("Answer")

REJECTED_UNREAD = (httpx.codes.UNAUTHORIZED, httpx.codes.TOO_MANY_REQUESTS)
"""Statuses with which a gateway rejects a request before Scrip sees it."""

AWS_ERROR = "X-Amzn-ErrorType"
"""A header of AWS's own errors, among them the 403 of a function URL that lets nobody through."""


def api_at(url: str) -> Callable[[str], str]:
    """Return what gives a path its address in an API that has one URL.

    Raises:
        ValueError: it is no URL.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"the API's address begins with https://, unlike {url!r}")
    base = url.rstrip("/")
    return lambda path: f"{base}/{path}"


@dataclass
class CallState:
    """A call's deadline, and whether it may have taken effect, whatever it raises.

    Its requests, those for tokens included, share the deadline; each has its own number of tries.
    """

    retries: Retries
    deadline: float = field(init=False)
    may_have_taken_effect: bool = False

    def __post_init__(self) -> None:
        """Start the clock."""
        self.deadline = monotonic() + self.retries.deadline_seconds

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - monotonic()

    def is_exhausted(self, tries: int, pause: float) -> bool:
        """Whether no try, or no time after a pause, is left."""
        return tries >= self.retries.tries_max or self.seconds_left <= pause


class Caller:
    """Sends calls to one API. Its coroutines suspend only where its transport does."""

    def __init__(
        self,
        address_of: Callable[[str], str],
        transport: Transport,
        token_source: str | ClientCredentials | None,
        retries: Retries,
    ) -> None:
        """Take the address of each path of the API, and how to reach it; nothing is sent yet.

        Without a source of tokens, the transport's httpx client signs the requests.
        """
        self.transport = transport
        self._address_of = address_of
        self._tokens = None if token_source is None else Tokens(token_source, transport.lock())
        self._retries = retries

    def new_state(self) -> CallState:
        """Return the state of a call that begins now."""
        return CallState(self._retries)

    async def send(self, call: Call[Answer], state: CallState | None = None) -> Answer:
        """Send a call and return the API's answer.

        Raises:
            RuntimeError: the client is closed or used on another event loop; nothing was sent.
            ApiError: Scrip refused; each reason has a class of its own.
            UnavailableError: Scrip could not be reached, or was too busy.
            TokenError: the client's credentials were refused.
            UnreadableAnswerError: the answer is not one of Scrip's.
        """
        self.transport.ensure_usable()
        state = state or self.new_state()
        try:
            return _read_answer(call, await self._send_authorized(call, state))
        except ScripError as exc:
            exc.may_have_taken_effect = state.may_have_taken_effect
            exc.idempotency_key = call.key
            raise

    async def entries(self, call: Call[Page]) -> AsyncIterator[Entry]:
        """Yield entries, fetching page by page."""
        while True:
            page = await self.send(call)
            for entry in page.entries:
                yield entry
            if page.cursor is None:
                return
            call = next_page(call, page.cursor)

    async def _send_authorized(self, call: Call[Any], state: CallState) -> httpx.Response:
        """Send a call with a token; if the token is refused, once more with a new one."""

        async def fetch(request: httpx.Request) -> httpx.Response:
            return await self._send_with_retries(request, state)

        if self._tokens is None:
            return await fetch(self._request(call, {}))
        token = await self._tokens.get(fetch)
        response = await fetch(self._request(call, _bearer(token)))
        if response.status_code == httpx.codes.UNAUTHORIZED and self._tokens.is_renewable:
            token = await self._tokens.get(fetch, refused=token)
            response = await fetch(self._request(call, _bearer(token)))
        return response

    def _request(self, call: Call[Any], authorization: Mapping[str, str]) -> httpx.Request:
        headers = {"Accept": "application/json", "User-Agent": "scrip-client", **authorization}
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        if call.key is not None:
            headers["Idempotency-Key"] = call.key
        return httpx.Request(
            call.method,
            self._address_of(call.path),
            params=call.query,
            headers=headers,
            content=None if call.body is None else json.dumps(call.body),
        )

    async def _send_with_retries(self, request: httpx.Request, state: CallState) -> httpx.Response:
        """Return the first response that another try would not improve.

        From the moment it is sent, a request that changes something may have taken effect, until a
        response says that it has not; that holds even if an exception interrupts the wait.

        Raises:
            UnavailableError: there was no such response within the limits.
            UnreadableAnswerError: a response could not be decoded.
        """
        changes_something = "Idempotency-Key" in request.headers
        last: Exception = TimeoutError("no time was left")
        tries, pause = 0, 0.0
        while not state.is_exhausted(tries, pause):
            await self.transport.sleep(pause)
            seconds = min(state.retries.try_seconds, state.seconds_left)
            request.extensions["timeout"] = httpx.Timeout(seconds).as_dict()
            tries += 1
            retry_after = None
            before = state.may_have_taken_effect
            state.may_have_taken_effect = before or changes_something
            try:
                response = await self.transport.send(request)
            except httpx.DecodingError as exc:
                raise _unreadable(request.url, exc) from exc
            except NEVER_SENT as exc:
                state.may_have_taken_effect = before
                if not isinstance(exc, TRANSIENT):
                    raise
                last = exc
            except TRANSIENT as exc:
                last = exc
            else:
                if _is_refusal(response):
                    state.may_have_taken_effect = before
                if not is_transient(response.status_code, _problem(response)):
                    return response
                last = _error(response)
                retry_after = response.headers.get("Retry-After")
            pause = pause_seconds(tries - 1, retry_after, datetime.now(UTC))
        raise UnavailableError(
            f"{request.url.host} gave no usable response in {tries} tries: {last!r}"
        ) from last


def _bearer(token: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _read_answer(call: Call[Answer], response: httpx.Response) -> Answer:
    if not response.is_success:
        raise _error(response)
    replayed = "Idempotency-Replayed" in response.headers
    try:
        answer: Answer = read(call.answer, {**response.json(), "replayed": replayed})
    except (KeyError, TypeError, ValueError, RecursionError) as exc:
        raise _unreadable(response.url, exc) from exc
    if not is_answer_to(call, answer):
        raise UnreadableAnswerError(f"the response from {response.url} is about something else")
    return answer


def _error(response: httpx.Response) -> ApiError:
    try:
        return api_error(response.status_code, _problem(response))
    except (TypeError, ValueError) as exc:
        raise _unreadable(response.url, exc) from exc


def _unreadable(url: httpx.URL, exc: Exception) -> UnreadableAnswerError:
    return UnreadableAnswerError(f"the response from {url} cannot be read: {exc!r}")


def _is_refusal(response: httpx.Response) -> bool:
    """Whether a response guarantees that the request has had no effect."""
    status, problem = response.status_code, _problem(response)
    is_forbidden_by_aws = status == httpx.codes.FORBIDDEN and AWS_ERROR in response.headers
    is_from_us = is_from_scrip(problem) and not is_transient(status, problem)
    return status in REJECTED_UNREAD or is_forbidden_by_aws or is_from_us


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    """Return the JSON object of an error; empty if there is none, as on a proxy's HTML page."""
    if response.is_success:
        return {}
    try:
        problem = response.json()
    except (ValueError, RecursionError):
        return {}
    return problem if isinstance(problem, dict) else {}
