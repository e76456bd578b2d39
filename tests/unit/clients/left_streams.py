"""Streams that are read, left and broken at every chunk, and what is charged for them.

    python -m tests.unit.clients.left_streams 10000    # random runs

Each token costs a credit, so what is charged can be counted.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import logging
import random
import sys
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import anthropic
import boto3
import httpx2
import openai
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from tests.unit.clients.fake_provider import PROMPT, PROMPT_TOKENS, TOKEN, TOKENS, fake_provider
from tests.unit.clients.scrip_in_memory import ACCOUNT_ID, ScripInMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

    from tests.unit.clients.fake_provider import FakeProvider

MESSAGES: Any = [{"role": "user", "content": PROMPT}]
OUTPUT_MAX = 40
TIMEOUT_SECONDS = 0.2
PROMPT_TOLERANCE = 5
"""How far the estimate of the prompt may be off."""

FEATURE = "model"
LEFT_HOW = ("closed", "in its block", "dropped", "by an exception", "cancelled")


class ReaderError(Exception):
    """The app's own code failed while it read a stream."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A stream of an API, what becomes of it (the model's name), and when its reader leaves how."""

    api: str
    is_async: bool = False
    model: str = "ok"
    leave_after: int | None = None
    how: str = "closed"


@dataclass(kw_only=True)
class Outcome:
    """What a reader got of a stream, and what the ledger says."""

    delivered: int = 0
    is_complete: bool = False
    error: BaseException | None = None
    charged: int = 0
    entries: list[dict[str, Any]] = field(default_factory=list)
    held: int = 0

    def faults(self, run: Run) -> list[str]:
        """Return what is wrong with what was charged."""
        faults = [f"{self.held} credits are still held"] * bool(self.held)
        faults += ["it was charged twice"] * (len(self.entries) > 1)
        estimated = [entry for entry in self.entries if "estimated" in entry["metadata"]]
        if self.is_complete and not run.model.startswith("short"):
            expected, tolerance = PROMPT_TOKENS + TOKENS, 0
            faults += ["what is known is called estimated"] * bool(estimated)
        elif self.delivered or run.leave_after is not None:
            expected, tolerance = PROMPT_TOKENS + self.delivered, PROMPT_TOLERANCE + 1
            faults += ["what is estimated is not marked"] * (estimated != self.entries)
        else:
            expected = tolerance = 0
        if abs(self.charged - expected) > tolerance:
            faults.append(f"{self.charged} were charged instead of {expected}")
        return faults


def scrip_in_memory(*feature_ids: str) -> ScripInMemory:
    """Return Scrip with features whose tokens cost a credit each."""
    server = ScripInMemory()
    server.price_tokens(*feature_ids or (FEATURE,))
    return server


def has_token(chunk: Any) -> bool:
    """Whether a chunk of any API has a token of the answer."""
    if isinstance(chunk, dict):
        return TOKEN in str(chunk.get("chunk", chunk))
    if getattr(chunk, "choices", None):
        delta = chunk.choices[0].delta
        return bool(delta.content or delta.tool_calls)
    return chunk.type in {"response.output_text.delta", "content_block_delta"}


def openai_options(provider: FakeProvider) -> dict[str, Any]:
    """Return the options of OpenAI's clients."""
    return {**anthropic_options(provider), "base_url": f"{provider.url}/v1"}


def anthropic_options(provider: FakeProvider) -> dict[str, Any]:
    """Return the options of Anthropic's clients."""
    return {
        "base_url": provider.url,
        "api_key": "key",
        "max_retries": 1,
        "timeout": TIMEOUT_SECONDS,
    }


def bedrock(provider: FakeProvider) -> Any:
    """Return boto3's client."""
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=provider.url,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(
            retries={"total_max_attempts": 2},
            read_timeout=TIMEOUT_SECONDS,
            max_pool_connections=50,
        ),
    )


CLIENTS: dict[tuple[str, bool], Callable[[FakeProvider], Any]] = {
    ("openai", False): lambda provider: openai.OpenAI(**openai_options(provider)),
    ("openai", True): lambda provider: openai.AsyncOpenAI(**openai_options(provider)),
    ("anthropic", False): lambda provider: anthropic.Anthropic(**anthropic_options(provider)),
    ("anthropic", True): lambda provider: anthropic.AsyncAnthropic(**anthropic_options(provider)),
    ("bedrock", False): bedrock,
}
"""The clients by their sdk, and whether they are for asyncio."""


