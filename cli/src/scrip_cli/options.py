"""Options that several commands share."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from scrip.domain.commands import KEY_PATTERN
from scrip_cli.errors import faults_in

REASON_LENGTH_MAX = 500
NOTE_LENGTH_MAX = 1024
DEFAULT_PORT = 4566
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def instant(text: str) -> datetime:
    """Parse an instant as the API does: a date in UTC, or a time with its zone."""
    from pydantic import TypeAdapter, ValidationError

    from scrip.http.models import Instant

    try:
        found: datetime = TypeAdapter(Instant).validate_python(text)
    except ValidationError as exc:
        raise typer.BadParameter(faults_in(exc)) from exc
    return found


def duration(text: str) -> timedelta:
    """Parse a duration: 31d, 12h."""
    found = re.fullmatch(r"(\d{1,5})([mhdw])", text)
    if found is None:
        raise typer.BadParameter("a number with m, h, d or w, such as 31d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def _reason(text: str) -> str:
    return _text(text, "a reason", REASON_LENGTH_MAX)


def _note(text: str) -> str:
    return _text(text, "a note", NOTE_LENGTH_MAX)


def _text(text: str, what: str, length_max: int) -> str:
    if not 0 < len(text.strip()) <= len(text) <= length_max:
        raise typer.BadParameter(f"{what} has 1 to {length_max} characters")
    return text


def _key(text: str) -> str:
    if not re.fullmatch(KEY_PATTERN, text):
        raise typer.BadParameter("1 to 128 of A-Z a-z 0-9 . _ -")
    return text


def _stack_name(name: str | None) -> str | None:
    if name == "":  # a variable that is not set, rather than the local stack
        raise typer.BadParameter("the name is empty")
    return name


StackName = Annotated[
    str | None,
    typer.Option(
        help="A stack on AWS, reached with your own credentials.",
        show_default="the local stack",
        callback=_stack_name,
    ),
]
Region = Annotated[
    str | None, typer.Option(help="Region of that stack.", show_default="your profile's")
]
Port = Annotated[
    int,
    typer.Option(
        envvar="SCRIP_PORT",
        min=1,
        max=65535,
        help="Port of the local AWS; each port is a separate stack.",
    ),
]
State = Annotated[
    Path | None,
    typer.Option(help="Folder of the stack's data.", show_default=".scrip/PORT in the project"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reason = Annotated[
    str,
    typer.Option(parser=_reason, metavar="TEXT", help="Why. The user reads this."),
]
EditReason = Annotated[
    str,
    typer.Option(
        parser=_reason,
        metavar="TEXT",
        help="Why. Kept in the audit record, so do not name a person.",
    ),
]
Note = Annotated[
    str | None,
    typer.Option(
        parser=_note,
        metavar="TEXT",
        help="Only staff read this. Kept in the audit record.",
    ),
]
IdempotencyKey = Annotated[
    str | None,
    typer.Option(
        parser=_key,
        metavar="KEY",
        help="Identifies the change: repeating the command with it never makes the change twice.",
        show_default="a new key, which is printed",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show what would happen, and write nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
Limit = Annotated[int, typer.Option(min=1, help="How many to show at most.")]
All = Annotated[bool, typer.Option("--all", help="Show all of them.")]
Since = Annotated[
    datetime | None,
    typer.Option(
        parser=instant,
        metavar="TIME",
        help="Recorded at this time or later: 2026-12-01 (in UTC) or 2026-12-01T08:00+01:00.",
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(parser=instant, metavar="TIME", help="Recorded before this time."),
]


@dataclass(frozen=True, kw_only=True)
class ChangeOptions:
    """How to make a change. The fields are options."""

    idempotency_key: IdempotencyKey = None
    dry_run: DryRun = False
    yes: Yes = False
    as_json: Json = False
