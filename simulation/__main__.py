"""Runs simulated worlds, and shows that they find bugs: `make simulate`, `make bugs`."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time

from simulation.bug_table import show_bugs
from simulation.bugs import put_in
from simulation.environment import ENVIRONMENT

BUGS_SEED = 5
"""A seed that finds every bug soon."""


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="the seed of all chance (default: a new one)")
    parser.add_argument(
        "--operations", type=int, default=100_000, help="how many operations to run at least"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="how many processes to run in"
    )
    parser.add_argument(
        "--world", type=int, help="run only this world, by the number that a run printed"
    )
    parser.add_argument("--bug", help="put in this bug, by its name in the table")
    parser.add_argument("--bugs", action="store_true", help="put in each bug and look for it")
    arguments = parser.parse_args()
    if arguments.bugs:
        return show_bugs(arguments.seed or BUGS_SEED, arguments.operations, arguments.jobs)
    seed = secrets.randbelow(10**9) if arguments.seed is None else arguments.seed
    if arguments.bug is not None:
        put_in(arguments.bug)
    # The product is imported only now, with the bug in it.
    from simulation.run import run, run_world  # noqa: PLC0415

    began = time.monotonic()
    if arguments.world is not None:
        report = run_world(arguments.world)
        seed = arguments.world
    else:
        print(f"seed {seed}", file=sys.stderr)
        report = run(seed, arguments.operations, arguments.jobs)
    for story in report.stories:
        print(story)
    print(", ".join(f"{count} {kind}" for kind, count in report.operations.most_common()))
    for fault, count in report.faults.most_common():
        print(f"  {count:>9}  {fault}")
    print(f"{time.monotonic() - began:.0f} seconds, {report.worlds} worlds, {report.digest}")
    print(report.closing_line(seed))
    return 1 if report.wrong else 0


if __name__ == "__main__":
    if not ENVIRONMENT.items() <= os.environ.items():
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **ENVIRONMENT})
    sys.exit(main())