@dataclass(frozen=True, kw_only=True)
class Api:
    """How a stream of an API is opened, by which sdk, and where it is in the answer."""

    sdk: str
    open: Callable[..., Any]
    field: str | None = None
    is_block: bool = False
    is_async: bool = True


ANTHROPIC: Any = {"messages": MESSAGES, "max_tokens": OUTPUT_MAX}
INVOKED = json.dumps(ANTHROPIC)
CONVERSED: Any = {
    "messages": [{"role": "user", "content": [{"text": PROMPT}]}],
    "inferenceConfig": {"maxTokens": OUTPUT_MAX},
}

APIS: dict[str, Api] = {
    "chat": Api(
        sdk="openai",
        open=lambda client, model: client.chat.completions.create(
            model=model, messages=MESSAGES, max_tokens=OUTPUT_MAX, stream=True
        ),
    ),
    "responses": Api(
        sdk="openai",
        open=lambda client, model: client.responses.create(
            model=model, input=PROMPT, max_output_tokens=OUTPUT_MAX, stream=True
        ),
    ),
    "messages": Api(
        sdk="anthropic",
        open=lambda client, model: client.messages.create(model=model, **ANTHROPIC, stream=True),
    ),
    "messages.stream": Api(
        sdk="anthropic",
        open=lambda client, model: client.messages.stream(model=model, **ANTHROPIC),
        is_block=True,
    ),
    "converse_stream": Api(
        sdk="bedrock",
        open=lambda client, model: client.converse_stream(modelId=model, **CONVERSED),
        field="stream",
        is_async=False,
    ),
    "invoke_stream": Api(
        sdk="bedrock",
        open=lambda client, model: client.invoke_model_with_response_stream(
            modelId=model, body=INVOKED
        ),
        field="body",
        is_async=False,
    ),
}


class Reader:
    """Reads streams with the providers' own libraries, blocking and with asyncio."""

    def __init__(self, provider: FakeProvider) -> None:
        self.provider = provider
        self._clients: dict[tuple[str, bool], Any] = {}

    def client(self, run: Run) -> Any:
        """Return the client that a run needs."""
        named = APIS[run.api].sdk, run.is_async
        if named not in self._clients:
            self._clients[named] = CLIENTS[named](self.provider)
        return self._clients[named]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for (_sdk, is_async), client in self._clients.items():
            closing = client.close()
            if is_async:
                await closing

    def outcome(self, run: Run) -> Outcome:
        """Read a stream with a blocking client."""
        self.provider.requests.clear()
        server, outcome = scrip_in_memory(), Outcome()
        with server.client() as scrip:
            client = scrip.wrap(self.client(run), feature=FEATURE, account_id=ACCOUNT_ID)
            try:
                self._read(run, client, outcome)
            except (ReaderError, GeneratorExit, *FAILURES) as exc:
                outcome.error = exc.with_traceback(None)
            wait_for_charge(server)
        return judged(outcome, server)

    def _read(self, run: Run, client: Any, outcome: Outcome) -> None:
        api = APIS[run.api]
        stream = api.open(client, run.model)
        stream = stream[api.field] if api.field else stream
        if api.is_block or run.how == "in its block":
            with stream as opened:
                self._read_all(run, opened, outcome)
                if run.how == "closed":
                    opened.close()
            return
        try:
            self._read_all(run, stream, outcome)
        finally:
            if run.how == "closed":
                stream.close()

    def _read_all(self, run: Run, stream: Any, outcome: Outcome) -> None:
        if run.leave_after == 0:
            return leave(run)
        for chunk in stream:
            outcome.delivered += has_token(chunk)
            if outcome.delivered == run.leave_after:
                return leave(run)
        outcome.is_complete = True
        return None

    async def outcome_async(self, run: Run) -> Outcome:
        """Read a stream with a client for asyncio."""
        self.provider.requests.clear()
        server, outcome = scrip_in_memory(), Outcome()
        async with server.async_client() as scrip:
            client = scrip.wrap(self.client(run), feature=FEATURE, account_id=ACCOUNT_ID)
            waits = asyncio.Event()
            task = asyncio.create_task(self._read_async(run, client, outcome, waits))
            waiting = asyncio.create_task(waits.wait())
            await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not task.done():
                task.cancel()
            try:
                await task
            except (ReaderError, asyncio.CancelledError, *FAILURES) as exc:
                outcome.error = exc.with_traceback(None)
            del task
            await wait_for_charge_async(server)
        return judged(outcome, server)

    async def _read_async(
        self, run: Run, client: Any, outcome: Outcome, waits: asyncio.Event
    ) -> None:
        api = APIS[run.api]
        stream = api.open(client, run.model)
        stream = stream if api.is_block else await stream
        if api.is_block or run.how == "in its block":
            async with stream as opened:
                await self._read_all_async(run, opened, outcome, waits)
                if run.how == "closed":
                    await opened.close()
            return
        try:
            await self._read_all_async(run, stream, outcome, waits)
        finally:
            if run.how == "closed":
                await stream.close()

    async def _read_all_async(
        self, run: Run, stream: Any, outcome: Outcome, waits: asyncio.Event
    ) -> None:
        if run.leave_after == 0:
            return await leave_async(run, waits)
        async for chunk in stream:
            outcome.delivered += has_token(chunk)
            if outcome.delivered == run.leave_after:
                return await leave_async(run, waits)
        outcome.is_complete = True
        return None


