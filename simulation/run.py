"""Runs worlds in several processes until they have done enough operations."""

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
"""The steps of most worlds; with repetitions they take about twice as many operations."""

LONG_STEPS = 600
LONG_EVERY = 25
"""Every 25th world is long, so that accounts reach the limit of their grants."""

WORLDS_MAX = 1_000_003
"""The number of worlds of each seed; no two seeds share a world."""

FAILURES_MAX = 3
"""A run ends after this many failed worlds: they are enough to look at."""

SHRINK_SECONDS = 60.0
PROGRESS_SECONDS = 5.0
STORY_LINES = 25


@dataclass
class Report:
    """What was done and found.

    An operation is one thing that a function received: a request (or a sign-up, or a tick of the
    schedule), a message of the queue, or a record of the stream.
    """

    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    stories: list[str] = field(default_factory=list)
    tables: dict[int, str] = field(default_factory=dict)
    """By world, a hash of its final table."""

    @property
    def worlds(self) -> int:
        """The number of worlds."""
        return len(self.tables)

    @property
    def digest(self) -> str:
        """A hash of all final tables, the same for each run of a seed."""
        hashes = "".join(self.tables[seed] for seed in sorted(self.tables))
        return hashlib.sha256(hashes.encode()).hexdigest()[:16]

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
    """Run the world of a seed; report a failure with the fewest steps that show it."""
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
        story = [f"world {seed}: {found}", f"reproduce: make simulate WORLD={seed}"]
        story += _shrunk(seed, steps, found) if shrinking else _last_lines(world)
        report.stories.append("\n".join(story))
    return report


def _shrunk(seed: int, steps: Sequence[Step], found: Wrong) -> list[str]:
    """Return the story of a failure with the fewest steps and faults that show it."""
    fewer, without = shrink(seed, steps, found.kind, seconds=SHRINK_SECONDS)
    again = went_wrong(seed, fewer, without)
    assert again is not None, "the same steps fail each time"
    found, world = again
    faults = ", ".join(sorted(world.faults.injected)) or "none"
    return [
        f"with {len(fewer)} of {len(steps)} steps: {found}",
        f"faults: {faults}",
        *_last_lines(world),
    ]


def _last_lines(world: World) -> list[str]:
    return ["last events:", *(f"  {line}" for line in [*world.log][-STORY_LINES:])]


def run(seed: int, operations: int, jobs: int) -> Report:
    """Run worlds of a seed in `jobs` processes until they have done `operations` operations."""
    total, began, shown = Report(), time.monotonic(), 0.0
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
        if time.monotonic() - shown > PROGRESS_SECONDS:
            shown = time.monotonic()
            done = total.operations.total()
            progress = f"{done} of {operations} operations, {done / (shown - began):.0f} a second"
            print(progress, file=sys.stderr)
    for worker in workers:
        worker.terminate()
        worker.join()
    return total


def _work(seed: int, job: int, jobs: int, share: int, reports: Queue[Report | None]) -> None:
    """Run every `jobs`-th world until this process has done its share."""
    gc.freeze()
    gc.disable()  # garbage is collected between two worlds
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
