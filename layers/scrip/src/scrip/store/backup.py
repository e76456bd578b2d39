"""All items of a table, to be kept elsewhere and put back into an empty one.

What is put back comes in stages, so that nobody finds an account before all that belongs to it:
what stands beside the accounts, the entries, the accounts, and last how far schedules have come.
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
from scrip.store.items import Wire, from_wire, restored, to_wire
from scrip.store.keys import CATALOG, account_key, id_of, is_entry, progress_key, restore_key

BATCH = 25
"""How many items one BatchWriteItem takes."""

# Holds while nobody has the account: what happened to one since is never undone.
NO_ACCOUNT = "attribute_not_exists(pk)"
# Holds for what belongs to an account, a payment or a message; all that a new stack has is its own.
OF_SOMEBODY = "contains(pk, :separator)"


class Stage(IntEnum):
    """The order in which items are put back: usage before the entries, which count into it."""

    BESIDE = 0
    ENTRIES = 1
    ACCOUNTS = 2
    SCHEDULES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """How far putting back has come: so many files of a stage, so many items in all.

    `backup` names what is put back, `at` is when that began.
    """

    backup: str
    at: datetime
    stage: Stage = Stage.BESIDE
    files: int = 0
    items: int = 0


_restore = TypeAdapter(Restore)


def read_items(table: Table, place: Wire | None) -> tuple[list[Wire], Wire | None]:
    """Return items, up to a megabyte, and the place behind them, None at the end. One round trip.

    Each is as it is now: of a table that is used meanwhile, all together are of no one moment.

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
    """Tell whether anybody has anything in the table."""
    pages = table.client.get_paginator("scan").paginate(
        TableName=table.name,
        FilterExpression=OF_SOMEBODY,
        ExpressionAttributeValues=to_wire({":separator": "#"}),
        ProjectionExpression="pk",
        ConsistentRead=True,
    )
    with answered():
        return any(page["Items"] for page in pages)


def stage_of(wire: Wire) -> Stage | None:
    """Return when an item is put back; None for what a restore or the audit has said of itself.

    What the audit has proved was another table.
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
    """Put items of the stage back. Doing it again is safe.

    An account that somebody has used since is left as it is.

    Raises:
        BusyError: not all were; doing it again is safe.
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
    """Return how far a restore has come that did not come to its end; None if there is none."""
    item = _restore_item(table)
    return None if item is None else _restore.validate_python(from_wire(item))


def is_being_restored(table: Table) -> bool:
    """Tell whether a restore has begun that did not come to its end."""
    return _restore_item(table) is not None


def save_restore(table: Table, restore: Restore) -> None:
    """Write down how far a restore has come."""
    item = to_wire({**restore_key(), **asdict(restore)})
    with answered():
        table.client.put_item(TableName=table.name, Item=item)


def end_restore(table: Table) -> None:
    """Forget a restore that has come to its end."""
    with answered():
        table.client.delete_item(TableName=table.name, Key=to_wire(restore_key()))


def _restore_item(table: Table) -> Wire | None:
    with answered():
        answer = table.client.get_item(
            TableName=table.name, Key=to_wire(restore_key()), ConsistentRead=True
        )
    return answer.get("Item")


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
