"""Aliases: outside names of accounts and payments, and the messages that wait for a name.

Names are strings of a kind and a value: `email:<address>`, `<provider>:<the provider's ID>`. Each
leads to at most one account or payment. Every account also has the name `account:<account_id>`,
without an alias.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from scrip.domain.account import AccountStatus
from scrip.domain.commands import is_account_id
from scrip.store.client import ConditionFailedError, checking, putting
from scrip.store.items import from_wire
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

    from scrip.store.client import Table
    from scrip.store.items import Wire
    from scrip.store.keys import Key

OWN = "account:"
"""Prefix of an account's own name."""

EMAIL = "email:"
"""Prefix of the name of an address."""

# Hold if the name is new, or leads to this account or payment already.
NEW_OR_SAME_ACCOUNT = "attribute_not_exists(pk) OR account_id = :id"
NEW_OR_SAME_PAYMENT = "attribute_not_exists(pk) OR payment_id = :id"
# Holds if the account exists and is not closed: closed accounts have no names.
IS_OPEN = "attribute_exists(pk) AND (attribute_not_exists(#status) OR #status <> :closed)"

# Holds unless a later state of the addresses is known.
NOT_OLDER = "attribute_not_exists(pk) OR told_at <= :told_at"


def name_of(keys: Wire) -> str:
    """Return the name that leads somewhere now that an account or alias of these keys exists."""
    partition, _, id_ = keys["pk"]["S"].partition("#")
    return f"{OWN}{id_}" if partition == "ACCOUNT" else id_


def can_lead(name: str) -> bool:
    """Tell whether a name can ever lead to an account or a payment."""
    if name.startswith(OWN):
        return is_account_id(name.removeprefix(OWN))
    return is_possible(alias_key(name))


def accounts_named(table: Table, names: Sequence[str]) -> dict[str, str]:
    """Return the account of each name that leads to one. One round trip."""
    keys = {
        name: account_key(name.removeprefix(OWN)) if name.startswith(OWN) else alias_key(name)
        for name in names
    }
    # Accounts older than the rules for IDs may have an ID that no new account could have.
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
    """Return the ID of the payment that one of its names leads to, or None. One round trip.

    A payment can have names before anything else is known about it.
    """
    found = _read(table, [key for name in names for key in (payment_key(name), alias_key(name))])
    for name in names:
        if payment_key(name)["pk"] in found:
            return name
    return next((item["payment_id"] for item in found.values() if "payment_id" in item), None)


def link_account(table: Table, account_id: str, name: str) -> bool:
    """Give an account a name. Return False if that is impossible.

    It is if the name belongs to another account or cannot be a key, or if the account is not open.
    """
    if not can_lead(name):
        return False
    alias = {**alias_key(name), "account_id": account_id}
    try:
        table.transact(
            putting(alias, NEW_OR_SAME_ACCOUNT, {":id": account_id}),
            putting(account_alias_key(account_id, name)),
            checking(account_key(account_id), IS_OPEN, {":closed": AccountStatus.CLOSED}),
        )
    except ConditionFailedError:
        return False
    return True


def note_addresses(table: Table, account_id: str, at: datetime) -> bool:
    """Note when an account's addresses were seen; return False if later ones are known."""
    try:
        table.put({**addresses_key(account_id), "told_at": at}, NOT_OLDER, {":told_at": at})
    except ConditionFailedError:
        return False
    return True


def link_payment(table: Table, payment_id: str, name: str) -> None:
    """Give a payment another name, unless the name belongs to another payment already."""
    alias = {**alias_key(name), "payment_id": payment_id}
    with suppress(ConditionFailedError):
        table.put(alias, NEW_OR_SAME_PAYMENT, {":id": payment_id})


def wait_for(table: Table, inbox_id: str, names: Iterable[str]) -> None:
    """Have a message wait for any of some names."""
    for name in names:
        table.put(waiting_key(name, inbox_id))


def wait_no_more(table: Table, inbox_id: str, names: Iterable[str]) -> None:
    """Have a message wait for these names no longer."""
    for name in names:
        table.delete(waiting_key(name, inbox_id))


def waiting(table: Table, name: str) -> list[str]:
    """Return the IDs of the messages that wait for a name."""
    return [id_of(sk) for sk in sort_keys(table, alias_key(name)["pk"], "WAITING#")]


def names_of(table: Table, account_id: str) -> list[str]:
    """Return the outside names of an account."""
    return [id_of(sk) for sk in sort_keys(table, names_partition(account_id), "ALIAS#")]


def unlink(table: Table, account_id: str, name: str) -> None:
    """Take a name away from an account, so that it leads nowhere."""
    table.delete(alias_key(name))
    table.delete(account_alias_key(account_id, name))


def _read(table: Table, keys: Iterable[Key]) -> dict[str, dict[str, Any]]:
    """Return those of some items that exist, by their partition."""
    different = {key["pk"]: key for key in keys}.values()
    return {
        item["pk"]: item for item in map(from_wire, table.get_batch(different, consistent=True))
    }
