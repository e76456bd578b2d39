"""Reading all items of a table for a backup, and writing them into an empty one.

A restore runs in stages, so that no account is visible before everything that belongs to it:
related items, entries, accounts, and last the progress of schedules.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import IntEnum
from itertools import batched
from typing import Any

from pydantic import TypeAdapter

from scrip.domain.errors import BusyError
from scrip.store.client import Table, answered
from scrip.store.items import Wire, read_item, restored, to_wire
from scrip.store.keys import CATALOG, account_key, id_of, is_entry, progress_key, restore_key
from scrip.store.restores import read_restore_item

BATCH = 25
"""How many items one BatchWriteItem takes."""

# Holds while the account does not exist: what happened to one since is never undone.
NO_ACCOUNT = "attribute_not_exists(pk)"
# Holds for items of accounts, payments and messages; a new stack has none of these.
OWNED = "contains(pk, :separator)"


class Stage(IntEnum):
    """The order in which items are restored: usage before the entries, which count into it."""

    BESIDE = 0
    ENTRIES = 1
    ACCOUNTS = 2
    SCHEDULES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """The progress of a restore: files done in the current stage, and items in all.

    `backup` names the backup, `at` is when the restore began.
    """

    backup: str
    at: datetime
    stage: Stage = Stage.BESIDE
    files: int = 0
    items: int = 0


_restore = TypeAdapter(Restore)


def read_items(table: Table, place: Wire | None) -> tuple[list[Wire], Wire | None]:
    """Return up to a megabyte of items and the place of the next page, None at the end.

    One round trip. The pages of a table that is in use are not a snapshot of one moment.

    Raises:
        BusyError: the table did not answer.
    """
    request: dict[str, Any] = {"TableName": table.name, "ConsistentRead": True}
    if place is not None:
        request["ExclusiveStartKey"] = place
    with answered():
        answer = table.client.scan(**request)
    return answer["Items"], answer.get("LastEvaluatedKey")


def is_used(table: Table) -> bool:
    """Return whether the table has items of any account, payment or message."""
    pages = table.client.get_paginator("scan").paginate(
        TableName=table.name,
        FilterExpression=OWNED,
        ExpressionAttributeValues=to_wire({":separator": "#"}),
        ProjectionExpression="pk",
        ConsistentRead=True,
    )
    with answered():
        return any(page["Items"] for page in pages)


def stage_of(wire: Wire) -> Stage | None:
    """Return the stage that restores an item; None for the progress of a restore or of the audit.

    That progress belongs to another table.
    """
    key = {name: wire[name]["S"] for name in ("pk", "sk")}
    if key in (restore_key(), progress_key()):
        return None
    if is_entry(key["pk"]):
        return Stage.ENTRIES
    if key == account_key(id_of(key["pk"])):
        return Stage.ACCOUNTS
    is_schedule = "#" not in key["pk"] and key["pk"] != CATALOG
    return Stage.SCHEDULES if is_schedule else Stage.BESIDE


def put_back(table: Table, restore: Restore, wires: Sequence[Wire]) -> None:
    """Restore items of the current stage. Repeating it is safe.

    An account that has been used since is left unchanged.

    Raises:
        BusyError: not all items were written; repeating it is safe.
    """
    match restore.stage:
        case Stage.ACCOUNTS:
            for wire in wires:
                _put_account(table, wire)
        case Stage.ENTRIES:
            _put(table, [restored(wire, restore.at) for wire in wires])
        case _:
            _put(table, wires)


def read_restore(table: Table) -> Restore | None:
    """Return the progress of an unfinished restore; None if there is none.

    Raises:
        NewerVersionError: a newer version began it.
    """
    item = read_restore_item(table)
    return None if item is None else _restore.validate_python(read_item(item))


def save_restore(table: Table, restore: Restore) -> None:
    """Save the progress of a restore."""
    item = to_wire({**restore_key(), **asdict(restore)})
    with answered():
        table.client.put_item(TableName=table.name, Item=item)


def end_restore(table: Table) -> None:
    """Delete the progress of a finished restore."""
    with answered():
        table.client.delete_item(TableName=table.name, Key=to_wire(restore_key()))


def _put(table: Table, wires: Sequence[Wire]) -> None:
    for some in batched(wires, BATCH, strict=False):
        puts: Any = [{"PutRequest": {"Item": wire}} for wire in some]
        with answered():
            answer = table.client.batch_write_item(RequestItems={table.name: puts})
        if answer["UnprocessedItems"]:
            raise BusyError


def _put_account(table: Table, wire: Wire) -> None:
    try:
        with answered():
            table.client.put_item(TableName=table.name, Item=wire, ConditionExpression=NO_ACCOUNT)
    except table.client.exceptions.ConditionalCheckFailedException:
        return
