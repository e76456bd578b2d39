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
"""One at which every bug is found soon."""


def main() -> int:
    """Do what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="what decides all chance; else a fresh one")
    parser.add_argument("--operations", type=int, default=100_000, help="how many at least")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes to run in")
    parser.add_argument("--world", type=int, help="run just this world, as a run has named it")
    parser.add_argument("--bug", help="run with this bug put in, as the table names it")
    parser.add_argument("--bugs", action="store_true", help="put each bug in, and look for it")
    asked = parser.parse_args()
    if asked.bugs:
        return show_bugs(asked.seed or BUGS_SEED, asked.operations, asked.jobs)
    seed = secrets.randbelow(10**9) if asked.seed is None else asked.seed
    if asked.bug is not None:
        put_in(asked.bug)
    # The product is imported only now, with the bug in it.
    from simulation.run import run, run_world  # noqa: PLC0415

    began = time.monotonic()
    if asked.world is not None:
        report = run_world(asked.world)
        seed = asked.world
    else:
        print(f"seed {seed}", file=sys.stderr)
        report = run(seed, asked.operations, asked.jobs)
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
