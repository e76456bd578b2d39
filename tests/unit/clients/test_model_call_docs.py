"""The examples of docs/how-to/charge-for-model-calls.md and README.md charge as the pages say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI

from scrip_client import InsufficientCreditsError, Scrip
from scrip_client.fastapi import add_problem_handlers
from tests.documentation import examples
from tests.event_loops import run
from tests.unit.clients.fake_provider import (
    PROMPT,
    PROMPT_TOKENS,
    TOKEN,
    TOKENS,
    FakeProvider,
    fake_provider,
)
from tests.unit.clients.left_streams import scrip_in_memory
from tests.unit.clients.scrip_in_memory import ACCOUNT_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.clients.scrip_in_memory import ScripInMemory

EXAMPLES = examples("docs/how-to/charge-for-model-calls.md", "python")


@pytest.fixture
def no_network(socket_enabled: None) -> None:
    """Let these tests reach the provider on this machine."""


@pytest.fixture
def provider(no_network: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeProvider]:
    with fake_provider() as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{provider.url}/v1")
        monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL", provider.url)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        for name in (
            "OPENAI_API_KEY",
            "ANTHROPIC_API_KEY",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
        ):
            monkeypatch.setenv(name, "key")
        yield provider


@pytest.fixture
def server() -> ScripInMemory:
    return scrip_in_memory("openai.gpt-5-mini", "anthropic.claude-sonnet-5-5", "bedrock.nova-lite")


@pytest.fixture
def shown(provider: FakeProvider, server: ScripInMemory) -> Iterator[dict[str, Any]]:
    """All names that the page's examples define, run in their order as one program."""
    app = FastAPI()
    add_problem_handlers(app)
    names: dict[str, Any] = {
        "scrip": server.client(),
        "client": server.async_client(),
        "app": app,
        "signed_in": lambda: ACCOUNT_ID,
    }
    for example in EXAMPLES:
        exec(example, names)
    yield names
    for client in ("model", "claude", "bedrock"):
        names[client].close()
    run(names["async_model"].close())


def test_an_answer_is_charged_for_its_tokens(shown: dict[str, Any], server: ScripInMemory) -> None:
    assert shown["answer"](ACCOUNT_ID, PROMPT) == TOKEN * TOKENS
    assert server.newest.usage == {"input": PROMPT_TOKENS, "output": TOKENS}


def test_a_stream_is_charged_for_what_was_delivered(
    shown: dict[str, Any], server: ScripInMemory
) -> None:
    assert "".join(shown["stream_answer"](ACCOUNT_ID, PROMPT)) == TOKEN * TOKENS
    assert server.newest.usage == {"input": PROMPT_TOKENS, "output": TOKENS}
    words = shown["stream_answer"](ACCOUNT_ID, PROMPT)
    assert [next(words) for _ in range(3)] == ["", TOKEN, TOKEN]
    words.close()
    assert server.newest.usage is not None
    assert server.newest.usage["output"] == 2
    assert server.newest.metadata == {"model": "gpt-5-mini", "estimated": True}


def test_the_stream_of_the_readme_is_charged_for_what_was_delivered(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = scrip_in_memory("openai.gpt-6.1-sol")
    monkeypatch.setattr(Scrip, "from_env", server.client)
    names: dict[str, Any] = {}
    [example] = examples("README.md", "python")
    exec(example, names)
    assert "".join(names["answer"](ACCOUNT_ID, PROMPT)) == TOKEN * TOKENS
    assert server.newest.usage == {"input": PROMPT_TOKENS, "output": TOKENS}
    answer = names["answer"](ACCOUNT_ID, PROMPT)
    assert [next(answer) for _ in range(3)] == ["", TOKEN, TOKEN]
    answer.close()
    assert server.newest.usage is not None
    assert server.newest.usage["output"] == 2
    names["model"].close()


def test_an_account_without_credits_gets_an_error_before_the_stream(
    shown: dict[str, Any], server: ScripInMemory, provider: FakeProvider
) -> None:
    with pytest.raises(InsufficientCreditsError):
        shown["stream_answer"](ACCOUNT_ID, PROMPT * 100)
    assert provider.requests == []


def test_a_response_in_the_background_is_charged_once_it_is_completed(
    shown: dict[str, Any], server: ScripInMemory, provider: FakeProvider
) -> None:
    assert shown["research"](ACCOUNT_ID, PROMPT) == TOKEN * TOKENS
    assert provider.requests[0]["background"] is True
    assert server.newest.usage == {"input": PROMPT_TOKENS, "output": TOKENS}


def test_the_calls_of_other_providers_are_charged_alike(
    shown: dict[str, Any], server: ScripInMemory
) -> None:
    assert "".join(shown["stream_claude"](ACCOUNT_ID, PROMPT)) == TOKEN * TOKENS
    assert shown["converse"](ACCOUNT_ID, PROMPT) == TOKEN * TOKENS
    used = [entry for entry in server.entries if entry["type"] == "usage"]
    assert [entry["feature"] for entry in used] == [
        "anthropic.claude-sonnet-5-5",
        "bedrock.nova-lite",
    ]
    for entry in used:
        assert entry["usage"] == {"input": PROMPT_TOKENS, "output": TOKENS}


def post(shown: dict[str, Any], question: str) -> httpx.Response:
    async def posted() -> httpx.Response:
        transport = httpx.ASGITransport(shown["app"])
        async with (
            shown["async_model"],
            httpx.AsyncClient(transport=transport, base_url="http://app") as http,
        ):
            return await http.post("/answers", params={"question": question})

    return run(posted())


def test_the_route_streams_and_is_charged(shown: dict[str, Any], server: ScripInMemory) -> None:
    answer = post(shown, PROMPT)
    assert (answer.status_code, answer.text) == (200, TOKEN * TOKENS)
    assert server.newest.usage == {"input": PROMPT_TOKENS, "output": TOKENS}


def test_the_route_answers_402_before_the_stream_begins(
    shown: dict[str, Any], provider: FakeProvider
) -> None:
    answer = post(shown, PROMPT * 100)
    assert (answer.status_code, answer.json()["code"]) == (402, "insufficient_credits")
    assert provider.requests == []
