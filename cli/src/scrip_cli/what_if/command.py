"""`scrip what-if`: what the last days would have cost at the prices of another catalog."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from scrip_cli.catalog.commands import File, editor_of
from scrip_cli.exit_codes import ExitCode
from scrip_cli.options import Json, duration
from scrip_cli.report import note, show_table
from scrip_cli.session import Session, with_session


@with_session
def what_if(
    catalog: File,
    *,
    last: Annotated[
        timedelta, typer.Option(parser=duration, metavar="DURATION", help="How far back: 30d, 12h.")
    ] = "30d",  # type: ignore[assignment]
    csv_file: Annotated[
        Path | None,
        typer.Option(
            "--csv", dir_okay=False, metavar="FILE", help="Write a row for each account to FILE."
        ),
    ] = None,
    as_json: Json = False,
    session: Session,
) -> None:
    """Show what the last days would have cost at a catalog file's prices. Changes nothing.

    Every account that used credits is replayed from its first entry on, through the rules that
    charge: the commands of the window once more, at the prices and plans of the file. What is not
    in the file stays as it is, as with `catalog apply`. The accounts that would change most are
    listed: credits used, calls that would have been refused (402), the most that was owed.

    The same commands are replayed at the prices of their time, too, which must write the same
    entries, hash for hash; a note says how many differ. What providers' messages did, such as
    refunds and disputes, is taken as it was. Calls that were refused have left no entry, so they
    are not replayed: cheaper prices might have let them pass.

    With --json, prints a line of JSON for each account, then one with the totals.

    It reads the whole ledger of those accounts, and AWS bills that.
    """
    from scrip.ledger import utc_now
    from scrip.store.catalogs import read_edits
    from scrip_cli.catalog.changes import changes_to, with_changes
    from scrip_cli.catalog.file import read_catalog_file
    from scrip_cli.what_if.answer import SHOWN, Replays, remark, row_of, sentence, writing_rows
    from scrip_cli.what_if.catalogs import Catalogs

    table, wanted = session.table(), read_catalog_file(catalog)
    editor = editor_of(session, "not applied")
    priced = with_changes(editor.catalog, changes_to(editor, wanted, prune=False))
    since = utc_now() - last
    replays = Replays(table, Catalogs(editor.catalog, read_edits(table)), priced, since)
    try:
        with writing_rows(csv_file) as write:
            answer = replays.run(write, print_lines=as_json)
    except KeyboardInterrupt:
        note("Stopped; nothing was written. Run the same command again to start over.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps({"since": since.isoformat(), **answer.to_json()}))
    else:
        typer.echo(sentence(answer, catalog, last))
        if answer.accounts:
            show_table(map(row_of, answer.most), SHOWN)
    remark(answer, csv_file)
