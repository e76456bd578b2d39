"""Search: what has a name or a reference that begins like this, or has exactly this ID.

Names and references are found by the index `directory`, where each has the keys that
`name_directory_keys` or `reference_directory_keys` makes of it, and IDs by reading the items that
would have them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from scrip.store.aliases import EMAIL, value_of
from scrip.store.items import from_wire, to_wire
from scrip.store.keys import (
    account_key,
    addresses_key,
    alias_key,
    entry_key,
    id_of,
    inbox_key,
    is_payment,
    is_possible,
    name_directory_keys,
    names_partition,
    payment_key,
    reference_beginning_keys,
)
from scrip.store.pages import read_page
from scrip.webhooks.providers import Provider

if TYPE_CHECKING:
    from scrip.store.client import Table
    from scrip.store.items import Item, Wire
    from scrip.store.keys import Key
    from scrip.store.pages import Place, Steps

FOUND_MAX = 10
"""How many results a search has."""

READ = 30
"""How many names, and as many references, are read for them: some lead to the same."""

PLACE = ("pk", "sk", "directory_pk", "directory_sk")
"""The keys after which a list of names goes on."""


class Kind(StrEnum):
    """What is found. A `customer` is any name at a provider, also of a subscription."""

    ACCOUNT = "account"
    CUSTOMER = "customer"
    PAYMENT = "payment"
    ENTRY = "entry"
    WEBHOOK = "webhook"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A result: what `matched` is an ID of `kind`, or a name or an address of an account.

    `owner` is the name of the account's owner, if it is known. If that is what matched, `matched`
    is empty until it has been read.
    """

    kind: Kind
    matched: str = ""
    account_id: str | None = None
    owner: str | None = None

    @property
    def identity(self) -> tuple[Kind, str, str | None]:
        """What it leads to: results that lead to the same are one."""
        match self.kind:
            case Kind.ACCOUNT:
                return self.kind, "", self.account_id
            case Kind.REFERENCE:  # several accounts may have it
                return self.kind, self.matched, self.account_id
        return self.kind, self.matched, None


def search(table: Table, asked: str) -> list[Found]:
    """Return up to FOUND_MAX results: those with exactly this ID, then others by name or reference.

    Two round trips: the names, the references, the items with this ID and (with a slash) the entry
    are read together, and then the names of the accounts' owners, and what the payments say.
    """
    with ThreadPoolExecutor(4) as pool:
        exact = pool.submit(_with_id, table, asked)
        entry = pool.submit(_entry, table, asked)
        named = pool.submit(_named, table, asked)
        referred = pool.submit(_referred, table, asked)
        found = [*entry.result(), *exact.result(), *named.result(), *referred.result()]
    different: dict[tuple[Kind, str, str | None], Found] = {}
    for one in found:
        different.setdefault(one.identity, one)
    return _completed(table, [*islice(different.values(), FOUND_MAX)])


def list_named(
    table: Table, asked: str, *, limit: int, cursor: str | None
) -> tuple[list[str], str | None]:
    """Return up to `limit` accounts with a name that begins like this, and the cursor after them.

    They are in the order of these names. One with several may come several times.

    Raises:
        InvalidCursorError: the cursor belongs to a different query.
    """

    def steps_after(place: Place) -> Steps[str]:
        after = to_wire(dict(zip(PLACE, place, strict=True))) if place else None
        rows, is_all = _names(table, asked, after, limit)
        for row in rows:
            if row["pk"].startswith(names_partition("")):  # the others are payments
                yield id_of(row["pk"]), [row[name] for name in PLACE]
        if not is_all:
            yield None, [rows[-1][name] for name in PLACE]

    return read_page(["named", asked], steps_after, limit=limit, cursor=cursor, shown=str)


def _named(table: Table, asked: str) -> list[Found]:
    """Return what has names that begin like this, by these names."""
    kind, _, value = asked.partition(":")
    rows, _ = _names(table, value if kind in {*Provider, "email"} else asked, None, READ)
    return [_found_by_name(row["pk"], row["sk"]) for row in rows]


def _referred(table: Table, asked: str) -> list[Found]:
    """Return the references that begin like this, with the accounts that have entries of them."""
    rows, _ = _begun(table, reference_beginning_keys(asked), None, READ) if asked else ([], True)
    return [
        Found(kind=Kind.REFERENCE, matched=id_of(row["sk"]), account_id=id_of(row["pk"]))
        for row in rows
    ]