FAILURES = (
    openai.OpenAIError,
    anthropic.AnthropicError,
    BotoCoreError,
    ClientError,
    HTTPError,
    OSError,
    httpx2.HTTPError,
)
"""What the libraries raise if a stream breaks off."""


def leave(run: Run) -> None:
    """Stop reading in a run's way."""
    if run.how == "by an exception":
        raise ReaderError


async def leave_async(run: Run, waits: asyncio.Event) -> None:
    """Stop reading in a run's way."""
    if run.how == "cancelled":
        waits.set()
        await asyncio.Event().wait()
    leave(run)


def wait_for_charge(server: ScripInMemory) -> None:
    """Wait for the thread that charges for a dropped stream."""
    until = monotonic() + 2
    while server.account.held and monotonic() < until:
        sleep(0.002)


async def wait_for_charge_async(server: ScripInMemory) -> None:
    """Wait for the task that charges for a dropped stream, which may have to be collected first."""
    until = monotonic() + 2
    while server.account.held and monotonic() < until:
        await asyncio.sleep(0.002)
        if monotonic() > until - 1:
            gc.collect()


def judged(outcome: Outcome, server: ScripInMemory) -> Outcome:
    """Add what the ledger says."""
    entries = [entry for entry in server.entries if entry["type"] == "usage"]
    outcome.entries = entries
    outcome.charged = sum(entry["cost"] for entry in entries)
    outcome.held = server.account.held
    return outcome


def runs() -> Iterator[Run]:
    """Yield each way in which a stream of each API can end, at each chunk."""
    for api, is_async in itertools.product(APIS, (False, True)):
        if is_async and not APIS[api].is_async:
            continue
        for model in ("ok", "busy", "down", "short"):
            yield Run(api=api, is_async=is_async, model=model)
        for tokens in range(TOKENS):
            for what in ("die", "short"):
                yield Run(api=api, is_async=is_async, model=f"{what}-{tokens}")
            for how in LEFT_HOW if is_async else LEFT_HOW[:-1]:
                yield Run(api=api, is_async=is_async, leave_after=tokens, how=how)
        for tokens in (0, 3):
            yield Run(api=api, is_async=is_async, model=f"stall-{tokens}")


async def wrong(chosen: Iterable[Run], provider: FakeProvider) -> list[tuple[Run, list[str]]]:
    """Make runs, and return those that charged wrongly, and how."""
    found = []
    async with Reader(provider) as reader:
        for run in chosen:
            if run.is_async:
                outcome = await reader.outcome_async(run)
            else:
                outcome = await asyncio.to_thread(reader.outcome, run)
            faults = outcome.faults(run)
            if faults:
                found.append((run, faults))
    return found


def main() -> int:
    """Make random runs, and print those that charged wrongly."""
    logging.disable(logging.CRITICAL)
    number, seed = int(sys.argv[1]), random.randrange(2**32)
    # A client that waits for a silent provider takes long.
    all_runs = [run for run in runs() if not run.model.startswith("stall")]
    chosen = random.Random(seed).choices(all_runs, k=number)
    with fake_provider() as provider:
        found = asyncio.run(wrong(chosen, provider))
    for run, faults in found:
        print(run, faults)
    print(f"seed {seed}: {number} runs, {len(found)} charged wrongly")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
