"""The callback for LiteLLM. The library is large, so it is not a dependency of the tests.

Without it they call what LiteLLM's `CustomLogger` is called with, and the last test is skipped. To
run that: `uv pip install --target DIRECTORY litellm`, and pytest with PYTHONPATH=DIRECTORY.
"""

from __future__ import annotations

import gc
import importlib
import sys
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import openai
import pytest

from scrip_client import InsufficientCreditsError
from tests.event_loops import run
from tests.unit.clients.left_streams import FEATURE, MESSAGES, OUTPUT_MAX, scrip_in_memory
from tests.unit.clients.scrip_in_memory import ACCOUNT_ID, ScripInMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from scrip_client import AsyncScrip

CALL = {
    "litellm_call_id": "call-1",
    "model": "gpt-5-mini",
    "messages": MESSAGES,
    "max_tokens": OUTPUT_MAX,
    "user": ACCOUNT_ID,
    "metadata": {"reference": "run-1"},
}
USAGE = {
    "prompt_tokens": 105,
    "completion_tokens": 5,
    "total_tokens": 110,
    "prompt_tokens_details": {"cached_tokens": 100},
    "cost": 0.001,
}
ANSWER = SimpleNamespace(usage=USAGE)
HELD = ("hold", 0), ("release", 0)
GRANTED = ("admin_grant", 10_000)


class LoggingObject:
    """What LiteLLM keeps of a call while its stream is read."""


