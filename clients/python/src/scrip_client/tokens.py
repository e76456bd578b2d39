"""Access tokens: one that is given, or those that credentials get, kept until they expire."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

import httpx

from scrip_client.errors import TokenError, UnreadableAnswerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from scrip_client.wires import Wires

EARLY_SECONDS_MAX = 60.0
EARLY_PART = 0.1
"""A token is renewed so long before it expires: a tenth of its life, a minute at the most."""

LIFE_SECONDS = 300.0
"""How long a token is trusted whose endpoint does not say when it expires."""


@dataclass(frozen=True, kw_only=True)
class ClientCredentials:
    """What a back end identifies itself with: the stack's outputs TokenUrl and ServiceClientId."""

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
    """The token of a client: whoever asks while one is being fetched gets that one, too."""

    def __init__(self, wires: Wires, source: str | ClientCredentials) -> None:
        """Know the token, or the credentials to get tokens with; nothing is fetched yet."""
        self._wires = wires
        self._credentials = source if isinstance(source, ClientCredentials) else None
        self._token = source if isinstance(source, str) else ""
        self._renew_at = 0.0

    @property
    def is_renewable(self) -> bool:
        """Whether another token can be had when one is refused."""
        return self._credentials is not None

    async def get(
        self,
        fetch: Callable[[httpx.Request], Awaitable[httpx.Response]],
        *,
        refused: str | None = None,
    ) -> str:
        """Return a token that is still good, and not the one that was refused.

        Raises:
            TokenError: the credentials were refused.
            UnreadableAnswerError: the token endpoint answers with no token.
            UnavailableError: `fetch` got no answer.
        """
        if self._credentials is None or self._is_good(refused):
            return self._token
        async with self._wires.alone():
            if not self._is_good(refused):
                self._keep(await fetch(self._credentials.request()))
            return self._token

    def _is_good(self, refused: str | None) -> bool:
        return monotonic() < self._renew_at and self._token != refused

    def _keep(self, answer: httpx.Response) -> None:
        if not answer.is_success:
            raise TokenError(f"{answer.status_code} from {answer.url}: {answer.text[:200]}")
        try:
            told = answer.json()
            token, life = str(told["access_token"]), float(told.get("expires_in", LIFE_SECONDS))
        except (KeyError, TypeError, ValueError, RecursionError) as exc:
            raise UnreadableAnswerError(f"{answer.url} answers with no token") from exc
        self._token = token
        self._renew_at = monotonic() + life - min(EARLY_SECONDS_MAX, life * EARLY_PART)
