"""Reading whole accounts for the audit: what is there, and every entry, however it was left."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from itertools import batched, islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from scrip.domain.audit.books import Books, StoredEntry
from scrip.domain.audit.findings import Code
from scrip.domain.errors import BusyError, CorruptAccountError
from scrip.store.aliases import names_of
from scrip.store.client import Table, answered
from scrip.store.items import (
    BESIDE_ACCOUNT,
    BESIDE_ENTRY,
    account_as_stored,
    audit_of,
    entry_of,
    from_wire,
    hold_end_of,
    payment_of,
    refunded_of,
    retired_of,
    to_wire,
    unknown_in_entry,
    usage_of,
)
from scrip.store.keys import (
    account_alias_key,
    account_key,
    alias_key,
    entry_key,
    id_of,
    is_possible,
    ledger_partition,
    owner_of,
    payment_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from scrip.domain.grants import Grant
    from scrip.domain.payments import Payment
    from scrip.domain.usage import DayUsage
    from scrip.store.items import Item, Wire
    from scrip.store.keys import Key

CLOSED = "account.close"
"""The action of the audit record that tells of an account's closing."""

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
    "GRANT": "retired grant {}",
    "HOLD": "end of hold {}",
    "REFUNDED": "refunded total of {}",
    "USAGE": "usage of {}",
}
"""What an item that nobody can read is, by the kind that its key tells."""

UNNUMBERED_MAX = 100
"""So many entries without a seq are told of one account."""


