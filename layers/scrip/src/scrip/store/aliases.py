"""Aliases: the outside names of accounts and payments, each of one only, and what waits for them.

Names are strings of a kind and a value: `email:<address>`, `<provider>:<the provider's id>`. An
account's own name is `account:<account_id>`; it needs no alias.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrip.domain.account import AccountStatus
from scrip.domain.commands import is_account_id
from scrip.domain.errors import BusyError
from scrip.store.client import Table, answered
from scrip.store.items import from_wire, to_wire
from scrip.store.keys import (
    account_alias_key,
    account_key,
    addresses_key,
    alias_key,
    id_of,
    is_possible,
    names_partition,
    payment_key,
    waiting_key,
)
from scrip.store.queries import sort_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from scrip.store.items import Wire

OWN = "account:"
"""What an account's own name begins with."""

EMAIL = "email:"
"""What the name begins with that an address is."""

# Holds for a name that nobody has, or that this account or payment has already.
FREE_OR_SAME = "attribute_not_exists(pk) OR #target = :id"
# Holds while the account is there and open; a closed one has no names.
IS_OPEN = "attribute_exists(pk) AND (attribute_not_exists(#status) OR #status <> :closed)"

# Holds unless a later state of the addresses is known.
NOT_OLDER = "attribute_not_exists(pk) OR told_at <= :told_at"


def name_of(keys: Wire) -> str:
    """Return the name that leads somewhere since an account or alias of these keys is there."""
    partition, _, id_ = keys["pk"]["S"].partition("#")
    return f"{OWN}{id_}" if partition == "ACCOUNT" else id_


def can_lead(name: str) -> bool:
    """Tell whether a name could come to lead to an account, or to a payment."""
    if name.startswith(OWN):
        return is_account_id(name.removeprefix(OWN))
    return is_possible(alias_key(name))


def accounts_named(table: Table, names: Sequence[str]) -> dict[str, str]:
    """Return the accounts that names lead to, for those that do. One round trip."""
    keys = {
        name: account_key(name.removeprefix(OWN)) if name.startswith(OWN) else alias_key(name)
        for name in names
    }
    # An account that is older than the rule for ids may have another than one could have today.
    keys = {name: key for name, key in keys.items() if is_possible(key)}
    found = _read(table, keys.values())
    accounts = {}
    for name, key in keys.items():
        item = found.get(key["pk"], {})
        account_id = id_of(key["pk"]) if name.startswith(OWN) else item.get("account_id")
        if item and account_id:
            accounts[name] = account_id
    return accounts


def payment_named(table: Table, names: Sequence[str]) -> str | None:
    """Return the id of the payment that one of its names leads to, or None. One round trip.

    A payment may be named before anything is known of it.
    """
    keys = [key for name in names for key in (payment_key(name), alias_key(name))]
    found = _read(table, keys)
    for name in names:
        if payment_key(name)["pk"] in found:
            return name
    return next((item["payment_id"] for item in found.values() if "payment_id" in item), None)


def link_account(table: Table, account_id: str, name: str) -> bool:
    """Give an account a name; False where it is another's or no key, or the account is not open."""
    if not can_lead(name):
        return False
    condition = {
        "ConditionCheck": {
            "TableName": table.name,
            "Key": to_wire(account_key(account_id)),
            "ConditionExpression": IS_OPEN,
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": to_wire({":closed": AccountStatus.CLOSED}),
        },
    }
    reverse = {
        "Put": {"TableName": table.name, "Item": to_wire(account_alias_key(account_id, name))}
    }
    actions: Any = [_alias_put(table, name, "account_id", account_id), reverse, condition]
    try:
        with answered():
            table.client.transact_write_items(TransactItems=actions)
    except table.client.exceptions.TransactionCanceledException as exc:
        reasons = exc.response["CancellationReasons"]
        if any(reason["Code"] == "ConditionalCheckFailed" for reason in reasons):
            return False
        raise BusyError from exc
    return True


def note_addresses(table: Table, account_id: str, told_at: datetime) -> bool:
    """Note when an account's addresses were so as they are told; False if later ones are known."""
    item = to_wire({**addresses_key(account_id), "told_at": told_at})
    try:
        with answered():
            table.client.put_item(
                TableName=table.name,
                Item=item,
                ConditionExpression=NOT_OLDER,
                ExpressionAttributeValues={":told_at": item["told_at"]},
            )
    except table.client.exceptions.ConditionalCheckFailedException:
        return False
    return True


def link_payment(table: Table, payment_id: str, name: str) -> None:
    """Give a payment another name; the first payment of that name keeps it."""
    put = _alias_put(table, name, "payment_id", payment_id)["Put"]
    try:
        with answered():
            table.client.put_item(**put)
    except table.client.exceptions.ConditionalCheckFailedException:
        return


def wait_for(table: Table, inbox_id: str, names: Iterable[str]) -> None:
    """Let a message wait for any of some names."""
    for name in names:
        with answered():
            table.client.put_item(TableName=table.name, Item=to_wire(waiting_key(name, inbox_id)))


def wait_no_more(table: Table, inbox_id: str, names: Iterable[str]) -> None:
    """Let a message wait for these names no longer."""
    for name in names:
        with answered():
            table.client.delete_item(TableName=table.name, Key=to_wire(waiting_key(name, inbox_id)))


def waiting(table: Table, name: str) -> list[str]:
    """Return the ids of the messages that wait for a name."""
    return [id_of(sk) for sk in sort_keys(table, alias_key(name)["pk"], "WAITING#")]


def names_of(table: Table, account_id: str) -> list[str]:
    """Return the outside names of an account."""
    return [id_of(sk) for sk in sort_keys(table, names_partition(account_id), "ALIAS#")]


def unlink(table: Table, account_id: str, name: str) -> None:
    """Take a name from an account; nobody will find it by that again."""
    with answered():
        for key in (alias_key(name), account_alias_key(account_id, name)):
            table.client.delete_item(TableName=table.name, Key=to_wire(key))


def _alias_put(table: Table, name: str, target: str, id_: str) -> Any:
    return {
        "Put": {
            "TableName": table.name,
            "Item": to_wire({**alias_key(name), target: id_}),
            "ConditionExpression": FREE_OR_SAME,
            "ExpressionAttributeNames": {"#target": target},
            "ExpressionAttributeValues": to_wire({":id": id_}),
        },
    }


def _read(table: Table, keys: Iterable[dict[str, str]]) -> dict[str, dict[str, Any]]:
    """Return what is found of some items, by their partition; BusyError if not all was read."""
    wanted: Any = [to_wire(key) for key in {key["pk"]: key for key in keys}.values()]
    if not wanted:
        return {}
    with answered():
        answer = table.client.batch_get_item(
            RequestItems={table.name: {"Keys": wanted, "ConsistentRead": True}},
        )
    if answer["UnprocessedKeys"]:
        raise BusyError
    return {item["pk"]: item for item in map(from_wire, answer["Responses"][table.name])}
