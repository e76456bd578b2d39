"""Measures Scrip and compares it with other designs: `make bench`, or `python -m bench --help`.

Every figure is a ratio or a count, unless it is marked as true of this machine only.
docs/explanation/benchmark.md describes what is measured, how, and how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bench import goals, table
from bench.document import ROOT, document
from bench.part import PARTS, SERVERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from rich.progress import TaskID

OUT = Path(".scrip/benchmark.json")
INTERRUPTED = 130
STOP_SECONDS_MAX = 20
LINES_SHOWN = 30
TABLE_WIDTH = 160
WRONGLY_CHARGED = "wrongly_charged_per_million"

QUIET = {
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
    "POWERTOOLS_METRICS_DISABLED": "true",
    "POWERTOOLS_SERVICE_NAME": "scrip",
    "PYTHONHASHSEED": "0",  # the order of sets is chance, too
}
"""Environment variables of every part."""

console = Console(stderr=True)


class PartError(Exception):
    """A part failed; the message is the end of its output."""


def main() -> None:
    """Run the parts that the arguments name; print and save their results.

    Exits with 1 if a figure misses its goal.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="take minutes, less exact")
    parser.add_argument("--out", type=Path, default=OUT, help="file for the results (JSON)")
    parser.add_argument("--postgres", metavar="URL", help="PostgreSQL server to compare with")
    parser.add_argument("--redis", metavar="URL", help="Redis server to compare with")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    args = parser.parse_args()
    # Check before half an hour of measuring is lost.
    if not _is_writable(args.out):
        parser.error(f"argument --out: cannot write {args.out}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, _interrupt)
    began_at, began = datetime.now(UTC), time.monotonic()
    try:
        servers = {name: getattr(args, name) for name in SERVERS}
        parts = measured(args.only or list(PARTS), quick=args.quick, servers=servers)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except PartError as failed:
        sys.exit(str(failed))
    seconds = time.monotonic() - began
    result = document(parts, quick=args.quick, began_at=began_at, seconds=seconds)
    from bench import plot  # noqa: PLC0415 - matplotlib takes a second to import

    picture = args.out.with_suffix(".svg")
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    plot.draw(result, picture)
    # A pipe or a file has no width of its own.
    output = Console(width=None if sys.stdout.isatty() else TABLE_WIDTH)
    table.show(output, parts)
    promised = goals.goals_of(parts)
    if promised:
        goals.show(output, promised)
    console.print(f"{seconds:.0f} s; see {args.out} and {picture}")
    missed = [goal["name"] for goal in promised if goal["result"] == "missed"]
    if missed:
        sys.exit(f"missed by more than noise: {', '.join(missed)}")


def _is_writable(out: Path) -> bool:
    """Whether results can be written to a file; makes its folder."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return not out.is_dir() and os.access(out if out.exists() else out.parent, os.W_OK)


def measured(
    names: list[str], *, quick: bool, servers: Mapping[str, str | None]
) -> dict[str, dict[str, Any]]:
    """Run parts one after the other, so that they do not disturb each other; return their results.

    Raises:
        PartError: a part failed.
    """
    options = ["--quick"] if quick else []
    options += [word for name, url in servers.items() if url for word in (f"--{name}", url)]
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    parts = {}
    with Progress(*columns, console=console) as progress, tempfile.TemporaryDirectory() as folder:
        for name in names:
            task, began = progress.add_task(name, total=1), time.monotonic()
            out = Path(folder) / name
            _run([name, str(out), *options], partial(_show_step, progress, task, name))
            parts[name] = json.loads(out.read_text())
            progress.update(task, description=name, completed=1)
            if not console.is_terminal:
                console.print(f"{name}: {time.monotonic() - began:.0f} s")
    _add_charges(parts)
    return parts


def _add_charges(parts: dict[str, dict[str, Any]]) -> None:
    """Add what a design charges wrongly to the row of its cost, if both were measured."""
    if not parts.keys() >= {"consume", "faults"}:
        return
    wrong = {row["design"]: row[WRONGLY_CHARGED] for row in parts["faults"]["rows"]}
    for row in parts["consume"]["rows"]:
        if row["case"] == "consume" and row["design"] in wrong:
            row[WRONGLY_CHARGED] = wrong[row["design"]]


def _run(args: list[str], show: Callable[[str], None]) -> None:
    """Run a part in a process of its own; Ctrl-C reaches only this process, which then stops it."""
    output = deque[str](maxlen=LINES_SHOWN)
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.part", *args],
        cwd=ROOT,
        env=os.environ | QUIET,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stderr is not None
    try:
        for line in child.stderr:
            output.append(line)
            show(line.rstrip())
        if child.wait():
            raise PartError("".join(output))
    finally:
        _stop(child)


def _show_step(progress: Progress, task: TaskID, name: str, step: str) -> None:
    progress.update(task, description=f"{name}: {step}")


def _stop(child: subprocess.Popen[str]) -> None:
    """Ask a part that still runs to stop, and kill it if it does not."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
