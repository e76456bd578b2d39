"""The table's stream: its records as new entries, changes of accounts, and tampering."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from scrip.domain.entries import chain_hash
from scrip.domain.errors import CorruptAccountError, NewerVersionError
from scrip.observability import logger
from scrip.store.items import (
    BESIDE_ENTRY,
    account_of,
    correlation_id_of,
    entry_of,
    is_restored,
    unknown_in_entry,
    with_bytes,
)
from scrip.store.keys import id_of, is_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scrip.domain.account import Account
    from scrip.domain.entries import Entry
    from scrip.store.items import Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryAdded:
    """A new entry. `number` is the record's sequence number in the stream.

    `correlation_id` names the request, message or invocation that wrote it; `is_restored` is True
    for an entry from a backup.
    """

    number: str
    account_id: str
    entry: Entry
    correlation_id: str | None
    is_restored: bool

    @property
    def place(self) -> tuple[str, int, int]:
        """Sort key: by account, then by seq."""
        return self.account_id, self.entry.seq, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChanged:
    """A posting's change of an account: one record, however many entries the posting has.

    `before` is None for a new account, and for one that was restored from a backup; `at` is when
    the change was written, in whole seconds.
    """

    number: str
    at: datetime
    before: Account | None
    after: Account

    @property
    def place(self) -> tuple[str, int, int]:
        """Sort key: after the posting's last entry."""
        return self.after.account_id, self.after.seq_last, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryTampered:
    """An entry that was edited or removed, which nothing in Scrip does. `seq` may be unknown."""

    number: str
    account_id: str
    entry_id: str
    seq: int | None
    is_removed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records of the stream; `unreadable` are the numbers of those that must be delivered again."""

    added: list[EntryAdded]
    changed: list[AccountChanged]
    tampered: list[EntryTampered]
    unreadable: list[str]

    @property
    def in_order(self) -> list[EntryAdded | AccountChanged]:
        """All records, each account's by seq: the stream orders only changes of the same item."""
        records: list[EntryAdded | AccountChanged] = [*self.added, *self.changed]
        return sorted(records, key=lambda one: one.place)


def read_batch(records: Iterable[dict[str, Any]]) -> Batch:
    """Read the records that pass the function's event filters.

    An account that cannot be read is left out: no threshold can be checked, and its entries are
    records of their own. An entry that cannot be read must not be lost, nor anything that a newer
    version wrote: that version will read it.
    """
    batch = Batch(added=[], changed=[], tampered=[], unreadable=[])
    for record in records:
        change = record["dynamodb"]
        number, key = change["SequenceNumber"], change["Keys"]["pk"]["S"]
        try:
            if is_entry(key) and "OldImage" in change:
                if not _is_put_back(change):
                    batch.tampered.append(_tampered(number, change))
            elif is_entry(key):
                batch.added.append(_added(number, with_bytes(change["NewImage"])))
            else:
                batch.changed.append(_changed(number, change))
        except CorruptAccountError:
            logger.exception("cannot be read", extra={"key": key, "number": number})
            if is_entry(key):
                batch.unreadable.append(number)
        except NewerVersionError:
            logger.warning("a newer version wrote it", extra={"key": key, "number": number})
            batch.unreadable.append(number)
    return batch


def _changed(number: str, change: Mapping[str, Any]) -> AccountChanged:
    before = change.get("OldImage")
    return AccountChanged(
        number=number,
        at=datetime.fromtimestamp(change["ApproximateCreationDateTime"], UTC),
        before=account_of(with_bytes(before)) if before else None,
        after=account_of(with_bytes(change["NewImage"])),
    )


def _is_put_back(change: Mapping[str, Any]) -> bool:
    """Return whether a change put an entry back from a backup, as it was or in place of an edit.

    Only what does not match its hash is an edit that may be undone.
    """
    before, after = (with_bytes(change.get(name, {})) for name in ("OldImage", "NewImage"))
    if not after or not is_restored(after):
        return False
    if _without_beside(before) == _without_beside(after):
        return True
    return not _matches_its_hash(before) and _matches_its_hash(after)


def _without_beside(image: Wire) -> Wire:
    return {name: value for name, value in image.items() if name not in BESIDE_ENTRY}


def _matches_its_hash(image: Wire) -> bool:
    try:
        entry = entry_of(image)
    except CorruptAccountError:
        return False
    return not unknown_in_entry(image, entry) and chain_hash(entry) == entry.hash


def _tampered(number: str, change: Mapping[str, Any]) -> EntryTampered:
    seq = change["OldImage"].get("seq", {}).get("N")
    return EntryTampered(
        number=number,
        account_id=id_of(change["Keys"]["pk"]["S"]),
        entry_id=id_of(change["Keys"]["sk"]["S"]),
        seq=int(Decimal(seq)) if seq else None,
        is_removed="NewImage" not in change,
    )


def _added(number: str, image: Wire) -> EntryAdded:
    return EntryAdded(
        number=number,
        account_id=id_of(image["pk"]["S"]),
        entry=entry_of(image),
        correlation_id=correlation_id_of(image),
        is_restored=is_restored(image),
    )
