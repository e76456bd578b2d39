"""What a client does to the world: send, wait, be alone. Blocking, or with asyncio.

The rest of the client is written once, as coroutines over `Wires`. Those of `BlockingWires` never
suspend, so `finish` runs such a coroutine to its end without an event loop.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from time import sleep
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    import httpx

Result = TypeVar("Result")


class Wires(Protocol):
    """What a client does to the world."""

    def check(self) -> None:
        """Raise RuntimeError if nothing can be sent: before anybody wonders whether it was."""

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Return the answer to a request, read to its end. Raises what httpx raises."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def alone(self) -> AbstractAsyncContextManager[Any]:
        """Let in one at a time."""


class BlockingWires:
    """Wires for threads."""

    def __init__(self, http: httpx.Client) -> None:
        """Send through a client of httpx."""
        self.http = http
        self._lock = threading.Lock()

    def check(self) -> None:
        """Let every thread send until the client is closed."""
        _check_open(self.http)

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Return the answer to a request."""
        return self.http.send(request)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        sleep(seconds)  # noqa: ASYNC251 - there is no event loop to hold up

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Let in one thread at a time."""
        with self._lock:
            yield


class AsyncWires:
    """Wires for the tasks of one event loop."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        """Send through a client of httpx."""
        self.http = http
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def check(self) -> None:
        """Let one event loop send, whose the connections are, until the client is closed."""
        _check_open(self.http)
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise RuntimeError("an AsyncScrip serves one event loop; make another for this one")

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Return the answer to a request."""
        return await self.http.send(request)

    async def sleep(self, seconds: float) -> None:
        """Wait, and let other tasks go on."""
        await asyncio.sleep(seconds)

    def alone(self) -> asyncio.Lock:
        """Let in one task at a time."""
        return self._lock

    def start(self, coroutine: Coroutine[Any, Any, Result]) -> asyncio.Future[Result]:
        """Run a coroutine to its end, whatever becomes of whoever waits for it."""
        task = asyncio.ensure_future(coroutine)
        # The event loop itself forgets a task that nobody else holds.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def settle(self) -> None:
        """Wait for everything that was started."""
        while self._tasks:
            await asyncio.wait(self._tasks)


def _check_open(http: httpx.Client | httpx.AsyncClient) -> None:
    if http.is_closed:
        raise RuntimeError("the client is closed")


def finish(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of a coroutine that never suspends."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: Result = stop.value
        return result
    coroutine.close()
    raise AssertionError("a blocking client never waits for an event loop")
