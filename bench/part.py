"""The parts of the benchmark, each a module with `measure(quick=...)`, and running one of them.

`python -m bench.part NAME OUT` runs a part in a process of its own, which may do to itself whatever
the part needs: environment, clocks, stand-ins. Its result goes to a file, its progress to stderr.

A part returns `{"rows": [...], "notes": [...]}`. Rows are flat, their keys carry the unit, and end
in `_here` if the figure is only true of this machine.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

if TYPE_CHECKING:
    from types import FrameType


class Part(NamedTuple):
    """A part: what it is about, its module, and whether that compares with PostgreSQL, too."""

    title: str
    module: str
    has_postgres: bool = False


PARTS = {
    "consume": Part("A consume, and the same by other designs", "bench.consume", has_postgres=True),
    "faults": Part("What each charges when things fail", "bench.faults", has_postgres=True),
    "growth": Part("A consume of an account that grows", "bench.growth"),
    "cpu": Part("Own processor time of a consume", "bench.cpu"),
    "sweep": Part("A month begins", "bench.sweep"),
    "hot": Part("One hot account", "bench.hot"),
    "cold": Part("Cold starts", "bench.cold"),
}


def main() -> None:
    """Run the part that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=PARTS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--postgres", metavar="URL")
    asked = parser.parse_args()
    # So that what a part has started is stopped, however it is told to end.
    signal.signal(signal.SIGTERM, _interrupt)
    part = PARTS[asked.name]
    told: dict[str, Any] = {"postgres": asked.postgres} if part.has_postgres else {}
    result = import_module(part.module).measure(quick=asked.quick, **told)
    asked.out.write_text(json.dumps(result))


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
