"""What `scrip backup` and `scrip restore` do: copy all items to a folder, and back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import batched

from scrip.ledger import utc_now
from scrip.store.audit.books import estimated_items
from scrip.store.client import Table
from scrip.store.items import Wire
from scrip.store.keys import listing_key
from scrip_cli.backup.folder import Backup, BackupWriter, DataFile
from scrip_cli.backup.table import (
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
from scrip_cli.errors import CommandError
from scrip_cli.report import note, progress_bar
from scrip_cli.work import WORKERS, patiently


def write(table: Table, writer: BackupWriter) -> int:
    """Write all items and return their number."""
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


def begun_restore(table: Table, backup: Backup) -> Restore:
    """Return how far the restore of a backup has come.

    Raises CommandError unless the table is new, or holds the beginning of this very backup.
    """
    begun = patiently(partial(read_restore, table))
    if begun is None and patiently(partial(is_used, table)):
        raise CommandError(
            f"The table {table.name} is in use.",
            "Restore into a new stack. To restore a single account, use `scrip accounts restore`.",
        )
    if begun is not None and begun.backup != backup.name:
        raise CommandError(
            f"The table {table.name} holds the beginning of another backup.",
            "Continue with that one, or restore into a new stack.",
        )
    if begun is not None:
        note(f"Continuing after {begun.items} items.")
    return begun or Restore(backup=backup.name, at=utc_now())


def put_all_back(table: Table, backup: Backup, begun: Restore) -> int:
    """Put back what is left of a backup; return how many items are back in all."""
    if begun.stage is Stage.BESIDE:
        # Accounts in the backup may be in no list. If all are, the backup itself says so.
        patiently(partial(table.delete, listing_key()))
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
    """Put back a file's items of the stage, several batches at once; yield their sizes."""

    def put(wires: tuple[Wire, ...]) -> int:
        patiently(partial(put_back, table, begun, wires))
        return len(wires)

    wanted = (wire for wire in file.read() if stage_of(wire) is begun.stage)
    for some in batched(batched(wanted, BATCH, strict=False), WORKERS, strict=False):
        yield from pool.map(put, some)
