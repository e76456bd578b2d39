"""The table's stream: what Lambda hands over of it, as entries and changes of accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scrip.domain.errors import CorruptAccountError
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
    from collections.abc import Iterable

    from scrip.domain.account import Account
    from scrip.domain.entries import Entry
    from scrip.store.items import Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryAdded:
    """An entry was written. `number` is the record's sequence number in the stream.

    `correlation_id` names the request, message or invocation that wrote it. `is_restored` says that
    it came from a backup.
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
    """A posting changed an account; there is one record of it, however many entries it has."""

    number: str
    before: Account
    after: Account

    @property
    def place(self) -> tuple[str, int, int]:
        """Sort key: behind the posting's last entry."""
        return self.after.account_id, self.after.seq_last, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Records of the stream; `unreadable` are the numbers of those that nobody can read."""

    added: list[EntryAdded]
    changed: list[AccountChanged]
    unreadable: list[str]

    @property
    def in_order(self) -> list[EntryAdded | AccountChanged]:
        """What happened to each account by seq; of several entries the stream promises no order."""
        happened: list[EntryAdded | AccountChanged] = [*self.added, *self.changed]
        return sorted(happened, key=lambda one: one.place)


def read_batch(records: Iterable[dict[str, Any]]) -> Batch:
    """Read the records that the function's event filters let through.

    An account that cannot be read is left out: it crosses no bound that anybody could tell, and
    its entries are records of their own. An entry that cannot be read must not be lost.
    """
    batch = Batch(added=[], changed=[], unreadable=[])
    for record in records:
        change = record["dynamodb"]
        number, key = change["SequenceNumber"], change["Keys"]["pk"]["S"]
        try:
            if is_entry(key):
                batch.added.append(_added(number, with_bytes(change["NewImage"])))
            else:
                before = account_of(with_bytes(change["OldImage"]))
                after = account_of(with_bytes(change["NewImage"]))
                batch.changed.append(AccountChanged(number=number, before=before, after=after))
        except CorruptAccountError:
            logger.exception("cannot be read", extra={"key": key, "number": number})
            if is_entry(key):
                batch.unreadable.append(number)
    return batch


def _added(number: str, image: Wire) -> EntryAdded:
    return EntryAdded(
        number=number,
        account_id=id_of(image["pk"]["S"]),
        entry=entry_of(image),
        correlation_id=correlation_id_of(image),
        is_restored=is_restored(image),
    )
