"""The simulation's command: `make simulate` runs worlds, `make bugs` shows that it finds bugs."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time


def main() -> int:
    """Do what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="of all worlds; else a fresh one")
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--world", type=int, help="run just this world, as a run has named it")
    parser.add_argument("--bugs", action="store_true", help="put each seeded bug in, in turn")
    asked = parser.parse_args()
    seed = secrets.randbelow(10**9) if asked.seed is None else asked.seed
    if asked.bugs:
        from tests.simulation.bug_table import show_bugs

        return show_bugs(seed, asked.operations, asked.jobs)
    from tests.simulation.run import run, run_world

    began = time.monotonic()
    if asked.world is not None:
        report = run_world(asked.world)
    else:
        print(f"seed {seed}", file=sys.stderr)
        report = run(seed, asked.operations, asked.jobs)
    for story in report.stories:
        print(story)
    for fault, count in report.faults.most_common():
        print(f"  {count:>9}  {fault}")
    print(f"{time.monotonic() - began:.0f} seconds in {asked.jobs} processes")
    print(report.closing_line(seed))
    return 1 if report.wrong else 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of sets is chance, too.
        os.execve(sys.executable, sys.orig_argv, {**os.environ, "PYTHONHASHSEED": "0"})
    sys.exit(main())
