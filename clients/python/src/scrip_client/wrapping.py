"""A provider's client that charges for its model calls.

A wrapped client is a shallow copy of the client, so it has the same type, attributes and
connections. Only the methods that call a model are other ones.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import wraps
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from scrip_client.anthropic_calls import MessageCall
from scrip_client.bedrock_calls import (
    ConverseCall,
    ConverseStreamCall,
    InvokeCall,
    InvokeStreamCall,
)
from scrip_client.calls import with_called
from scrip_client.openai_calls import ChatCall, ResponseCall
from scrip_client.streams import (
    AsyncChargedManager,
    AsyncChargedStream,
    ChargedManager,
    ChargedStream,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scrip_client.calls import Details
    from scrip_client.model_calls import ModelCall

Client = TypeVar("Client")
Method = TypeVar("Method", bound="Callable[..., Any]")

METHODS: Mapping[str, type[ModelCall]] = {
    "chat.completions.create": ChatCall,
    "chat.completions.parse": ChatCall,
    "responses.create": ResponseCall,
    "responses.parse": ResponseCall,
    "messages.create": MessageCall,
    "messages.parse": MessageCall,
    "messages.stream": MessageCall,
    "converse": ConverseCall,
    "converse_stream": ConverseStreamCall,
    "invoke_model": InvokeCall,
    "invoke_model_with_response_stream": InvokeStreamCall,
}
"""The methods that call a model. No client has all of them."""

MANAGED = "messages.stream"
"""The method that only prepares a call, which the beginning of a block makes."""

COPIES = ("copy", "with_options")
"""Methods that return another client of the same provider."""

PAST_THE_METHODS = ("with_raw_response", "with_streaming_response")
"""Attributes that call the methods as they were when the attribute was first read."""


@dataclass(frozen=True, kw_only=True)
class WrapSpec:
    """What to charge for the calls of a client. `open_hold` makes a hold for a block."""

    open_hold: Callable[..., Any]
    is_async: bool
    feature: str
    account_id: str
    max_tokens: int | None
    fail_open: bool
    details: Details

    def hold(self, call: ModelCall) -> Any:
        """Return a hold for the most that a call can cost."""
        return self.open_hold(
            self.feature,
            self.account_id,
            usage=call.most,
            fail_open=self.fail_open,
            **with_called(self.details, model=call.model),
        )


def wrapped(client: Client, spec: WrapSpec) -> Client:
    """Return a copy of a client that charges for its model calls.

    Raises:
        TypeError: it is not a client of a known provider.
    """
    copy = _shallow(client)
    found = [path for path in METHODS if _replace(copy, client, path, spec)]
    if not found:
        raise TypeError(
            f"wrap takes a client of OpenAI, Anthropic or Bedrock, not {type(client).__name__}: "
            "charge for others with a hold"
        )
    for name in COPIES:
        if hasattr(client, name):
            vars(copy)[name] = _wrapping(getattr(client, name), spec)
    return copy


def _replace(copy: Any, original: Any, path: str, spec: WrapSpec) -> bool:
    """Replace a method of a copied client, whose resources are copied on the way there.

    Return whether the client has that method.
    """
    try:
        method = attrgetter(path)(original)
    except AttributeError:
        return False
    *resources, name = path.split(".")
    for resource in resources:
        vars(copy)[resource] = _shallow(getattr(copy, resource))
        copy = vars(copy)[resource]
    charging = _managing if path == MANAGED else _async_charging if spec.is_async else _charging
    vars(copy)[name] = charging(method, METHODS[path], spec)
    return True


def _shallow(original: Client) -> Client:
    """Return a copy that shares everything; `copy.copy` fails on boto3's clients."""
    kind: type[Client] = type(original)
    copy = object.__new__(kind)
    vars(copy).update(vars(original))
    for name in PAST_THE_METHODS:
        vars(copy).pop(name, None)
    return copy


def _wrapping(make: Method, spec: WrapSpec) -> Method:
    """Return a method that wraps the client that it returns."""

    @wraps(make)
    def method(*args: Any, **kwargs: Any) -> Any:
        return wrapped(make(*args, **kwargs), spec)

    return method  # type: ignore[return-value]


def _charging(method: Callable[..., Any], kind: type[ModelCall], spec: WrapSpec) -> Any:
    """Return a method that calls a model and charges for it."""

    @wraps(method)
    def charging(*args: Any, **kwargs: Any) -> Any:
        call = kind(kwargs, spec.max_tokens)
        hold = spec.hold(call).__enter__()
        try:
            answer = method(*args, **call.arguments)
            _check_fits(answer, spec)
            if call.is_streamed:
                return call.streamed(answer, lambda stream: ChargedStream(stream, hold, call))
            call.read(answer)
            hold.use(**call.used)
        except BaseException as exc:
            hold.__exit__(None, exc, None)
            raise
        hold.__exit__(None, None, None)
        return answer

    return charging


def _async_charging(method: Callable[..., Any], kind: type[ModelCall], spec: WrapSpec) -> Any:
    """Return a method for asyncio that calls a model and charges for it."""

    @wraps(method)
    async def charging(*args: Any, **kwargs: Any) -> Any:
        call = kind(kwargs, spec.max_tokens)
        hold = await spec.hold(call).__aenter__()
        try:
            answering = method(*args, **call.arguments)
            _check_fits(answering, spec)
            answer = await answering
            if call.is_streamed:
                return call.streamed(answer, lambda stream: AsyncChargedStream(stream, hold, call))
            call.read(answer)
            hold.use(**call.used)
        except BaseException as exc:
            await hold.__aexit__(None, exc, None)
            raise
        await hold.__aexit__(None, None, None)
        return answer

    return charging


def _managing(method: Callable[..., Any], kind: type[ModelCall], spec: WrapSpec) -> Any:
    """Return a method whose answer opens a stream for a block, and charges for it."""
    manager = AsyncChargedManager if spec.is_async else ChargedManager

    @wraps(method)
    def managing(*args: Any, **kwargs: Any) -> Any:
        call = kind(kwargs, spec.max_tokens)
        return manager(lambda: method(*args, **call.arguments), spec.hold(call), call)

    return managing


def _check_fits(answer: Any, spec: WrapSpec) -> None:
    if inspect.isawaitable(answer) != spec.is_async:
        raise TypeError(
            "wrap a blocking client with a Scrip, and one for asyncio with an AsyncScrip"
        )
