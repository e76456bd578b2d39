"""Entries: the immutable lines of an account's ledger, chained by hash."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from scrip.domain.grants import Allocation

type Json = Mapping[str, Any]

GENESIS_HASH = bytes(32)
"""The previous hash of an account's first entry."""


class EntryType(StrEnum):
    """What an entry says happened."""

    SIGNUP = "signup"
    PURCHASE = "purchase"
    USAGE = "usage"
    ADMIN_GRANT = "admin_grant"
    ADMIN_DEDUCT = "admin_deduct"
    REFUND = "refund"
    PROMO = "promo"
    REFERRAL = "referral"
    EXPIRY = "expiry"
    PLAN = "plan"
    ROLLOVER = "rollover"
    CLAWBACK = "clawback"
    RESET = "reset"
    HOLD = "hold"
    RELEASE = "release"
    DEBT_SETTLED = "debt_settled"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"


class ActorType(StrEnum):
    """Who makes a change."""

    USER = "user"
    SERVICE = "service"
    ADMIN = "admin"
    SYSTEM = "system"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a change: a user's id, a service's client id, or a part of Scrip itself."""

    type: ActorType
    id: str


CLOCK = Actor(ActorType.SYSTEM, "clock")
"""The actor of what happens because its time has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a ledger. Credits; instants in UTC.

    `allocations` says which grants the credits came from or went to, in the order they were taken;
    their amounts are positive, the direction is the sign of `amount`. `unlimited` says that the
    account was on an unlimited plan. `expires_at` is when the hold ends that the entry opened (an
    earlier version also wrote one for each extension). `expired` says how many of the credits that
    a release gave back expired at once, by the entry that follows, as their grants had.
    """

    entry_id: str
    seq: int
    type: EntryType
    amount: int
    balance_after: int
    held_after: int = 0
    debt_after: int = 0
    unlimited: bool = False
    allocations: tuple[Allocation, ...] = ()
    actor: Actor
    recorded_at: datetime
    effective_at: datetime
    feature: str | None = None
    quantity: int | None = None
    cost: int | None = None
    feature_version: int | None = None
    reason: str | None = None
    reference: str | None = None
    metadata: Json | None = None
    source: str | None = None
    refunds: str | None = None
    hold_id: str | None = None
    expires_at: datetime | None = None
    expired: int | None = None
    request_hash: bytes | None = None
    previous_hash: bytes
    hash: bytes = b""

    @property
    def balance_left(self) -> int:
        """The balance once the posting is complete of which this entry is a caller's own."""
        return self.balance_after - (self.expired or 0)

    @property
    def debt_left(self) -> int:
        """What is owed once this entry's credits have paid, which they do in the same posting."""
        arrived = max(0, self.amount)
        if self.type is EntryType.RELEASE:
            arrived = sum(allocation.amount for allocation in self.allocations)
        return self.debt_after - min(self.debt_after, arrived)

    def to_json(self) -> dict[str, Any]:
        """Return the whole entry: instants in ISO 8601, hashes in hex."""
        return {name: _shown(getattr(self, name)) for name in _NAMES}

    def shown_to(self, reader: ActorType) -> dict[str, Any]:
        """Return the entry as the API shows it to one kind of caller.

        A user sees what kind of actor made the change, never the id of one.
        """
        told = self.to_json()
        if reader is ActorType.USER:
            told["actor"] = {"type": self.actor.type}
        return told


_NAMES = tuple(field.name for field in fields(Entry))


def chain_hash(entry: Entry) -> bytes:
    """Return SHA-256 over the previous entry's hash and this entry's canonical JSON.

    The canonical JSON is `to_json()` without `hash`, `previous_hash` and what is null. Services and
    admins are shown all of it, so they can check the chain with nothing but the API's answers.
    """
    told = {name: value for name, value in entry.to_json().items() if value is not None}
    del told["hash"], told["previous_hash"]
    return hashlib.sha256(entry.previous_hash + canonical_json(told)).digest()


def canonical_json(value: object) -> bytes:
    """Return JSON with sorted keys and no white space, as UTF-8."""
    return json.dumps(
        value,
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    ).encode()


def is_text(value: object) -> bool:
    r"""Tell whether all text in a JSON value can be written as UTF-8, as DynamoDB wants it.

    A lone surrogate cannot: half a character, which JSON may have escaped (`\ud800`).
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def iso(instant: datetime) -> str:
    """Return an instant as ISO 8601 in UTC with milliseconds: 2026-12-01T00:00:00.000Z."""
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def _shown(value: object) -> object:
    show = _SHOWN.get(type(value))
    return show(value) if show else value


_SHOWN: Mapping[type, Callable[[Any], object]] = {
    datetime: iso,
    bytes: bytes.hex,
    tuple: lambda parts: [_shown(part) for part in parts],
    Allocation: lambda one: {"grant_id": one.grant_id, "amount": one.amount},
    Actor: lambda one: {"type": one.type, "id": one.id},
}
"""How the API shows a value of each type; all others as they are."""
