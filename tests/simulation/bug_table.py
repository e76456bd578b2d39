"""The table of seeded bugs: each is put in, in a process of its own, and must be found."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

from tests.simulation.bugs import BUGS, Bug, put_in

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def show_bugs(seed: int, operations: int, jobs: int) -> int:
    """Print what found each bug, and after how many operations; 1 if one was not found."""
    # What every process imports is imported once; nothing of the product may be among it.
    import aws_lambda_powertools.event_handler.openapi.params
    import boto3
    import greenlet
    import pydantic_settings
    import standardwebhooks
    import stripe

    assert not any(name.partition(".")[0] in {"scrip", "functions"} for name in sys.modules)
    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(lambda bug: _hunt(bug, seed, operations), BUGS))
    caught = 0
    for bug, (after, found) in zip(BUGS, results, strict=True):
        caught += bool(found)
        verdict = f"{after:>6} operations" if found else f"NOT FOUND in {after}"
        print(f"{bug.name:<70} {verdict}  {found[:110]}")
    print(f"{caught} of {len(BUGS)} caught seed={seed}")
    return 0 if caught == len(BUGS) else 1


def _hunt(bug: Bug, seed: int, operations: int) -> tuple[int, str]:
    """Look for a bug; return after how many operations it was found, and what was found."""
    context = get_context("fork")
    ours, theirs = context.Pipe()
    worker = context.Process(target=_look, args=(bug, seed, operations, theirs))
    worker.start()
    theirs.close()
    try:
        found: tuple[int, str] = ours.recv()
    finally:
        worker.join()
    return found


def _look(bug: Bug, seed: int, operations: int, told: Connection) -> None:
    put_in(bug.name)
    from tests.simulation.run import SEED_STRIDE, run_world

    done, number = 0, 0
    while done < operations:
        report = run_world(seed * SEED_STRIDE + number, shrinking=False)
        done, number = done + report.operations, number + 1
        if report.stories:
            told.send((done, report.stories[0].splitlines()[0]))
            return
    told.send((done, ""))
