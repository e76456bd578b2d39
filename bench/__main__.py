"""Measures Scrip, beside other designs: `make bench`, or `python -m bench --help`.

Every figure is a ratio or a count, unless it says that it is only true of this machine.
docs/explanation/benchmark.md tells what is measured, how, and how to read it.
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

from bench import table
from bench.document import ROOT, document
from bench.part import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable
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
"""What every part runs with."""

console = Console(stderr=True)


class PartError(Exception):
    """A part failed; what it said last is the message."""


def main() -> None:
    """Run the parts that the arguments name, show what they found, and write it down."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="in some minutes, less exact")
    parser.add_argument("--out", type=Path, default=OUT, help="file for the results, in JSON")
    parser.add_argument("--postgres", metavar="URL", help="a server to compare with")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    asked = parser.parse_args()
    # Now, and not when there is a half an hour to lose.
    if not _is_writable(asked.out):
        parser.error(f"argument --out: cannot write {asked.out}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, _interrupt)
    began_at, began = datetime.now(UTC), time.monotonic()
    try:
        parts = measured(asked.only or list(PARTS), quick=asked.quick, postgres=asked.postgres)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except PartError as failed:
        sys.exit(str(failed))
    seconds = time.monotonic() - began
    result = document(parts, quick=asked.quick, began_at=began_at, seconds=seconds)
    from bench import plot  # noqa: PLC0415 - it takes a second, which nobody waits for in vain

    picture = asked.out.with_suffix(".svg")
    asked.out.write_text(json.dumps(result, indent=1) + "\n")
    plot.draw(result, picture)
    # Where nobody sees it at once, it has the width that it needs.
    table.show(Console(width=None if sys.stdout.isatty() else TABLE_WIDTH), parts)
    console.print(f"{seconds:.0f} s; see {asked.out} and {picture}")


def _is_writable(out: Path) -> bool:
    """Whether results can be written there; makes the folder."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return not out.is_dir() and os.access(out if out.exists() else out.parent, os.W_OK)


def measured(names: list[str], *, quick: bool, postgres: str | None) -> dict[str, dict[str, Any]]:
    """Return what parts found, one after the other: they would disturb each other.

    Raises:
        PartError: one failed.
    """
    words = ["--quick"] if quick else []
    words += ["--postgres", postgres] if postgres else []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    parts = {}
    with Progress(*columns, console=console) as progress, tempfile.TemporaryDirectory() as folder:
        for name in names:
            task, began = progress.add_task(name, total=1), time.monotonic()
            out = Path(folder) / name
            _run([name, str(out), *words], partial(_shown, progress, task, name))
            parts[name] = json.loads(out.read_text())
            progress.update(task, description=name, completed=1)
            if not console.is_terminal:
                console.print(f"{name}: {time.monotonic() - began:.0f} s")
    _add_charges(parts)
    return parts


def _add_charges(parts: dict[str, dict[str, Any]]) -> None:
    """Tell beside what a design costs what it charges wrongly, if both were measured."""
    if not parts.keys() >= {"consume", "faults"}:
        return
    wrong = {row["design"]: row[WRONGLY_CHARGED] for row in parts["faults"]["rows"]}
    for row in parts["consume"]["rows"]:
        if row["case"] == "consume":
            row[WRONGLY_CHARGED] = wrong[row["design"]]


def _run(words: list[str], show: Callable[[str], None]) -> None:
    """Run a part in a process of its own, which Ctrl-C reaches through us alone."""
    said = deque[str](maxlen=LINES_SHOWN)
    child = subprocess.Popen(
        [sys.executable, "-m", "bench.part", *words],
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
            said.append(line)
            show(line.rstrip())
        if child.wait():
            raise PartError("".join(said))
    finally:
        _stop(child)


def _shown(progress: Progress, task: TaskID, name: str, step: str) -> None:
    progress.update(task, description=f"{name}: {step}")


def _stop(child: subprocess.Popen[str]) -> None:
    """Ask a part to end, if it still runs, and end it if it does not."""
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
