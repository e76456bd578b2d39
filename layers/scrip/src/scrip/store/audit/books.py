"""Reading whole accounts for the audit: every item, whatever its state."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import partial
from itertools import batched, islice
from typing import TYPE_CHECKING, Any, override

from botocore.exceptions import ClientError

from scrip.domain.audit.books import Books, StoredEntry
from scrip.domain.audit.findings import Code
from scrip.domain.errors import CorruptAccountError
from scrip.domain.payments import booking_of
from scrip.retrying import retrying
from scrip.store.aliases import names_of
from scrip.store.audit.entries import entry_as_written
from scrip.store.client import BATCH_MAX, Table
from scrip.store.items import (
    BESIDE_ACCOUNT,
    BESIDE_ENTRY,
    account_as_stored,
    audit_of,
    digest_of,
    entry_of,
    from_wire,
    hold_end_of,
    payment_of,
    read_item,
    refunded_of,
    retired_of,
    term_of,
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

    from scrip.domain.payments import Payment
    from scrip.store.items import Item, Wire
    from scrip.store.keys import Key

CLOSED = "account.close"
"""The action of the audit record of an account's closing."""

TRIES_MAX = 6
BACKOFF_SECONDS = 0.05
"""How often, and after which pauses, a page is requested from a busy table."""

PAGE = 1_000
"""How many entries of a long ledger are in memory at once."""

SORTED_MAX = 5_000
"""A ledger with fewer entries is sorted in memory."""

DIRECTORY = frozenset({"directory_pk", "directory_sk"})
"""The attributes that put an account into the directory."""

ABOUT = {
    "ACCOUNT": "account",
    "AUDIT": "audit record {}",
    "GRANT": "retired grant {}",
    "HOLD": "end of hold {}",
    "REFUNDED": "refunded total of {}",
    "TERM": "term {}",
    "USAGE": "usage of {}",
}
"""How findings name an item, by the kind in its key."""

UNNUMBERED_MAX = 100
"""How many entries without a seq are reported for one account."""


class TableRefusedError(Exception):
    """The table refused a request. That is due to the role or to Scrip, not to an account."""


class _PatientTable(Table):
    """The table as the audit reads it: each request is repeated while the table is busy."""

    @override
    def call(self, operation: Callable[..., Any], **request: Any) -> Any:
        call = partial(super().call, operation, **request)
        try:
            return retrying(call, tries=TRIES_MAX, backoff=BACKOFF_SECONDS)
        except ClientError as exc:
            raise TableRefusedError from exc