def _names(table: Table, asked: str, after: Wire | None, limit: int) -> tuple[list[Item], bool]:
    """Return the keys of names that begin like this, and whether those are all."""
    keys = name_directory_keys(asked)
    return _begun(table, keys, after, limit) if keys else ([], True)


def _begun(table: Table, keys: Key, after: Wire | None, limit: int) -> tuple[list[Item], bool]:
    """Return the keys of what the directory lists by these beginnings, and whether that is all."""
    found, last = table.query(
        "directory_pk = :pk AND begins_with(directory_sk, :beginning)",
        {":pk": keys["directory_pk"], ":beginning": keys["directory_sk"]},
        IndexName="directory",
        Limit=limit,
        after=after,
    )
    return [from_wire(item) for item in found], last is None


def _found_by_name(pk: str, sk: str) -> Found:
    """Return what an item of the directory's names stands for."""
    name = id_of(sk)
    if is_payment(pk):
        return Found(kind=Kind.PAYMENT, matched=name)
    account_id = id_of(pk)
    match sk.partition("#")[0]:
        case "ALIAS":
            return _alias(name, account_id)
        case "LISTED":
            return Found(kind=Kind.ACCOUNT, matched=account_id, account_id=account_id)
    return Found(kind=Kind.ACCOUNT, account_id=account_id)


def _alias(name: str, account_id: str) -> Found:
    """Return an account that has an outside name."""
    if name.startswith(EMAIL):
        return Found(kind=Kind.ACCOUNT, matched=value_of(name), account_id=account_id)
    return Found(kind=Kind.CUSTOMER, matched=name, account_id=account_id)


def _with_id(table: Table, asked: str) -> list[Found]:
    """Return what has exactly this ID, or this name, with or without its provider."""
    keys = [account_key(asked)]
    if "@" in asked:
        keys.append(alias_key(f"{EMAIL}{asked.lower()}"))
    else:
        names = [asked] if ":" in asked else [f"{provider}:{asked}" for provider in Provider]
        keys += [of(name) for name in names for of in (alias_key, payment_key, inbox_key)]
    found = table.get_batch(filter(is_possible, keys), "pk", "account_id", "payment_id")
    return sorted(
        (_found_by_id(**from_wire(item)) for item in found), key=lambda one: [*Kind].index(one.kind)
    )


def _found_by_id(pk: str, account_id: str | None = None, payment_id: str | None = None) -> Found:
    """Return what an item stands for."""
    id_ = id_of(pk)
    match pk.partition("#")[0]:
        case "ACCOUNT":
            return Found(kind=Kind.ACCOUNT, matched=id_, account_id=id_)
        case "INBOX":
            webhook_id = id_.replace("#", ":", 1)
            return Found(kind=Kind.WEBHOOK, matched=webhook_id, account_id=account_id)
        case "ALIAS" if account_id:
            return _alias(id_, account_id)
    return Found(kind=Kind.PAYMENT, matched=payment_id or id_, account_id=account_id)


def _entry(table: Table, asked: str) -> list[Found]:
    """Return the entry that is named by its account and its own ID, with a slash in between."""
    account_id, _, entry_id = asked.partition("/")
    key = entry_key(account_id, entry_id)
    if not entry_id or not is_possible(key) or table.get(key, "pk") is None:
        return []
    return [Found(kind=Kind.ENTRY, matched=entry_id, account_id=account_id)]


def _completed(table: Table, found: list[Found]) -> list[Found]:
    """Return results with the accounts of payments, and the names of accounts' owners."""
    keys = [addresses_key(one.account_id) for one in found if one.account_id is not None]
    keys += [payment_key(one.matched) for one in found if one.kind is Kind.PAYMENT]
    different = {key["pk"]: key for key in keys}.values()
    items = [from_wire(item) for item in table.get_batch(different, "pk", "account_id", "name")]
    known = {item["pk"]: item for item in items}
    completed = []
    for one in found:
        account_id = one.account_id
        if one.kind is Kind.PAYMENT:
            account_id = known.get(payment_key(one.matched)["pk"], {}).get("account_id", account_id)
        owner = known.get(names_partition(account_id), {}).get("name") if account_id else None
        if matched := one.matched or owner:
            completed.append(
                Found(kind=one.kind, matched=matched, account_id=account_id, owner=owner)
            )
    return completed
