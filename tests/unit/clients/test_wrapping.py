"""Wrapped clients charge for what a model call used, however it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from itertools import groupby
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import anthropic
import httpx
import openai
import pytest
from botocore.response import StreamingBody
from pydantic import BaseModel

from scrip.domain.commands import AdjustAction
from scrip.domain.usage import MODEL_CHARACTERS_MAX, model_of
from scrip.provider_usage import meters_of
from scrip_client import InsufficientCreditsError, UnavailableError
from scrip_client.anthropic_calls import MessageCall
from scrip_client.bedrock_calls import InvokeCall
from scrip_client.calls import HOLD_SECONDS
from scrip_client.model_calls import MEDIA_TOKENS
from scrip_client.openai_calls import ChatCall
from tests.event_loops import run
from tests.unit.clients.fake_provider import (
    PROMPT,
    PROMPT_TOKENS,
    TOKEN,
    TOKENS,
    FakeProvider,
    fake_provider,
)
from tests.unit.clients.left_streams import (
    ANTHROPIC,
    CONVERSED,
    FEATURE,
    INVOKED,
    MESSAGES,
    OUTPUT_MAX,
    Run,
    anthropic_options,
    bedrock,
    openai_options,
    runs,
    scrip_in_memory,
    wrong,
)
from tests.unit.clients.scrip_in_memory import ACCOUNT_ID, ScripInMemory, unreachable
from tests.unit.domain.examples import adjust

if TYPE_CHECKING:
    from collections.abc import Iterator

# The libraries' own generators do not like to be collected in another thread.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <async_generator:pytest.PytestUnraisableExceptionWarning"
)

TOTAL = PROMPT_TOKENS + TOKENS


@pytest.fixture
def no_network(socket_enabled: None) -> None:
    """Let these tests reach the provider on this machine."""


@pytest.fixture
def provider(no_network: None) -> Iterator[FakeProvider]:
    with fake_provider() as provider:
        yield provider


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ScripInMemory:
    monkeypatch.setattr("scrip_client.retries.PAUSE_SECONDS", 0.0)
    return scrip_in_memory()


@pytest.fixture
def client(provider: FakeProvider) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(**openai_options(provider)) as client:
        yield client


@pytest.fixture
def wrapped(server: ScripInMemory, client: openai.OpenAI) -> openai.OpenAI:
    return server.client().wrap(client, feature=FEATURE, account_id=ACCOUNT_ID, reference="run-1")


def ask(client: Any, **options: Any) -> Any:
    options = {"model": "ok", "max_tokens": OUTPUT_MAX, **options}
    return client.chat.completions.create(messages=MESSAGES, **options)


def kind(run: Run) -> str:
    how = run.model.partition("-")[0] if run.leave_after is None else f"left {run.how}"
    return f"{run.api} {'async' if run.is_async else 'blocking'} {how}"


KINDS = {name: list(group) for name, group in groupby(sorted(runs(), key=kind), key=kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_is_charged_for_the_prompt_and_what_was_delivered(
    provider: FakeProvider, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scrip_client.retries.PAUSE_SECONDS", 0.0)
    assert run(wrong(KINDS[kind], provider)) == []


def test_a_call_holds_the_most_it_can_cost_and_is_charged_for_what_it_used(
    wrapped: openai.OpenAI, server: ScripInMemory
) -> None:
    assert ask(wrapped).choices[0].message.content == TOKEN * TOKENS
    [hold, _, usage] = [e for e in server.entries if e["reference"] == "run-1" or e["hold_id"]]
    assert hold["cost"] >= 400 + OUTPUT_MAX
    assert usage["usage"] == {"input": PROMPT_TOKENS, "output": TOKENS}
    assert usage["metadata"] == {"model": "ok"}
    response = wrapped.responses.create(model="ok", input=PROMPT, max_output_tokens=OUTPUT_MAX)
    assert response.output_text == TOKEN * TOKENS
    assert (server.charged, server.account.held) == (2 * TOTAL - 10_000, 0)


def used(server: ScripInMemory) -> list[dict[str, int]]:
    return [entry["usage"] for entry in server.entries if entry["type"] == "usage"]


@pytest.mark.parametrize(
    ("metadata", "counted"),
    [
        ({"run": 7}, "ok-" + "x" * (MODEL_CHARACTERS_MAX - 3)),
        ({"model": "my-assistant"}, "my-assistant"),
        ({"notes": "x" * 4_070}, None),  # there is no room
    ],
)
def test_usage_counts_by_the_model_that_was_called_unless_the_caller_names_another(
    client: openai.OpenAI, server: ScripInMemory, metadata: dict[str, Any], counted: str | None
) -> None:
    scrip = server.client()
    wrapped = scrip.wrap(client, feature=FEATURE, account_id=ACCOUNT_ID, metadata=metadata)
    ask(wrapped, model="ok-" + "x" * MODEL_CHARACTERS_MAX)
    assert model_of(server.newest) == counted
    assert metadata.items() <= (server.newest.metadata or {}).items()


def test_of_an_arn_the_ledger_names_what_it_is_of_and_not_who_owns_it() -> None:
    arn = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.a-model-v1:0"
    assert InvokeCall({"modelId": arn, "body": "{}"}, 9).model == "eu.a-model-v1:0"


def test_several_answers_are_charged_together(
    wrapped: openai.OpenAI, server: ScripInMemory
) -> None:
    ask(wrapped, n=3)
    assert len(list(ask(wrapped, n=2, stream=True))) == 2 * (TOKENS + 1) + 1
    assert [usage["output"] for usage in used(server)] == [3 * TOKENS, 2 * TOKENS]


def test_calls_of_tools_are_output(wrapped: openai.OpenAI, server: ScripInMemory) -> None:
    tools = [{"type": "function", "function": {"name": "look_up"}}]
    with ask(wrapped, stream=True, tools=tools) as stream:
        for _ in zip(range(4), stream, strict=False):
            """The first chunk has no token."""
    assert used(server)[0]["output"] == 3


def test_the_chunk_with_the_usage_is_for_those_who_asked_for_it(
    wrapped: openai.OpenAI, provider: FakeProvider, server: ScripInMemory
) -> None:
    for chunk in ask(wrapped, stream=True):
        assert chunk.choices
    options = {"include_usage": True, "include_obfuscation": False}
    *_, last = ask(wrapped, stream=True, stream_options=options)
    assert (last.choices, last.usage.total_tokens) == ([], TOTAL)
    sent = [request["stream_options"] for request in provider.requests]
    assert sent == [{"include_usage": True}, options]
    assert used(server) == [{"input": PROMPT_TOKENS, "output": TOKENS}] * 2


def test_an_answer_without_usage_is_estimated(
    wrapped: openai.OpenAI, server: ScripInMemory
) -> None:
    ask(wrapped, model="short")
    assert abs(used(server)[0]["input"] - PROMPT_TOKENS) <= 5
    assert used(server)[0]["output"] == TOKENS
    assert server.newest.metadata == {"model": "short", "estimated": True}


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 0, "completion_tokens": 0}])
def test_a_provider_that_counts_nothing_is_not_believed(usage: Any) -> None:
    call = ChatCall({"messages": MESSAGES, "max_tokens": 9}, None)
    message = {"role": "assistant", "content": TOKEN * TOKENS}
    call.read(SimpleNamespace(usage=usage, choices=[SimpleNamespace(message=message)]))
    assert call.used == {"usage": call.estimate, "estimated": True}
    assert call.estimate["output"] == TOKENS


def test_an_account_without_credits_is_refused_before_the_provider_is_asked(
    wrapped: openai.OpenAI, provider: FakeProvider, server: ScripInMemory
) -> None:
    server.execute(adjust(AdjustAction.SET, 100, "a2"))
    for stream in (False, True):
        with pytest.raises(InsufficientCreditsError):
            ask(wrapped, stream=stream)
    assert provider.requests == []


def test_a_call_fails_open_only_if_asked_to(
    client: openai.OpenAI, provider: FakeProvider, server: ScripInMemory
) -> None:
    terms: dict[str, Any] = {"feature": FEATURE, "account_id": ACCOUNT_ID}
    server.faults += [unreachable] * 8
    with pytest.raises(UnavailableError):
        ask(server.client().wrap(client, **terms))
    assert provider.requests == []
    server.faults += [unreachable] * 8
    ask(server.client().wrap(client, **terms, fail_open=True))
    assert used(server) == [{"input": PROMPT_TOKENS, "output": TOKENS}]


def test_a_wrapped_client_is_the_client_but_for_its_model_calls(
    wrapped: openai.OpenAI, client: openai.OpenAI, server: ScripInMemory
) -> None:
    assert type(wrapped) is openai.OpenAI
    assert wrapped.api_key == client.api_key
    assert type(wrapped.embeddings) is type(client.embeddings)
    assert isinstance(ask(wrapped, stream=True), openai.Stream)
    ask(wrapped.with_options(timeout=5))
    raw = wrapped.chat.completions.with_raw_response.create(
        model="ok", messages=MESSAGES, max_tokens=OUTPUT_MAX
    )
    assert raw.parse().choices[0].message.content == TOKEN * TOKENS
    charged = len(used(server))
    ask(client)
    assert len(used(server)) == charged == 3


def test_a_raw_stream_is_refused_as_it_would_be_free(
    wrapped: openai.OpenAI, provider: FakeProvider
) -> None:
    raw = {"model": "ok", "messages": MESSAGES, "max_tokens": OUTPUT_MAX}
    completions: Any = wrapped.chat.completions
    with pytest.raises(TypeError, match="raw stream"):
        completions.with_raw_response.create(**raw, stream=True)
    with (
        pytest.raises(TypeError, match="raw stream"),
        completions.with_streaming_response.create(**raw),
    ):
        pass
    assert provider.requests == []


@pytest.mark.parametrize("options", [{}, {"stream": True}])
def test_a_response_in_the_background_is_refused_as_it_says_later_what_it_used(
    wrapped: openai.OpenAI,
    server: ScripInMemory,
    provider: FakeProvider,
    options: dict[str, Any],
) -> None:
    terms: dict[str, Any] = {"model": "ok", "input": PROMPT, "max_output_tokens": OUTPUT_MAX}
    with pytest.raises(TypeError, match="without background=True"):
        wrapped.responses.create(**terms, background=True, **options)
    assert (provider.requests, server.account.held) == ([], 0)
    wrapped.responses.create(**terms, background=False)
    assert used(server) == [{"input": PROMPT_TOKENS, "output": TOKENS}]


def test_a_call_without_a_limit_needs_one(
    client: openai.OpenAI, server: ScripInMemory, provider: FakeProvider
) -> None:
    terms: dict[str, Any] = {"feature": FEATURE, "account_id": ACCOUNT_ID}
    with pytest.raises(ValueError, match="pass max_tokens to wrap"):
        ask(server.client().wrap(client, **terms), max_tokens=None)
    ask(server.client().wrap(client, **terms, max_tokens=7), max_tokens=openai.omit, n=2)
    [hold] = [entry for entry in server.entries if entry["type"] == "hold"]
    assert hold["usage"]["output"] == 14
    assert "max_tokens" not in provider.requests[0]


def test_only_clients_that_can_be_charged_are_wrapped(
    client: openai.OpenAI, server: ScripInMemory, provider: FakeProvider
) -> None:
    with pytest.raises(TypeError, match="charge for others with a hold"):
        server.client().wrap(provider, feature=FEATURE, account_id=ACCOUNT_ID)

    async def ask_without_waiting() -> None:
        async with server.async_client() as scrip:
            await ask(scrip.wrap(client, feature=FEATURE, account_id=ACCOUNT_ID))

    with pytest.raises(TypeError, match="for asyncio with an AsyncScrip"):
        run(ask_without_waiting())
    assert (used(server), server.account.held) == ([], 0)


def test_nothing_is_read_from_a_stream_that_has_been_charged(
    wrapped: openai.OpenAI, server: ScripInMemory
) -> None:
    stream = ask(wrapped, stream=True)
    next(chunk for chunk in stream if chunk.choices[0].delta.content)
    stream.close()
    assert list(stream) == []
    assert [usage["output"] for usage in used(server)] == [1]


def test_several_threads_may_read_a_stream(wrapped: openai.OpenAI, server: ScripInMemory) -> None:
    stream = ask(wrapped, stream=True, stream_options={"include_usage": True})
    with ThreadPoolExecutor() as pool:
        lists: list[list[Any]] = list(pool.map(list, [stream] * 3))
    read = [chunk for chunks in lists for chunk in chunks]
    assert sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in read) == TOKENS
    assert used(server) == [{"input": PROMPT_TOKENS, "output": TOKENS}]


def test_a_dropped_stream_is_charged_though_it_cannot_be_closed_and_the_client_is_closed_at_once(
    provider: FakeProvider, server: ScripInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def close(_: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(openai.AsyncStream, "close", close)

    async def drop() -> None:
        async with (
            openai.AsyncOpenAI(**openai_options(provider)) as client,
            server.async_client() as scrip,
        ):
            wrapped = scrip.wrap(client, feature=FEATURE, account_id=ACCOUNT_ID)
            async for _ in await ask(wrapped, stream=True):
                break

    run(drop())
    assert len(used(server)) == 1
    assert server.newest.metadata == {"model": "ok", "estimated": True}
    assert server.account.held == 0


def test_a_task_that_is_cancelled_before_the_answer_pays_nothing(
    provider: FakeProvider, server: ScripInMemory
) -> None:
    async def cancelled() -> None:
        async with (
            openai.AsyncOpenAI(**openai_options(provider)) as client,
            server.async_client() as scrip,
        ):
            wrapped = scrip.wrap(client, feature=FEATURE, account_id=ACCOUNT_ID)
            asking = asyncio.create_task(ask(wrapped, model="stall"))
            await asyncio.to_thread(provider.is_asked.wait)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking

    run(cancelled())
    assert (used(server), server.account.held) == ([], 0)


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ("word " * 100, 100),
        ("\U0001f600" * 100, 300),
        ("\u6f22" * 100, 200),
        ([{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}], 1_445),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}],
            765,
        ),
        ([{"type": "input_audio", "input_audio": {"data": "A" * 10**6, "format": "wav"}}], 500),
    ],
)
def test_a_hold_is_for_more_tokens_than_a_prompt_has_but_not_for_each_byte_of_a_picture(
    content: Any, tokens: int
) -> None:
    call = ChatCall({"messages": [{"role": "user", "content": content}], "max_tokens": 9}, None)
    assert tokens <= call.most["input"] <= 5 * tokens + MEDIA_TOKENS
    assert call.most["output"] == 9


def test_tools_are_a_part_of_the_prompt() -> None:
    class Weather(BaseModel):
        city: str

    plain = ChatCall({"messages": MESSAGES, "max_tokens": 9}, None).most["input"]
    tools = [{"type": "function", "function": {"parameters": Weather.model_json_schema()}}]
    more = ChatCall({"messages": MESSAGES, "max_tokens": 9, "tools": tools}, None).most["input"]
    assert more > plain + 1_000


@pytest.fixture
def claude(provider: FakeProvider, server: ScripInMemory) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(**anthropic_options(provider)) as client:
        yield server.client().wrap(client, feature=FEATURE, account_id=ACCOUNT_ID)


@pytest.fixture
def amazon(provider: FakeProvider, server: ScripInMemory) -> Iterator[Any]:
    with closing(bedrock(provider)) as client:
        yield server.client().wrap(client, feature=FEATURE, account_id=ACCOUNT_ID)


def test_messages_of_anthropic_are_charged(
    claude: anthropic.Anthropic, server: ScripInMemory
) -> None:
    message = claude.messages.create(model="ok", **ANTHROPIC)
    assert message.content[0].to_dict()["text"] == TOKEN * TOKENS
    with claude.messages.stream(model="ok", **ANTHROPIC) as stream:
        assert list(stream.text_stream) == [TOKEN] * TOKENS
        assert stream.get_final_message().usage.output_tokens == TOKENS
    assert used(server) == [{"input": PROMPT_TOKENS, "output": TOKENS}] * 2
    assert server.account.held == 0


def test_a_stream_of_anthropic_that_is_left_is_charged_for_its_exact_prompt(
    claude: anthropic.Anthropic, server: ScripInMemory
) -> None:
    with claude.messages.stream(model="ok", **ANTHROPIC) as stream:
        for text in stream.text_stream:
            assert text == TOKEN
            break
    with claude.messages.create(model="ok", **ANTHROPIC, stream=True) as events:
        for event in events:
            if event.type == "content_block_delta":
                break
    assert used(server) == [{"input": PROMPT_TOKENS, "output": 1}] * 2
    assert server.newest.metadata == {"model": "ok", "estimated": True}


def test_what_a_stream_of_anthropic_read_from_and_wrote_to_its_cache_is_kept() -> None:
    call = MessageCall({**ANTHROPIC, "stream": True}, None)
    written = {"ephemeral_5m_input_tokens": 7, "ephemeral_1h_input_tokens": 2}
    begun: dict[str, Any] = {"input_tokens": 3, "cache_read_input_tokens": 5, "output_tokens": 1}
    begun |= {"cache_creation_input_tokens": 9, "cache_creation": written}
    start = SimpleNamespace(type="message_start", message=SimpleNamespace(usage=begun))
    call.read_chunk(start)
    assert meters_of("anthropic", call.used["usage"]) == {
        "input": 3,
        "cached_input": 5,
        "cache_write": 7,
        "cache_write_1h": 2,
        "output": 1,
    }
    for total, expected in (
        (9, {"cache_write": 7, "cache_write_1h": 2}),
        (12, {"cache_write": 12}),
    ):
        usage = {"output_tokens": 4, "cache_creation_input_tokens": total, "input_tokens": None}
        call.read_chunk(SimpleNamespace(type="message_delta", usage=usage))
        assert meters_of("anthropic", call.used["usage"]) == {
            "input": 3,
            "cached_input": 5,
            **expected,
            "output": 4,
        }


def test_conversations_and_invocations_of_bedrock_are_charged(
    amazon: Any, server: ScripInMemory
) -> None:
    answer = amazon.converse(modelId="ok", **CONVERSED)
    assert answer["output"]["message"]["content"] == [{"text": TOKEN * TOKENS}]
    events = list(amazon.converse_stream(modelId="ok", **CONVERSED)["stream"])
    assert events[-1]["metadata"]["usage"]["outputTokens"] == TOKENS
    answer = amazon.invoke_model(modelId="ok", body=INVOKED)
    assert json.load(answer["body"])["content"] == [{"type": "text", "text": TOKEN * TOKENS}]
    chunks = list(amazon.invoke_model_with_response_stream(modelId="ok", body=INVOKED)["body"])
    assert len(chunks) == TOKENS + 2
    assert used(server) == [{"input": PROMPT_TOKENS, "output": TOKENS}] * 4
    assert [entry["metadata"] for entry in server.entries if entry["type"] == "usage"] == [
        {"model": "ok"}
    ] * 4
    assert server.account.held == 0
    assert amazon.meta.service_model.service_name == "bedrock-runtime"


def test_an_invocation_whose_body_has_no_usage_has_it_in_its_headers() -> None:
    call = InvokeCall({"body": json.dumps({"prompt": PROMPT, "max_gen_len": 9})}, None)
    content = json.dumps({"generation": TOKEN}).encode()
    headers = {
        "x-amzn-bedrock-input-token-count": "100",
        "x-amzn-bedrock-output-token-count": "1",
    }
    body = StreamingBody(BytesIO(content), len(content))
    answer = {"body": body, "ResponseMetadata": {"HTTPHeaders": headers}}
    call.read(answer)
    assert meters_of("bedrock", call.used["usage"]) == {"input": 100, "output": 1}
    assert answer["body"].read() == content  # type: ignore[attr-defined]
    assert call.most == {"input": pytest.approx(420, abs=20), "output": 9}


class Bridge(BaseHTTPRequestHandler):
    """Serves Scrip in memory to another process."""

    scrip: ClassVar[ScripInMemory]

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        request = httpx.Request("POST", self.path, headers=dict(self.headers), content=content)
        answer = self.scrip.handle_request(request)
        self.send_response(answer.status_code)
        self.end_headers()
        self.wfile.write(answer.content)


@contextmanager
def served(server: ScripInMemory) -> Iterator[str]:
    Bridge.scrip = server
    with ThreadingHTTPServer(("127.0.0.1", 0), Bridge) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


READ_AND_DIE = """
import os, signal, sys, openai, scrip_client

api, provider, prompt = sys.argv[1:]
model = openai.OpenAI(base_url=f"{provider}/v1", api_key="key")
scrip = scrip_client.Scrip(api, token="service")
stream = scrip.wrap(model, feature="model", account_id="u1").chat.completions.create(
    model="ok", messages=[{"role": "user", "content": prompt}], max_tokens=40, stream=True
)
next(stream), next(stream)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_held_comes_back_and_is_charged_to_nobody(
    provider: FakeProvider, server: ScripInMemory
) -> None:
    with served(server) as api:
        words = [sys.executable, "-c", READ_AND_DIE, api, provider.url, PROMPT]
        dead = subprocess.run(words, timeout=60, check=False)
    assert dead.returncode == -signal.SIGKILL
    assert server.account.held > 400
    server.wait(HOLD_SECONDS)
    assert (used(server), server.account.held) == ([], 0)
