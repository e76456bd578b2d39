"""How an exported entry is written: a line of JSON as the API shows it, or a row of CSV."""

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
    """The format of an export."""

    NDJSON = "ndjson"
    CSV = "csv"


_NAMES = [field.name for field in fields(Entry)]
_ACTOR = _NAMES.index("actor")

COLUMNS = ("account_id", *_NAMES[:_ACTOR], "actor_type", "actor_id", *_NAMES[_ACTOR + 1 :])
"""Columns of the CSV: an entry's fields by the API's names, with the actor split in two."""


def header(format_: Format) -> bytes:
    """Return how a file begins."""
    return _rows([COLUMNS]) if format_ is Format.CSV else b""


def encoded(entries: Iterable[tuple[str, Entry]], format_: Format) -> bytes:
    """Return entries, each with its account's ID, as lines of a format, in UTF-8."""
    records = ({"account_id": account_id, **entry.to_json()} for account_id, entry in entries)
    if format_ is Format.NDJSON:
        return b"".join(canonical_json(record) + b"\n" for record in records)
    return _rows(map(_row, records))


def _row(record: dict[str, Any]) -> list[str]:
    """Return the cells of an entry: null is empty, a number bare, a list or object JSON."""
    actor = record["actor"]
    values = {**record, "actor_type": actor["type"], "actor_id": actor["id"]}
    return [_cell(values[name]) for name in COLUMNS]


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
