"""Reading: an account with what a command needs to be decided, and its entries."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from scrip.domain.account import AccountStatus
from scrip.domain.audit.skew import REWIND_MAX
from scrip.domain.entries import chain_hash
from scrip.domain.errors import BusyError, CorruptAccountError, InvalidCursorError
from scrip.domain.posting import AuditRecord, Paid, Refundable
from scrip.store.client import Table, answered
from scrip.store.items import (
    account_of,
    audit_of,
    entry_of,
    from_wire,
    hold_end_of,
    payment_of,
    refunded_of,
    retired_of,
    to_wire,
)
from scrip.store.keys import (
    Key,
    account_key,
    audit_key,
    entry_key,
    hold_end_key,
    id_of,
    ledger_partition,
    payment_key,
    refunded_key,
    retired_key,
    welcome_key,
)
from scrip.store.pages import Page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from types_boto3_dynamodb.type_defs import QueryOutputTypeDef

    from scrip.domain.account import Account, Hold
    from scrip.domain.commands import Command
    from scrip.domain.entries import Entry, EntryType
    from scrip.domain.payments import Payment
    from scrip.store.items import Wire

READ_MAX = 2_000
"""How many entries one request reads at most: past that it answers what it found so far."""

PAGE_MAX = 500
"""How many are read at once where some are left out."""

WINDOW_PAGE_MIN, WINDOW_PAGE_MAX = 25, 100
"""How many of a window of time are read first; each further page is twice as long, up to PAGE_MAX.

So a request reads little more than it answers, whether the window has one entry or a thousand.
"""

SEQ_MAX = 10**15
"""Above any seq that a ledger reaches."""

RECORDED_SINCE = datetime(1970, 1, 2, tzinfo=UTC)
"""No entry was recorded before."""

AUDIT_ID_MAX = "~"
"""Sorts after any ULID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a command is decided on: the account and the entry or the payment that it names."""

    account: Account | None
    refundable: Refundable | None = None
    paid: Paid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEnd:
    """How a hold ended: by an entry, or (None) because its time was over or its account was closed.

    `hold` is what the account has of it: it may be open after all.
    """

    entry: Entry | None
    hold: Hold | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries of an account are asked for; `from_` is included, `to` is not (UTC)."""

    account_id: str
    type: EntryType | None = None
    feature: str | None = None
    from_: datetime | None = None
    to: datetime | None = None

    @property
    def picks(self) -> bool:
        """Tell whether it leaves out entries by anything but their time."""
        return self.type is not None or self.feature is not None

    @property
    def too_early(self) -> datetime | None:
        """Return before when an entry shows that no older one is asked for; None without an end."""
        return max(self.from_, RECORDED_SINCE) - REWIND_MAX if self.from_ else None

    def wants(self, entry: Entry) -> bool:
        """Tell whether an entry is asked for."""
        return (
            self.type in {None, entry.type}
            and self.feature in {None, entry.feature}
            and (self.from_ is None or entry.recorded_at >= self.from_)
            and (self.to is None or entry.recorded_at < self.to)
        )

    def cursor(self, seq: int) -> str:
        """Return a cursor behind the entry `seq`: opaque, and good for this filter only."""
        asked = "\0".join(str(getattr(self, field.name)) for field in fields(self))
        digest = hashlib.sha256(f"{asked}\0{seq}".encode()).digest()[:8]
        return base64.urlsafe_b64encode(digest + str(seq).encode()).decode().rstrip("=")

    def seq_of(self, cursor: str) -> int:
        """Return the seq that a cursor stands behind.

        Raises:
            InvalidCursorError: it was not made for this filter.
        """
        try:
            seq = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))[8:])
        except (binascii.Error, ValueError) as exc:
            raise InvalidCursorError from exc
        if not 1 < seq <= SEQ_MAX or self.cursor(seq) != cursor:
            raise InvalidCursorError
        return seq


def read(table: Table, account_id: str, refunds: str | None = None) -> Snapshot:
    """Return an account and, where a refund names one, an entry. One round trip."""
    if refunds is None:
        with answered():
            answer = table.client.get_item(
                TableName=table.name,
                Key=to_wire(account_key(account_id)),
                ConsistentRead=True,
            )
        return Snapshot(account=account_of(answer["Item"]) if "Item" in answer else None)
    account, entry, refunded = _read_together(
        table,
        account_key(account_id),
        entry_key(account_id, refunds),
        refunded_key(account_id, refunds),
    )
    return Snapshot(
        account=account_of(account) if account else None,
        refundable=_refundable(entry, refunded) if entry else None,
    )


