"""The parts of the benchmark, each a module with `measure(quick=...)`, and a way to run one.

`python -m bench.part NAME OUT` runs a part in a process of its own, since a part may change the
environment, replace clocks and so on. The result goes to a file, progress to stderr.

A part returns `{"rows": [...], "notes": [...]}`. Rows are flat; their keys contain the unit, and
end in `_here` if the figure is only true of this machine. Figures that the part promises are in
`"goals"`, too: see bench/goals.py.
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


SERVERS = ("postgres", "redis")
"""Servers to compare with; a run has the URLs of those that someone has started."""


class Part(NamedTuple):
    """A part: its title, its module, and which servers it can compare with."""

    title: str
    module: str
    servers: tuple[str, ...] = ()


PARTS = {
    "consume": Part("A consume, in Scrip and other designs", "bench.consume", SERVERS),
    "faults": Part("What each design charges under faults", "bench.faults", ("postgres",)),
    "growth": Part("A consume on a growing account", "bench.growth"),
    "cpu": Part("Processor time of a consume", "bench.cpu"),
    "sweep": Part("The start of a month", "bench.sweep"),
    "hot": Part("One hot account", "bench.hot"),
    "audit": Part("A round of the audit", "bench.audit_round"),
    "cold": Part("Cold starts", "bench.cold"),
}


def main() -> None:
    """Run the part that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=PARTS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--quick", action="store_true")
    for server in SERVERS:
        parser.add_argument(f"--{server}", metavar="URL")
    args = parser.parse_args()
    # SystemExit lets a part stop the servers that it started.
    signal.signal(signal.SIGTERM, _interrupt)
    part = PARTS[args.name]
    options: dict[str, Any] = {server: getattr(args, server) for server in part.servers}
    result = import_module(part.module).measure(quick=args.quick, **options)
    args.out.write_text(json.dumps(result))


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
