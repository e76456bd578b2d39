"""How a client reaches the outside world: it sends, waits and locks, blocking or with asyncio.

The rest of the client is written once, as coroutines over a `Transport`. Those of a
`BlockingTransport` never suspend, so `finish` runs such a coroutine to its end without an event
loop.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from time import sleep
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    import httpx

Result = TypeVar("Result")


class ThreadLock:
    """A lock between threads."""

    def __init__(self) -> None:
        """Start unlocked."""
        self._lock = threading.Lock()

    async def __aenter__(self) -> None:
        """Admit one thread at a time."""
        self._lock.acquire()

    async def __aexit__(self, *_: object) -> None:
        """Admit the next thread."""
        self._lock.release()


class ThreadSignal:
    """Wakes the thread that waits for it, or the next one that does."""

    def __init__(self) -> None:
        """Start unset."""
        self._event = threading.Event()

    def set(self) -> None:
        """Wake the thread that waits, or the next one that does."""
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Wait until the signal is set, for `seconds` at most, and reset it."""
        self._event.wait(seconds)
        self._event.clear()


class TaskSignal:
    """Wakes the task that waits for it, or the next one that does."""

    def __init__(self) -> None:
        """Start unset."""
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wake the task that waits, or the next one that does."""
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Wait until the signal is set, for `seconds` at most, and reset it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        self._event.clear()


class BlockingTransport:
    """The transport of `Scrip`: threads share it."""

    def __init__(self, http: httpx.Client) -> None:
        """Send requests through an httpx client."""
        self.http = http

    def ensure_usable(self) -> None:
        """Raise RuntimeError if the client is closed, before anything is sent."""
        _ensure_open(self.http)

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Return the complete response to a request. Raises what httpx raises."""
        return self.http.send(request)

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        sleep(seconds)  # noqa: ASYNC251 - there is no event loop to block

    def lock(self) -> ThreadLock:
        """Return a new lock between threads."""
        return ThreadLock()

    def signal(self) -> ThreadSignal:
        """Return a new signal for a thread."""
        return ThreadSignal()

    def run_in_background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in a thread of its own, which ends with the process."""
        threading.Thread(target=finish, args=(coroutine,), name="scrip", daemon=True).start()

    def run_later(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end in another thread, for a caller that must not wait.

        Raises:
            RuntimeError: the program is ending.
        """
        threading.Thread(target=finish, args=(coroutine,), name="scrip").start()


class AsyncTransport:
    """The transport of `AsyncScrip`: the tasks of one event loop share it."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        """Send requests through an httpx client."""
        self.http = http
        self._tasks: set[asyncio.Future[Any]] = set()
        self._background_tasks: set[asyncio.Future[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def ensure_usable(self) -> None:
        """Raise RuntimeError if the client is closed or belongs to another event loop."""
        _ensure_open(self.http)
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if self._loop is not loop:
            raise RuntimeError("an AsyncScrip serves one event loop; create another for this one")

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Return the complete response to a request. Raises what httpx raises."""
        return await self.http.send(request)

    async def sleep(self, seconds: float) -> None:
        """Sleep, and let other tasks run."""
        await asyncio.sleep(seconds)

    def lock(self) -> asyncio.Lock:
        """Return a new lock between tasks."""
        return asyncio.Lock()

    def signal(self) -> TaskSignal:
        """Return a new signal for a task."""
        return TaskSignal()

    def run_in_background(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine in a task of its own, which `drain` cancels."""
        self._start(coroutine, self._background_tasks)

    def run_later(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end in a task, for a caller in any thread that must not wait.

        Raises:
            RuntimeError: the event loop is closed.
        """
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._start, coroutine, self._tasks)

    async def run_to_end(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Return the result of a coroutine, which goes on if the task that waits is cancelled."""
        return await asyncio.shield(self._start(coroutine, self._tasks))

    async def run_or_undo(
        self,
        coroutine: Coroutine[Any, Any, None],
        undo: Callable[[BaseException], Coroutine[Any, Any, None]],
    ) -> None:
        """Run a coroutine to its end; if the task that waits is cancelled, undo it afterwards.

        A coroutine that raises must have undone its own work.
        """
        task = self._start(coroutine, self._tasks)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as exc:
            self._start(_undo_after(task, undo, exc), self._tasks)
            raise

    async def drain(self) -> None:
        """Cancel background tasks, and wait for all others to end."""
        await asyncio.sleep(0)  # The loop has yet to start what is to run later.
        for task in self._background_tasks:
            task.cancel()
        while running := self._tasks | self._background_tasks:
            await asyncio.wait(running)

    def _start(
        self, coroutine: Coroutine[Any, Any, Result], tasks: set[asyncio.Future[Result]]
    ) -> asyncio.Future[Result]:
        """Start a task, and keep a reference: the event loop itself has only a weak one."""
        task = asyncio.ensure_future(coroutine)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task


Transport: TypeAlias = BlockingTransport | AsyncTransport


async def _undo_after(
    task: asyncio.Future[None],
    undo: Callable[[BaseException], Coroutine[Any, Any, None]],
    exc: BaseException,
) -> None:
    with suppress(Exception):
        await task
        await undo(exc)


def _ensure_open(http: httpx.Client | httpx.AsyncClient) -> None:
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
