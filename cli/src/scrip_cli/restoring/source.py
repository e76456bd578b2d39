"""Where an account's earlier state is: a backup's folder, another table, or a time of this one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from ulid import ULID

from scrip.domain.entries import iso
from scrip.store.client import Table
from scrip.store.items import Wire, to_wire
from scrip.store.keys import account_key, ledger_partition
from scrip_cli import report
from scrip_cli.backup.folder import read_backup
from scrip_cli.errors import CommandError
from scrip_cli.restoring.comparison import Place
from scrip_cli.session import Session

POLL_SECONDS = 5.0


def from_table(table: Table, account_id: str) -> dict[Place, Wire]:
    """Read all items of an account and its ledger."""
    found: dict[Place, Wire] = {}
    for pk in _partitions(account_id):
        pages = table.client.get_paginator("query").paginate(
            TableName=table.name,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_wire({":pk": pk}),
        )
        for page in pages:
            found |= {_place(wire): wire for wire in page["Items"]}
    return found


def from_folder(folder: Path, account_id: str) -> dict[Place, Wire]:
    """Read all items of an account and its ledger from a backup, all of which is read.

    Raises CommandError if it is not complete.
    """
    backup, partitions = read_backup(folder), _partitions(account_id)
    backup.check()
    return {
        _place(wire): wire
        for file in backup.files
        for wire in file.read()
        if wire["pk"]["S"] in partitions
    }


def from_time(session: Session, at: datetime, account_id: str) -> dict[Place, Wire]:
    """Restore the table to a time, read the account there, and delete the restored table.

    Raises CommandError if there is no state of that time.
    """
    if session.is_local:
        raise CommandError(
            "The local AWS keeps no history of a table.",
            "Name a backup that `scrip backup` made with --from.",
        )
    with _restored(session.table(), at) as table:
        return from_table(table, account_id)


@contextmanager
def _restored(table: Table, at: datetime) -> Iterator[Table]:
    """Restore a table to a time, under a name of its own; it is deleted at the end."""
    client, name = table.client, f"{table.name}-{ULID()}"
    known = client.describe_continuous_backups(TableName=table.name)["ContinuousBackupsDescription"]
    span = known.get("PointInTimeRecoveryDescription", {})
    first, last = span.get("EarliestRestorableDateTime"), span.get("LatestRestorableDateTime")
    if not (first and last and first <= at <= last):
        possible = f"from {iso(first)} to {iso(last)}" if first and last else "none"
        raise CommandError(
            f"The table has no state of {iso(at)}.",
            f"Times that it can be restored to: {possible}. For others, name a backup with --from.",
        )
    client.restore_table_to_point_in_time(
        SourceTableName=table.name, TargetTableName=name, RestoreDateTime=at
    )
    report.note(
        f"Restoring to the table {name}, which takes minutes to hours. If this is interrupted, go "
        f"on with --table {name}, and delete that table afterwards."
    )
    with report.stderr().status("Restoring ..."):
        while client.describe_table(TableName=name)["Table"]["TableStatus"] != "ACTIVE":
            time.sleep(POLL_SECONDS)
    yield Table(client, name)
    client.delete_table(TableName=name)


def _partitions(account_id: str) -> tuple[str, str]:
    return account_key(account_id)["pk"], ledger_partition(account_id)


def _place(wire: Wire) -> Place:
    return wire["pk"]["S"], wire["sk"]["S"]
