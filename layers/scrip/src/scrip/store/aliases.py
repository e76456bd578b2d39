"""Aliases: outside names of accounts and payments, and the messages that wait for a name.

Names are strings of a kind and a value: `email:<address>`, `<provider>:<the provider's ID>`. Each
leads to at most one account or payment. Every account also has the name `account:<account_id>`,
without an alias. A provider's name may move to another account, if a stronger name says so.

An account has its names beside its lists, and once more all of its addresses in one item, which
lists of accounts read: a name and its copy are written together.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from scrip.domain.account import AccountStatus
from scrip.domain.commands import is_account_id
from scrip.domain.errors import BusyError
from scrip.domain.naming import LONG_AGO, Link, Rank
from scrip.store.client import (
    EXISTS,
    ConditionFailedError,
    checking,
    deleting,
    putting,
    updating,
)
from scrip.store.items import read_item
from scrip.store.keys import (
    account_alias_key,
    account_key,
    addresses_key,
    alias_key,
    id_of,
    is_possible,
    last_name_key,
    name_directory_keys,
    names_partition,
    payment_key,
    waiting_key,
)
from scrip.store.queries import is_closed, sort_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from scrip.store.client import Action, Table
    from scrip.store.items import Wire
    from scrip.store.keys import Key

_link = cache(lambda: TypeAdapter(Link))

OWN = "account:"
"""Prefix of an account's own name."""

LATER = "later"
"""A name that leads nowhere: what waits for it waits for time to pass."""

LINK_TRIES_MAX = 5
"""How often a link is joined with what another message has made of it."""

EMAIL = "email:"
"""Prefix of the name of an address."""

# Hold if the name is as it was read: it led nowhere, or to this account since then.
LEADS_NOWHERE = "attribute_not_exists(pk)"
SAME_LINK = (
    "account_id = :account_id AND #rank = :rank AND told_at = :told_at AND #shared = :shared"
)
SAME_LINK_OF_0_1_0 = "account_id = :account_id AND attribute_not_exists(told_at)"
# Hold if the name is new, or leads to this account or payment already.
NEW_OR_SAME_ACCOUNT = "attribute_not_exists(pk) OR account_id = :id"
NEW_OR_SAME_PAYMENT = "attribute_not_exists(pk) OR payment_id = :id"
# Holds if the account exists and is not closed: closed accounts have no names.
IS_OPEN = "attribute_exists(pk) AND (attribute_not_exists(#status) OR #status <> :closed)"

OF_OWNER = ("name", "directory_pk", "directory_sk")
"""What the item of an account's addresses has of its owner's name."""

# Holds unless a later state of the addresses is known.
NOT_OLDER = "attribute_not_exists(told_at) OR told_at <= :told_at"


def name_of(keys: Wire) -> str:
    """Return the name that leads somewhere now that an account or alias of these keys exists."""
    partition, _, id_ = keys["pk"]["S"].partition("#")
    return f"{OWN}{id_}" if partition == "ACCOUNT" else id_


def can_lead(name: str) -> bool:
    """Tell whether a name can ever lead to an account or a payment."""
    if name.startswith(OWN):
        return is_account_id(name.removeprefix(OWN))
    return is_possible(alias_key(name))


def accounts_named(table: Table, names: Iterable[str]) -> dict[str, str]:
    """Return the account of each name that leads to one. One round trip."""
    return {name: link.account_id for name, link in links_of(table, names).items()}


def links_of(table: Table, names: Iterable[str]) -> dict[str, Link]:
    """Return whose each name is that leads to an account. One round trip."""
    keys = {
        name: account_key(name.removeprefix(OWN)) if name.startswith(OWN) else alias_key(name)
        for name in names
    }
    # Accounts older than the rules for IDs may have an ID that no new account could have.
    keys = {name: key for name, key in keys.items() if is_possible(key)}
    found = _read(table, keys.values())
    links = {}
    for name, key in keys.items():
        item = found.get(key["pk"], {})
        if name.startswith(OWN) and item:
            links[name] = Link(account_id=id_of(key["pk"]))
        elif "account_id" in item:
            links[name] = _link_of(item)
    return links


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
            *noting(account_id, name),
            checking(account_key(account_id), IS_OPEN, {":closed": AccountStatus.CLOSED}),
        )
    except ConditionFailedError:
        return False
    return True


def join_link(table: Table, name: str, known: Link | None, link: Link) -> Link | None:
    """Join a link with the one of a provider's name that was read; return what it is afterwards.

    That is None, and nothing is written, if the name cannot be a key or the link's account is
    closed.

    Raises:
        BusyError: others keep changing it.
    """
    for _ in range(LINK_TRIES_MAX if can_lead(name) else 0):
        joined = known.joined(link) if known else link
        if known and _is_same(known, joined):
            return known
        try:
            table.transact(*_moving(name, known, joined))
        except ConditionFailedError:
            if is_closed(table, joined.account_id):
                return known
            known = links_of(table, [name]).get(name)
        else:
            return joined
    if can_lead(name):
        raise BusyError
    return None


