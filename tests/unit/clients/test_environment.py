"""A client finds its stack and its credentials in the environment."""

from __future__ import annotations

import httpx
import pytest

from scrip_client import AsyncScrip, Scrip
from scrip_client.environment import VARIABLES
from tests.unit.clients.conftest import CREDENTIALS, Answers

VALUES = ("https://api.example", CREDENTIALS.token_url, "service", "secret")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(VARIABLES, VALUES, strict=True):
        monkeypatch.setenv(name, value)


def test_a_client_from_the_environment_fetches_its_own_tokens() -> None:
    answers = Answers([200])
    http = httpx.Client(transport=httpx.MockTransport(answers))
    with Scrip.from_env(http=http) as scrip:
        assert scrip.balance("alice").balance == 10
    assert answers.tokens == 1


@pytest.mark.parametrize("client", [Scrip, AsyncScrip])
def test_all_variables_that_are_missing_are_named(
    client: type[Scrip | AsyncScrip], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCRIP_TOKEN_URL")
    monkeypatch.setenv("SCRIP_SERVICE_CLIENT_SECRET", "")
    with pytest.raises(ValueError, match="set SCRIP_TOKEN_URL, SCRIP_SERVICE_CLIENT_SECRET; "):
        client.from_env()