def patient(table: Table) -> Table:
    """Return the table as the audit uses it."""
    return _PatientTable(table.client, table.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lead:
    """A payment or a name that leads to an account; `back` is what leads from there to it.

    `code` is the code of the finding if nothing leads back. A name is kept at its account, too:
    that item is a lead whose `back` `leads_to` the account again.
    """

    code: Code
    about: str
    account_id: str
    key: Key
    back: Key
    leads_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPage:
    """What a page of the table holds. `last` is the key to go on after; None at the end."""

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
    """Yield the accounts in the table, or a segment of it, and what leads to accounts.

    An account comes with the page that has its account item. Its other items are looked at, too: if
    they have no account item, the account comes all the same, perhaps several times. A page has up
    to `items_max` items, or up to 1 MB.

    Raises:
        BusyError: the table did not answer, several times.
    """
    table = patient(table)
    checked: set[str] = set()
    options: dict[str, Any] = {"Segment": segment, "TotalSegments": segments}
    if items_max:
        options["Limit"] = items_max
    last = to_wire(after) if after else None
    while True:
        found, last = table.scan("pk", "sk", "account_id", "moved", after=last, **options)
        owners: set[str] = set()
        there: list[str] = []
        others: list[Item] = []
        for item in found:  # nearly all of them are an account's
            pk, sk = item["pk"]["S"], item["sk"]["S"]
            account_id = owner_of(pk)
            if account_id is None:
                others.append(from_wire(item))
                continue
            owners.add(account_id)
            if {"pk": pk, "sk": sk} == account_key(account_id):
                there.append(account_id)
        # A long ledger continues from page to page.
        unsure = owners - set(there) - checked
        checked = owners
        yield AccountPage(
            account_ids=there + sorted(unsure - _existing(table, unsure)),
            leads=[lead for item in others if (lead := _lead(item))],
            items=len(found),
            last=from_wire(last) if last else None,
        )
        if last is None:
            return


def stray(table: Table, leads: Iterable[Lead]) -> list[Lead]:
    """Return those that lead to accounts which do not know about them.

    Raises:
        BusyError: the table did not answer, several times.
    """
    table = patient(table)
    leads = list(leads)
    seen = _existing_places(table, [lead.back for lead in leads])
    unsure = [lead for lead in leads if not _leads_back(lead, seen)]
    # Names are removed one by one and both directions are written at once. So what matters is what
    # still exists, and leads nowhere back.
    keys = [key for lead in unsure for key in (lead.key, lead.back)]
    there = _existing_places(table, keys, consistent=True)
    return [lead for lead in unsure if _place(lead.key) in there and not _leads_back(lead, there)]


def estimated_items(table: Table) -> int | None:
    """Return how many items the table had some hours ago; None if that is unknown."""
    answer = table.call(table.client.describe_table, TableName=table.name)
    return answer["Table"].get("ItemCount") or None


def read_books(table: Table, account_id: str, *, with_names: bool) -> Books:
    """Return everything that the table holds about an account, except its ledger.

    Who walks the whole table need not read names: each is a lead by itself.

    Strongly consistent, but not a snapshot: postings may be written in between.

    Raises:
        NewerVersionError: a newer version wrote some of it.
        BusyError: the table did not answer, several times.
    """
    table = patient(table)
    account_fields: dict[str, Any] = {"account": None}
    found: dict[str, dict[Any, Any]] = {kind: {} for kind in READ}
    unreadable: list[str] = []
    unknown_beside: dict[str, frozenset[str]] = {}
    partition = account_key(account_id)["pk"]
    for wire in table.query_all("pk = :pk", {":pk": partition}, ConsistentRead=True):
        kind, _, name = wire["sk"]["S"].partition("#")
        if unknown := wire.keys() - BESIDE_ACCOUNT.get(kind, wire.keys()) - BESIDE_ENTRY:
            unknown_beside[ABOUT[kind].format(name)] = frozenset(unknown)
        try:
            if wire["sk"]["S"] == "ACCOUNT":
                account_fields = _account_fields(wire)
            elif kind in READ:
                found[kind][_day(name) if kind == "USAGE" else name] = READ[kind](wire)
            else:
                read_item(wire)  # a newer version may know it
                unreadable.append(f"item {wire['sk']['S']}")
        except (CorruptAccountError, ValueError):
            unreadable.append(ABOUT[kind].format(name))
    names = names_of(table, account_id) if with_names else ()
    leading = {
        wire["pk"]["S"]: wire for wire in batches(table, [alias_key(name) for name in names])
    }
    changes = found["AUDIT"].values()
    return Books(
        account_id=account_id,
        refunded=found["REFUNDED"],
        hold_ends=found["HOLD"],
        retired=found["GRANT"],
        terms=found["TERM"],
        usage=found["USAGE"],
        audited=frozenset(entry_id for entry_id, _ in changes if entry_id),
        closings=frozenset(entry_id for entry_id, closes in changes if entry_id and closes),
        names={
            name: leading.get(alias_key(name)["pk"], {}).get("account_id", {}).get("S")
            for name in names
        },
        unreadable=tuple(unreadable),
        unknown_beside=unknown_beside,
        **account_fields,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLedger:
    """The entries of an account by seq, to be read once, and the IDs of those without a seq."""

    entries: Iterator[StoredEntry]
    unnumbered: tuple[str, ...]

    def __iter__(self) -> Iterator[StoredEntry]:
        """Return the entries."""
        return self.entries


def read_ledger(table: Table, account_id: str) -> StoredLedger:
    """Return the entries of an account. They may be as they were a moment ago.

    The table has them by ID. They are sorted here if they fit into memory; a longer ledger is read
    from the index, which has them by seq, but not those without one.

    Raises:
        NewerVersionError: a newer version wrote some of it.
        BusyError: the table did not answer, several times.
    """
    table = patient(table)
    by_id = table.query_all("pk = :pk", {":pk": ledger_partition(account_id)})
    numbered: list[StoredEntry] = []
    unnumbered: list[str] = []
    for wire in islice(by_id, SORTED_MAX):
        if "N" in wire.get("seq", {}):
            numbered.append(_stored(account_id, wire))
        else:
            unnumbered.append(id_of(wire["sk"]["S"]))
    if len(numbered) + len(unnumbered) < SORTED_MAX:
        numbered.sort(key=lambda stored: (stored.seq, stored.entry_id))
        return StoredLedger(entries=iter(numbered), unnumbered=tuple(unnumbered[:UNNUMBERED_MAX]))
    by_seq = table.query_all(
        "pk = :pk", {":pk": ledger_partition(account_id)}, IndexName="history", Limit=PAGE
    )
    return StoredLedger(
        entries=(_stored(account_id, wire) for wire in by_seq),
        unnumbered=_unnumbered(table, account_id),
    )


def read_newer(table: Table, account_id: str, seq: int) -> list[StoredEntry] | None:
    """Return the entries of an account from a seq on; None if there are very many.

    Raises:
        NewerVersionError: a newer version wrote some of it.
        BusyError: the table did not answer, several times.
    """
    by_seq = patient(table).query_all(
        "pk = :pk AND seq >= :seq",
        {":pk": ledger_partition(account_id), ":seq": seq},
        IndexName="history",
    )
    found = [_stored(account_id, wire) for wire in islice(by_seq, SORTED_MAX)]
    return found if len(found) < SORTED_MAX else None


def _stored(account_id: str, wire: Wire) -> StoredEntry:
    key = {name: wire[name]["S"] for name in ("pk", "sk")}
    entry_id = id_of(key["sk"])
    is_in_place = key == entry_key(account_id, entry_id)
    if is_in_place and (entry := entry_as_written(wire)):
        return StoredEntry(entry_id=entry_id, seq=entry.seq, entry=entry)
    entry = None
    if is_in_place:
        with suppress(CorruptAccountError):
            entry = entry_of(wire)
    return StoredEntry(
        entry_id=entry_id,
        seq=int(Decimal(wire["seq"]["N"])),
        entry=entry,
        unknown=unknown_in_entry(wire, entry),
    )


def read_payments(table: Table, payment_ids: Collection[str]) -> dict[str, Payment]:
    """Return payments by their IDs. Those that do not exist or cannot be read are left out.

    Raises:
        BusyError: the table did not answer, several times.
    """
    found = {}
    for wire in batches(patient(table), map(payment_key, payment_ids)):
        with suppress(CorruptAccountError):
            payment = payment_of(wire)
            found[payment.payment_id] = payment
    return found


def newest_entry_at(table: Table, account_id: str) -> datetime | None:
    """Return when the newest entry was recorded; None if there is none or it cannot be read.

    Raises:
        BusyError: the table did not answer, several times.
    """
    newest, _ = patient(table).query(
        "pk = :pk",
        {":pk": ledger_partition(account_id)},
        IndexName="history",
        ScanIndexForward=False,
        Limit=1,
    )
    with suppress(CorruptAccountError):
        for wire in newest:
            return entry_of(wire).recorded_at
    return None


def _admin_change(wire: Wire) -> tuple[str | None, bool]:
    """Return the entry that an audit record names, and whether it closed the account."""
    record = audit_of(wire)
    return record.entry_id, record.action == CLOSED


READ: Mapping[str, Callable[[Wire], Any]] = {
    "AUDIT": _admin_change,
    "GRANT": retired_of,
    "HOLD": hold_end_of,
    "REFUNDED": refunded_of,
    "TERM": term_of,
    "USAGE": usage_of,
}
"""How the items beside an account are read, by the kind in their key."""


def _account_fields(wire: Wire) -> dict[str, Any]:
    """Return the fields of the books that come from an account's item.

    They include where the item differs from what Scrip would have written.
    """
    account, item, written = account_as_stored(wire)
    different = {
        name for name in item.keys() | written.keys() if item.get(name) != written.get(name)
    }
    return {
        "account": account,
        "digest": digest_of(wire),
        "balance": item.get("balance"),
        "listed": not different & DIRECTORY,
        "unknown": frozenset(different - DIRECTORY - {"balance"}),
    }


def _day(name: str) -> date:
    """Return the day of a usage item.

    Raises:
        ValueError: Scrip does not write days like this, for example 20261122.
    """
    day = date.fromisoformat(name)
    if day.isoformat() != name:
        raise ValueError(name)
    return day


def _unnumbered(table: Table, account_id: str) -> tuple[str, ...]:
    """Return the entries that have no seq, and so are missing from the index."""
    found = table.query_all(
        "pk = :pk",
        {":pk": ledger_partition(account_id)},
        "sk",
        where="attribute_not_exists(seq)",
    )
    return tuple(id_of(wire["sk"]["S"]) for wire in islice(found, UNNUMBERED_MAX))


def _lead(item: Item) -> Lead | None:
    """Return the lead that an item outside of accounts is, if it is one."""
    account_id, name = item.get("account_id"), id_of(item["pk"])
    at_account = account_alias_key(name, id_of(item["sk"]))
    if _place(at_account) == _place(item):
        outside = id_of(item["sk"])
        return Lead(
            code=Code.ALIAS_WRONG,
            about=f"alias {outside}",
            account_id=name,
            key=at_account,
            back=alias_key(outside),
            leads_to=name,
        )
    if not isinstance(account_id, str):
        if _place(payment_key(name)) != _place(item):
            return None
        account_id = ""  # a payment that belongs to no account: no entry leads to it
    moved = item.get("moved")
    booking = booking_of(name, moved if isinstance(moved, int) else 0)
    for code, kind, key, back in (
        (Code.PAYMENT_WRONG, "payment", payment_key(name), entry_key(account_id, booking)),
        (Code.ALIAS_WRONG, "alias", alias_key(name), account_alias_key(account_id, name)),
    ):
        if _place(key) == _place(item):
            about = f"{kind} {name}"
            return Lead(code=code, about=about, account_id=account_id, key=key, back=back)
    return None


def _leads_back(lead: Lead, places: Mapping[tuple[str, str], str | None]) -> bool:
    place = _place(lead.back)
    return place in places and lead.leads_to in {None, places[place]}


def _existing(table: Table, account_ids: Collection[str]) -> set[str]:
    """Return those of some accounts that exist."""
    keys = map(account_key, account_ids)
    return {id_of(pk) for pk, _ in _existing_places(table, keys, consistent=True)}


def _place(key: Mapping[str, Any]) -> tuple[str, str]:
    return key["pk"], key["sk"]


def _existing_places(
    table: Table, keys: Iterable[Key], *, consistent: bool = False
) -> dict[tuple[str, str], str | None]:
    """Return those of some places that have items, each with the account that its item names.

    Hands can have written impossible places.
    """
    possible = {_place(key): key for key in keys if is_possible(key)}.values()
    found = batches(table, possible, "pk", "sk", "account_id", consistent=consistent)
    return {
        (wire["pk"]["S"], wire["sk"]["S"]): wire.get("account_id", {}).get("S") for wire in found
    }


def batches(
    table: Table, keys: Iterable[Key], *attributes: str, consistent: bool = False
) -> Iterator[Wire]:
    """Yield those of any number of items that exist, in no particular order."""
    for some in batched(keys, BATCH_MAX, strict=False):
        yield from table.get_batch(some, *attributes, consistent=consistent)
