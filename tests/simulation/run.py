"""Runs worlds, one after another in each of some processes, until there were enough operations."""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import TYPE_CHECKING

from tests.simulation.shrink import shrink, went_wrong
from tests.simulation.traffic import Plan
from tests.simulation.world import World

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

STEPS = 120
"""What is asked for in most worlds; with all that is repeated it takes twice the operations."""

LONG_STEPS = 600
LONG_EVERY = 25
"""Every so-manieth world is long: an account lives there until it has all the grants it may have."""

SEED_STRIDE = 1_000_003
FAILURES_MAX = 3
"""After so many worlds that went wrong a run ends: there is enough to look at."""

SHRINK_SECONDS = 60.0
PROGRESS_SECONDS = 5.0


@dataclass
class Report:
    """What was done and found: an operation is one event that a function worked on."""

    operations: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    stories: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Add another report to this one."""
        self.operations += other.operations
        self.faults += other.faults
        self.wrong += other.wrong
        self.stories += other.stories

    def closing_line(self, seed: int) -> str:
        """Return the line that every run ends with."""
        found = " ".join(
            f"{name}={self.wrong[kind]}"
            for name, kind in (
                ("lost", "lost"),
                ("made", "made"),
                ("double", "double"),
                ("violations", "violation"),
            )
        )
        faults = sum(self.faults.values())
        return f"operations={self.operations} faults={faults} {found} seed={seed}"


def run_world(seed: int, *, shrinking: bool = True) -> Report:
    """Run the world of a seed; what goes wrong is told with the fewest steps that show it."""
    steps = Plan(seed).steps(STEPS if seed % LONG_EVERY else LONG_STEPS)
    world = World(seed, steps)
    found = None
    try:
        world.run()
    except BaseException as error:
        found = error
        if not hasattr(error, "kind"):
            raise
    report = Report(world.processes.invocations, Counter(world.faults.injected))
    if found is not None:
        report.wrong[found.kind] += 1
        report.stories.append(_story(seed, steps, found, world, shrinking=shrinking))
    return report


def _story(seed, steps, found, world, *, shrinking: bool) -> str:
    """Tell what went wrong, and how to see it again."""
    lines = [f"world {seed}: {found}", f"again: make simulate WORLD={seed}"]
    if shrinking:
        fewer, without = shrink(seed, steps, found.kind, seconds=SHRINK_SECONDS)
        again = went_wrong(seed, fewer, without)
        if again is not None:
            found, world = again
        took = ", ".join(sorted(world.faults.injected)) or "none"
        lines += [f"with {len(fewer)} of {len(steps)} steps: {found}", f"faults: {took}"]
    lines += ["what happened last:", *(f"  {line}" for line in list(world.log)[-25:])]
    return "\n".join(lines)


def run(seed: int, operations: int, jobs: int) -> Report:
    """Run worlds of a seed until there were so many operations, in some processes at once."""
    total, began, told = Report(), time.monotonic(), 0.0
    context = get_context("fork")
    reports: Queue[Report | None] = context.Queue()
    share = -(-operations // jobs)
    workers = [
        context.Process(target=_work, args=(seed, job, jobs, share, reports), daemon=True)
        for job in range(jobs)
    ]
    for worker in workers:
        worker.start()
    running = len(workers)
    while running and sum(total.wrong.values()) < FAILURES_MAX:
        report = reports.get()
        if report is None:
            running -= 1
            continue
        total.add(report)
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            per_second = total.operations / (told - began)
            print(
                f"{total.operations} of {operations} operations, {per_second:.0f} a second",
                file=sys.stderr,
            )
    for worker in workers:
        worker.terminate()
        worker.join()
    return total


def _work(seed: int, job: int, jobs: int, share: int, reports: Queue[Report | None]) -> None:
    """Run every so-manieth world, until this process has done its share."""
    gc.freeze()
    gc.disable()  # what a world leaves behind is collected between two worlds
    done, number = 0, job
    while done < share:
        gc.collect(0 if number % 50 else 2)
        try:
            report = run_world(seed * SEED_STRIDE + number)
        except BaseException:
            print(f"world {seed * SEED_STRIDE + number} failed", file=sys.stderr)
            reports.put(Report(wrong=Counter(violation=1)))
            raise
        done, number = done + report.operations, number + jobs
        reports.put(report)
    reports.put(None)
