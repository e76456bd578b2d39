"""Reading: an account with what a command needs to be decided, its entries and audit records."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from scrip.domain.account import AccountStatus
from scrip.domain.audit.skew import REWIND_MAX
from scrip.domain.entries import chain_hash
from scrip.domain.errors import CorruptAccountError, InvalidCursorError, NewerVersionError
from scrip.domain.posting import AuditRecord, Paid, Refundable
from scrip.store.items import (
    account_of,
    audit_of,
    entry_of,
    hold_end_of,
    payment_of,
    read_item,
    refunded_of,
    retired_of,
    term_of,
)
from scrip.store.keys import (
    TERM_PREFIX,
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
from scrip.store.pages import read_page

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scrip.domain.account import Account
    from scrip.domain.commands import Command
    from scrip.domain.entries import Entry, EntryType
    from scrip.domain.payments import Payment
    from scrip.domain.terms import Term
    from scrip.store.client import Table
    from scrip.store.items import Item, Wire
    from scrip.store.pages import Place, Steps

READ_MAX = 2_000
"""How many entries one request reads at most. After that it returns what it has found."""

PAGE_MAX = 500
"""How many entries are read at once if a filter leaves some out."""

WINDOW_PAGE_MIN, WINDOW_PAGE_MAX = 25, 100
"""How many entries of a time window are read first; each further page is twice as long, up to
PAGE_MAX. So a request reads little more than it returns, for windows of any length.
"""

SEQ_MAX = 10**15
"""More than any seq that a ledger reaches."""

RECORDED_SINCE = datetime(1970, 1, 2, tzinfo=UTC)
"""No entry was recorded before this."""

AUDIT_ID_MAX = "~"
"""Sorts after any ULID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a command is decided on: the account, and the entry or payment that it names.

    `past` are the terms that have left the account's item.
    """

    account: Account | None
    refundable: Refundable | None = None
    paid: Paid | None = None
    past: tuple[Term, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEnd:
    """How a hold ended: by an entry, or (None) because it expired or its account was closed.

    `account` is as stored; the hold may be open in it after all.
    """

    entry: Entry | None
    account: Account | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """Which entries of an account to list; `from_` is included, `to` is not (UTC)."""

    account_id: str
    type: EntryType | None = None
    feature: str | None = None
    reference: str | None = None
    from_: datetime | None = None
    to: datetime | None = None

    @property
    def picks(self) -> bool:
        """Tell whether the filter leaves out entries for anything but their time."""
        return self.type is not None or self.feature is not None

    @property
    def too_early(self) -> datetime | None:
        """Return the instant before which an entry proves that all older ones are too early."""
        return max(self.from_, RECORDED_SINCE) - REWIND_MAX if self.from_ else None

    def wants(self, entry: Entry) -> bool:
        """Tell whether an entry matches the filter."""
        return (
            self.type in {None, entry.type}
            and self.feature in {None, entry.feature}
            and self.reference in {None, entry.reference}
            and (self.from_ is None or entry.recorded_at >= self.from_)
            and (self.to is None or entry.recorded_at < self.to)
        )


def read(table: Table, account_id: str, refunds: str | None = None) -> Snapshot:
    """Return an account and, for a refund, the entry that it names. One round trip."""
    if refunds is None:
        item = table.get(account_key(account_id))
        return Snapshot(account=account_of(item) if item else None)
    account, entry, refunded = table.get_together(
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
        CorruptAccountError: one of them was changed by hand.
    """
    if command.reads_entry is not None:
        return read_with_refundable(table, command.account_id, command.reads_entry)
    if command.reads_payment is not None:
        snapshot = read_with_payment(table, command.account_id, command.reads_payment)
    else:
        snapshot = read(table, command.account_id)
    if command.reads_terms and snapshot.account is not None:
        # They change only together with the account, so they can be read after it.
        snapshot = replace(snapshot, past=_past_terms(table, command.account_id))
    return snapshot


