"""Missed periods: a posting's entries without what came and went again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from scrip.domain.account import Account
from scrip.domain.entries import Entry, EntryType
from scrip.domain.grants import Allocation

COMES = frozenset({EntryType.PLAN, EntryType.ROLLOVER})
STAYS_OR_GOES = frozenset({EntryType.DEBT_SETTLED, EntryType.EXPIRY})


def condensed(
    before: Account,
    account: Account,
    entries: Sequence[Entry],
    numbered: Collection[str],
) -> tuple[Account, dict[int, Entry]]:
    """Take out the allowances that both arrived and expired within a posting.

    Of each, only what paid debt is booked. The last plan entry left says how many were skipped.
    `numbered` are the IDs of entries that end with their own seq. Returns the account and, by the
    seq that they had, the entries that are left.
    """
    paid = _passing(account, entries)
    kept: dict[int, Entry] = {}
    if not paid:
        return account, {entry.seq: entry for entry in entries}
    is_skipped = {e.seq for e in entries if e.type is EntryType.PLAN and f"g{e.seq}" in paid}
    plans = [e.seq for e in entries if e.type is EntryType.PLAN and e.seq not in is_skipped]
    seq, balance = before.seq_last, before.balance
    granted = account.granted_total
    grants, entry_ids = dict[str, str](), dict[str, str]()
    for entry in entries:
        amount, allocations, metadata = entry.amount, entry.allocations, entry.metadata
        own = allocations[0].grant_id if allocations else ""
        if entry.type is not EntryType.DEBT_SETTLED and own in paid:
            amount = paid[own] if entry.type in COMES else 0
            allocations = (Allocation(own, amount),)
            granted -= entry.amount - amount if entry.type is EntryType.PLAN else 0
            if not amount:
                continue
        seq, balance = seq + 1, balance + amount
        grants[f"g{entry.seq}"] = f"g{seq}"
        allocations = tuple(
            replace(part, grant_id=grants.get(part.grant_id, part.grant_id)) for part in allocations
        )
        if plans and entry.seq == plans[-1]:
            metadata = {**(metadata or {}), "periods_skipped": len(is_skipped)}
        moved = replace(
            entry,
            seq=seq,
            amount=amount,
            balance_after=balance,
            allocations=allocations,
            metadata=metadata,
        )
        moved = replace(moved, entry_id=_renamed(entry, moved, numbered, entry_ids))
        entry_ids[entry.entry_id] = moved.entry_id
        kept[entry.seq] = moved
    account = replace(
        account,
        seq_last=seq,
        granted_total=granted,
        grants=tuple(
            replace(
                grant,
                grant_id=grants.get(grant.grant_id, grant.grant_id),
                source=entry_ids.get(grant.source, grant.source),
            )
            for grant in account.grants
        ),
    )
    return account, kept


def _passing(account: Account, entries: Sequence[Entry]) -> dict[str, int]:
    """Return the grants that came and went, and how much debt each has paid."""
    there = {grant.grant_id for grant in account.grants}
    paid = {
        f"g{entry.seq}": 0
        for entry in entries
        if entry.type in COMES
        and entry.request_hash is None
        and [part.grant_id for part in entry.allocations] == [f"g{entry.seq}"]
        and f"g{entry.seq}" not in there
    }
    for entry in entries:
        for part in entry.allocations:
            if entry.type is EntryType.DEBT_SETTLED and part.grant_id in paid:
                paid[part.grant_id] += part.amount
            elif entry.type not in COMES | STAYS_OR_GOES:
                paid.pop(part.grant_id, None)
    return paid


def _renamed(
    entry: Entry,
    moved: Entry,
    numbered: Collection[str],
    entry_ids: Mapping[str, str],
) -> str:
    """Return the ID of an entry that has moved, if it is made of numbers that moved."""
    start, _, last = entry.entry_id.partition(":")
    if entry.entry_id in numbered:
        return f"{entry.entry_id.rpartition(':')[0]}:{moved.seq}"
    if entry.type is EntryType.DEBT_SETTLED:
        return f"{start}:{entry_ids.get(last, last)}"
    if entry.type is EntryType.EXPIRY and last == entry.allocations[0].grant_id:
        return f"{start}:{moved.allocations[0].grant_id}"
    return entry.entry_id
