"""The inbox: every signed message from a provider, and its status."""

from __future__ import annotations

import gzip
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from scrip.domain.errors import NewerVersionError
from scrip.observability import logger
from scrip.store.client import IS_NEW, ConditionFailedError
from scrip.store.items import read_item
from scrip.store.keys import (
    account_inbox_key,
    id_of,
    inbox_directory_keys,
    inbox_key,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scrip.store.client import Table
    from scrip.store.items import Wire

# Holds unless the message has been processed in the meantime. An applied message stays applied,
# except that a stronger name may move it; an ignored one can be tried again, since its plan or name
# may be known by then.
NOT_DONE = (
    "attribute_exists(pk) AND (NOT #status IN (:applied, :ignored)"
    " OR (#attempts < :attempts AND (#status = :ignored OR #waits_for <> :no_names)))"
)
# Holds until the message is deleted, some time after its `purge_at`.
IS_KEPT = "attribute_exists(pk)"

KEPT_WAITING = timedelta(days=400)
"""How long a message is kept that may still need attention."""

KEPT = timedelta(days=90)
"""How long a message is kept that needs no attention."""

STORED_BYTES_MAX = 350_000
"""How long a compressed payload can be, in an item of at most 400 KB."""


class InboxStatus(StrEnum):
    """The status of a message."""

    RECEIVED = "received"
    APPLIED = "applied"
    IGNORED = "ignored"
    UNMATCHED = "unmatched"
    FAILED = "failed"


class MessageTooLargeError(ValueError):
    """A compressed message does not fit into an item."""


DONE = frozenset({InboxStatus.APPLIED, InboxStatus.IGNORED})
"""The statuses that need no attention."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRecord:
    """A message as it was received.

    It can be applied once one of the names in `waits_for` leads somewhere; one that is applied
    already may move then. `payload` is the raw body, empty once personal data has been erased.
    """

    inbox_id: str
    type: str
    payload: bytes
    sent_at: datetime
    received_at: datetime
    status: InboxStatus = InboxStatus.RECEIVED
    reason: str | None = None
    changed_at: datetime
    attempts: int = 0
    account_id: str | None = None
    waits_for: tuple[str, ...] = ()

    @property
    def provider(self) -> str:
        """The provider that sent the message."""
        return self.inbox_id.partition(":")[0]

    @property
    def is_settled(self) -> bool:
        """Whether nothing can change what it did: it is done, and no stronger name may come."""
        return self.status in DONE and not self.waits_for


_record = TypeAdapter(InboxRecord)

HEAD = tuple(
    field.name for field in fields(InboxRecord) if field.name not in {"inbox_id", "payload"}
)
"""The attributes of a message that lists show."""


def receive(table: Table, record: InboxRecord) -> InboxRecord | None:
    """Keep a message before it is processed; if it came before, return the one kept earlier.

    Raises:
        MessageTooLargeError: it cannot be kept.
        NewerVersionError: a newer version kept it.
    """
    item = {
        **inbox_key(record.inbox_id),
        **inbox_directory_keys(record.inbox_id, record.received_at),
        **_record.dump_python(record, exclude_defaults=True, exclude={"inbox_id", "status"}),
        "status": record.status,
        "payload": gzip.compress(record.payload, mtime=0),
        "purge_at": _purge_at(record),
    }
    if len(item["payload"]) > STORED_BYTES_MAX:
        raise MessageTooLargeError
    try:
        table.put(item, IS_NEW, return_old=True)
    except ConditionFailedError as exc:
        [kept] = exc.items
        assert kept is not None  # `return_old` has it returned
        return _record_of(kept)
    return None


def read_message(table: Table, inbox_id: str) -> InboxRecord | None:
    """Return a message, or None.

    Raises:
        NewerVersionError: a newer version wrote it.
    """
    item = table.get(inbox_key(inbox_id))
    return _record_of(item) if item else None


def read_heads(table: Table, inbox_ids: Sequence[str]) -> list[InboxRecord]:
    """Return up to 100 messages without their payloads, in the order of their IDs.

    Messages that no longer exist, or cannot be read, are left out; so are a newer version's.
    """
    found = {}
    for item in table.get_batch(map(inbox_key, inbox_ids), "pk", "format", *HEAD):
        try:
            record = _record_of({**item, "payload": {"B": b""}})
        except ValueError:
            logger.exception("left out of the inbox's list", extra={"key": item["pk"]["S"]})
        except NewerVersionError:
            logger.warning("a newer version wrote it", extra={"key": item["pk"]["S"]})
        else:
            found[record.inbox_id] = record
    return [found[inbox_id] for inbox_id in inbox_ids if inbox_id in found]


def mark(table: Table, record: InboxRecord) -> None:
    """Save the status of a message, and note at its account that the message was about it.

    A message that has been processed in the meantime stays unchanged.
    """
    changes = {
        "status": record.status,
        "reason": record.reason,
        "changed_at": record.changed_at,
        "attempts": record.attempts,
        "account_id": record.account_id,
        "waits_for": record.waits_for,
        "purge_at": _purge_at(record),
    }
    values = {f":{name}": value for name, value in changes.items()}
    values |= {":applied": InboxStatus.APPLIED, ":ignored": InboxStatus.IGNORED, ":no_names": ()}
    update = "SET " + ", ".join(f"#{name} = :{name}" for name in changes)
    if record.account_id is not None:
        table.put(account_inbox_key(record.account_id, record.inbox_id))
    with suppress(ConditionFailedError):
        table.update(inbox_key(record.inbox_id), update, NOT_DONE, values)


def _purge_at(record: InboxRecord) -> int:
    """Return from when on DynamoDB can delete a message, in epoch seconds."""
    kept = KEPT if record.is_settled else KEPT_WAITING
    return int((record.received_at + kept).timestamp())


def blank(table: Table, inbox_id: str) -> None:
    """Erase everything from a message that may say whose it was; its type and status stay.

    A message that no longer exists is not put back.
    """
    update = "SET payload = :nothing REMOVE waits_for, reason"
    with suppress(ConditionFailedError):
        table.update(inbox_key(inbox_id), update, IS_KEPT, {":nothing": b""})


def _record_of(wire: Wire) -> InboxRecord:
    item = read_item(wire)
    return _record.validate_python(
        {
            **item,
            "inbox_id": id_of(item["pk"]).replace("#", ":", 1),
            "payload": gzip.decompress(item["payload"]) if item["payload"] else b"",
        },
    )
