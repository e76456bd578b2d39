"""What an exported entry looks like: a line of JSON as the API shows it, or a row of CSV."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import fields
from enum import StrEnum
from typing import Any

from scrip.domain.entries import Entry, canonical_json
from scrip_cli.csv_cells import marked


class Format(StrEnum):
    """What an export is written as."""

    NDJSON = "ndjson"
    CSV = "csv"


_NAMES = [field.name for field in fields(Entry)]
_ACTOR = _NAMES.index("actor")

COLUMNS = ("account_id", *_NAMES[:_ACTOR], "actor_type", "actor_id", *_NAMES[_ACTOR + 1 :])
"""Of the CSV: the fields of an entry as the API names them, with its actor in two."""


def header(format_: Format) -> bytes:
    """Return what a file begins with."""
    return _rows([COLUMNS]) if format_ is Format.CSV else b""


def encoded(entries: Iterable[tuple[str, Entry]], format_: Format) -> bytes:
    """Return entries, each with its account's id, as lines of a format, in UTF-8."""
    records = ({"account_id": account_id, **entry.to_json()} for account_id, entry in entries)
    if format_ is Format.NDJSON:
        return b"".join(canonical_json(record) + b"\n" for record in records)
    return _rows(map(_row, records))


def _row(record: dict[str, Any]) -> list[str]:
    """Return the cells of an entry: null is empty, a number bare, what has parts JSON."""
    actor = record["actor"]
    told = {**record, "actor_type": actor["type"], "actor_id": actor["id"]}
    return [_cell(told[name]) for name in COLUMNS]


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return marked(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _rows(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
