"""What commands share at the terminal: options, questions, and errors in plain words."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from typing import Annotated

import httpx
import typer
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter, ValidationError

from scrip.domain.entries import iso
from scrip.domain.errors import BusyError, ScripError
from scrip.http.models import Instant
from scrip_cli.exit_codes import ExitCode, exit_code_of
from scrip_cli.local import report
from scrip_cli.local.errors import StackError

INTERRUPTED = ExitCode.INTERRUPTED
"""The exit code of a command that Ctrl-C stopped."""

REASON_LENGTH_MAX = 256
NOTE_LENGTH_MAX = 1024

StackName = Annotated[
    str | None,
    typer.Option(help="A stack on AWS, with your own credentials.", show_default="the local stack"),
]
Region = Annotated[
    str | None, typer.Option(help="Region of that stack.", show_default="your profile's")
]


def _reason(text: str) -> str:
    return _text(text, "a reason", REASON_LENGTH_MAX)


def _note(text: str) -> str:
    return _text(text, "a note", NOTE_LENGTH_MAX)


def _text(text: str, what: str, length_max: int) -> str:
    if not 0 < len(text.strip()) <= len(text) <= length_max:
        raise typer.BadParameter(f"{what} has 1 to {length_max} characters")
    return text


Reason = Annotated[
    str,
    typer.Option(
        parser=_reason,
        metavar="TEXT",
        help="Why. The user reads this.",
    ),
]
EditReason = Annotated[
    str,
    typer.Option(
        parser=_reason,
        metavar="TEXT",
        help="Why; kept in the audit record, so without anybody's name.",
    ),
]
Note = Annotated[
    str | None,
    typer.Option(
        parser=_note,
        metavar="TEXT",
        help="Only staff read this; kept in the audit record.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
Limit = Annotated[int, typer.Option(min=1, help="How many to show at most.")]
All = Annotated[bool, typer.Option("--all", help="Show all there are.")]


def instant(text: str) -> datetime:
    """Read an instant as the API does: a date in UTC, or a time with its zone."""
    try:
        return _instant.validate_python(text)
    except ValidationError as exc:
        raise typer.BadParameter(_fault(exc)) from exc


Since = Annotated[
    datetime | None,
    typer.Option(
        parser=instant,
        metavar="TIME",
        help="Recorded at that time or later: 2026-12-01 (in UTC) or 2026-12-01T08:00+01:00.",
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option(parser=instant, metavar="TIME", help="Recorded before that time."),
]

_instant: TypeAdapter[datetime] = TypeAdapter(Instant)


@contextmanager
def plain_errors(*, local: bool) -> Iterator[None]:
    """Turn what can go wrong into a sentence and an exit code."""
    try:
        yield
    except StackError as error:
        report.trouble(error)
        raise typer.Exit(error.exit_code) from error
    except ValidationError as error:
        raise typer.BadParameter(_fault(error)) from error
    except ScripError as error:
        report.trouble(_refusal(error))
        raise typer.Exit(exit_code_of(error)) from error
    except (ClientError, BotoCoreError, httpx.HTTPError, httpx.InvalidURL) as error:
        report.trouble(_failure(error, local=local))
        raise typer.Exit(ExitCode.FAILED) from error


def check_can_ask(*, yes: bool) -> None:
    """Refuse, before anything is done, to change something that nobody can be asked about."""
    if not yes and not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask at", param_hint="--yes")


def ask(*, yes: bool) -> None:
    """Go on only if the person wants to; what it is about has been told."""
    if yes:
        return
    try:
        wanted = typer.confirm("Do it?", err=True)
    except typer.Abort:
        wanted = False
    if not wanted:
        report.note("Nothing was done.")
        raise typer.Exit(ExitCode.INTERRUPTED)


def _fault(error: ValidationError) -> str:
    return "; ".join(
        ": ".join(filter(None, [".".join(map(str, found["loc"])), found["msg"]]))
        for found in error.errors()
    )


def _refusal(error: ScripError) -> StackError:
    title = (error.__doc__ or "").splitlines()[0]
    data = {field.name: getattr(error, field.name) for field in fields(error)}
    told = ", ".join(
        f"{name}: {iso(value) if isinstance(value, datetime) else value}"
        for name, value in data.items()
    )
    if exit_code_of(error) is not ExitCode.FAILED:
        return StackError(f"Refused ({error.code}): {title}", told)
    remedy = "Running the command again does nothing twice."
    if isinstance(error, BusyError):
        return StackError(f"Scrip gave up ({error.code}): {title}", remedy)
    return StackError(f"Scrip gave up ({error.code}): {title} {told}".rstrip(), remedy)


def _failure(error: Exception, *, local: bool) -> StackError:
    told = str(error).rstrip(".")
    if local:
        remedy = "See ministack.log in the stack's folder; without that folder it starts afresh."
        return StackError(f"The local AWS failed: {told}.", remedy)
    if isinstance(error, httpx.HTTPError | httpx.InvalidURL):
        return StackError(f"There was no answer: {told}.", "Check the address.")
    remedy = "`aws sts get-caller-identity` tells who you are there; check what that may do."
    return StackError(f"AWS refused or did not answer: {told}.", remedy)