class TableRefusedError(Exception):
    """The table may not be read, or not so: that is the role's fault, or ours, and no account's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """A payment, or a name, that leads to an account; `back` is what leads from there to it.

    The code is of the finding, should nothing do so.
    """

    code: Code
    about: str
    account_id: str
    key: Key
    back: Key


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPage:
    """What a page of the table is about. `last` is the key to go on after; None at the end."""

    account_ids: list[str]
    leads: list[Lead]
    items: int
    last: Key | None


def account_pages(
    table: Table,
    *,
    segment: int = 0,
    segments: int = 1,
    after: Key | None = None,
    items_max: int | None = None,
) -> Iterator[AccountPage]:
    """Yield the accounts that the table holds, or a segment of it, and what leads to accounts.

    They come with the page that has their account item. What else is in an account's partitions
    is seen too, and where the account item is missing the account comes all the same, perhaps
    several times. A page has up to `items_max` items, or up to 1 MB.

    Raises:
        BusyError: the table did not answer, several times.
    """
    checked: set[str] = set()
    request: dict[str, Any] = {
        "TableName": table.name,
        "ProjectionExpression": "pk, sk, account_id",
        "Segment": segment,
        "TotalSegments": segments,
    }
    if after:
        request["ExclusiveStartKey"] = to_wire(after)
    if items_max:
        request["Limit"] = items_max
    for page in _pages(table.client.scan, request):
        items = [from_wire(item) for item in page["Items"]]
        owners = {account_id for item in items if (account_id := owner_of(item["pk"])) is not None}
        there = [
            account_id
            for item in items
            if (account_id := owner_of(item["pk"])) is not None
            and _place(item) == _place(account_key(account_id))
        ]
        # A long ledger goes on from page to page.
        unsure = owners - set(there) - checked
        checked = owners
        yield AccountPage(
            account_ids=there + sorted(unsure - _existing(table, unsure)),
            leads=[lead for item in items if (lead := _lead(item))],
            items=len(items),
            last=from_wire(page["LastEvaluatedKey"]) if "LastEvaluatedKey" in page else None,
        )


def stray(table: Table, leads: Iterable[Lead]) -> list[Lead]:
    """Return what leads to accounts that know nothing of it.

    Raises:
        BusyError: the table did not answer, several times.
    """
    leads = list(leads)
    seen = _found(table, [lead.back for lead in leads])
    unsure = [lead for lead in leads if _place(lead.back) not in seen]
    # Names are taken away and both are put at once: what still is there, and leads nowhere back.
    keys = [key for lead in unsure for key in (lead.key, lead.back)]
    there = _found(table, keys, ConsistentRead=True)
    return [lead for lead in unsure if _place(lead.key) in there and _place(lead.back) not in there]


def estimated_items(table: Table) -> int | None:
    """Tell how many items the table has, as of some hours ago; None where that is not known."""
    with answered():
        answer = table.client.describe_table(TableName=table.name)
    return answer["Table"].get("ItemCount") or None


def read_books(  # noqa: C901 - a line for each kind of item
    table: Table,
    account_id: str,
) -> Books:
    """Return what the table holds of an account beside its entries.

    Strongly consistent, but not of one moment: a posting may come in between.

    Raises:
        BusyError: the table did not answer, several times.
    """
    told: dict[str, Any] = {"account": None}
    refunded: dict[str, int] = {}
    hold_ends: dict[str, str] = {}
    retired: dict[str, Grant] = {}
    usage: dict[date, DayUsage] = {}
    audited: set[str] = set()
    closings: set[str] = set()
    unreadable: list[str] = []
    unknown_beside: dict[str, frozenset[str]] = {}
    partition = account_key(account_id)["pk"]
    for wire in _items(table, partition, ConsistentRead=True):
        kind, _, name = wire["sk"]["S"].partition("#")
        if unknown := wire.keys() - BESIDE_ACCOUNT.get(kind, wire.keys()) - BESIDE_ENTRY:
            unknown_beside[UNREADABLE_ABOUT[kind].format(name)] = frozenset(unknown)
        try:
            match kind:
                case "ACCOUNT" if wire["sk"]["S"] == kind:
                    told = _account(wire)
                case "AUDIT":
                    record = audit_of(wire)
                    audited.add(record.entry_id or "")
                    if record.action == CLOSED:
                        closings.add(record.entry_id or "")
                case "GRANT":
                    retired[name] = retired_of(wire)
                case "HOLD":
                    hold_ends[name] = hold_end_of(wire)
                case "REFUNDED":
                    refunded[name] = refunded_of(wire)
                case "USAGE":
                    usage[_day(name)] = usage_of(wire)
                case _:
                    unreadable.append(f"item {wire['sk']['S']}")
        except (CorruptAccountError, ValueError):
            unreadable.append(UNREADABLE_ABOUT[kind].format(name))
    names = _patiently(lambda: names_of(table, account_id))
    leading = _read(table, [alias_key(name) for name in names])
    return Books(
        account_id=account_id,
        refunded=refunded,
        hold_ends=hold_ends,
        retired=retired,
        usage=usage,
        audited=frozenset(audited - {""}),
        closings=frozenset(closings),
        names={
            name: leading.get(alias_key(name)["pk"], {}).get("account_id", {}).get("S")
            for name in names
        },
        unreadable=tuple(unreadable),
        unknown_beside=unknown_beside,
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
            unknown=unknown_in_entry(wire, entry),
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


def _day(name: str) -> date:
    """Return the day of a usage item. 20261122 is a day too, and no name that Scrip gives.

    Raises:
        ValueError: it is not named as Scrip names days.
    """
    day = date.fromisoformat(name)
    if day.isoformat() != name:
        raise ValueError(name)
    return day


def _unnumbered(table: Table, account_id: str) -> tuple[str, ...]:
    """Return the entries that the index does not have, because they have no seq."""
    stray = _items(
        table,
        ledger_partition(account_id),
        FilterExpression="attribute_not_exists(seq)",
        ProjectionExpression="sk",
    )
    return tuple(id_of(wire["sk"]["S"]) for wire in islice(stray, UNNUMBERED_MAX))


def _lead(item: Item) -> Lead | None:
    """Return where an item outside of accounts leads, if to an account."""
    account_id, name = item.get("account_id"), id_of(item["pk"])
    if not isinstance(account_id, str):
        if _place(payment_key(name)) != _place(item):
            return None
        account_id = ""  # a payment of nobody's brings nobody anything: no entry leads to it
    for code, kind, key, back in (
        (Code.PAYMENT_WRONG, "payment", payment_key(name), entry_key(account_id, name)),
        (Code.ALIAS_WRONG, "alias", alias_key(name), account_alias_key(account_id, name)),
    ):
        if _place(key) == _place(item):
            about = f"{kind} {name}"
            return Lead(code=code, about=about, account_id=account_id, key=key, back=back)
    return None


def _existing(table: Table, account_ids: Collection[str]) -> set[str]:
    """Return those of some accounts that are there."""
    keys = [account_key(account_id) for account_id in account_ids]
    return {id_of(pk) for pk, _ in _found(table, keys, ConsistentRead=True)}


def _place(key: Mapping[str, Any]) -> tuple[str, str]:
    return key["pk"], key["sk"]


def _found(table: Table, keys: Iterable[Key], **how: Any) -> set[tuple[str, str]]:
    """Return which of some items are there; what hands have written may ask for impossible ones."""
    possible = filter(is_possible, keys)
    answers = _batches(table, possible, ProjectionExpression="pk, sk", **how)
    return {(wire["pk"]["S"], wire["sk"]["S"]) for wire in answers}


def _read(table: Table, keys: Iterable[Key]) -> dict[str, Wire]:
    """Return what is found of some items, by their partition."""
    return {wire["pk"]["S"]: wire for wire in _batches(table, keys)}


def _batches(table: Table, keys: Iterable[Key], **how: Any) -> Iterator[Wire]:
    for some in batched(keys, BATCH, strict=False):
        wanted: Any = {table.name: {"Keys": [to_wire(key) for key in some], **how}}
        while wanted:
            answer = _patiently(partial(table.client.batch_get_item, RequestItems=wanted))
            yield from answer["Responses"][table.name]
            wanted = answer["UnprocessedKeys"]


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
    try:
        for n in range(TRIES_MAX - 1):
            with suppress(BusyError), answered():
                return ask()
            time.sleep(random.uniform(0, BACKOFF_SECONDS * 2**n))  # noqa: S311 - no secret
        with answered():
            return ask()
    except ClientError as exc:
        raise TableRefusedError from exc