def read_with_refundable(table: Table, account_id: str, entry_id: str) -> Snapshot:
    """Return an account, one of its entries, and the retired grants that the entry drew on.

    One round trip, two if the account's item lacks grants that the entry drew on. Those can be read
    later: a grant is retired together with a change of the account, and if that happens in between,
    the refund is decided again.
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
    found = table.get_together(*(retired_key(account_id, name) for name in missing))
    retired = tuple(retired_of(wire) for wire in found if wire)
    return replace(snapshot, refundable=replace(refundable, retired=retired))


def is_closed(table: Table, account_id: str) -> bool:
    """Tell whether an account was closed. An account that does not exist was not."""
    item = table.get(account_key(account_id), "status", "format")
    return item is not None and read_item(item).get("status") == AccountStatus.CLOSED


type Unreadable = CorruptAccountError | NewerVersionError
"""Why an account cannot be read."""


def read_accounts(table: Table, account_ids: Sequence[str]) -> dict[str, Account | Unreadable]:
    """Return up to 100 accounts by their IDs, or why one cannot be read. One round trip.

    They may be as they were a moment ago. Accounts that do not exist are left out.
    """
    found = table.get_batch(map(account_key, account_ids))
    items = {id_of(item["pk"]["S"]): item for item in found}
    return {
        account_id: account_or_why_not(items[account_id])
        for account_id in account_ids
        if account_id in items
    }


def read_with_payment(table: Table, account_id: str, payment_id: str) -> Snapshot:
    """Return an account and a payment. One round trip, two if it has moved or its grant is gone.

    Raises:
        CorruptAccountError: one of them was changed by hand.
    """
    account_wire, payment_wire, entry_wire = table.get_together(
        account_key(account_id),
        payment_key(payment_id),
        entry_key(account_id, payment_id),
    )
    account = account_of(account_wire) if account_wire else None
    if account is None or payment_wire is None:
        return Snapshot(account=account)
    payment = payment_of(payment_wire)
    if payment.moved:
        entry_wire = table.get(entry_key(account_id, payment.entry_id))
    if payment.account_id == account_id and not _is_entered(payment, entry_wire):
        raise CorruptAccountError(account_id)
    expiry = None
    if account.grant(payment.grant_id) is None:
        # An entry never changes, so it can be read after the account.
        expiry = read_entry(table, account_id, f"expiry:{payment.grant_id}")
    return Snapshot(account=account, paid=Paid(payment=payment, expiry=expiry))


def _past_terms(table: Table, account_id: str) -> tuple[Term, ...]:
    found = table.query_all(
        "pk = :pk AND begins_with(sk, :prefix)",
        {":pk": account_key(account_id)["pk"], ":prefix": TERM_PREFIX},
        ConsistentRead=True,
    )
    return tuple(map(term_of, found))


def read_payment(table: Table, payment_id: str) -> Payment | None:
    """Return a payment, or None. One round trip."""
    item = table.get(payment_key(payment_id))
    return payment_of(item) if item else None


def read_entry(table: Table, account_id: str, entry_id: str) -> Entry | None:
    """Return an entry, or None. One round trip."""
    item = table.get(entry_key(account_id, entry_id))
    return entry_of(item) if item else None


def read_newest_entry(table: Table, account_id: str, at: datetime) -> Entry | None:
    """Return the newest entry recorded by an instant; None before the first.

    It is found by bisection, in O(log n) round trips. Among entries that were recorded out of
    order, which writers' clocks can do within REWIND_MAX, it may be another one of them.
    """
    newest = _newest_below(table, account_id, SEQ_MAX)
    if newest is None or newest.recorded_at <= at:
        return newest
    low, high, found = 0, newest.seq, None
    while high - low > 1:
        middle = (low + high) // 2
        entry = _newest_below(table, account_id, middle + 1)
        if entry is not None and entry.recorded_at <= at:
            low, found = middle, entry
        else:
            high = middle
    return found


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
    found = table.get_together(*(entry_key(account_id, entry_id) for entry_id in entry_ids))
    entries = tuple(entry_of(wire) for wire in found if wire)
    if len(entries) < len(entry_ids):
        raise CorruptAccountError(account_id)
    return entries


def is_welcomed(table: Table, mailbox: str) -> bool:
    """Return whether the owner of a mailbox, a keyed hash, has had sign-up credits. One trip."""
    return table.get(welcome_key(mailbox)) is not None


def read_hold_end(table: Table, account_id: str, hold_id: str) -> HoldEnd | None:
    """Return how a hold ended, if it has; None if there never was such a hold."""
    end, opening, account = table.get_together(
        hold_end_key(account_id, hold_id),
        entry_key(account_id, hold_id),
        account_key(account_id),
    )
    if opening is None or entry_of(opening).hold_id != hold_id:
        return None
    return HoldEnd(
        entry=read_entry(table, account_id, hold_end_of(end)) if end else None,
        account=account_of(account) if account else None,
    )


def read_entries(
    table: Table,
    asked: EntryFilter,
    *,
    limit: int,
    cursor: str | None,
) -> tuple[list[Entry], str | None]:
    """Return up to `limit` entries, newest first, and the cursor after them (None at the end).

    A page can be short before the end; with a filter even empty. For a time window a request reads
    the entries that it returns, those within REWIND_MAX of its ends, and O(log n) more to find the
    start. Entries that a filter leaves out for other reasons are read, too, up to READ_MAX.

    Raises:
        InvalidCursorError: the cursor belongs to a different query.
    """

    def steps_after(place: Place) -> Steps[Entry]:
        if place is not None and not (isinstance(place, int) and 1 < place <= SEQ_MAX):
            raise InvalidCursorError
        before = place or _start(table, asked)
        size, left = limit, READ_MAX
        if asked.picks:
            size = PAGE_MAX
        elif asked.from_ or asked.to:
            size = min(max(limit, WINDOW_PAGE_MIN), WINDOW_PAGE_MAX)
        while left > 0:
            size = min(size, left)
            found, last = _newest(table, asked.account_id, before, limit=size, **_filters(asked))
            for entry in map(entry_of, found):
                if asked.wants(entry):
                    yield entry, entry.seq if entry.seq > 1 else None
            before = int(last["seq"]["N"]) if last else 1
            if before == 1 or _has_passed(table, asked, found, before):
                return
            left, size = left - size, min(2 * size, PAGE_MAX)
        yield None, before

    return read_page(
        repr(asked), steps_after, limit=limit, cursor=cursor, shown=lambda entry: entry.to_json()
    )


def read_audit(
    table: Table, account_id: str, *, limit: int, cursor: str | None
) -> tuple[list[tuple[str, AuditRecord]], str | None]:
    """Return up to `limit` audit records with their IDs, newest first, and the cursor after them.

    The last page has the cursor None. It can be empty.

    Raises:
        InvalidCursorError: the cursor belongs to a different query.
    """

    def steps_after(place: Place) -> Steps[tuple[str, AuditRecord]]:
        first, last = audit_key(account_id, ""), audit_key(account_id, place or AUDIT_ID_MAX)
        found = table.query_all(
            "pk = :pk AND sk BETWEEN :first AND :last",
            {":pk": last["pk"], ":first": first["sk"], ":last": last["sk"]},
            ScanIndexForward=False,
            Limit=limit + 1,  # the one at `place` is left out
        )
        for item in found:
            if (audit_id := id_of(item["sk"]["S"])) != place:
                yield (audit_id, audit_of(item)), audit_id

    return read_page(
        ["audit", account_id],
        steps_after,
        limit=limit,
        cursor=cursor,
        shown=lambda found: [found[1].before, found[1].after, found[1].note, found[1].reason],
    )


def sort_keys(table: Table, partition: str, prefix: str) -> Iterator[str]:
    """Yield the sort keys of a partition that begin with a prefix, in order."""
    found = table.query_all(
        "pk = :pk AND begins_with(sk, :prefix)",
        {":pk": partition, ":prefix": prefix},
        "sk",
        ConsistentRead=True,
    )
    return (item["sk"]["S"] for item in found)


def _start(table: Table, asked: EntryFilter) -> int:
    """Return a seq below which the list starts; few of the entries below it are too late.

    It is found by bisection. Entries are recorded in the order of their seqs, give or take
    REWIND_MAX: if one is too late by more than that, all that follow it are too late.
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
    """Tell whether a page ended with an entry, of seq `last`, after which all is too early.

    `found` is what the filter left of the page.
    """
    if asked.too_early is None or (found and int(found[-1]["seq"]["N"]) == last):
        return False
    if not asked.picks:
        return True  # nothing but its time can have left it out
    entry = _newest_below(table, asked.account_id, last + 1)
    return entry is not None and entry.recorded_at < asked.too_early


