"""`scrip export`: the ledger of all accounts as a file, in bounded memory, to be gone on with."""

import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from scrip.domain.entries import iso
from scrip.store.client import Table
from scrip_cli.account_names import account_named
from scrip_cli.exit_codes import ExitCode
from scrip_cli.export_formats import Format, encoded, header
from scrip_cli.history import HistoryFilter, describe_history, read_history
from scrip_cli.local import report
from scrip_cli.local.commands import DEFAULT_PORT, Port, State
from scrip_cli.local.errors import StackError
from scrip_cli.resumable import Point, ResumableFile
from scrip_cli.target import find_target
from scrip_cli.terminal import Region, Since, StackName, Until, plain_errors
from scrip_cli.work import patiently, progress_bar

STDOUT = Path("-")


class Pipe:
    """Standard output, which cannot be gone on with."""

    point = Point()

    def append(self, piece: bytes, point: Point) -> None:
        """Write a piece."""
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        self.point = point


def export(
    *,
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Where to; - is standard output, which cannot be gone on with."
        ),
    ],
    format_: Annotated[Format, typer.Option("--format")] = Format.NDJSON,
    account: Annotated[
        str | None, typer.Option(help="Only this account's, in order of seq.")
    ] = None,
    since: Since = None,
    until: Until = None,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Write the ledger of all accounts to a file.

    Stopped by whatever, the same command goes on where it was: no line is twice in the file, and
    none is missing. What is needed for that is in FILE.resume until the file is whole.

    Every entry that was a few seconds old when the export began is in it. Of those that are
    appended later some are and some are not. Lines are in no order: sort by account_id and seq.

    In CSV an apostrophe stands before text that a spreadsheet would take for a formula: text that
    begins with =, +, -, @, a tab or a line break. Numbers stay numbers, and JSON has text as it is.

    An entry that cannot be read is named and left out; the exit code is 1 then.

    It names the staff that acted: leave `actor.id` out of what you hand to a user.

    It reads the whole index of the ledger, with --since and --until too, and pays for that.
    """
    with plain_errors(local=stack_name is None):
        table = find_target(stack_name, port, state, region).table()
        account_id = account_named(table, account) if account is not None else None
        asked = HistoryFilter(account_id=account_id, since=since, until=until)
        arn, estimated = describe_history(table)
        total = estimated if account_id is None and estimated else None
        if out == STDOUT:
            _write(Pipe(), table, asked, format_, total)
            return
        question = {"table": arn, "format": format_, **_json(asked)}
        with ResumableFile(out, question) as file:
            if file.point.entries:
                report.note(f"Goes on behind {file.point.entries} entries.")
            try:
                _write(file, table, asked, format_, total)
            except KeyboardInterrupt:
                report.note(
                    f"Stopped after {file.point.entries} entries. Run the same command to go on."
                )
                raise typer.Exit(ExitCode.INTERRUPTED) from None


def _write(
    file: ResumableFile | Pipe,
    table: Table,
    asked: HistoryFilter,
    format_: Format,
    total: int | None,
) -> None:
    """Write all that is behind the point that a file has come to."""
    with progress_bar() as progress:
        task = progress.add_task("Exporting", total=total, completed=file.point.entries)
        while True:
            point = file.point
            page = patiently(partial(read_history, table, asked, point.place))
            for account_id, entry_id in page.unreadable:
                report.note(f"Cannot be read, and is left out: {entry_id} of {account_id}")
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
    report.note(f"{point.entries} entries, {point.bytes} bytes.")
    if point.unreadable:
        raise StackError(
            f"{point.unreadable} entries cannot be read, and were left out.",
            "Somebody has changed them by hand; `scrip audit` tells more.",
        )


def _json(asked: HistoryFilter) -> dict[str, Any]:
    return {
        name: value if value is None or isinstance(value, str) else iso(value)
        for name, value in asdict(asked).items()
    }
