"""Reading whole accounts for the audit: what is there, and every entry, however it was left."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from datetime import date
from decimal import Decimal
from functools import partial
from itertools import batched, islice
from typing import TYPE_CHECKING, Any

from scrip.domain.books import Books, StoredEntry
from scrip.domain.errors import BusyError, CorruptAccountError
from scrip.store.aliases import names_of
from scrip.store.client import Table, answered
from scrip.store.items import (
    account_as_stored,
    audit_of,
    entry_of,
    from_wire,
    payment_of,
    refunded_of,
    to_wire,
    unknown_in_entry,
    usage_of,
)
from scrip.store.keys import (
    account_key,
    alias_key,
    entry_key,
    id_of,
    ledger_partition,
    owner_of,
    payment_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from datetime import datetime

    from scrip.domain.payments import Payment
    from scrip.domain.usage import DayUsage
    from scrip.store.items import Wire
    from scrip.store.keys import Key

TRIES_MAX = 6
BACKOFF_SECONDS = 0.05
"""A page is asked for so often; the pause after try n is up to BACKOFF * 2^n."""

PAGE = 1_000
"""So many entries of an account are in memory at once."""

BATCH = 100
"""How many keys one BatchGetItem takes."""

DIRECTORY = frozenset({"directory_pk", "directory_sk"})
"""The attributes that put an account into the directory."""

UNREADABLE_ABOUT = {
    "ACCOUNT": "account",
    "AUDIT": "audit record {}",
    "REFUNDED": "refunded total of {}",
    "USAGE": "usage of {}",
}
"""What an item that nobody can read is, by the kind that its key tells."""

UNNUMBERED_MAX = 100
"""So many entries without a seq are told of one account."""


def account_pages(table: Table, segment: int, segments: int) -> Iterator[tuple[list[str], int]]:
    """Yield the accounts that a segment of the table holds, and how many items were looked at.

    They come with the page that has their account item. What else is in an account's partitions
    is seen too, and where the account item is missing the account comes all the same, perhaps
    several times.

    Raises:
        BusyError: the table did not answer, several times.
    """
    checked: set[str] = set()
    request = {
        "TableName": table.name,
        "ProjectionExpression": "pk, sk",
        "Segment": segment,
        "TotalSegments": segments,
    }
    for page in _pages(table.client.scan, request):
        keys = [from_wire(item) for item in page["Items"]]
        owners = {account_id for key in keys if (account_id := owner_of(key["pk"])) is not None}
        there = [
            account_id
            for key in keys
            if (account_id := owner_of(key["pk"])) is not None and key == account_key(account_id)
        ]
        # A long ledger goes on from page to page.
        unsure = owners - set(there) - checked
        checked = owners
        yield there + sorted(unsure - _existing(table, unsure)), len(keys)


def estimated_items(table: Table) -> int | None:
    """Tell how many items the table has, as of some hours ago; None where that is not known."""
    with answered():
        answer = table.client.describe_table(TableName=table.name)
    return answer["Table"].get("ItemCount") or None


def read_books(table: Table, account_id: str) -> Books:
    """Return what the table holds of an account beside its entries.

    Strongly consistent, but not of one moment: a posting may come in between.

    Raises:
        BusyError: the table did not answer, several times.
    """
    told: dict[str, Any] = {"account": None}
    refunded: dict[str, int] = {}
    usage: dict[date, DayUsage] = {}
    audited: set[str] = set()
    unreadable: list[str] = []
    partition = account_key(account_id)["pk"]
    for wire in _items(table, partition, ConsistentRead=True):
        kind, _, name = wire["sk"]["S"].partition("#")
        try:
            match kind:
                case "ACCOUNT":
                    told = _account(wire)
                case "AUDIT":
                    audited.add(audit_of(wire).entry_id or "")
                case "REFUNDED":
                    refunded[name] = refunded_of(wire)
                case "USAGE":
                    usage[date.fromisoformat(name)] = usage_of(wire)
        except (CorruptAccountError, ValueError):
            unreadable.append(UNREADABLE_ABOUT[kind].format(name))
    names = _patiently(lambda: names_of(table, account_id))
    leading = _read(table, [alias_key(name) for name in names])
    return Books(
        account_id=account_id,
        refunded=refunded,
        usage=usage,
        audited=frozenset(audited - {""}),
        names={
            name: leading.get(alias_key(name)["pk"], {}).get("account_id", {}).get("S")
            for name in names
        },
        unreadable=tuple(unreadable),
        unnumbered=_unnumbered(table, account_id),
        **told,
    )


def read_ledger(table: Table, account_id: str) -> Iterator[StoredEntry]:
    """Yield the entries of an account by seq, a page at a time, maybe as they were a moment ago.

    Raises:
        BusyError: the table did not answer, several times.
    """
    partition = ledger_partition(account_id)
    for wire in _items(table, partition, IndexName="history", Limit=PAGE):
        key = {name: wire[name]["S"] for name in ("pk", "sk")}
        entry_id = id_of(key["sk"])
        entry = None
        if key == entry_key(account_id, entry_id):
            with suppress(CorruptAccountError):
                entry = entry_of(wire)
        yield StoredEntry(
            entry_id=entry_id,
            seq=int(Decimal(wire["seq"]["N"])),
            entry=entry,
            unknown=unknown_in_entry(wire),
        )


def read_payments(table: Table, payment_ids: Collection[str]) -> dict[str, Payment]:
    """Return payments by their ids, those that are there and can be read.

    Raises:
        BusyError: the table did not answer, several times.
    """
    found = {}
    for wire in _read(table, [payment_key(name) for name in payment_ids]).values():
        with suppress(CorruptAccountError):
            payment = payment_of(wire)
            found[payment.payment_id] = payment
    return found


def newest_entry_at(table: Table, account_id: str) -> datetime | None:
    """Tell when the newest entry was recorded; None where there is none, or nobody can read it.

    Raises:
        BusyError: the table did not answer, several times.
    """
    newest = _items(
        table,
        ledger_partition(account_id),
        IndexName="history",
        ScanIndexForward=False,
        Limit=1,
    )
    with suppress(CorruptAccountError):
        for wire in newest:
            return entry_of(wire).recorded_at
    return None


def _account(wire: Wire) -> dict[str, Any]:
    """Return what an account's item says, and where that is not as Scrip would have written it."""
    account, item, written = account_as_stored(wire)
    different = {
        name for name in item.keys() | written.keys() if item.get(name) != written.get(name)
    }
    return {
        "account": account,
        "balance": item.get("balance"),
        "listed": not different & DIRECTORY,
        "unknown": frozenset(different - DIRECTORY - {"balance"}),
    }


