"""The item that exists while a backup is being restored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrip.store.client import Table, answered
from scrip.store.items import to_wire
from scrip.store.keys import restore_key

if TYPE_CHECKING:
    from scrip.store.items import Wire


def read_restore_item(table: Table) -> Wire | None:
    """Return the progress of an unfinished restore as stored, None if there is none."""
    with answered():
        answer = table.client.get_item(
            TableName=table.name, Key=to_wire(restore_key()), ConsistentRead=True
        )
    return answer.get("Item")
