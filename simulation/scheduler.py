"""The scheduler: greenlets that take turns at virtual times, in the order that a seed gives."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent, greenlet

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from simulation.processes import Process


class Task(greenlet):
    """Something that runs beside other tasks. All its random decisions come from `random`."""

    def __init__(self, run: Callable[[], Any], hub: greenlet, random: Random) -> None:
        """Create a task; `hub` continues when it has ended."""
        super().__init__(run, hub)
        self.random = random
        self.process: Process | None = None


def current() -> Task:
    """Return the task that is running."""
    task = getcurrent()
    assert isinstance(task, Task), "no task is running"
    return task


class Scheduler:
    """Tasks by the virtual time at which each continues; `now` is in seconds since 1970."""

    def __init__(self, now: float) -> None:
        """Start the clock at a time."""
        self.now = now
        self._hub = getcurrent()
        self._waiting: list[tuple[float, int, Task]] = []
        self._count = 0

    def spawn(self, run: Callable[[], Any], random: Random, after: float = 0.0) -> Task:
        """Start a task in `after` seconds."""
        task = Task(run, self._hub, random)
        self._wait(task, after)
        return task

    def pause(self, seconds: float) -> None:
        """Let other tasks run for some virtual seconds."""
        self._wait(current(), seconds)
        self._hub.switch()

    def run(self) -> None:
        """Run all tasks to their ends. Raises what a task raises."""
        while self._waiting:
            at, _, task = heappop(self._waiting)
            self.now = max(self.now, at)
            task.switch()

    def _wait(self, task: Task, seconds: float) -> None:
        self._count += 1
        heappush(self._waiting, (self.now + seconds, self._count, task))
