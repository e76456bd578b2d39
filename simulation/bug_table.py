"""The table of seeded bugs: each is put into a process of its own, and must be found."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from importlib import import_module
from itertools import chain
from multiprocessing import get_context
from typing import TYPE_CHECKING

from simulation.bugs import BUGS, Bug, put_in

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

SHARED = (
    "aws_lambda_powertools.event_handler.openapi.params",
    "boto3",
    "greenlet",
    "standardwebhooks",
    "stripe",
)
"""Modules that every process needs, imported once. None of them may import the product."""

SENTENCE_MAX = 100


def show_bugs(seed: int, operations: int, jobs: int) -> int:
    """Print when each bug was found, and the finding; return 1 if one was not found."""
    for name in SHARED:
        import_module(name)
    assert not any(name.partition(".")[0] in {"scrip", "functions"} for name in sys.modules)
    rows = {}
    with ThreadPoolExecutor(jobs) as pool:
        hunts = {pool.submit(_hunt, bug, seed, operations): bug for bug in BUGS}
        for hunt in as_completed(hunts):
            bug, (after, world, found) = hunts[hunt], hunt.result()
            verdict = f"{after:>5} operations, world {world}" if found else f"NOT FOUND in {after}"
            rows[bug] = f"{bug.name:<66} {verdict}  {found[:SENTENCE_MAX]}"
            print(f"{len(rows):>3} of {len(BUGS)}: {rows[bug]}", file=sys.stderr)
    caught = sum("NOT FOUND" not in row for row in rows.values())
    for bug in BUGS:
        print(rows[bug])
    print(f"{caught} of {len(BUGS)} caught seed={seed}")
    return 0 if caught == len(BUGS) else 1


def _hunt(bug: Bug, seed: int, operations: int) -> tuple[int, int, str]:
    """Look for a bug; return the number of operations, the last world, and the finding or ""."""
    context = get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    worker = context.Process(target=_look, args=(bug, seed, operations, theirs))
    worker.start()
    theirs.close()
    try:
        found: tuple[int, int, str] = ours.recv()
    finally:
        worker.join()
    return found


def _look(bug: Bug, seed: int, operations: int, result: Connection) -> None:
    put_in(bug.name)
    # The product is imported only now, with the bug in it.
    from simulation.run import run_world, worlds_of  # noqa: PLC0415

    done = 0
    known = [] if bug.world is None else [bug.world]
    for world in chain(known, worlds_of(seed, 0, 1)):
        report = run_world(world, shrinking=False)
        done += report.operations.total()
        if report.stories or done >= operations:
            break
    [sentence, *_] = [*report.stories, ""]
    result.send((done, world, sentence.partition("\n")[0]))
