"""A clock that tests set, and an API with the answers that they choose."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from scrip_client import ClientCredentials, Scrip
from tests.unit.clients.scrip_in_memory import ScripInMemory

if TYPE_CHECKING:
    from collections.abc import Callable

CREDENTIALS = ClientCredentials(
    token_url="https://auth.example/oauth2/token",
    client_id="service",
    client_secret="secret",
)
ACCOUNT = {
    "account_id": "alice",
    "balance": 10,
    "available": 10,
    "held": 0,
    "debt": 0,
    "unlimited": False,
    "status": "active",
    "plan_id": "free",
    "subscription_status": None,
    "period": {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"},
    "used": 0,
    "granted_total": 10,
    "consumed_total": 0,
    "grants": [],
}


@cache
def openapi() -> dict[str, Any]:
    """The OpenAPI document."""
    path = Path(__file__).parents[3] / "functions/docs/openapi.json"
    return json.loads(path.read_text())  # type: ignore[no-any-return]


@dataclass
class Clock:
    """A clock of seconds since the test began; sleeping advances it."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        if seconds:
            self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The client's clock; the jitter of pauses is always the maximum."""
    clock = Clock()
    for module in ("caller", "tokens"):
        monkeypatch.setattr(f"scrip_client.{module}.monotonic", clock.monotonic)
    monkeypatch.setattr("scrip_client.transport.sleep", clock.sleep)
    monkeypatch.setattr("scrip_client.retries.random.uniform", lambda _, highest: highest)
    return clock


@dataclass
class Answers:
    """The API's reaction to each request in turn, the last one repeated; and the requests.

    A number is a status; an exception is raised. The token endpoint returns t1, t2 ... for 100 s.
    """

    turns: list[int | Exception | httpx.Response]
    tokens: int = 0
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url == CREDENTIALS.token_url:
            self.tokens += 1
            return httpx.Response(200, json={"access_token": f"t{self.tokens}", "expires_in": 100})
        self.requests.append(request)
        turn = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
        if isinstance(turn, Exception):
            raise turn
        return httpx.Response(turn, json=ACCOUNT) if isinstance(turn, int) else turn


@pytest.fixture(scope="session")
def connect() -> Callable[..., Scrip]:
    """Return a function that connects a client to a function that answers its requests."""

    def connect(answers: Callable[[httpx.Request], httpx.Response], **options: Any) -> Scrip:
        caller: dict[str, Any] = {} if "credentials" in options else {"token": "token"}
        http = httpx.Client(transport=httpx.MockTransport(answers), trust_env=False, verify=False)
        return Scrip("https://api.example", **caller, **options, http=http)

    return connect


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ScripInMemory:
    """Scrip with one account; retries do not pause."""
    monkeypatch.setattr("scrip_client.retries.PAUSE_SECONDS", 0.0)
    return ScripInMemory()


@pytest.fixture
def scrip(server: ScripInMemory) -> Scrip:
    """The client of an app's back end."""
    return server.client()
