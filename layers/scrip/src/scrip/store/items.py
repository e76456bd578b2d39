"""Every item mapping: what the domain's values look like in the table, and back.

An item has its value's fields under their names, but for those that its key tells; what has its
default is left out. Instants are epoch milliseconds and hashes binary, so that an account with four
grants fits into 1 KB.
"""

import base64
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from math import ceil
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from pydantic import TypeAdapter

from scrip.domain.account import Account
from scrip.domain.audit.rounds import COUNT_MAX, Progress
from scrip.domain.catalog import Feature, Plan
from scrip.domain.entries import GENESIS_HASH, Entry, canonical_json
from scrip.domain.errors import CorruptAccountError
from scrip.domain.grants import Grant
from scrip.domain.payments import Payment
from scrip.domain.posting import AuditRecord
from scrip.domain.usage import DayUsage
from scrip.store.keys import (
    Key,
    account_key,
    directory_keys,
    entry_key,
    feature_key,
    id_of,
    is_possible,
    payment_key,
    plan_key,
    progress_key,
    usage_key,
    watermark_key,
)

type Item = dict[str, Any]
"""An item in plain Python values."""
type Wire = dict[str, Any]
"""An item as DynamoDB's API has it: {"balance": {"N": "5"}}."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# Each is built when it is first needed: no function needs them all.
_account = cache(lambda: TypeAdapter(Account))
_entry = cache(lambda: TypeAdapter(Entry))
_grant = cache(lambda: TypeAdapter(Grant))
_audit = cache(lambda: TypeAdapter(AuditRecord))
_payment = cache(lambda: TypeAdapter(Payment))
_plan = cache(lambda: TypeAdapter(Plan))
_feature = cache(lambda: TypeAdapter(Feature))
_usage = cache(lambda: TypeAdapter(DayUsage))
_progress = cache(lambda: TypeAdapter(Progress))

BESIDE_ENTRY = frozenset({"correlation_id", "restored_at"})
"""What an entry's item says beside the entry: which request, message or invocation of a function
wrote it, and when it was put back from a backup, if it was. The chain does not cover them."""

BESIDE_ACCOUNT = {
    "AUDIT": frozenset({"pk", "sk"} | {field.name for field in fields(AuditRecord)}),
    "GRANT": frozenset({"pk", "sk"} | {field.name for field in fields(Grant)}),
    "HOLD": frozenset({"pk", "sk", "ended_by"}),
    "REFUNDED": frozenset({"pk", "sk", "refunded"}),
    "USAGE": frozenset({"pk", "sk"} | {field.name for field in fields(DayUsage)}),
}
"""The attributes of the items beside an account, by the kind that their key tells."""

HOLD_BOUNDS = "hold_bounds"
BOUNDS = ("ends_by", "rolls_over", "rolls_until")
"""The attribute of an account's item beside its holds, and what it has of each."""

_ACCOUNT = tuple(field.name for field in fields(Account))
_LISTED_BY = frozenset({"anchor", "status"})
"""What the index `directory` lists an account by; its id never changes."""

_ENTRY_ATTRIBUTES = {"pk", "sk"} | {field.name for field in fields(Entry)} - {"entry_id"}


def to_wire(item: Mapping[str, Any]) -> Wire:
    """Return an item as DynamoDB's API takes it.

    boto3's own serializer does the same in five times the time, which was a third of a consume's.

    Raises:
        TypeError: a value is of a type that no item of Scrip's has, such as a float.
    """
    return {name: _wire(value) for name, value in item.items()}


def from_wire(wire: Mapping[str, Any]) -> Item:
    """Return an item that DynamoDB's API gave; instants are still numbers."""
    return {name: _read(value) for name, value in wire.items()}


def with_bytes(value: Any) -> Any:
    """Return an image as DynamoDB's API has it; in JSON, binary is base64 text."""
    match value:
        case {"B": str(text)} if len(value) == 1:
            return {"B": base64.b64decode(text)}
        case dict():
            return {name: with_bytes(part) for name, part in value.items()}
        case list():
            return [with_bytes(part) for part in value]
    return value


def account_item(account: Account) -> Item:
    """Return an account as it is stored; `balance` is there to be a condition."""
    dumped = _account().dump_python(account, exclude_defaults=True, exclude={"account_id"})
    return {
        **account_key(account.account_id),
        **directory_keys(account),
        **_with_bounds_apart(dumped),
        "balance": account.balance,
    }


