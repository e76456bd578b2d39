"""What commands print: answers to stdout; progress, notes, errors and questions to stderr.

A list is a table for people, tabs in a pipe and JSON for programs. Nothing is ever shortened, and
no ID is wrapped. Columns have the names of the API's fields.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import typer

from scrip_cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text

    from scrip_cli.errors import CommandError

type Record = Mapping[str, Any]

WRAPPED = {"reason": 40, "message": 60, "details": 60, "fields": 60}
"""Columns of free text, and the width at which they wrap in a table."""

WIDTH_MAX = 10_000
"""Width of a table: a line that the terminal wraps is better than an ID that is cut off."""


@cache
def stderr() -> Console:
    """Return the console that is not for answers."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextmanager
def step(doing: str) -> Iterator[None]:
    """Show that a step is running and, once it is done, how long it took."""
    started = time.monotonic()
    with stderr().status(f"{doing} ..."):
        yield
    stderr().print(f"[green]✓[/green] {doing} [dim]{time.monotonic() - started:.1f} s[/dim]")


def progress_bar() -> Progress:
    """Make a progress bar."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def note(sentence: str) -> None:
    """Print a note."""
    from rich.text import Text

    stderr().print(Text(sentence), soft_wrap=True)


def note_dry_run() -> None:
    """Say that a dry run wrote nothing."""
    note("Dry run: nothing was written.")


def trouble(error: CommandError) -> None:
    """Print what went wrong and what to do about it."""
    from rich.text import Text

    if error.output:
        typer.echo(error.output, err=True)
    stderr().print(Text.assemble((error.problem, "bold red"), " ", error.remedy), soft_wrap=True)


def check_can_ask(*, yes: bool) -> None:
    """Check, before anything happens, that the person can be asked or has agreed with --yes.

    Raises typer.BadParameter if neither is so.
    """
    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask for confirmation", param_hint="--yes")


def confirm(*, yes: bool) -> None:
    """Ask whether to make the change that was just described; end the command on a no."""
    if yes:
        return
    try:
        agreed = typer.confirm("Do it?", err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        note("Nothing was changed.")
        raise typer.Exit(ExitCode.INTERRUPTED)


def show_json(record: Record) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(record, indent=2, ensure_ascii=False))


def show_lines(records: Iterable[Record]) -> None:
    """Print a line of JSON for each record, as they come."""
    for record in records:
        typer.echo(json.dumps(record, ensure_ascii=False))


def show_table(records: Iterable[Record], columns: Sequence[str]) -> None:
    """Print some columns: a table on a terminal, otherwise lines with tabs, as they come."""
    if not sys.stdout.isatty():
        typer.echo("\t".join(columns))
        for record in records:
            typer.echo("\t".join(_plain(record.get(name)) for name in columns))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        title = f"{name} (UTC)" if _is_time(name) else name
        table.add_column(title, no_wrap=name not in WRAPPED, max_width=WRAPPED.get(name))
    for record in records:
        table.add_row(*(_cell(name, record.get(name)) for name in columns))
    # Rich honors a width on every terminal only if a height is given, too.
    Console(highlight=False, width=WIDTH_MAX, height=1).print(table)


def show_facts(record: Record) -> None:
    """Print the fields of one record, one per line."""
    width = max(len(name) for name in record)
    for name, value in record.items():
        typer.echo(f"{name:<{width}}  {_plain(value)}".rstrip())


def grouped(number: int) -> str:
    """Return a number as people read it: 10 100."""
    return f"{number:,}".replace(",", " ")


def _is_time(name: str) -> bool:
    return name == "since" or name.endswith("_at")


def _cell(name: str, value: Any) -> Text:
    from rich.text import Text

    match value:
        case str() if _is_time(name):
            return Text(f"{datetime.fromisoformat(value).astimezone(UTC):%Y-%m-%d %H:%M:%S}")
        case bool():
            return Text(_plain(value))
        case int():
            return Text(grouped(value), justify="right")
    return Text(_plain(value))


def _plain(value: Any) -> str:
    """Return a value on one line, without characters that control a terminal."""
    match value:
        case None:
            return ""
        case list():
            return ", ".join(map(_plain, value))
        case bool() | dict():
            return json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else " " for letter in str(value))
