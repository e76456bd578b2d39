"""Shows the results as tables, on a terminal and in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from bench.document import HERE
from bench.part import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Console

    type Rows = list[dict[str, Any]]

FEW = 100
"""Smaller figures are shown with decimals."""

REMARK = "\\* only true of this machine."


def show(console: Console, parts: Mapping[str, dict[str, Any]]) -> None:
    """Print the rows and notes of all parts."""
    for name, part in parts.items():
        rows = part["rows"]
        table = Table(
            title=PARTS[name].title, title_justify="left", title_style="bold", box=SIMPLE_HEAD
        )
        for key in _keys(rows):
            justify: Any = "left" if _is_text(rows, key) else "right"
            table.add_column(_heading(key), justify=justify, overflow="fold")
        for row in rows:
            table.add_row(*_cells(rows, row))
        console.print(table)
        for note in part["notes"]:
            console.print(Text(f"- {note}", style="dim"))
        console.print()
    console.print(REMARK.removeprefix("\\"))


def markdown(name: str, part: dict[str, Any]) -> str:
    """Return a section of a page, with the rows and notes of a part."""
    rows = part["rows"]
    keys = _keys(rows)
    lines = [
        f"## {PARTS[name].title}\n",
        f"| {' | '.join(_heading(key).replace('*', '\\*') for key in keys)} |",
        f"|{'|'.join('---' if _is_text(rows, key) else '--:' for key in keys)}|",
        *(f"| {' | '.join(_cells(rows, row))} |" for row in rows),
        "",
        *(f"- {note}" for note in part["notes"]),
        "",
    ]
    return "\n".join(lines)


def _keys(rows: Rows) -> list[str]:
    """Return the columns: all keys, in order of appearance."""
    return list(dict.fromkeys(key for row in rows for key in row))


def _is_text(rows: Rows, key: str) -> bool:
    return any(isinstance(row.get(key), str) for row in rows)


def _heading(key: str) -> str:
    mark = "*" if key.endswith(HERE) else ""
    return key.removesuffix(HERE).replace("_", " ") + mark


def _cells(rows: Rows, row: dict[str, Any]) -> Iterator[str]:
    for key in _keys(rows):
        match row.get(key):
            case None:
                yield ""
            case bool() as is_true:
                yield "yes" if is_true else "no"
            case int() as count:
                yield f"{count:,}"
            case float() as figure:
                yield f"{figure:,.4g}" if abs(figure) < FEW else f"{figure:,.0f}"
            case other:
                yield str(other)