def _unnumbered(table: Table, account_id: str) -> tuple[str, ...]:
    """Return the entries that the index does not have, because they have no seq."""
    stray = _items(
        table,
        ledger_partition(account_id),
        FilterExpression="attribute_not_exists(seq)",
        ProjectionExpression="sk",
    )
    return tuple(id_of(wire["sk"]["S"]) for wire in islice(stray, UNNUMBERED_MAX))


def _existing(table: Table, account_ids: Collection[str]) -> set[str]:
    """Return those of some accounts that are there."""
    found = _read(
        table,
        [account_key(account_id) for account_id in account_ids],
        ProjectionExpression="pk",
        ConsistentRead=True,
    )
    return {id_of(pk) for pk in found}


def _read(table: Table, keys: Iterable[Key], **how: Any) -> dict[str, Wire]:
    """Return what is found of some items, by their partition."""
    found: dict[str, Wire] = {}
    for some in batched(keys, BATCH, strict=False):
        wanted: Any = {table.name: {"Keys": [to_wire(key) for key in some], **how}}
        while wanted:
            answer = _patiently(partial(table.client.batch_get_item, RequestItems=wanted))
            found |= {wire["pk"]["S"]: wire for wire in answer["Responses"][table.name]}
            wanted = answer["UnprocessedKeys"]
    return found


def _items(table: Table, partition: str, **how: Any) -> Iterator[Wire]:
    """Yield the items of a partition, of the table or an index."""
    request = {
        "TableName": table.name,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": to_wire({":pk": partition}),
        **how,
    }
    for page in _pages(table.client.query, request):
        yield from page["Items"]


def _pages(ask: Callable[..., Any], request: dict[str, Any]) -> Iterator[Any]:
    """Yield the pages of a query or a scan, each asked for again while the table is busy."""
    while True:
        page = _patiently(partial(ask, **request))
        yield page
        if "LastEvaluatedKey" not in page:
            return
        request = {**request, "ExclusiveStartKey": page["LastEvaluatedKey"]}


def _patiently[Answer](ask: Callable[[], Answer]) -> Answer:
    """Ask, again and again while the table is busy."""
    for n in range(TRIES_MAX - 1):
        with suppress(BusyError), answered():
            return ask()
        time.sleep(random.uniform(0, BACKOFF_SECONDS * 2**n))  # noqa: S311 - jitter is no secret
    with answered():
        return ask()
