"""An account that is nothing but its balance, as in designs without a ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from scrip.store.client import Table
    from scrip.store.items import Wire


def key(account_id: str) -> Wire:
    """Return the key of an account's item."""
    return {"pk": {"S": f"BALANCE#{account_id}"}, "sk": {"S": "BALANCE"}}


def open_account(table: Table, account_id: str, credits_: int, _: datetime) -> None:
    """Write an account."""
    item: Wire = {**key(account_id), "balance": {"N": str(credits_)}}
    table.client.put_item(TableName=table.name, Item=item)


def credits_left(table: Table, account_id: str) -> int:
    """Return the balance."""
    found = table.client.get_item(TableName=table.name, Key=key(account_id), ConsistentRead=True)
    return int(found["Item"]["balance"]["N"])