def read_for(table: Table, command: Command) -> Snapshot:
    """Return what a command is decided on. One round trip, for some commands two.

    Raises:
        CorruptAccountError: something is not as Scrip left it.
    """
    if command.reads_entry is not None:
        return read_with_refundable(table, command.account_id, command.reads_entry)
    if command.reads_payment is not None:
        return read_with_payment(table, command.account_id, command.reads_payment)
    return read(table, command.account_id)


def read_with_refundable(table: Table, account_id: str, entry_id: str) -> Snapshot:
    """Return an account, an entry of it, and the retired grants that the entry drew on.

    One round trip, two where the account's item lacks grants that the entry drew on. Those may be
    read later: a grant is retired together with a change of the account, and if that came in
    between, the refund is decided again.
    """
    snapshot = read(table, account_id, entry_id)
    account, refundable = snapshot.account, snapshot.refundable
    if account is None or refundable is None:
        return snapshot
    missing = [
        allocation.grant_id
        for allocation in refundable.entry.allocations
        if account.grant(allocation.grant_id) is None
    ]
    if not missing:
        return snapshot
    found = _read_together(table, *(retired_key(account_id, name) for name in missing))
    retired = tuple(retired_of(wire) for wire in found if wire)
    return replace(snapshot, refundable=replace(refundable, retired=retired))


def is_closed(table: Table, account_id: str) -> bool:
    """Tell whether an account was closed; an account that nobody knows was not."""
    with answered():
        answer = table.client.get_item(
            TableName=table.name,
            Key=to_wire(account_key(account_id)),
            ProjectionExpression="#status",
            ExpressionAttributeNames={"#status": "status"},
            ConsistentRead=True,
        )
    return from_wire(answer.get("Item", {})).get("status") == AccountStatus.CLOSED


def read_with_payment(table: Table, account_id: str, payment_id: str) -> Snapshot:
    """Return an account and a payment. One round trip, two where the payment's grant is gone.

    Raises:
        CorruptAccountError: one of them is not as Scrip left it.
    """
    account_wire, payment_wire, entry_wire = _read_together(
        table,
        account_key(account_id),
        payment_key(payment_id),
        entry_key(account_id, payment_id),
    )
    account = account_of(account_wire) if account_wire else None
    if account is None or payment_wire is None:
        return Snapshot(account=account)
    payment = payment_of(payment_wire)
    if payment.account_id == account_id and not _is_entered(payment, entry_wire):
        raise CorruptAccountError(account_id)
    expiry = None
    if account.grant(payment.grant_id) is None:
        # Once written it stays as it is, so it may be read after the account.
        expiry = read_entry(table, account_id, f"expiry:{payment.grant_id}")
    return Snapshot(account=account, paid=Paid(payment=payment, expiry=expiry))


def read_payment(table: Table, payment_id: str) -> Payment | None:
    """Return a payment, or None. One round trip."""
    with answered():
        answer = table.client.get_item(
            TableName=table.name,
            Key=to_wire(payment_key(payment_id)),
            ConsistentRead=True,
        )
    return payment_of(answer["Item"]) if "Item" in answer else None


def read_entry(table: Table, account_id: str, entry_id: str) -> Entry | None:
    """Return an entry, or None. One round trip."""
    with answered():
        answer = table.client.get_item(
            TableName=table.name,
            Key=to_wire(entry_key(account_id, entry_id)),
            ConsistentRead=True,
        )
    return entry_of(answer["Item"]) if "Item" in answer else None


def read_entries_together(
    table: Table,
    account_id: str,
    entry_ids: Sequence[str],
) -> tuple[Entry, ...]:
    """Return entries that one posting wrote. One round trip, none for no entries.

    Raises:
        CorruptAccountError: one of them is missing.
    """
    if not entry_ids:
        return ()
    found = _read_together(table, *(entry_key(account_id, entry_id) for entry_id in entry_ids))
    entries = tuple(entry_of(wire) for wire in found if wire)
    if len(entries) < len(entry_ids):
        raise CorruptAccountError(account_id)
    return entries


