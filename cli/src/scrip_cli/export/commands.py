"""`scrip export`: the ledger of all accounts as a file, resumable and in bounded memory."""

from __future__ import annotations

import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scrip.domain.entries import iso
from scrip_cli.accounts.names import account_named
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.export.formats import Format, encoded, header
from scrip_cli.export.resumable import Point, ResumableFile
from scrip_cli.options import Since, Until
from scrip_cli.report import note, progress_bar
from scrip_cli.session import Session, with_session
from scrip_cli.work import patiently

if TYPE_CHECKING:
    from scrip.store.client import Table
    from scrip_cli.export.history import HistoryFilter

STDOUT = Path("-")


class Pipe:
    """Standard output, which cannot be continued."""

    point = Point()

    def append(self, piece: bytes, point: Point) -> None:
        """Write a piece."""
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        self.point = point


@with_session
def export(
    *,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="The file to write; - is standard output, which cannot be continued.",
        ),
    ],
    format_: Annotated[Format, typer.Option("--format")] = Format.NDJSON,
    account: Annotated[
        str | None, typer.Option(help="Only this account's entries, in order of seq.")
    ] = None,
    since: Since = None,
    until: Until = None,
    session: Session,
) -> None:
    """Write the ledger of all accounts to a file.

    If interrupted for any reason, run the same command again to continue: no line is in the file
    twice, and none is missing. Until the file is complete, FILE.resume records how to continue.

    The file has every entry that was a few seconds old when the export began, and some of the
    entries that are appended later. Lines are in no order: sort by account_id and seq.

    In CSV, an apostrophe precedes text that a spreadsheet would run as a formula: text that begins
    with =, +, -, @, a tab or a line break. Numbers stay numbers, and JSON has text unchanged.

    An entry that cannot be read is reported and left out; the exit code is then 1.

    The file names the staff who acted: remove `actor.id` from anything that you give to a user.

    Even with --since and --until, an export reads the whole index of the ledger, and AWS bills
    that.
    """
    from scrip_cli.export.history import HistoryFilter, describe_history

    table = session.table()
    account_id = account_named(table, account) if account is not None else None
    query = HistoryFilter(account_id=account_id, since=since, until=until)
    arn, estimated = describe_history(table)
    total = estimated if account_id is None and estimated else None
    if out == STDOUT:
        _write(Pipe(), table, query, format_, total)
        return
    question = {"table": arn, "format": format_, **_json(query)}
    with ResumableFile(out, question) as file:
        if file.point.entries:
            note(f"Continuing after {file.point.entries} entries.")
        try:
            _write(file, table, query, format_, total)
        except KeyboardInterrupt:
            note(
                f"Stopped after {file.point.entries} entries. Run the same command again to "
                "continue."
            )
            raise typer.Exit(ExitCode.INTERRUPTED) from None


def _write(
    file: ResumableFile | Pipe,
    table: Table,
    query: HistoryFilter,
    format_: Format,
    total: int | None,
) -> None:
    """Write everything after the point that a file has reached."""
    from scrip_cli.export.history import read_history

    with progress_bar() as progress:
        task = progress.add_task("Exporting", total=total, completed=file.point.entries)
        while True:
            point = file.point
            page = patiently(partial(read_history, table, query, point.place))
            for account_id, entry_id in page.unreadable:
                note(f"Left out because it cannot be read: entry {entry_id} of {account_id}")
            piece = encoded(page.entries, format_)
            if not point.bytes:
                piece = header(format_) + piece
            point = Point(
                place=page.place,
                bytes=point.bytes + len(piece),
                entries=point.entries + len(page.entries),
                unreadable=point.unreadable + len(page.unreadable),
            )
            file.append(piece, point)
            progress.update(task, completed=point.entries)
            if page.place is None:
                break
    note(f"{point.entries} entries, {point.bytes} bytes.")
    if point.unreadable:
        raise CommandError(
            f"{point.unreadable} entries cannot be read and were left out.",
            "They were edited by hand; `scrip audit` has the details.",
        )


def _json(query: HistoryFilter) -> dict[str, Any]:
    return {
        name: value if value is None or isinstance(value, str) else iso(value)
        for name, value in asdict(query).items()
    }
