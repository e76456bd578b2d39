"""The two clients: `Scrip` blocks, `AsyncScrip` is for asyncio. What they do is written once."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, Unpack

import httpx

from scrip_client import calls, charges, holding, leases
from scrip_client.caller import Caller
from scrip_client.charges import AsyncCharge, Charge
from scrip_client.holding import AsyncHold, Hold
from scrip_client.leases import AsyncLease, Lease
from scrip_client.retries import Retries
from scrip_client.tokens import ClientCredentials, Tokens
from scrip_client.wires import AsyncWires, BlockingWires, finish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from types import TracebackType
    from typing import Self

    from scrip_client.calls import Call, Use
    from scrip_client.charges import Order
    from scrip_client.holding import HoldOrder
    from scrip_client.models import Entry, Page
    from scrip_client.slices import Terms

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")

RETRIES = Retries()


def _blocking(make: Callable[Asked, Call[Answer]]) -> Callable[Concatenate[Scrip, Asked], Answer]:
    """Return the method of `Scrip` that makes a call."""

    def method(self: Scrip, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
        return finish(self._caller.answer(make(*args, **kwargs)))

    _describe(method, make)
    return method


def _async(
    make: Callable[Asked, Call[Answer]],
) -> Callable[Concatenate[AsyncScrip, Asked], Coroutine[Any, Any, Answer]]:
    """Return the method of `AsyncScrip` that makes a call."""

    async def method(self: AsyncScrip, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
        return await self._caller.answer(make(*args, **kwargs))

    _describe(method, make)
    return method


def _blocking_pages(
    make: Callable[Asked, Call[Page]],
) -> Callable[Concatenate[Scrip, Asked], Iterator[Entry]]:
    """Return the method of `Scrip` that iterates over pages."""

    def method(self: Scrip, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Iterator[Entry]:
        entries = self._caller.entries(make(*args, **kwargs))
        while (entry := finish(anext(entries, None))) is not None:
            yield entry

    _describe(method, make)
    return method


def _async_pages(
    make: Callable[Asked, Call[Page]],
) -> Callable[Concatenate[AsyncScrip, Asked], AsyncIterator[Entry]]:
    """Return the method of `AsyncScrip` that iterates over pages."""

    def method(
        self: AsyncScrip, /, *args: Asked.args, **kwargs: Asked.kwargs
    ) -> AsyncIterator[Entry]:
        return self._caller.entries(make(*args, **kwargs))

    _describe(method, make)
    return method


def _charging(
    make: Callable[Asked, Order],
) -> Callable[Concatenate[Scrip, Asked], Charge]:
    """Return the method of `Scrip` that charges for a `with` block."""

    def method(self: Scrip, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Charge:
        return Charge(self._caller, make(*args, **kwargs))

    _describe(method, make)
    return method


def _async_charging(
    make: Callable[Asked, Order],
) -> Callable[Concatenate[AsyncScrip, Asked], AsyncCharge]:
    """Return the method of `AsyncScrip` that charges for an `async with` block."""

    def method(self: AsyncScrip, /, *args: Asked.args, **kwargs: Asked.kwargs) -> AsyncCharge:
        return AsyncCharge(self._caller, make(*args, **kwargs), self._wires)

    _describe(method, make)
    return method


def _holding(
    make: Callable[Asked, HoldOrder],
) -> Callable[Concatenate[Scrip, Asked], Hold]:
    """Return the method of `Scrip` that holds for a `with` block."""

    def method(self: Scrip, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Hold:
        return Hold(self._caller, make(*args, **kwargs), self._wires)

    _describe(method, make)
    return method


def _async_holding(
    make: Callable[Asked, HoldOrder],
) -> Callable[Concatenate[AsyncScrip, Asked], AsyncHold]:
    """Return the method of `AsyncScrip` that holds for an `async with` block."""

    def method(self: AsyncScrip, /, *args: Asked.args, **kwargs: Asked.kwargs) -> AsyncHold:
        return AsyncHold(self._caller, make(*args, **kwargs), self._wires)

    _describe(method, make)
    return method


def _leasing(
    make: Callable[Asked, Terms],
) -> Callable[Concatenate[Scrip, Asked], Lease]:
    """Return the method of `Scrip` that leases."""

    def method(self: Scrip, /, *args: Asked.args, **kwargs: Asked.kwargs) -> Lease:
        return Lease(self._caller, make(*args, **kwargs), self._wires)

    _describe(method, make)
    return method


def _async_leasing(
    make: Callable[Asked, Terms],
) -> Callable[Concatenate[AsyncScrip, Asked], AsyncLease]:
    """Return the method of `AsyncScrip` that leases."""

    def method(self: AsyncScrip, /, *args: Asked.args, **kwargs: Asked.kwargs) -> AsyncLease:
        return AsyncLease(self._caller, make(*args, **kwargs), self._wires)

    _describe(method, make)
    return method


def _describe(method: Any, make: Callable[..., Any]) -> None:
    """Let `help` show a method as the call that it makes."""
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = inspect.Signature([itself, *inspect.signature(make).parameters.values()])
    method.__name__, method.__doc__ = make.__name__, make.__doc__


def _source(token: str | None, credentials: ClientCredentials | None) -> str | ClientCredentials:
    source = token if credentials is None else credentials
    if source is None or (token is not None and credentials is not None):
        raise ValueError("give a token, or credentials to get tokens with")
    return source


class Scrip:
    """A blocking client. Threads may share one; it is a context manager, or call `close`.

    `token` is one caller's; a back end gives `credentials` and the client gets its tokens itself.
    `http` is a client of httpx to send through, with proxies or certificates of your own.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        credentials: ClientCredentials | None = None,
        retries: Retries = RETRIES,
        http: httpx.Client | None = None,
    ) -> None:
        """Know the API's address (the stack's output ApiUrl); nothing is sent yet.

        Raises:
            ValueError: there is neither a token nor credentials, or both.
        """
        self._wires = BlockingWires(http or httpx.Client())
        tokens = Tokens(self._wires, _source(token, credentials))
        self._caller = Caller(url, self._wires, tokens, retries)

    balance = _blocking(calls.balance)
    quote = _blocking(calls.quote)
    consume = _blocking(calls.consume)
    consume_batch = _blocking(calls.consume_batch)
    refund = _blocking(calls.refund)
    entry = _blocking(calls.entry)
    entries = _blocking_pages(calls.entries)
    catalog = _blocking(calls.catalog)

    open_hold = _blocking(calls.open_hold)
    capture_hold = _blocking(calls.capture_hold)
    extend_hold = _blocking(calls.extend_hold)
    release_hold = _blocking(calls.release_hold)
    holds = _blocking(calls.holds)

    charge = _charging(charges.charge)
    hold = _holding(holding.hold)
    lease = _leasing(leases.lease)

    def charged(
        self,
        feature: str | None,
        *,
        account_id: Callable[..., str],
        fail_open: bool = False,
        **use: Unpack[Use],
    ) -> Callable[[Callable[Asked, Answer]], Callable[Asked, Answer]]:
        """Charge for each call of a function: the decorator for `charge`.

        `account_id` is asked with the function's own arguments.
        """

        def decorate(function: Callable[Asked, Answer]) -> Callable[Asked, Answer]:
            if inspect.iscoroutinefunction(function) or _is_generator(function):
                raise TypeError("a function that has done its work when it returns can be charged")

            @wraps(function)
            def charging(*args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
                whose = account_id(*args, **kwargs)
                with self.charge(feature, whose, fail_open=fail_open, **use):
                    answer = function(*args, **kwargs)
                    if inspect.isawaitable(answer):
                        raise TypeError("what is still to be awaited is for AsyncScrip to charge")
                    return answer

            return charging

        return decorate

    def close(self) -> None:
        """Close the connections, those of an `http` of your own, too."""
        self._wires.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncScrip:
    """A client for asyncio. The tasks of one event loop may share one.

    It is an async context manager, or call `aclose`. `token`, `credentials`, `retries` and `http`
    are those of `Scrip`.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        credentials: ClientCredentials | None = None,
        retries: Retries = RETRIES,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """Know the API's address (the stack's output ApiUrl); nothing is sent yet.

        Raises:
            ValueError: there is neither a token nor credentials, or both.
        """
        self._wires = AsyncWires(http or httpx.AsyncClient())
        tokens = Tokens(self._wires, _source(token, credentials))
        self._caller = Caller(url, self._wires, tokens, retries)

    balance = _async(calls.balance)
    quote = _async(calls.quote)
    consume = _async(calls.consume)
    consume_batch = _async(calls.consume_batch)
    refund = _async(calls.refund)
    entry = _async(calls.entry)
    entries = _async_pages(calls.entries)
    catalog = _async(calls.catalog)

    open_hold = _async(calls.open_hold)
    capture_hold = _async(calls.capture_hold)
    extend_hold = _async(calls.extend_hold)
    release_hold = _async(calls.release_hold)
    holds = _async(calls.holds)

    charge = _async_charging(charges.charge)
    hold = _async_holding(holding.hold)
    lease = _async_leasing(leases.lease)

    def charged(
        self,
        feature: str | None,
        *,
        account_id: Callable[..., str],
        fail_open: bool = False,
        **use: Unpack[Use],
    ) -> Callable[
        [Callable[Asked, Coroutine[Any, Any, Answer]]], Callable[Asked, Coroutine[Any, Any, Answer]]
    ]:
        """Charge for each call of a coroutine function: the decorator for `charge`.

        `account_id` is asked with the function's own arguments.
        """

        def decorate(
            function: Callable[Asked, Coroutine[Any, Any, Answer]],
        ) -> Callable[Asked, Coroutine[Any, Any, Answer]]:
            if not inspect.iscoroutinefunction(function):
                raise TypeError("a coroutine function can be charged; for others there is Scrip")

            @wraps(function)
            async def charging(*args: Asked.args, **kwargs: Asked.kwargs) -> Answer:
                whose = account_id(*args, **kwargs)
                async with self.charge(feature, whose, fail_open=fail_open, **use):
                    return await function(*args, **kwargs)

            return charging

        return decorate

    async def aclose(self) -> None:
        """Wait for refunds that are still under way, then close as `Scrip` does."""
        await self._wires.settle()
        await self._wires.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()


def _is_generator(function: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