def is_welcomed(table: Table, mailbox: str) -> bool:
    """Return whether the owner of a mailbox, a keyed hash, has had sign-up credits. One trip."""
    with answered():
        answer = table.client.get_item(
            TableName=table.name, Key=to_wire(welcome_key(mailbox)), ConsistentRead=True
        )
    return "Item" in answer


def read_hold_end(table: Table, account_id: str, hold_id: str) -> HoldEnd | None:
    """Return how a hold ended, if it has; None when there never was one."""
    end, opening, account = _read_together(
        table,
        hold_end_key(account_id, hold_id),
        entry_key(account_id, hold_id),
        account_key(account_id),
    )
    if opening is None or entry_of(opening).hold_id != hold_id:
        return None
    return HoldEnd(
        entry=read_entry(table, account_id, hold_end_of(end)) if end else None,
        hold=account_of(account).hold(hold_id) if account else None,
    )


def read_entries(
    table: Table,
    asked: EntryFilter,
    *,
    limit: int,
    cursor: str | None,
) -> tuple[list[Entry], str | None]:
    """Return up to `limit` entries, newest first, and the cursor behind them (None at the end).

    A page can be short before the end, with a filter even empty. Of a window of time a request
    reads what it answers, those within REWIND_MAX of its ends, and O(log n) more to find where it
    begins. What else a filter leaves out is read, too, up to READ_MAX entries.

    Raises:
        InvalidCursorError: the cursor was not made for this filter.
    """
    before = _begin(table, asked) if cursor is None else asked.seq_of(cursor)
    page: Page[Entry] = Page(limit)
    size = limit
    if asked.picks:
        size = PAGE_MAX
    elif asked.from_ or asked.to:
        size = min(max(limit, WINDOW_PAGE_MIN), WINDOW_PAGE_MAX)
    left = READ_MAX
    while left > 0:
        size = min(size, left)
        answer = _newest(table, asked.account_id, before, limit=size, **_filtering(asked))
        for entry in map(entry_of, answer["Items"]):
            if asked.wants(entry):
                page.add(entry, entry.to_json())
            if page.is_full:
                return page.items, asked.cursor(entry.seq) if entry.seq > 1 else None
        before = int(answer["LastEvaluatedKey"]["seq"]["N"]) if "LastEvaluatedKey" in answer else 1
        if before == 1 or _has_passed(table, asked, answer["Items"], before):
            return page.items, None
        left, size = left - size, min(2 * size, PAGE_MAX)
    return page.items, asked.cursor(before)


def read_audit(
    table: Table,
    account_id: str,
    *,
    before: str | None,
    at_once: int,
) -> Iterator[tuple[str, AuditRecord]]:
    """Yield the audit records of an account with their ids, newest first, read `at_once` at a time.

    Those come after the id `before` in that order, or from the newest on.
    """
    last = audit_key(account_id, before or AUDIT_ID_MAX)
    query: Any = {
        "TableName": table.name,
        "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
        "ExpressionAttributeValues": to_wire(
            {":pk": last["pk"], ":first": audit_key(account_id, "")["sk"], ":last": last["sk"]},
        ),
        "ScanIndexForward": False,
        "Limit": at_once,
    }
    with answered():
        for page in table.client.get_paginator("query").paginate(**query):
            for item in page["Items"]:
                if (audit_id := id_of(item["sk"]["S"])) != before:
                    yield audit_id, audit_of(item)


def sort_keys(table: Table, partition: str, prefix: str) -> Iterator[str]:
    """Yield the sort keys of a partition that begin with a prefix, in order."""
    query: Any = {
        "TableName": table.name,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
        "ExpressionAttributeValues": to_wire({":pk": partition, ":prefix": prefix}),
        "ProjectionExpression": "sk",
        "ConsistentRead": True,
    }
    with answered():
        for page in table.client.get_paginator("query").paginate(**query):
            for item in page["Items"]:
                yield item["sk"]["S"]


