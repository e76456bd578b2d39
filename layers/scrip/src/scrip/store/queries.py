"""Reading: an account with what a command needs to be decided, and its entries."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from scrip.domain.account import AccountStatus
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
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from scrip.domain.account import Account, Hold
    from scrip.domain.entries import Entry, EntryType
    from scrip.domain.payments import Payment
    from scrip.store.items import Wire

FILTERED_PAGE = 500
PAGES_MAX = 4
"""How far one request for filtered entries reads: past that it answers what it found so far."""

ENOUGH = 100
"""With so many entries no further page is read: an answer must stay below Lambda's 6 MB."""

SEQ_MAX = 10**15
"""Above any seq that a ledger reaches."""

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
    """Return entries that one posting wrote. One round trip.

    Raises:
        CorruptAccountError: one of them is not there.
    """
    found = _read_together(table, *(entry_key(account_id, entry_id) for entry_id in entry_ids))
    entries = tuple(entry_of(wire) for wire in found if wire)
    if len(entries) < len(entry_ids):
        raise CorruptAccountError(account_id)
    return entries


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

    A page can be short before the end, with a filter even empty.

    Raises:
        InvalidCursorError: the cursor was not made for this filter.
    """
    before = SEQ_MAX if cursor is None else asked.seq_of(cursor)
    filtering, values = _filtering(asked)
    found: list[Entry] = []
    for _ in range(PAGES_MAX):
        with answered():
            answer = table.client.query(
                TableName=table.name,
                IndexName="history",
                KeyConditionExpression="pk = :pk AND seq < :before",
                ExpressionAttributeValues=to_wire(
                    {":pk": ledger_partition(asked.account_id), ":before": before, **values},
                ),
                ScanIndexForward=False,
                Limit=FILTERED_PAGE if filtering else limit,
                **filtering,
            )
        found += [entry_of(item) for item in answer["Items"]]
        before = int(answer["LastEvaluatedKey"]["seq"]["N"]) if "LastEvaluatedKey" in answer else 1
        if before == 1 or len(found) >= min(limit, ENOUGH):
            break
    if len(found) > limit:
        found = found[:limit]
        before = found[-1].seq
    return found, asked.cursor(before) if before > 1 else None


def read_audit(
    table: Table,
    account_id: str,
    *,
    limit: int,
    before: str | None,
) -> list[tuple[str, AuditRecord]]:
    """Return up to `limit` audit records of an account with their ids, newest first.

    Those come after the id `before` in that order, or from the newest on.
    """
    last = audit_key(account_id, before or AUDIT_ID_MAX)
    with answered():
        answer = table.client.query(
            TableName=table.name,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues=to_wire(
                {":pk": last["pk"], ":first": audit_key(account_id, "")["sk"], ":last": last["sk"]},
            ),
            ScanIndexForward=False,
            Limit=limit + 1,
        )
    found = [(id_of(item["sk"]["S"]), audit_of(item)) for item in answer["Items"]]
    return [(audit_id, record) for audit_id, record in found if audit_id != before][:limit]


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


def _filtering(asked: EntryFilter) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the query arguments that a filter adds, and the values they refer to."""
    clauses = {
        "#type = :type": asked.type,
        "#feature = :feature": asked.feature,
        "#recorded_at >= :from": asked.from_,
        "#recorded_at < :to": asked.to,
    }
    used = {clause: value for clause, value in clauses.items() if value is not None}
    if not used:
        return {}, {}
    names = {clause.split()[0]: clause.split()[0][1:] for clause in used}
    return {
        "FilterExpression": " AND ".join(used),
        "ExpressionAttributeNames": names,
    }, {clause.split()[2]: value for clause, value in used.items()}


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