@pytest.fixture
def callbacks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module with the callback."""
    if find_spec("litellm") is None:
        module: Any = ModuleType("litellm.integrations.custom_logger")
        module.CustomLogger = object
        monkeypatch.setitem(sys.modules, "litellm", ModuleType("litellm"))
        monkeypatch.setitem(sys.modules, "litellm.integrations", ModuleType("integrations"))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return importlib.import_module("scrip_client.litellm")


@pytest.fixture
def server() -> ScripInMemory:
    return scrip_in_memory()


def with_logger(
    callbacks: Any, server: ScripInMemory, work: Callable[[Any], Coroutine[Any, Any, None]]
) -> list[tuple[str, int]]:
    """Work with a callback, and return what the ledger has of that."""

    async def session() -> None:
        async with server.async_client() as scrip:
            await work(callbacks.ScripLogger(scrip, feature=lambda _: FEATURE))

    run(session())
    assert server.account.held == 0
    return [line for line in server.ledger if line != GRANTED]


def test_a_call_is_charged_for_what_litellm_counted(callbacks: Any, server: ScripInMemory) -> None:
    async def work(logger: Any) -> None:
        call = {**CALL, "litellm_logging_obj": LoggingObject()}
        for _ in range(2):
            # LiteLLM repeats the first for each deployment that it tries.
            await logger.async_pre_call_deployment_hook(call, None)
        assert server.account.held >= 400 + OUTPUT_MAX
        for _ in range(2):
            await logger.async_log_success_event(call, ANSWER, None, None)

    assert with_logger(callbacks, server, work) == [*HELD, ("usage", -110)]
    assert (server.newest.metadata, server.newest.reference) == ({"model": "gpt-5-mini"}, "run-1")
    assert server.newest.usage == {"input": 5, "cached_input": 100, "output": 5}


def test_a_call_that_fails_is_free(callbacks: Any, server: ScripInMemory) -> None:
    async def work(logger: Any) -> None:
        call = {**CALL, "litellm_logging_obj": LoggingObject()}
        await logger.async_pre_call_deployment_hook(call, None)
        await logger.async_log_failure_event(call, None, None, None)

    assert with_logger(callbacks, server, work) == [*HELD]


def test_a_stream_is_an_estimate_unless_it_asked_for_its_usage(
    callbacks: Any, server: ScripInMemory
) -> None:
    async def work(logger: Any) -> None:
        for options in ({}, {"stream_options": {"include_usage": True}}):
            call = {**CALL, "litellm_logging_obj": LoggingObject(), "stream": True, **options}
            await logger.async_pre_call_deployment_hook(call, None)
            await logger.async_log_success_event(call, ANSWER, None, None)

    with_logger(callbacks, server, work)
    found = [entry["metadata"] for entry in server.entries if entry["type"] == "usage"]
    assert found == [{"model": "gpt-5-mini", "estimated": True}, {"model": "gpt-5-mini"}]


def test_a_stream_that_is_left_pays_for_its_prompt(callbacks: Any, server: ScripInMemory) -> None:
    async def work(logger: Any) -> None:
        call = {**CALL, "litellm_logging_obj": LoggingObject(), "stream": True}
        await logger.async_pre_call_deployment_hook(call, None)
        call.clear()
        gc.collect()

    _, _, (kind, amount) = with_logger(callbacks, server, work)
    assert (kind, -110 <= amount <= -100) == ("usage", True)
    assert server.newest.metadata == {"model": "gpt-5-mini", "estimated": True}


def test_a_call_that_nobody_can_pay_for_is_refused(callbacks: Any, server: ScripInMemory) -> None:
    async def work(logger: Any) -> None:
        call = {**CALL, "litellm_logging_obj": LoggingObject()}
        with pytest.raises(ValueError, match="pass user=account_id"):
            await logger.async_pre_call_deployment_hook({**call, "user": None}, None)
        with pytest.raises(InsufficientCreditsError):
            await logger.async_pre_call_deployment_hook({**call, "max_tokens": 10**6}, None)
        await logger.async_pre_call_deployment_hook({"litellm_call_id": "c", "input": "x"}, None)

    assert with_logger(callbacks, server, work) == []


def test_a_blocking_call_is_charged_once_afterwards(
    callbacks: Any, server: ScripInMemory, caplog: pytest.LogCaptureFixture
) -> None:
    logger = callbacks.ScripLogger(server.client(), feature=lambda _: FEATURE)
    logged = {**CALL, "litellm_params": {"metadata": {"reference": "run-2"}}}
    for _ in range(2):
        logger.log_success_event(logged, ANSWER, None, None)
    assert (server.newest.metadata, server.newest.reference) == ({"model": "gpt-5-mini"}, "run-2")
    assert server.newest.entry_id == "litellm-call-1"
    assert server.charged == 110 - 10_000
    logger.log_success_event({**CALL, "user": None}, ANSWER, None, None)
    assert "nobody would pay for this call" in caplog.text
    logger = callbacks.ScripLogger(server.async_client(), feature=lambda _: FEATURE)
    logger.log_success_event(CALL, ANSWER, None, None)
    assert "litellm.completion is not charged" in caplog.text


@pytest.mark.skipif(find_spec("litellm") is None, reason="LiteLLM is not installed")
@pytest.mark.filterwarnings("ignore")
def test_litellm_itself_calls_it(
    callbacks: Any, server: ScripInMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio  # noqa: PLC0415

    import litellm  # noqa: PLC0415

    asking: Any = {"model": "gpt-4o", "messages": MESSAGES, "max_tokens": OUTPUT_MAX}
    asking |= {"mock_response": "word " * 9, "user": ACCOUNT_ID}
    asking |= {"metadata": {"reference": "run-1"}}

    async def session() -> None:
        async with server.async_client() as scrip:
            await ask(scrip)

    async def ask(scrip: AsyncScrip) -> None:
        logger = callbacks.ScripLogger(scrip, feature=lambda _: FEATURE)
        monkeypatch.setattr(litellm, "callbacks", [logger])
        await litellm.acompletion(**asking)
        async for _ in await litellm.acompletion(**asking, stream=True):
            """Read it to its end."""
        async for _ in await litellm.acompletion(**asking, stream=True):
            break
        with pytest.raises(openai.OpenAIError):
            await litellm.acompletion(**{**asking, "mock_response": Exception("down")})
        with pytest.raises(InsufficientCreditsError):
            await litellm.acompletion(**{**asking, "max_tokens": 10**6})
        for _ in range(20):
            gc.collect()
            await asyncio.sleep(0.05)

    run(session())
    used = [entry for entry in server.entries if entry["type"] == "usage"]
    model, left = {"model": "gpt-4o"}, {"model": "gpt-4o", "estimated": True}
    assert [entry["metadata"] for entry in used] == [model, left, left]
    assert {entry["reference"] for entry in used} == {"run-1"}
    assert server.account.held == 0
