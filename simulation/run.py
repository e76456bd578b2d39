"""Runs worlds, one after another in each of some processes, until there were enough operations."""

from __future__ import annotations

import gc
import hashlib
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import TYPE_CHECKING

from simulation.findings import Wrong
from simulation.shrink import shrink, went_wrong
from simulation.traffic import Plan
from simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from multiprocessing.queues import Queue

    from simulation.traffic import Step

STEPS = 120
"""What is asked for in most worlds; with all that is repeated it takes twice the operations."""

LONG_STEPS = 600
LONG_EVERY = 25
"""Every so-manieth world is long: an account lives there until it has all grants that it may."""

WORLDS_MAX = 1_000_003
"""How far apart the worlds of two seeds are."""

FAILURES_MAX = 3
"""After so many worlds that went wrong a run ends: there is enough to look at."""

SHRINK_SECONDS = 60.0
PROGRESS_SECONDS = 5.0
TOLD_LINES = 25


@dataclass
class Report:
    """What was done and found.

    An operation is one thing that a function was handed: a request (or a sign-up, or a tick of the
    schedule), a message of the queue, a record of the stream.
    """

    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    stories: list[str] = field(default_factory=list)
    tables: dict[int, str] = field(default_factory=dict)
    """By the world, a hash of its table in the end."""

    @property
    def worlds(self) -> int:
        """How many worlds were run."""
        return len(self.tables)

    @property
    def digest(self) -> str:
        """A hash of all tables: the same seed ends with the same."""
        told = "".join(self.tables[seed] for seed in sorted(self.tables))
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def add(self, other: Report) -> None:
        """Add another report to this one."""
        self.operations += other.operations
        self.faults += other.faults
        self.wrong += other.wrong
        self.stories += other.stories
        self.tables |= other.tables

    def closing_line(self, seed: int) -> str:
        """Return the line that every run ends with."""
        return (
            f"operations={self.operations.total()} faults={self.faults.total()}"
            f" lost={self.wrong['lost']} made={self.wrong['made']} double={self.wrong['double']}"
            f" violations={self.wrong['violation']} seed={seed}"
        )


def worlds_of(seed: int, first: int, stride: int) -> Iterator[int]:
    """Yield the seeds of every `stride`-th world of a run."""
    yield from range(seed * WORLDS_MAX + first, (seed + 1) * WORLDS_MAX, stride)


def run_world(seed: int, *, shrinking: bool = True) -> Report:
    """Run the world of a seed; what goes wrong is told with the fewest steps that show it."""
    steps = Plan(seed).steps(STEPS if seed % LONG_EVERY else LONG_STEPS)
    world, found = World(seed, steps), None
    try:
        world.run()
    except Wrong as wrong:
        found = wrong
    report = Report(
        operations=Counter(world.processes.handed_over),
        faults=Counter(world.faults.injected),
        tables={seed: world.digest()},
    )
    if found is not None:
        report.wrong[found.kind] += 1
        story = [f"world {seed}: {found}", f"again: make simulate WORLD={seed}"]
        story += _shrunk(seed, steps, found) if shrinking else _last_lines(world)
        report.stories.append("\n".join(story))
    return report


def _shrunk(seed: int, steps: Sequence[Step], found: Wrong) -> list[str]:
    """Tell what goes wrong with as few steps and faults as it takes."""
    fewer, without = shrink(seed, steps, found.kind, seconds=SHRINK_SECONDS)
    again = went_wrong(seed, fewer, without)
    assert again is not None, "the same goes wrong each time"
    found, world = again
    took = ", ".join(sorted(world.faults.injected)) or "none"
    return [
        f"with {len(fewer)} of {len(steps)} steps: {found}",
        f"faults: {took}",
        *_last_lines(world),
    ]


def _last_lines(world: World) -> list[str]:
    return ["what happened last:", *(f"  {line}" for line in [*world.log][-TOLD_LINES:])]


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
    while running and total.wrong.total() < FAILURES_MAX:
        report = reports.get()
        if report is None:
            running -= 1
            continue
        total.add(report)
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            done = total.operations.total()
            progress = f"{done} of {operations} operations, {done / (told - began):.0f} a second"
            print(progress, file=sys.stderr)
    for worker in workers:
        worker.terminate()
        worker.join()
    return total


def _work(seed: int, job: int, jobs: int, share: int, reports: Queue[Report | None]) -> None:
    """Run every so-manieth world, until this process has done its share."""
    gc.freeze()
    gc.disable()  # what a world leaves behind is collected between two worlds
    done = 0
    for world in worlds_of(seed, job, jobs):
        gc.collect()
        try:
            report = run_world(world)
        except BaseException:
            print(f"world {world} failed", file=sys.stderr)
            reports.put(Report(wrong=Counter(violation=1)))
            reports.put(None)
            raise
        done += report.operations.total()
        reports.put(report)
        if done >= share:
            break
    reports.put(None)
