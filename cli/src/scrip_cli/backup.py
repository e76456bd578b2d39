"""`scrip backup`: all items of a table as a folder, and `scrip restore`: back into an empty one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import batched
from pathlib import Path
from typing import Annotated

import typer

from scrip.ledger import utc_now
from scrip.store.audit.books import estimated_items
from scrip.store.client import Table
from scrip.store.items import Wire
from scrip_cli.backup_folder import Backup, BackupWriter, DataFile, read_backup
from scrip_cli.backup_table import (
    BATCH,
    Restore,
    Stage,
    end_restore,
    is_used,
    put_back,
    read_items,
    read_restore,
    save_restore,
    stage_of,
)
from scrip_cli.exit_codes import ExitCode
from scrip_cli.local import report
from scrip_cli.local.commands import DEFAULT_PORT, Port, State
from scrip_cli.local.errors import StackError
from scrip_cli.target import find_target
from scrip_cli.terminal import Region, StackName, plain_errors
from scrip_cli.work import WORKERS, patiently, progress_bar

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The backup.", show_default=False)]


def backup(
    *,
    folder: Folder,
    table: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Another table: one that was restored to a point in time.",
            show_default="the stack's",
        ),
    ] = None,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Write all items of a table to a new folder, which `scrip restore` puts back.

    Of a table that is used meanwhile the items are not of one moment. On AWS restore the table to a
    point in time and name that one with --table, or let DynamoDB export it to S3, which comes in
    the same format.

    It holds what the table does: people's addresses, and what providers sent of them.
    """
    with plain_errors(local=stack_name is None):
        found = find_target(stack_name, port, state, region).table()
        if table is not None:
            found = Table(found.client, table)
        items = _write(found, BackupWriter(folder))
        report.note(f"{items} items.")


def restore(
    *,
    folder: Folder,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Put a backup, or an export of DynamoDB's, into the table of a stack that nobody has used yet.

    FOLDER has a manifest-files.json. All of it is read before anything is written. Stopped by
    whatever, the same command goes on where it was. Nobody should use the stack before it is done;
    `scrip audit` then tells whether all is right.

    What is put back was told when it was new: it is not archived again, nor put on the event bus.
    """
    with plain_errors(local=stack_name is None):
        backup = read_backup(folder)
        table = find_target(stack_name, port, state, region).table()
        begun = _begun(table, backup)
        backup.check()
        try:
            items = _put_back(table, backup, begun)
        except KeyboardInterrupt:
            report.note("Stopped. Run the same command to go on.")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        report.note(f"{items} items. See with `scrip audit` that all is right.")


def _write(table: Table, writer: BackupWriter) -> int:
    """Write all items and return how many there are."""
    items, place = 0, None
    with progress_bar() as progress:
        task = progress.add_task("Backing up", total=estimated_items(table))
        while True:
            page, place = patiently(partial(read_items, table, place))
            writer.add(page)
            items += len(page)
            progress.update(task, completed=items)
            if place is None:
                break
    writer.finish()
    return items


def _begun(table: Table, backup: Backup) -> Restore:
    """Return how far putting a backup back has come.

    Raises StackError unless the table is a new one, or has had the beginning of this very backup.
    """
    begun = patiently(partial(read_restore, table))
    if begun is None and patiently(partial(is_used, table)):
        raise StackError(
            f"The table {table.name} is in use.",
            "Restore into a new stack. One account is put back otherwise: "
            "docs/how-to/restore-from-backup.md",
        )
    if begun is not None and begun.backup != backup.name:
        raise StackError(
            f"The table {table.name} has the beginning of another backup.",
            "Go on with that one, or restore into a new stack.",
        )
    if begun is not None:
        report.note(f"Goes on behind {begun.items} items.")
    return begun or Restore(backup=backup.name, at=utc_now())


def _put_back(table: Table, backup: Backup, begun: Restore) -> int:
    """Put back what is left of a backup; return how many items it has put back in all."""
    patiently(partial(save_restore, table, begun))
    with progress_bar() as progress, ThreadPoolExecutor(WORKERS) as pool:
        task = progress.add_task("Restoring", total=backup.items, completed=begun.items)
        for stage in list(Stage)[begun.stage :]:
            if stage is not begun.stage:
                begun = replace(begun, stage=stage, files=0)
            for file in backup.files[begun.files :]:
                items = 0
                for done in _put_file(table, begun, file, pool):
                    items += done
                    progress.advance(task, done)
                begun = replace(begun, files=begun.files + 1, items=begun.items + items)
                patiently(partial(save_restore, table, begun))
    patiently(partial(end_restore, table))
    return begun.items


def _put_file(
    table: Table, begun: Restore, file: DataFile, pool: ThreadPoolExecutor
) -> Iterator[int]:
    """Put back what a file has for the stage, several batches at once; yield their sizes."""

    def put(wires: tuple[Wire, ...]) -> int:
        patiently(partial(put_back, table, begun, wires))
        return len(wires)

    wanted = (wire for wire in file.read() if stage_of(wire) is begun.stage)
    for some in batched(batched(wanted, BATCH, strict=False), WORKERS, strict=False):
        yield from pool.map(put, some)
