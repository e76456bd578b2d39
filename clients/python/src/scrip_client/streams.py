"""A provider's stream whose end, however it comes, charges for what was delivered.

read to its end        what the provider says that the call used
left by its reader     the prompt and what was delivered
broken off             the same, or nothing before the first token
"""

from __future__ import annotations

import inspect
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from scrip_client.charges import is_left, warn_unpaid
from scrip_client.errors import ScripError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import TracebackType
    from typing import Self

    from scrip_client.holding import AsyncHold, Hold
    from scrip_client.model_calls import ModelCall


class BaseStream(ABC):
    """What both streams have in common: they pass for the provider's."""

    _stream: Any
    _hold: Any
    _call: ModelCall
    _is_over = False

    def __getattr__(self, name: str) -> Any:
        """Pass everything else through."""
        return getattr(self._stream, name)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """The type of the provider's stream, for `isinstance`."""
        return type(self._stream)

    def __del__(self) -> None:
        """Charge for a stream that nobody reads any more."""
        if not self._is_over:
            self._is_over = True
            self._hold.use(**self._call.used)
            self._hold.abandon(self._closing())

    @abstractmethod
    def _closing(self) -> Callable[[], Any]:
        """Return what closes the provider's stream, without this one."""

    def _report(self, exc: BaseException | None) -> BaseException | None:
        """Report what was used; return why nothing is to be charged, if so."""
        self._is_over = True
        if self._call.is_delivered or (exc is not None and is_left(exc)):
            self._hold.use(**self._call.used)
            return None
        return exc or EOFError("the stream ended before its first token")


class ChargedStream(BaseStream):
    """A stream of a blocking client."""

    def __init__(self, stream: Any, hold: Hold, call: ModelCall) -> None:
        """Take a stream, and the hold to charge."""
        self._stream, self._hold, self._call = stream, hold, call
        self._chunks: Iterator[Any] = iter(stream)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Any]:
        """Return itself: there is one reader."""
        return self

    def __next__(self) -> Any:
        """Return the next chunk; after the last one, charge. One of several threads at a time.

        Raises:
            ScripError: what the stream used could not be charged.
        """
        with self._lock:
            return self._next()

    def _next(self) -> Any:
        # What is read after the charge would be free.
        while not self._is_over:
            try:
                chunk = next(self._chunks)
            except StopIteration:
                self._settle(None)
                raise
            except BaseException as exc:
                self._settle_after(exc)
                raise
            if self._call.read_chunk(chunk):
                return chunk
        raise StopIteration

    def close(self) -> None:
        """Leave the stream, and charge for what was delivered."""
        try:
            self._stream.close()
        finally:
            self._settle(GeneratorExit())

    def __enter__(self) -> Self:
        """Return the stream."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the stream, unless it has ended."""
        self.close()

    def _closing(self) -> Callable[[], Any]:
        close: Callable[[], Any] = self._stream.close
        return close

    def _settle(self, exc: BaseException | None) -> None:
        if not self._is_over:
            self._hold.__exit__(None, self._report(exc), None)

    def _settle_after(self, exc: BaseException) -> None:
        """Settle because of an exception that goes on."""
        try:
            self._settle(exc)
        except ScripError as failure:
            warn_unpaid(exc, failure)


class AsyncChargedStream(BaseStream):
    """A stream of a client for asyncio."""

    def __init__(self, stream: Any, hold: AsyncHold, call: ModelCall) -> None:
        """Take a stream, and the hold to charge."""
        self._stream, self._hold, self._call = stream, hold, call
        self._chunks: AsyncIterator[Any] = aiter(stream)

    def __aiter__(self) -> AsyncIterator[Any]:
        """Return itself: there is one reader."""
        return self

    async def __anext__(self) -> Any:
        """Return the next chunk; after the last one, charge.

        Raises:
            ScripError: what the stream used could not be charged.
        """
        while not self._is_over:  # What is read after the charge would be free.
            try:
                chunk = await anext(self._chunks)
            except StopAsyncIteration:
                await self._settle(None)
                raise
            except BaseException as exc:
                await self._settle_after(exc)
                raise
            if self._call.read_chunk(chunk):
                return chunk
        raise StopAsyncIteration

    async def close(self) -> None:
        """Leave the stream, and charge for what was delivered."""
        try:
            closing = self._stream.close()
            if inspect.isawaitable(closing):
                await closing
        finally:
            await self._settle(GeneratorExit())

    async def __aenter__(self) -> Self:
        """Return the stream."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave the stream, unless it has ended."""
        await self.close()

    def _closing(self) -> Callable[[], Any]:
        chunks, stream = self._chunks, self._stream

        async def close() -> None:
            # Otherwise the event loop would close both at the same time.
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()
            await stream.close()

        return close

    async def _settle(self, exc: BaseException | None) -> None:
        if not self._is_over:
            await self._hold.__aexit__(None, self._report(exc), None)

    async def _settle_after(self, exc: BaseException) -> None:
        """Settle because of an exception that goes on."""
        try:
            await self._settle(exc)
        except ScripError as failure:
            warn_unpaid(exc, failure)


class BaseManager:
    """What both managers have in common: they open a stream that gathers a message."""

    def __init__(self, open_stream: Callable[[], Any], hold: Any, call: ModelCall) -> None:
        """Take what opens the provider's own manager."""
        self._open_stream, self._hold, self._call = open_stream, hold, call
        self._is_closed = False

    def _watch(self, stream: Any) -> Any:
        """Return a stream whose reader is seen to close it."""
        close = stream.close

        def closing() -> Any:
            self._is_closed |= not stream.response.is_closed
            return close()

        stream.close = closing
        self._stream = stream
        return stream

    def _is_left(self) -> bool:
        """Whether the reader left the stream: the library closes one that has ended."""
        return self._is_closed or not self._stream.response.is_closed

    def _report(self, exc: BaseException | None, *, is_left: bool) -> BaseException | None:
        """Report what was used; return why nothing is to be charged, if so."""
        with suppress(AssertionError):  # There is no message yet.
            self._call.read(self._stream.current_message_snapshot)
        if self._call.is_delivered or is_left:
            self._hold.use(**self._call.used)
            return None
        return exc or EOFError("the stream ended before its first token")


class ChargedManager(BaseManager):
    """The block of a blocking client's stream."""

    def __enter__(self) -> Any:
        """Hold, and open the stream."""
        self._hold.__enter__()
        try:
            self._manager = self._open_stream()
            return self._watch(self._manager.__enter__())
        except BaseException as exc:
            self._hold.__exit__(None, exc, None)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the stream, and charge for what was delivered."""
        is_left = self._is_left()
        try:
            self._manager.__exit__(kind, exc, traceback)
        finally:
            try:
                self._hold.__exit__(None, self._report(exc, is_left=is_left), None)
            except ScripError as failure:
                if exc is None:
                    raise
                warn_unpaid(exc, failure)


class AsyncChargedManager(BaseManager):
    """The block of a stream for asyncio."""

    async def __aenter__(self) -> Any:
        """Hold, and open the stream."""
        await self._hold.__aenter__()
        try:
            self._manager = self._open_stream()
            return self._watch(await self._manager.__aenter__())
        except BaseException as exc:
            await self._hold.__aexit__(None, exc, None)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the stream, and charge for what was delivered."""
        is_left = self._is_left()
        try:
            await self._manager.__aexit__(kind, exc, traceback)
        finally:
            try:
                await self._hold.__aexit__(None, self._report(exc, is_left=is_left), None)
            except ScripError as failure:
                if exc is None:
                    raise
                warn_unpaid(exc, failure)
