"""The table's stream: its records as new entries and changes of accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from scrip.domain.errors import CorruptAccountError, NewerVersionError
from scrip.observability import logger
from scrip.store.items import (
    account_of,
    correlation_id_of,
    entry_of,
    is_restored,
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
class Batch:
    """Records of the stream; `unreadable` are the numbers of those that must be delivered again."""

    added: list[EntryAdded]
    changed: list[AccountChanged]
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
    batch = Batch(added=[], changed=[], unreadable=[])
    for record in records:
        change = record["dynamodb"]
        number, key = change["SequenceNumber"], change["Keys"]["pk"]["S"]
        try:
            if is_entry(key):
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


def _added(number: str, image: Wire) -> EntryAdded:
    return EntryAdded(
        number=number,
        account_id=id_of(image["pk"]["S"]),
        entry=entry_of(image),
        correlation_id=correlation_id_of(image),
        is_restored=is_restored(image),
    )
