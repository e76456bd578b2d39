"""`scrip backup`: all items of a table as a folder; `scrip restore`: back into an empty table."""

from pathlib import Path
from typing import Annotated

import typer

from scrip_cli.exit_codes import ExitCode
from scrip_cli.report import note
from scrip_cli.session import Session, with_session

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The backup.", show_default=False)]


@with_session
def backup(
    *,
    folder: Folder,
    table: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Another table, such as one that was restored to a point in time.",
            show_default="the stack's",
        ),
    ] = None,
    session: Session,
) -> None:
    """Write all items of a table to a new folder, from which `scrip restore` puts them back.

    If the table is in use meanwhile, the items are not from a single moment. On AWS, restore the
    table to a point in time and name that copy with --table, or let DynamoDB export it to S3, which
    produces the same format.

    The folder holds everything that the table does, including people's addresses and what providers
    sent about them.
    """
    from scrip.store.client import Table
    from scrip_cli.backup.folder import BackupWriter
    from scrip_cli.backup.work import write

    found = session.table()
    if table is not None:
        found = Table(found.client, table)
    items = write(found, BackupWriter(folder))
    note(f"{items} items.")


@with_session
def restore(*, folder: Folder, session: Session) -> None:
    """Restore a backup or a DynamoDB export into the table of a stack that has never been used.

    FOLDER has a manifest-files.json. All of it is read before anything is written. If interrupted
    for any reason, run the same command again to continue. Do not use the stack until it is done,
    then check it with `scrip audit`.

    Restored entries were archived and published when they were new: they are not archived again,
    nor put on the event bus.
    """
    from scrip_cli.backup.folder import read_backup
    from scrip_cli.backup.work import begun_restore, put_all_back

    backup = read_backup(folder)
    table = session.table()
    begun = begun_restore(table, backup)
    backup.check()
    try:
        items = put_all_back(table, backup, begun)
    except KeyboardInterrupt:
        note("Stopped. Run the same command again to continue.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    note(f"{items} items. Check them with `scrip audit`.")
