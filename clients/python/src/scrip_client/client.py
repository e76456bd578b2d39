"""The two clients: `Scrip` blocks, `AsyncScrip` is for asyncio. They share their implementation."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, Unpack

import httpx

from scrip_client import calls, charges, holding, leases
from scrip_client.caller import Caller, api_at
from scrip_client.charges import AsyncCharge, Charge
from scrip_client.environment import named_in_environment
from scrip_client.holding import AsyncHold, Hold
from scrip_client.leases import AsyncLease, Lease
from scrip_client.retries import Retries
from scrip_client.transport import AsyncTransport, BlockingTransport, finish
from scrip_client.wrapping import WrapSpec, wrapped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from typing import Self

    from scrip_client.calls import Call, Details, Use
    from scrip_client.models import Entry, Page
    from scrip_client.tokens import ClientCredentials

Args = ParamSpec("Args")
Client = TypeVar("Client")
Answer = TypeVar("Answer")
Spec = TypeVar("Spec")
Block = TypeVar("Block")

RETRIES = Retries()


def _blocking(make: Callable[Args, Call[Answer]]) -> Callable[Concatenate[Scrip, Args], Answer]:
    """Return the method of `Scrip` that sends a call."""

    def method(self: Scrip, /, *args: Args.args, **kwargs: Args.kwargs) -> Answer:
        return finish(self._caller.send(make(*args, **kwargs)))

    _describe(method, make)
    return method


def _async(
    make: Callable[Args, Call[Answer]],
) -> Callable[Concatenate[AsyncScrip, Args], Coroutine[Any, Any, Answer]]:
    """Return the method of `AsyncScrip` that sends a call."""

    async def method(self: AsyncScrip, /, *args: Args.args, **kwargs: Args.kwargs) -> Answer:
        return await self._caller.send(make(*args, **kwargs))

    _describe(method, make)
    return method


def _blocking_pages(
    make: Callable[Args, Call[Page]],
) -> Callable[Concatenate[Scrip, Args], Iterator[Entry]]:
    """Return the method of `Scrip` that iterates over pages."""

    def method(self: Scrip, /, *args: Args.args, **kwargs: Args.kwargs) -> Iterator[Entry]:
        entries = self._caller.entries(make(*args, **kwargs))
        while (entry := finish(anext(entries, None))) is not None:
            yield entry

    _describe(method, make)
    return method


def _async_pages(
    make: Callable[Args, Call[Page]],
) -> Callable[Concatenate[AsyncScrip, Args], AsyncIterator[Entry]]:
    """Return the method of `AsyncScrip` that iterates over pages."""

    def method(
        self: AsyncScrip, /, *args: Args.args, **kwargs: Args.kwargs
    ) -> AsyncIterator[Entry]:
        return self._caller.entries(make(*args, **kwargs))

    _describe(method, make)
    return method


def _block(
    make: Callable[Args, Spec], block: Callable[[Caller, Spec], Block]
) -> Callable[Concatenate[Scrip | AsyncScrip, Args], Block]:
    """Return the method of either client that makes a charge, a hold or a lease."""

    def method(self: Scrip | AsyncScrip, /, *args: Args.args, **kwargs: Args.kwargs) -> Block:
        return block(self._caller, make(*args, **kwargs))

    _describe(method, make)
    return method


def _describe(method: Any, make: Callable[..., Any]) -> None:
    """Let `help` show a method with the name, parameters and docstring of what makes its call."""
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = inspect.Signature([itself, *inspect.signature(make).parameters.values()])
    method.__name__, method.__doc__ = make.__name__, make.__doc__


def _token_source(
    token: str | None, credentials: ClientCredentials | None
) -> str | ClientCredentials:
    source = token if credentials is None else credentials
    if source is None or (token is not None and credentials is not None):
        raise ValueError("pass either a token or credentials")
    return source


class Scrip:
    """A blocking client, which threads may share. Use it as a context manager, or call `close`.

    A back end passes `credentials`, with which the client fetches its own tokens; `token` is for
    one that you already have. `http` is an httpx client to send with, if you need proxies or
    certificates of your own.
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
        """Take the API's address (the stack's output `ApiUrl`); nothing is sent yet.

        Raises:
            ValueError: the address is not a URL; or you passed no token, or also credentials.
        """
        source = _token_source(token, credentials)
        self._connect(api_at(url), source, retries, http or httpx.Client())

    @classmethod
    def from_env(cls, *, retries: Retries = RETRIES, http: httpx.Client | None = None) -> Self:
        """Return a client for the stack that environment variables name, with its own tokens.

        `SCRIP_API_URL`, `SCRIP_TOKEN_URL` and `SCRIP_SERVICE_CLIENT_ID` are outputs of the stack,
        `SCRIP_SERVICE_CLIENT_SECRET` is that client's secret. `scrip local env` sets them for a
        local stack. `retries` and `http` are those of `Scrip`.

        Raises:
            ValueError: a variable is missing, or the address is not a URL.
        """
        url, credentials = named_in_environment()
        return cls(url, credentials=credentials, retries=retries, http=http)

    @classmethod
    def on_aws(
        cls,
        *,
        stack: str = "scrip",
        region: str | None = None,
        retries: Retries = RETRIES,
        http: httpx.Client | None = None,
    ) -> Self:
        """Return a client that calls a stack's functions as your program's role, without a token.

        The stack has the parameter `IamCallers=On`, and the role its policy `BackEndPolicyArn`.
        The client needs the extra `aws`. It reads the stack's outputs now, and signs each request
        with the credentials that boto3 finds. `retries` and `http` are those of `Scrip`.

        Raises:
            ValueError: the stack has no function URLs.
            botocore.exceptions.BotoCoreError: there are no credentials, or no region.
            botocore.exceptions.ClientError: the role may not read the stack, or there is none.
        """
        from scrip_client.aws import function_urls  # noqa: PLC0415 - only this needs boto3

        http = http or httpx.Client()
        address_of, http.auth = function_urls(stack, region)
        client = cls.__new__(cls)
        client._connect(address_of, None, retries, http)  # noqa: SLF001 - it is our own
        return client

    def _connect(
        self,
        address_of: Callable[[str], str],
        token_source: str | ClientCredentials | None,
        retries: Retries,
        http: httpx.Client,
    ) -> None:
        self._transport = BlockingTransport(http)
        self._caller = Caller(address_of, self._transport, token_source, retries)

    balance = _blocking(calls.balance)
    balance_at = _blocking(calls.balance_at)
    upcoming = _blocking(calls.upcoming)
    quote = _blocking(calls.quote)
    consume = _blocking(calls.consume)
    consume_batch = _blocking(calls.consume_batch)
    refund = _blocking(calls.refund)
    entry = _blocking(calls.entry)
    entries = _blocking_pages(calls.entries)
    statement = _blocking(calls.statement)
    catalog = _blocking(calls.catalog)

    open_hold = _blocking(calls.open_hold)
    capture_hold = _blocking(calls.capture_hold)
    extend_hold = _blocking(calls.extend_hold)
    release_hold = _blocking(calls.release_hold)
    holds = _blocking(calls.holds)

    charge = _block(charges.charge, Charge)
    hold = _block(holding.hold, Hold)
    lease = _block(leases.lease, Lease)

    def charged(
        self,
        feature: str | None,
        *,
        account_id: Callable[..., str],
        fail_open: bool = False,
        refund_if: Callable[[Any], object] | None = None,
        **use: Unpack[Use],
    ) -> Callable[[Callable[Args, Answer]], Callable[Args, Answer]]:
        """Charge for each call of a function: the decorator for `charge`.

        `account_id` is called with the function's own arguments, and `refund_if` with what it
        returned: if that is an error, the credits are given back.
        """

        def decorate(function: Callable[Args, Answer]) -> Callable[Args, Answer]:
            if inspect.iscoroutinefunction(function) or _is_generator(function):
                raise TypeError("a function must finish its work before it returns to be charged")

            @wraps(function)
            def charging(*args: Args.args, **kwargs: Args.kwargs) -> Answer:
                answer: Answer
                account = account_id(*args, **kwargs)

                def is_error() -> object:
                    return refund_if is not None and refund_if(answer)

                with self.charge(feature, account, fail_open=fail_open, refund_if=is_error, **use):
                    answer = function(*args, **kwargs)
                    if inspect.isawaitable(answer):
                        raise TypeError("use AsyncScrip to charge for an awaitable")
                return answer

            return charging

        return decorate

    def wrap(
        self,
        client: Client,
        *,
        feature: str,
        account_id: str,
        max_tokens: int | None = None,
        fail_open: bool = False,
        **details: Unpack[Details],
    ) -> Client:
        """Return a provider's client that charges an account for its model calls.

        Each call holds the most that it can cost, and is charged for what the provider says that it
        used. A stream that is left is charged for the prompt and what was delivered; an error
        before the first token charges nothing. What is estimated, because the provider's usage
        never came, has `"estimated": true` in its entry's metadata. `max_tokens` limits what is
        held for an answer where the request itself has no limit. The errors of a call are those of
        the provider and of `hold`.

        Raises:
            TypeError: the client's provider is not known.
        """
        return wrapped(
            client,
            WrapSpec(
                open_hold=self.hold,
                is_async=False,
                feature=feature,
                account_id=account_id,
                max_tokens=max_tokens,
                fail_open=fail_open,
                details=details,
            ),
        )

    def close(self) -> None:
        """Close all connections, including those of an `http` that you passed."""
        self._transport.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncScrip:
    """A client for asyncio, which the tasks of one event loop may share.

    Use it as an async context manager, or call `aclose`. `token`, `credentials`, `retries` and
    `http` are those of `Scrip`.
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
        """Take the API's address (the stack's output `ApiUrl`); nothing is sent yet.

        Raises:
            ValueError: the address is not a URL; or you passed no token, or also credentials.
        """
        source = _token_source(token, credentials)
        self._connect(api_at(url), source, retries, http or httpx.AsyncClient())

    @classmethod
    def from_env(cls, *, retries: Retries = RETRIES, http: httpx.AsyncClient | None = None) -> Self:
        """Return a client for the stack that environment variables name, with its own tokens.

        `Scrip.from_env` has the details.
        """
        url, credentials = named_in_environment()
        return cls(url, credentials=credentials, retries=retries, http=http)

    @classmethod
    def on_aws(
        cls,
        *,
        stack: str = "scrip",
        region: str | None = None,
        retries: Retries = RETRIES,
        http: httpx.AsyncClient | None = None,
    ) -> Self:
        """Return a client that calls a stack's functions as your program's role, without a token.

        It is that of `Scrip.on_aws`, which has the details; it blocks while it reads the outputs.
        """
        from scrip_client.aws import function_urls  # noqa: PLC0415 - only this needs boto3

        http = http or httpx.AsyncClient()
        address_of, http.auth = function_urls(stack, region)
        client = cls.__new__(cls)
        client._connect(address_of, None, retries, http)  # noqa: SLF001 - it is our own
        return client

    def _connect(
        self,
        address_of: Callable[[str], str],
        token_source: str | ClientCredentials | None,
        retries: Retries,
        http: httpx.AsyncClient,
    ) -> None:
        self._transport = AsyncTransport(http)
        self._caller = Caller(address_of, self._transport, token_source, retries)

    balance = _async(calls.balance)
    balance_at = _async(calls.balance_at)
    upcoming = _async(calls.upcoming)
    quote = _async(calls.quote)
    consume = _async(calls.consume)
    consume_batch = _async(calls.consume_batch)
    refund = _async(calls.refund)
    entry = _async(calls.entry)
    entries = _async_pages(calls.entries)
    statement = _async(calls.statement)
    catalog = _async(calls.catalog)

    open_hold = _async(calls.open_hold)
    capture_hold = _async(calls.capture_hold)
    extend_hold = _async(calls.extend_hold)
    release_hold = _async(calls.release_hold)
    holds = _async(calls.holds)

    charge = _block(charges.charge, AsyncCharge)
    hold = _block(holding.hold, AsyncHold)
    lease = _block(leases.lease, AsyncLease)

    def charged(
        self,
        feature: str | None,
        *,
        account_id: Callable[..., str],
        fail_open: bool = False,
        refund_if: Callable[[Any], object] | None = None,
        **use: Unpack[Use],
    ) -> Callable[
        [Callable[Args, Coroutine[Any, Any, Answer]]], Callable[Args, Coroutine[Any, Any, Answer]]
    ]:
        """Charge for each call of a coroutine function: the decorator for `charge`.

        `account_id` is called with the function's own arguments, and `refund_if` with what it
        returned: if that is an error, the credits are given back.
        """

        def decorate(
            function: Callable[Args, Coroutine[Any, Any, Answer]],
        ) -> Callable[Args, Coroutine[Any, Any, Answer]]:
            if not inspect.iscoroutinefunction(function):
                raise TypeError("AsyncScrip charges for coroutine functions; use Scrip for others")

            @wraps(function)
            async def charging(*args: Args.args, **kwargs: Args.kwargs) -> Answer:
                answer: Answer
                account = account_id(*args, **kwargs)

                def is_error() -> object:
                    return refund_if is not None and refund_if(answer)

                charge = self.charge(
                    feature, account, fail_open=fail_open, refund_if=is_error, **use
                )
                async with charge:
                    answer = await function(*args, **kwargs)
                return answer

            return charging

        return decorate

    def wrap(
        self,
        client: Client,
        *,
        feature: str,
        account_id: str,
        max_tokens: int | None = None,
        fail_open: bool = False,
        **details: Unpack[Details],
    ) -> Client:
        """Return a provider's client for asyncio that charges for its model calls: `Scrip.wrap`.

        Raises:
            TypeError: the client's provider is not known.
        """
        return wrapped(
            client,
            WrapSpec(
                open_hold=self.hold,
                is_async=True,
                feature=feature,
                account_id=account_id,
                max_tokens=max_tokens,
                fail_open=fail_open,
                details=details,
            ),
        )

    async def aclose(self) -> None:
        """Wait for refunds that are still running, then close all connections."""
        await self._transport.drain()
        await self._transport.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def _is_generator(function: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