def _begin(table: Table, asked: EntryFilter) -> int:
    """Return a seq from which on nothing is asked for, and little of what is below is too late.

    It is found by bisection. Entries are recorded in the order of their seqs but for REWIND_MAX, so
    behind one that is by so much too late none is early enough.
    """

    def is_too_late(entry: Entry | None) -> bool:
        assert asked.to is not None
        return entry is not None and entry.recorded_at - REWIND_MAX >= asked.to

    newest = _newest_below(table, asked.account_id, SEQ_MAX) if asked.to else None
    if newest is None or not is_too_late(newest):
        return SEQ_MAX
    low, high = 0, newest.seq
    while high - low > WINDOW_PAGE_MIN:
        middle = (low + high) // 2
        if is_too_late(_newest_below(table, asked.account_id, middle + 1)):
            high = middle
        else:
            low = middle
    return high


def _has_passed(table: Table, asked: EntryFilter, found: Sequence[Wire], last: int) -> bool:
    """Tell whether a page ended with an entry, of seq `last`, behind which all is too early.

    `found` is what the filter left of the page.
    """
    if asked.too_early is None or (found and int(found[-1]["seq"]["N"]) == last):
        return False
    if not asked.picks:
        return True  # by nothing else was it left out
    entry = _newest_below(table, asked.account_id, last + 1)
    return entry is not None and entry.recorded_at < asked.too_early


def _newest_below(table: Table, account_id: str, seq: int) -> Entry | None:
    """Return the newest entry below a seq. One round trip."""
    found = _newest(table, account_id, seq, limit=1)["Items"]
    return entry_of(found[0]) if found else None


def _newest(
    table: Table,
    account_id: str,
    before: int,
    *,
    limit: int,
    values: Mapping[str, Any] | None = None,
    **filtering: Any,
) -> QueryOutputTypeDef:
    """Return a page of the index `history`: an account's entries below a seq, newest first."""
    keys = {":pk": ledger_partition(account_id), ":before": before}
    with answered():
        return table.client.query(
            TableName=table.name,
            IndexName="history",
            KeyConditionExpression="pk = :pk AND seq < :before",
            ExpressionAttributeValues=to_wire({**keys, **(values or {})}),
            ScanIndexForward=False,
            Limit=limit,
            **filtering,
        )


def _filtering(asked: EntryFilter) -> dict[str, Any]:
    """Return the query arguments that spare us most of what a filter does not want.

    What is left out is read and paid for all the same.
    """
    clauses = {
        "#type = :type": asked.type,
        "#feature = :feature": asked.feature,
        "#recorded_at >= :from": asked.too_early,
    }
    used = {clause: value for clause, value in clauses.items() if value is not None}
    if not used:
        return {}
    names = {clause.split()[0]: clause.split()[0][1:] for clause in used}
    return {
        "FilterExpression": " AND ".join(used),
        "ExpressionAttributeNames": names,
        "values": {clause.split()[2]: value for clause, value in used.items()},
    }


def _read_together(table: Table, *keys: Key) -> list[Wire | None]:
    """Return the items of some keys as they are at one moment, None for what is not there."""
    gets: Any = [{"Get": {"TableName": table.name, "Key": to_wire(key)}} for key in keys]
    try:
        with answered():
            answer = table.client.transact_get_items(TransactItems=gets)
    except table.client.exceptions.TransactionCanceledException as exc:
        raise BusyError from exc  # a posting was being written to one of them
    return [found.get("Item") for found in answer["Responses"]]


def _is_entered(payment: Payment, entry_wire: Wire | None) -> bool:
    """Tell whether the ledger has a payment's own entry, and that says as many credits."""
    if entry_wire is None:
        return False
    entry = entry_of(entry_wire)
    return chain_hash(entry) == entry.hash and entry.amount == payment.credits


def _refundable(entry_wire: Wire, refunded: Wire | None) -> Refundable:
    """Return an entry and its refunded total, both as Scrip left them.

    Raises:
        CorruptAccountError: the entry is not what its hash says, or the total cannot be.
    """
    entry = entry_of(entry_wire)
    total = refunded_of(refunded) if refunded else 0
    if not 0 <= total <= (entry.cost or 0) or chain_hash(entry) != entry.hash:
        raise CorruptAccountError(id_of(entry_wire["pk"]["S"]))
    return Refundable(entry=entry, refunded=total)
