"""Reading an entry fast: its item is compared with what Scrip writes before it becomes an entry.

`entry_of` accepts whatever can be read, which takes most of the time of an audit. Nearly every item
is exactly as Scrip wrote it, and that is quick to see.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from scrip.domain.catalog import Price
from scrip.domain.entries import Actor, ActorType, Entry, EntryType, canonical_json
from scrip.domain.grants import Allocation
from scrip.store.items import BESIDE_ENTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scrip.store.items import Wire

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SECONDS_MAX = 20_000_000_000
_MILLISECONDS_MAX = 253_402_300_799_999
"""Numbers up to the first are read as seconds, which Scrip does not write; the year 9999 ends with
the second."""


def entry_as_written(wire: Wire) -> Entry | None:
    """Return the entry in an item that is exactly as Scrip writes it; None for any other item.

    What it returns is what `entry_of` returns, and `unknown_in_entry` is then empty.
    """
    fields: dict[str, Any] = {}
    try:
        for name, value in wire.items():
            if read := _READ.get(name):
                [(kind, content)] = value.items()
                fields[name] = read(kind, content)
            elif name not in _BESIDE:
                return None
        if wire.get("format", _FORM_1) != _FORM_1:
            return None
        return Entry(entry_id=wire["sk"]["S"].removeprefix("ENTRY#"), **fields)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return None


def _text(kind: str, content: Any) -> str:
    if kind != "S" or type(content) is not str:
        raise ValueError(kind)
    return content


def _number(kind: str, content: Any) -> int:
    number = int(content)
    if kind != "N" or str(number) != content:
        raise ValueError(content)
    return number


def _changed(kind: str, content: Any) -> int:
    """Return a number that is left out if it is 0."""
    if number := _number(kind, content):
        return number
    raise ValueError(content)


def _instant(kind: str, content: Any) -> datetime:
    milliseconds = _number(kind, content)
    if not _SECONDS_MAX < milliseconds <= _MILLISECONDS_MAX:
        raise ValueError(content)
    return _EPOCH + timedelta(milliseconds=milliseconds)


def _octets(kind: str, content: Any) -> bytes:
    if kind != "B" or not content:
        raise ValueError(kind)
    return bytes(content)


def _true(kind: str, content: Any) -> bool:
    if kind != "BOOL" or content is not True:
        raise ValueError(kind)
    return True


def _map(kind: str, content: Any) -> dict[str, Any]:
    if kind != "M":
        raise ValueError(kind)
    return dict(content)


def _of_kind(value: Wire, kind: str) -> Any:
    [(found, content)] = value.items()
    if found != kind:
        raise ValueError(found)
    return content


def _allocations(kind: str, content: Any) -> tuple[Allocation, ...]:
    if kind != "L" or not content:
        raise ValueError(kind)
    found = []
    for part in content:
        fields = _of_kind(part, "M")
        if len(fields) != 2:  # noqa: PLR2004 - the two that follow
            raise ValueError(part)
        amount = _number("N", _of_kind(fields["amount"], "N"))
        found.append(Allocation(_of_kind(fields["grant_id"], "S"), amount))
    return tuple(found)


def _actor(kind: str, content: Any) -> Actor:
    fields = _map(kind, content)
    if len(fields) != 2:  # noqa: PLR2004 - the two that follow
        raise ValueError(content)
    return Actor(_ACTOR_TYPES[_of_kind(fields["type"], "S")], _of_kind(fields["id"], "S"))


def _usage(kind: str, content: Any) -> dict[str, int]:
    meters = _map(kind, content)
    return {name: _number("N", _of_kind(value, "N")) for name, value in meters.items()}


def _price(kind: str, content: Any) -> dict[str, Price]:
    prices = {}
    for name, value in _map(kind, content).items():
        fields = _of_kind(value, "M")
        numbers = {part: _number("N", _of_kind(one, "N")) for part, one in fields.items()}
        if numbers.get("per") == 1:  # which is left out
            raise ValueError(value)
        prices[name] = Price(**numbers)
    return prices


def _metadata(kind: str, content: Any) -> Any:
    metadata = json.loads(_text(kind, content))
    canonical_json(metadata)  # without canonical JSON there is no hash: not from Scrip
    if not isinstance(metadata, dict):
        raise TypeError(content)
    return metadata


_TYPES = {kind.value: kind for kind in EntryType}
_ACTOR_TYPES = {kind.value: kind for kind in ActorType}

_READ: Mapping[str, Callable[[str, Any], Any]] = {
    "seq": _number,
    "type": lambda kind, content: _TYPES[_text(kind, content)],
    "amount": _number,
    "balance_after": _number,
    "held_after": _changed,
    "debt_after": _changed,
    "unlimited": _true,
    "allocations": _allocations,
    "actor": _actor,
    "recorded_at": _instant,
    "effective_at": _instant,
    "feature": _text,
    "quantity": _number,
    "cost": _number,
    "feature_version": _number,
    "usage": _usage,
    "price": _price,
    "reason": _text,
    "reference": _text,
    "metadata": _metadata,
    "source": _text,
    "refunds": _text,
    "hold_id": _text,
    "expires_at": _instant,
    "expired": _number,
    "request_hash": _octets,
    "previous_hash": _octets,
    "hash": _octets,
}
"""How each attribute is read; each raises ValueError or KeyError unless Scrip writes it so."""

_BESIDE = BESIDE_ENTRY | {"pk", "sk"}
_FORM_1 = {"N": "1"}
