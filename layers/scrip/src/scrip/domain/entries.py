"""Entries: the immutable lines of an account's ledger, chained by hashes."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from scrip.domain.catalog import Price
from scrip.domain.grants import Allocation

type Json = Mapping[str, Any]

GENESIS_HASH = bytes(32)
"""The previous hash of an account's first entry."""


class EntryType(StrEnum):
    """What happened."""

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
    """The kind of caller that made a change."""

    USER = "user"
    SERVICE = "service"
    ADMIN = "admin"
    SYSTEM = "system"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who made a change: a user's ID, a service's client ID, or a part of Scrip."""

    type: ActorType
    id: str


CLOCK = Actor(ActorType.SYSTEM, "clock")
"""The actor of changes that come due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a ledger. Credits; instants in UTC.

    `allocations` are the grants that credits came from or went to, in the order they were taken;
    their amounts are positive, the direction is the sign of `amount`. `unlimited`: the account was
    on an unlimited plan. `price` is what each meter of `usage` costs. `expires_at` is when the hold
    that the entry opened ends (an earlier version also wrote an entry for each extension).
    `expired` is how many of the released credits expired at once because their grants had, which
    the next entry books. An entry has no hashes before its posting is closed.
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
    usage: Mapping[str, int] | None = None
    price: Mapping[str, Price] | None = None
    reason: str | None = None
    reference: str | None = None
    metadata: Json | None = None
    source: str | None = None
    refunds: str | None = None
    hold_id: str | None = None
    expires_at: datetime | None = None
    expired: int | None = None
    request_hash: bytes | None = None
    previous_hash: bytes = b""
    hash: bytes = b""

    @property
    def balance_before(self) -> int:
        """The balance right before this entry: what came due earlier is in it."""
        return self.balance_after - self.amount

    @property
    def balance_left(self) -> int:
        """The balance after the whole posting, if this is the command's own entry."""
        return self.balance_after - (self.expired or 0)

    @property
    def debt_left(self) -> int:
        """The debt after this entry's credits have paid it, which happens in the same posting."""
        arrived = max(0, self.amount)
        if self.type is EntryType.RELEASE:
            arrived = sum(allocation.amount for allocation in self.allocations)
        return self.debt_after - min(self.debt_after, arrived)

    def to_json(self) -> dict[str, Any]:
        """Return the whole entry: instants in ISO 8601, hashes in hex."""
        return {name: _shown(getattr(self, name)) for name in _NAMES}

    def shown_to(self, reader: ActorType) -> dict[str, Any]:
        """Return the entry as the API shows it to one kind of caller.

        A user sees the kind of actor that made the change, never its ID.
        """
        shown = self.to_json()
        if reader is ActorType.USER:
            shown["actor"] = {"type": self.actor.type}
        return shown


_NAMES = tuple(field.name for field in fields(Entry))
_HASHED = tuple(name for name in _NAMES if name not in {"hash", "previous_hash"})


def chain_hash(entry: Entry) -> bytes:
    """Return SHA-256 over the previous entry's hash and this entry's canonical JSON.

    The canonical JSON is `to_json()` without `hash`, `previous_hash` and null values. Services and
    admins see all of it, so they can check the chain with the API's answers alone.
    """
    hashed = {
        name: _shown(value) for name in _HASHED if (value := getattr(entry, name)) is not None
    }
    return hashlib.sha256(entry.previous_hash + canonical_json(hashed)).digest()


def chained(entries: Iterable[Entry], newest: bytes) -> Iterator[Entry]:
    """Yield entries with their hashes: a chain that goes on from the `newest` hash of a ledger."""
    for entry in entries:
        linked = replace(entry, previous_hash=newest)
        newest = chain_hash(linked)
        yield replace(linked, hash=newest)


def canonical_json(value: object) -> bytes:
    """Return JSON with sorted keys and no whitespace, as UTF-8."""
    return _canonical.encode(value).encode()


# json.dumps would build it for each call.
_canonical = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def is_text(value: object) -> bool:
    r"""Return whether all text in a JSON value can be encoded as UTF-8, as DynamoDB requires.

    A lone surrogate cannot: half a character, which JSON can contain as an escape (`\ud800`).
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
    dict: lambda parts: {name: _shown(part) for name, part in parts.items()},
    Price: lambda one: {"cost": one.cost, "per": one.per},
}
"""The API's form of values by type; other types are unchanged."""
