"""Times calls in this process, one after another: processor time and elapsed time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import quantiles
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MILLISECONDS = 1_000


@dataclass
class Timing:
    """Times of rounds of calls. The best round is the least disturbed one."""

    cpu_ms_best: float = float("inf")
    latencies_ms: list[float] = field(default_factory=list)

    def round(self, calls: Iterable[Callable[[], Any]]) -> None:
        """Time a round of calls: the processor time of this thread, and each call's latency."""
        began, count = time.thread_time(), 0
        for call in calls:
            started = time.perf_counter()
            call()
            self.latencies_ms.append((time.perf_counter() - started) * MILLISECONDS)
            count += 1
        spent = (time.thread_time() - began) * MILLISECONDS / count
        self.cpu_ms_best = min(self.cpu_ms_best, spent)

    def latency_ms(self, percent: int) -> float:
        """Return a percentile of the calls' latencies."""
        return quantiles(self.latencies_ms, n=100)[percent - 1]
