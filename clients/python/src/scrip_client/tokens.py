"""Access tokens: a given one, or ones fetched with credentials and kept until they expire."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpx

from scrip_client.errors import TokenError, UnreadableAnswerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

EARLY_SECONDS_MAX = 60.0
EARLY_PART = 0.1
"""How early a token is renewed: a tenth of its life before it expires, at most a minute."""

LIFE_SECONDS = 300.0
"""How long a token is used if its endpoint does not say when it expires."""


@dataclass(frozen=True, kw_only=True)
class ClientCredentials:
    """How a back end identifies itself: `TokenUrl` and `ServiceClientId` are stack outputs."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = "scrip/service"

    def request(self) -> httpx.Request:
        """Return the request for a token (RFC 6749, section 4.4)."""
        flow = httpx.BasicAuth(self.client_id, self.client_secret).auth_flow(
            httpx.Request(
                "POST",
                self.token_url,
                data={"grant_type": "client_credentials", "scope": self.scope},
            ),
        )
        return next(flow)


class Tokens:
    """A client's token. Callers that need a new one at the same time share one request."""

    def __init__(
        self, source: str | ClientCredentials, lock: AbstractAsyncContextManager[Any]
    ) -> None:
        """Take a token, or the credentials to fetch one with; nothing is fetched yet."""
        self._credentials = source if isinstance(source, ClientCredentials) else None
        self._token = source if isinstance(source, str) else ""
        self._lock = lock
        self._renew_at = 0.0

    @property
    def is_renewable(self) -> bool:
        """Whether a refused token can be replaced."""
        return self._credentials is not None

    async def get(
        self,
        fetch: Callable[[httpx.Request], Awaitable[httpx.Response]],
        *,
        refused: str | None = None,
    ) -> str:
        """Return a token that has not expired and is not the `refused` one.

        Raises:
            TokenError: the credentials were refused.
            UnreadableAnswerError: the token endpoint's answer holds no token.
            UnavailableError: `fetch` got no answer.
        """
        if self._credentials is None or self._is_good(refused):
            return self._token
        async with self._lock:
            if not self._is_good(refused):
                self._keep(await fetch(self._credentials.request()))
            return self._token

    def _is_good(self, refused: str | None) -> bool:
        return monotonic() < self._renew_at and self._token != refused

    def _keep(self, response: httpx.Response) -> None:
        if not response.is_success:
            raise TokenError(f"{response.status_code} from {response.url}: {response.text[:200]}")
        try:
            body = response.json()
            token, life = str(body["access_token"]), float(body.get("expires_in", LIFE_SECONDS))
        except (KeyError, TypeError, ValueError, RecursionError) as exc:
            raise UnreadableAnswerError(f"the response from {response.url} holds no token") from exc
        self._token = token
        self._renew_at = monotonic() + life - min(EARLY_SECONDS_MAX, life * EARLY_PART)