def account_changes(before: Account, after: Account) -> tuple[Item, list[str]]:
    """Return the attributes that an account's item gets by a change, and the names that it loses.

    Only what differs is written out: most of an account stays as it is in most changes.
    """
    changed = {name for name in _ACCOUNT if getattr(before, name) != getattr(after, name)}
    item = _with_bounds_apart(_account().dump_python(after, exclude_defaults=True, include=changed))
    lost = changed - item.keys()
    if (
        "holds" in changed
        and HOLD_BOUNDS not in item
        and any(hold.ends_by for hold in before.holds)
    ):
        lost.add(HOLD_BOUNDS)
    if changed & _LISTED_BY:
        was, now = directory_keys(before), directory_keys(after)
        item |= {name: key for name, key in now.items() if key != was.get(name)}
        lost |= was.keys() - now.keys()
    if before.balance != after.balance:
        item["balance"] = after.balance
    return item, sorted(lost)


def account_of(wire: Wire) -> Account:
    """Return the account that an item holds.

    Raises:
        CorruptAccountError: Scrip would not have written it so.
    """
    account, written = _readable(wire)
    # Nearly always it is the same to the letter; but 1E3 is a thousand, too.
    is_same = written.items() <= wire.items() or (
        from_wire(written).items() <= from_wire(wire).items()
    )
    if not is_same or not _is_sound(account):
        raise CorruptAccountError(account.account_id)
    return account


def account_as_stored(wire: Wire) -> tuple[Account, Item, Item]:
    """Return the account that an item holds, even one that contradicts itself.

    With it the item, and the item that Scrip would have written for that account.

    Raises:
        CorruptAccountError: it cannot be read, or has no periods.
    """
    account, written = _readable(wire)
    return account, from_wire(wire), from_wire(written)


def _readable(wire: Wire) -> tuple[Account, Wire]:
    """Return the account that an item holds, and the item that Scrip would have written for it."""
    item = from_wire(wire)
    account_id = item["account_id"] = id_of(item["pk"])
    try:
        account = _account().validate_python(_with_bounds_joined(item))
        written = to_wire(account_item(account))
        if HOLD_BOUNDS in wire:  # version 0.1.0 may have ended holds since, and left their bounds
            written[HOLD_BOUNDS] = wire[HOLD_BOUNDS]
        has_periods = account.period_end > account.anchor
    except (
        *(ValueError, TypeError, KeyError, AttributeError),  # holds or bounds are something else
        *(OverflowError, OSError, ZoneInfoNotFoundError),
    ) as exc:
        raise CorruptAccountError(account_id) from exc
    if not has_periods:
        raise CorruptAccountError(account_id)
    return account, written


def _with_bounds_apart(dumped: Item) -> Item:
    """Return an account's item in which what bounds its holds stands beside them, by their ids.

    Version 0.1.0 takes a hold with more attributes than it knows for one that was edited by hand,
    and other attributes of an account for nothing. It may still run while this one is deployed.
    """
    bounds = {
        hold["hold_id"]: bound
        for hold in dumped.get("holds", ())
        if (bound := {name: hold.pop(name) for name in BOUNDS if name in hold})
    }
    return {**dumped, HOLD_BOUNDS: bounds} if bounds else dumped


def _with_bounds_joined(item: Item) -> Item:
    """Return an account's item in which its holds have what bounds them."""
    bounds = item.get(HOLD_BOUNDS) or {}
    if "holds" not in item or not bounds:
        return item
    return {**item, "holds": [hold | bounds.get(hold["hold_id"], {}) for hold in item["holds"]]}


def _is_sound(account: Account) -> bool:
    return (
        account.debt >= 0
        and (account.monthly_credits or 0) >= 0
        and len(account.hash) == len(GENESIS_HASH)
        and len({grant.grant_id for grant in account.grants}) == len(account.grants)
        and all(0 <= grant.remaining <= grant.amount for grant in account.grants)
    )


def entry_item(account_id: str, entry: Entry, correlation_id: str | None = None) -> Item:
    """Return an entry as it is stored. `seq` makes it appear in the index `history`."""
    item = _entry().dump_python(entry, exclude_defaults=True, exclude={"entry_id"})
    if correlation_id is not None:
        item["correlation_id"] = correlation_id
    if entry.metadata is not None:
        # As text: DynamoDB has no floats, and the chain's hash needs the very same JSON.
        item["metadata"] = canonical_json(entry.metadata).decode()
    return {**entry_key(account_id, entry.entry_id), **item}