def _newest_below(table: Table, account_id: str, seq: int) -> Entry | None:
    """Return the newest entry below a seq. One round trip."""
    found, _ = _newest(table, account_id, seq, limit=1)
    return entry_of(found[0]) if found else None


def _newest(
    table: Table,
    account_id: str,
    before: int,
    *,
    limit: int,
    where: str | None = None,
    values: Item | None = None,
) -> tuple[list[Wire], Wire | None]:
    """Return a page of the index `history`: an account's entries below a seq, newest first."""
    return table.query(
        "pk = :pk AND seq < :before",
        {":pk": ledger_partition(account_id), ":before": before, **(values or {})},
        where=where,
        IndexName="history",
        ScanIndexForward=False,
        Limit=limit,
    )


def _filters(asked: EntryFilter) -> dict[str, Any]:
    """Return the arguments of `_newest` that leave out most of what does not match a filter.

    Items that are left out are still read and paid for.
    """
    clauses = {
        "#type = :type": asked.type,
        "#feature = :feature": asked.feature,
        "#recorded_at >= :from": asked.too_early,
    }
    used = {clause: value for clause, value in clauses.items() if value is not None}
    values = {clause.split()[2]: value for clause, value in used.items()}
    return {"where": " AND ".join(used), "values": values}


def account_or_why_not(wire: Wire) -> Account | Unreadable:
    """Return the account in an item, or why it cannot be read."""
    try:
        return account_of(wire)
    except (CorruptAccountError, NewerVersionError) as exc:
        return exc


def _is_entered(payment: Payment, entry_wire: Wire | None) -> bool:
    """Tell whether the ledger has a payment's own entry, with the same number of credits."""
    if entry_wire is None:
        return False
    entry = entry_of(entry_wire)
    return chain_hash(entry) == entry.hash and entry.amount == payment.credits


def _refundable(entry_wire: Wire, refunded: Wire | None) -> Refundable:
    """Return an entry and its refunded total.

    Raises:
        CorruptAccountError: the entry does not match its hash, or the total is impossible.
    """
    entry = entry_of(entry_wire)
    total = refunded_of(refunded) if refunded else 0
    if not 0 <= total <= (entry.cost or 0) or chain_hash(entry) != entry.hash:
        raise CorruptAccountError(id_of(entry_wire["pk"]["S"]))
    return Refundable(entry=entry, refunded=total)
