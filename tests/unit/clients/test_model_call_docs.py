"""The examples of docs/how-to/charge-for-model-calls.md charge as the page says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scrip_client import InsufficientCreditsError
from tests.documentation import examples
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
    names: dict[str, Any] = {"scrip": server.client()}
    for example in EXAMPLES:
        exec(example, names)
    yield names
    for client in ("model", "claude", "bedrock"):
        names[client].close()


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
    assert server.newest.metadata == {"estimated": True}


def test_an_account_without_credits_gets_an_error_before_the_stream(
    shown: dict[str, Any], server: ScripInMemory, provider: FakeProvider
) -> None:
    with pytest.raises(InsufficientCreditsError):
        shown["stream_answer"](ACCOUNT_ID, PROMPT * 100)
    assert provider.requests == []


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