def entry_of(wire: Wire) -> Entry:
    """Return the entry that an item holds.

    Raises:
        CorruptAccountError: it cannot be read.
    """
    item = from_wire(wire)
    try:
        if "metadata" in item:
            item["metadata"] = json.loads(item["metadata"])
            canonical_json(item["metadata"])  # what has none has no hash, and is not Scrip's
        return _entry().validate_python({**item, "entry_id": id_of(item["sk"])})
    except (ValueError, RecursionError) as exc:
        raise CorruptAccountError(id_of(item["pk"])) from exc


def unknown_in_entry(wire: Wire, entry: Entry | None) -> frozenset[str]:
    """Return the attributes of an entry's item that Scrip did not write, or not so.

    The chain covers what they say, and not of which type they are.
    """
    unknown = wire.keys() - _ENTRY_ATTRIBUTES - BESIDE_ENTRY
    if entry is None:
        return frozenset(unknown)
    written = to_wire(entry_item(id_of(wire["pk"]["S"]), entry))
    names = (wire.keys() | written.keys()) - BESIDE_ENTRY
    retyped = {name for name in names if _kinds(wire.get(name)) != _kinds(written.get(name))}
    return frozenset(unknown | retyped)


def correlation_id_of(wire: Wire) -> str | None:
    """Return what wrote an entry: the id of a request, a message, or a function's invocation."""
    correlation_id: str | None = wire.get("correlation_id", {}).get("S")
    return correlation_id


def restored(wire: Wire, at: datetime) -> Wire:
    """Return an entry's item as it is put back from a backup."""
    return {**wire, **to_wire({"restored_at": at})}


def is_restored(wire: Wire) -> bool:
    """Tell whether an entry was put back from a backup: all was told of it when it was new."""
    return "restored_at" in wire


def refunded_of(wire: Wire) -> int:
    """Return the refunded total that an item holds.

    Raises:
        CorruptAccountError: it cannot be read.
    """
    total = from_wire(wire).get("refunded")
    if not isinstance(total, int):
        raise CorruptAccountError(id_of(wire["pk"]["S"]))
    return total


def retired_item(grant: Grant) -> Item:
    """Return what is kept of a grant that has left the account's item: nothing was left of it."""
    item: Item = _grant().dump_python(grant, exclude={"grant_id", "remaining"})
    return item


def retired_of(wire: Wire) -> Grant:
    """Return the retired grant that an item holds.

    Raises:
        CorruptAccountError: it cannot be read.
    """
    item = from_wire(wire)
    try:
        return _grant().validate_python({**item, "grant_id": id_of(item["sk"]), "remaining": 0})
    except ValueError as exc:
        raise CorruptAccountError(id_of(item["pk"])) from exc


def hold_end_of(wire: Wire) -> str:
    """Return the entry by which a hold ended, as an item says.

    Raises:
        CorruptAccountError: it cannot be read.
    """
    ended_by = from_wire(wire).get("ended_by")
    if not isinstance(ended_by, str):
        raise CorruptAccountError(id_of(wire["pk"]["S"]))
    return ended_by


def audit_item(key: Key, record: AuditRecord) -> Item:
    """Return an audit record as it is stored: of an account or of the catalog, as its key says."""
    return {**key, **_audit().dump_python(record, exclude_defaults=True)}


def audit_of(wire: Wire) -> AuditRecord:
    """Return the audit record that an item holds."""
    return _audit().validate_python(from_wire(wire))


def payment_item(payment: Payment) -> Item:
    """Return a payment as it is stored."""
    item = _payment().dump_python(payment, exclude={"payment_id"})
    return {**payment_key(payment.payment_id), **item}


def payment_of(wire: Wire) -> Payment:
    """Return the payment that an item holds.

    Raises:
        CorruptAccountError: Scrip would not have written it so.
    """
    item = from_wire(wire)
    payment_id = id_of(item["pk"])
    try:
        payment = _payment().validate_python({**item, "payment_id": payment_id})
    except ValueError as exc:
        raise CorruptAccountError(str(item.get("account_id", payment_id))) from exc
    if min(payment.taken, payment.owed, payment.unspent, payment.credits, payment.left) < 0:
        raise CorruptAccountError(payment.account_id)
    return payment


def usage_item(account_id: str, day: date, usage: DayUsage) -> Item:
    """Return the usage of a day as it is stored."""
    return {**usage_key(account_id, day), **_usage().dump_python(usage, exclude_defaults=True)}


