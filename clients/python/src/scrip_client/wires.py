"""What a client does to the world: send, wait, be alone. Blocking, or with asyncio.

The rest of the client is written once, as coroutines over `Wires`. Those of `BlockingWires` never
suspend, so `finish` runs such a coroutine to its end without an event loop.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    import httpx

Result = TypeVar("Result")


class Bell(Protocol):
    """Wakes what waits for it."""

    def ring(self) -> None:
        """Wake what waits, or what waits next."""

    async def wait(self, seconds: float) -> None:
        """Wait until it rings, or for some seconds."""


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

    def lock(self) -> AbstractAsyncContextManager[Any]:
        """Return a lock of one's own."""

    def bell(self) -> Bell:
        """Return a bell."""

    def aside(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside everything else, for as long as the client is open."""


class ThreadLock:
    """A lock between threads."""

    def __init__(self) -> None:
        """Begin unlocked."""
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        """Let in one thread at a time."""
        self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        """Let in the next."""
        self._lock.release()


class ThreadBell:
    """A bell that a thread waits for."""

    def __init__(self) -> None:
        """Begin silent."""
        self._event = threading.Event()

    def ring(self) -> None:
        """Wake what waits, or what waits next."""
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Wait until it rings, or for some seconds."""
        self._event.wait(seconds)
        self._event.clear()


class TaskBell:
    """A bell that a task waits for."""

    def __init__(self) -> None:
        """Begin silent."""
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake what waits, or what waits next."""
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Wait until it rings, or for some seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        self._event.clear()


class BlockingWires:
    """Wires for threads."""

    def __init__(self, http: httpx.Client) -> None:
        """Send through a client of httpx."""
        self.http = http
        self._lock = ThreadLock()

    def check(self) -> None:
        """Let every thread send until the client is closed."""
        _check_open(self.http)

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Return the answer to a request."""
        return self.http.send(request)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        sleep(seconds)  # noqa: ASYNC251 - there is no event loop to hold up

    def alone(self) -> ThreadLock:
        """Let in one thread at a time."""
        return self._lock

    def lock(self) -> ThreadLock:
        """Return a lock between threads."""
        return ThreadLock()

    def bell(self) -> ThreadBell:
        """Return a bell that a thread waits for."""
        return ThreadBell()

    def aside(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in a thread of its own, which ends with the process."""
        threading.Thread(target=finish, args=(coroutine,), name="scrip", daemon=True).start()


class AsyncWires:
    """Wires for the tasks of one event loop."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        """Send through a client of httpx."""
        self.http = http
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._asides: set[asyncio.Future[None]] = set()
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

    def lock(self) -> asyncio.Lock:
        """Return a lock between tasks."""
        return asyncio.Lock()

    def bell(self) -> TaskBell:
        """Return a bell that a task waits for."""
        return TaskBell()

    def aside(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in a task of its own, until `settle`."""
        task = asyncio.ensure_future(coroutine)
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    def start(self, coroutine: Coroutine[Any, Any, Result]) -> asyncio.Future[Result]:
        """Run a coroutine to its end, whatever becomes of whoever waits for it."""
        task = asyncio.ensure_future(coroutine)
        # The event loop itself forgets a task that nobody else holds.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def begin(
        self,
        coroutine: Coroutine[Any, Any, None],
        undo: Callable[[BaseException], Coroutine[Any, Any, None]],
    ) -> None:
        """Run a coroutine to its end; if whoever waits is cancelled, undo it as soon as it is done.

        What the coroutine raises it has undone itself.
        """
        begun = self.start(coroutine)
        try:
            await asyncio.shield(begun)
        except asyncio.CancelledError as exc:
            self.start(_undone(begun, undo, exc))
            raise

    async def settle(self) -> None:
        """Stop what runs aside, and wait for everything that was started."""
        for task in self._asides:
            task.cancel()
        while running := self._tasks | self._asides:
            await asyncio.wait(running)


async def _undone(
    begun: asyncio.Future[None],
    undo: Callable[[BaseException], Coroutine[Any, Any, None]],
    exc: BaseException,
) -> None:
    with suppress(Exception):
        await begun
        await undo(exc)


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
