"""Records as commands print them: a table for people, tabs in a pipe, JSON for programs.

Nothing is ever shortened, and no id is wrapped. Columns are named as the API names its fields.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

type Record = Mapping[str, Any]

WRAPPED = {"reason": 40}
"""Columns of free text, and the width from which they take several lines of a table."""

WIDTH_MAX = 10_000
"""Of a table. A line that the terminal wraps is better than an id that cannot be copied."""


def show_json(record: Record) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(record, indent=2, ensure_ascii=False))


def show_lines(records: Iterable[Record]) -> None:
    """Print a line of JSON for each record, as they come."""
    for record in records:
        typer.echo(json.dumps(record, ensure_ascii=False))


def show_table(records: Iterable[Record], columns: Sequence[str]) -> None:
    """Print some columns: a table on a terminal, else lines with tabs, as they come."""
    if not sys.stdout.isatty():
        typer.echo("\t".join(columns))
        for record in records:
            typer.echo("\t".join(_plain(record.get(name)) for name in columns))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        title = f"{name} (UTC)" if name.endswith("_at") else name
        table.add_column(title, no_wrap=name not in WRAPPED, max_width=WRAPPED.get(name))
    for record in records:
        table.add_row(*(_cell(name, record.get(name)) for name in columns))
    # Only with a height as well does a width count on every terminal.
    Console(highlight=False, width=WIDTH_MAX, height=1).print(table)


def show_facts(record: Record) -> None:
    """Print the fields of one record, a line each."""
    width = max(len(name) for name in record)
    for name, value in record.items():
        typer.echo(f"{name:<{width}}  {_plain(value)}".rstrip())


def grouped(number: int) -> str:
    """Return a number as people read it: 10 100."""
    return f"{number:,}".replace(",", " ")


def _cell(name: str, value: Any) -> Text:
    match value:
        case str() if name.endswith("_at"):
            return Text(f"{datetime.fromisoformat(value).astimezone(UTC):%Y-%m-%d %H:%M:%S}")
        case bool():
            return Text(_plain(value))
        case int():
            return Text(grouped(value), justify="right")
    return Text(_plain(value))


def _plain(value: Any) -> str:
    """Return a value in one line, and without what could steer a terminal."""
    match value:
        case None:
            return ""
        case list():
            return ", ".join(map(_plain, value))
        case bool() | dict():
            return json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else " " for letter in str(value))