def usage_of(wire: Wire) -> DayUsage:
    """Return the usage that an item holds.

    Raises:
        CorruptAccountError: it cannot be read.
    """
    item = from_wire(wire)
    try:
        return _usage().validate_python(item)
    except ValueError as exc:
        raise CorruptAccountError(id_of(item["pk"])) from exc


def plan_item(plan: Plan) -> Item:
    """Return a plan as it is stored."""
    return {**plan_key(plan.plan_id), **_plan().dump_python(plan, exclude={"plan_id"})}


def plan_of(item: Item) -> Plan:
    """Return the plan that an item holds."""
    return _plan().validate_python({**item, "plan_id": id_of(item["sk"])})


def feature_item(feature: Feature) -> Item:
    """Return a feature as it is stored."""
    item = _feature().dump_python(feature, exclude={"feature_id"})
    return {**feature_key(feature.feature_id), **item}


def feature_of(item: Item) -> Feature:
    """Return the feature that an item holds."""
    return _feature().validate_python({**item, "feature_id": id_of(item["sk"])})


def watermark_item(watermark: datetime) -> Item:
    """Return the sweep's watermark as it is stored."""
    return {**watermark_key(), "watermark": watermark}


def watermark_of(wire: Wire) -> datetime | None:
    """Return the watermark that an item holds; None for one that nobody can read."""
    try:
        return _EPOCH + timedelta(milliseconds=from_wire(wire)["watermark"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def progress_item(progress: Progress) -> Item:
    """Return how far the audit has come as it is stored."""
    return {**progress_key(), **_progress().dump_python(progress, exclude_defaults=True)}


def progress_of(wire: Wire) -> Progress:
    """Return how far the audit has come by an item; of one that cannot be so only the step."""
    item = from_wire(wire)
    with suppress(ValueError, OverflowError):
        progress = _progress().validate_python(item)
        if progress.is_sound and (progress.after is None or _is_place(progress.after)):
            return progress
    step = item.get("step")
    if isinstance(step, int | Decimal) and 0 <= step <= COUNT_MAX:
        return Progress(step=ceil(step))
    return Progress()


def _is_place(key: dict[str, str]) -> bool:
    """Tell whether a scan can go on behind a key."""
    return key.keys() == {"pk", "sk"} and all(key.values()) and is_possible(key)


def _kinds(value: Any) -> Any:
    """Return of which types a value of DynamoDB's API is, and nothing of what it says."""
    match value:
        case {"M": dict(parts)}:
            return {name: _kinds(part) for name, part in parts.items()}
        case {"L": list(parts)}:
            return [_kinds(part) for part in parts]
        case dict():
            return set(value)
    return value


def _wire(value: object) -> Wire:
    """Return a value as DynamoDB's API takes it."""
    write = _WRITE.get(type(value)) or _writer_of_its_base(value)
    return write(value)


def _writer_of_its_base(value: object) -> Callable[[Any], Wire]:
    for kind, write in _WRITE.items():
        if isinstance(value, kind):
            return write
    raise TypeError(type(value))


_WRITE: Mapping[type, Callable[[Any], Wire]] = {
    str: lambda text: {"S": str(text)},
    bool: lambda yes: {"BOOL": yes},
    int: lambda number: {"N": str(number)},
    datetime: lambda instant: {"N": str(_milliseconds(instant))},
    bytes: lambda octets: {"B": octets},
    dict: lambda parts: {"M": {name: _wire(part) for name, part in parts.items()}},
    list: lambda parts: {"L": [_wire(part) for part in parts]},
    tuple: lambda parts: {"L": [_wire(part) for part in parts]},
    type(None): lambda _: {"NULL": True},
}
"""How a value of each type is written. By its type: this is done for every value of a consume."""


def _read(wire: Wire) -> Any:
    """Return a value that DynamoDB's API gave; what is none of Scrip's types stays as it is."""
    [[kind, value]] = wire.items()
    read = _READ.get(kind)
    return read(value) if read else value


def _number(text: str) -> int | Decimal:
    """Return a number; what is not written as an integer may be one, too: 1E3."""
    if text.lstrip("-").isdecimal():
        return int(text)
    number = Decimal(text)
    return int(number) if number == number.to_integral_value() else number


_READ: Mapping[str, Callable[[Any], Any]] = {
    "N": _number,
    "M": lambda parts: {name: _read(part) for name, part in parts.items()},
    "L": lambda parts: [_read(part) for part in parts],
    "NULL": lambda _: None,
}
"""How a value of each kind is read; all others are as they are."""


def _milliseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MILLISECOND
