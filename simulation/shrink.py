"""Shrinking: reduces a failed world to the fewest steps and faults that show the failure."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from simulation.faults import Fault
from simulation.findings import Wrong
from simulation.world import World

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from simulation.traffic import Step


def went_wrong(
    seed: int, steps: Sequence[Step], without: Collection[Fault]
) -> tuple[Wrong, World] | None:
    """Run a world; return what was found and the world at that moment, None if it is sound."""
    world = World(seed, steps, without)
    try:
        world.run()
    except Wrong as found:
        return found, world
    return None


def shrink(
    seed: int, steps: Sequence[Step], kind: str, *, seconds: float
) -> tuple[list[Step], set[Fault]]:
    """Return fewer steps that still show the failure, and the faults that it does not need.

    It leaves out smaller and smaller parts (Zeller's ddmin) for up to `seconds`.
    """
    end = time.monotonic() + seconds
    without: set[Fault] = set()
    kept = list(steps)

    def still_fails(tried: Sequence[Step], left_out: Collection[Fault]) -> bool:
        found = went_wrong(seed, tried, left_out)
        return found is not None and found[0].kind == kind

    size = len(kept) // 2
    while size and time.monotonic() < end:
        first = 0
        while first < len(kept) and time.monotonic() < end:
            fewer = kept[:first] + kept[first + size :]
            if still_fails(fewer, without):
                kept = fewer
            else:
                first += size
        size //= 2
    for fault in Fault:
        if time.monotonic() < end and still_fails(kept, {*without, fault}):
            without.add(fault)
    return kept, without
