"""The inbox: every message that a provider sent and signed, and what became of it."""

from __future__ import annotations

import gzip
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from scrip.domain.errors import BusyError
from scrip.observability import logger
from scrip.store.client import Table, answered
from scrip.store.items import from_wire, to_wire
from scrip.store.keys import (
    account_inbox_key,
    id_of,
    inbox_directory_keys,
    inbox_key,
    names_partition,
)
from scrip.store.queries import sort_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scrip.store.items import Wire

# Holds for a message that was not received before.
NEW_MESSAGE = "attribute_not_exists(pk)"
# Holds unless somebody else has finished with the message meanwhile. What was applied stays so;
# what was ignored is open to a later attempt, for which a plan or a name may be known.
NOT_DONE = (
    "attribute_exists(pk) AND (NOT #status IN (:applied, :ignored)"
    " OR (#status = :ignored AND #attempts < :attempts))"
)
# Holds until a message is deleted, some time after its `purge_at`.
IS_KEPT = "attribute_exists(pk)"

KEPT_WAITING = timedelta(days=400)
"""How long a message is kept that somebody may still have to do something about."""

KEPT = timedelta(days=90)
"""How long a message is kept that nobody has to do anything about."""

STORED_BYTES_MAX = 350_000
"""What fits an item of 400 KB, compressed."""


class InboxStatus(StrEnum):
    """What became of a message."""

    RECEIVED = "received"
    APPLIED = "applied"
    IGNORED = "ignored"
    UNMATCHED = "unmatched"
    FAILED = "failed"


class MessageTooLargeError(ValueError):
    """A message does not fit an item, compressed as it is."""


DONE = frozenset({InboxStatus.APPLIED, InboxStatus.IGNORED})
"""What needs nobody's attention."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRecord:
    """A message as it was received. `waits_for` are the names that would make it apply.

    `payload` is the raw body, empty once personal data has been erased.
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
        """Who sent it."""
        return self.inbox_id.partition(":")[0]


_record = TypeAdapter(InboxRecord)

HEAD = tuple(
    field.name for field in fields(InboxRecord) if field.name not in {"inbox_id", "payload"}
)
"""What is told of a message where many are listed."""


def receive(table: Table, record: InboxRecord) -> InboxRecord | None:
    """Keep a message before anything is made of it; return the one kept earlier, if it came before.

    Raises:
        MessageTooLargeError: it cannot be kept.
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
        with answered():
            table.client.put_item(
                TableName=table.name,
                Item=to_wire(item),
                ConditionExpression=NEW_MESSAGE,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
    except table.client.exceptions.ConditionalCheckFailedException as exc:
        return _record_of(exc.response["Item"])  # type: ignore[typeddict-item] # missing in the stubs
    return None


def read_message(table: Table, inbox_id: str) -> InboxRecord | None:
    """Return a message, or None."""
    with answered():
        answer = table.client.get_item(
            TableName=table.name,
            Key=to_wire(inbox_key(inbox_id)),
            ConsistentRead=True,
        )
    return _record_of(answer["Item"]) if "Item" in answer else None


def read_heads(table: Table, inbox_ids: Sequence[str]) -> list[InboxRecord]:
    """Return messages without their payloads, in the order of their ids. At most 100.

    One that is not there any more, or cannot be read, is left out.
    """
    if not inbox_ids:
        return []
    keys: Any = [to_wire(inbox_key(inbox_id)) for inbox_id in inbox_ids]
    names = {f"#{name}": name for name in ("pk", *HEAD)}
    with answered():
        answer = table.client.batch_get_item(
            RequestItems={
                table.name: {
                    "Keys": keys,
                    "ProjectionExpression": ", ".join(names),
                    "ExpressionAttributeNames": names,
                },
            },
        )
    if answer["UnprocessedKeys"]:
        raise BusyError
    found = {}
    for item in answer["Responses"][table.name]:
        try:
            record = _record_of({**item, "payload": {"B": b""}})
        except ValueError:
            logger.exception("left out of the inbox's list", extra={"key": item["pk"]["S"]})
        else:
            found[record.inbox_id] = record
    return [found[inbox_id] for inbox_id in inbox_ids if inbox_id in found]


def mark(table: Table, record: InboxRecord) -> None:
    """Write down what became of a message, and at the account that it was about.

    What somebody else has finished with meanwhile stays as it is.
    """
    told = {
        "status": record.status,
        "reason": record.reason,
        "changed_at": record.changed_at,
        "attempts": record.attempts,
        "account_id": record.account_id,
        "waits_for": record.waits_for,
        "purge_at": _purge_at(record),
    }
    values = {f":{name}": value for name, value in told.items()}
    values |= {":applied": InboxStatus.APPLIED, ":ignored": InboxStatus.IGNORED}
    with answered():
        if record.account_id is not None:
            key = account_inbox_key(record.account_id, record.inbox_id)
            table.client.put_item(TableName=table.name, Item=to_wire(key))
        with suppress(table.client.exceptions.ConditionalCheckFailedException):
            table.client.update_item(
                TableName=table.name,
                Key=to_wire(inbox_key(record.inbox_id)),
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in told),
                ConditionExpression=NOT_DONE,
                ExpressionAttributeNames={f"#{name}": name for name in told},
                ExpressionAttributeValues=to_wire(values),
            )


def _purge_at(record: InboxRecord) -> int:
    """Return when DynamoDB may delete a message, in epoch seconds."""
    kept = KEPT if record.status in DONE else KEPT_WAITING
    return int((record.received_at + kept).timestamp())


def messages_of(table: Table, account_id: str) -> list[str]:
    """Return the ids of the messages that were about an account."""
    return [id_of(sk) for sk in sort_keys(table, names_partition(account_id), "INBOX#")]


def blank(table: Table, inbox_id: str) -> None:
    """Take out of a message what may say whose it was; that it came and what became of it stays.

    One that is not there any more stays away.
    """
    with answered(), suppress(table.client.exceptions.ConditionalCheckFailedException):
        table.client.update_item(
            TableName=table.name,
            Key=to_wire(inbox_key(inbox_id)),
            UpdateExpression="SET payload = :nothing REMOVE waits_for, reason",
            ConditionExpression=IS_KEPT,
            ExpressionAttributeValues=to_wire({":nothing": b""}),
        )


def _record_of(wire: Wire) -> InboxRecord:
    item = from_wire(wire)
    return _record.validate_python(
        {
            **item,
            "inbox_id": id_of(item["pk"]).replace("#", ":", 1),
            "payload": gzip.decompress(item["payload"]) if item["payload"] else b"",
        },
    )