def _moving(name: str, known: Link | None, link: Link) -> list[Action]:
    """Return the actions that replace a name's link by another."""
    values: dict[str, Any] = {}
    if known is None:
        condition = LEADS_NOWHERE
    elif known.told_at == LONG_AGO:
        condition, values = SAME_LINK_OF_0_1_0, {":account_id": known.account_id}
    else:
        condition = SAME_LINK
        values = {
            ":account_id": known.account_id,
            ":rank": known.rank,
            ":told_at": known.told_at,
            ":shared": known.shared,
        }
    actions = [
        putting({**alias_key(name), **_link_item(link)}, condition, values),
        *noting(link.account_id, name),
        checking(account_key(link.account_id), IS_OPEN, {":closed": AccountStatus.CLOSED}),
    ]
    if known and known.account_id != link.account_id:
        actions.append(deleting(account_alias_key(known.account_id, name)))
    return actions


def noting(account_id: str, name: str, condition: str | None = None) -> list[Action]:
    """Return the actions that note a name at its account, and in what lists show of it."""
    actions = [putting(account_alias_item(account_id, name), condition)]
    if name.startswith(EMAIL):
        emails = {":emails": {value_of(name)}}
        actions.append(updating(addresses_key(account_id), "ADD #emails :emails", emails))
    return actions


def drop_addresses(table: Table, account_id: str, emails: set[str]) -> None:
    """Drop addresses from what lists show of an account."""
    with suppress(ConditionFailedError):  # a closed account has nothing there, and gets nothing
        drop = "DELETE #emails :emails"
        table.update(addresses_key(account_id), drop, EXISTS, {":emails": emails})


def account_alias_item(account_id: str, name: str) -> Key:
    """Return a name at its account, which the directory has by the beginning of its value."""
    return {**account_alias_key(account_id, name), **name_directory_keys(value_of(name))}


def value_of(name: str) -> str:
    """Return the value of a name: the address, or the provider's ID."""
    return name.partition(":")[2]


def note_addresses(table: Table, account_id: str, at: datetime, owner: str | None = None) -> bool:
    """Note when an account's addresses were seen, and the name of its owner.

    Return False, and note nothing, if later ones are known or the account is closed.
    """
    known: dict[str, Any] = {"told_at": at}
    words = owner.split() if owner else []
    if owner:
        known |= {"name": owner, **name_directory_keys(owner)}
    update = "SET " + ", ".join(f"#{name} = :{name}" for name in known)
    gone = [f"#{name}" for name in OF_OWNER if name not in known]
    if gone:
        update += " REMOVE " + ", ".join(gone)
    values = {f":{name}": value for name, value in known.items()}
    last_name = last_name_key(account_id)
    try:
        table.transact(
            updating(addresses_key(account_id), update, values, NOT_OLDER),
            # People look for the last name, too.
            putting({**last_name, **name_directory_keys(words[-1])})
            if len(words) > 1
            else deleting(last_name),
            checking(account_key(account_id), IS_OPEN, {":closed": AccountStatus.CLOSED}),
        )
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
    """Take a name away from an account, so that it leads nowhere, unless it leads elsewhere now."""
    with suppress(ConditionFailedError):
        table.delete(alias_key(name), "account_id = :account_id", {":account_id": account_id})
    if name.startswith(EMAIL):
        drop_addresses(table, account_id, {value_of(name)})
    # Last, so that a repetition still finds the name.
    table.delete(account_alias_key(account_id, name))


def _is_same(known: Link, joined: Link) -> bool:
    """Tell whether a join has changed nothing that counts, so that most messages write no link.

    When something was said counts once there is a choice. Of a customer with several accounts it
    does not matter which of them was named last.
    """
    if joined.shared:
        is_settled = known.shared and known.rank == joined.rank == Rank.SUBSCRIPTION
        return known == joined or is_settled
    return known == replace(joined, told_at=known.told_at, customer=known.customer)


def _link_item(link: Link) -> dict[str, Any]:
    """Return the attributes of a link."""
    item: dict[str, Any] = _link().dump_python(link, exclude_none=True)
    return item


def _link_of(item: Mapping[str, Any]) -> Link:
    """Return the link in an item."""
    return _link().validate_python(item)


def _read(table: Table, keys: Iterable[Key]) -> dict[str, dict[str, Any]]:
    """Return those of some items that exist, by their partition.

    Raises:
        NewerVersionError: a newer version wrote one of them.
    """
    different = {key["pk"]: key for key in keys}.values()
    return {
        item["pk"]: item for item in map(read_item, table.get_batch(different, consistent=True))
    }
