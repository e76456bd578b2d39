"""Every item mapping: how the domain's values are stored in the table, and read back.

An item has its value's fields under their names, except those that its key contains and those with
their default. Instants are epoch milliseconds, hashes are binary and many grants are lines of text,
so that an account with four grants fits into 1 KB, and one with thirteen if their names are short.

`format` numbers the form of an item; 1 is left out. A form that versions before would read wrongly
has the next number, and is written one release after it can be read.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sized
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from math import ceil
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfoNotFoundError

from pydantic import TypeAdapter

from scrip.domain.account import Account
from scrip.domain.audit.checkpoint import Checkpoint, State
from scrip.domain.audit.rounds import COUNT_MAX, Counts, Progress
from scrip.domain.catalog import Feature, Plan
from scrip.domain.entitlement import next_change
from scrip.domain.entries import GENESIS_HASH, Entry, canonical_json
from scrip.domain.errors import CorruptAccountError, NewerVersionError
from scrip.domain.grants import Grant, GrantKind
from scrip.domain.payments import UNNAMED, DisputeOutcome, Payment, RefundStatus
from scrip.domain.posting import AuditRecord
from scrip.domain.terms import Term
from scrip.domain.totals import Totals
from scrip.domain.usage import DayUsage, ReferenceUsage
from scrip.store.keys import (
    Key,
    account_key,
    audit_part_key,
    checkpoint_key,
    directory_keys,
    entry_key,
    feature_key,
    id_of,
    name_directory_keys,
    payment_key,
    plan_key,
    progress_key,
    reference_directory_keys,
    reference_key,
    usage_key,
    watermark_key,
)
from scrip.store.old_form import GONE as OLD_ATTRIBUTES
from scrip.store.old_form import converted, is_old

type Item = dict[str, Any]
"""An item in plain Python values."""
type Wire = dict[str, Any]
"""An item as in DynamoDB's API: {"balance": {"N": "5"}}."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# Each is built when it is first needed, since no function needs all of them.
_account = cache(lambda: TypeAdapter(Account))
_entry = cache(lambda: TypeAdapter(Entry))
_grant = cache(lambda: TypeAdapter(Grant))
_term = cache(lambda: TypeAdapter(Term))
_audit = cache(lambda: TypeAdapter(AuditRecord))
_payment = cache(lambda: TypeAdapter(Payment))
_plan = cache(lambda: TypeAdapter(Plan))
_feature = cache(lambda: TypeAdapter(Feature))
_usage = cache(lambda: TypeAdapter(DayUsage))
_totals = cache(lambda: TypeAdapter(Totals))
_reference = cache(lambda: TypeAdapter(ReferenceUsage))
_progress = cache(lambda: TypeAdapter(Progress))
_counts = cache(lambda: TypeAdapter(Counts))
_state = cache(lambda: TypeAdapter(State))


def prepare() -> None:
    """Build what nearly every request needs to read and write the table."""
    for build in (_account, _entry, _plan, _feature):
        build()


FORMAT_MAX = 3
"""The newest form of an item that this version reads."""

WITH_MAPS, WITH_LINES = 2, 3
"""The forms in which this version writes accounts. It writes all other items in form 1."""

MAPS_MAX = 4
"""With more grants, an account has each of them as a line of text: form 3.

That takes half the space, and a small part of the time, of a map. Up to four fit into 1 KB as maps,
which version 0.2.0 reads; it may still run while this one is deployed.
"""

BESIDE_ENTRY = frozenset({"correlation_id", "format", "restored_at"})
"""The attributes of an entry's item that are not part of the entry: which request, message or
invocation wrote it, in which form, and when it was restored from a backup. The chain does not cover
them."""

BESIDE_ACCOUNT = {
    "AUDIT": frozenset({"pk", "sk"} | {field.name for field in fields(AuditRecord)}),
    "GRANT": frozenset({"pk", "sk"} | {field.name for field in fields(Grant)}),
    "HOLD": frozenset({"pk", "sk", "ended_by"}),
    "REFUNDED": frozenset({"pk", "sk", "refunded"}),
    "TERM": frozenset({"pk", "sk", "term"}),
    "USAGE": frozenset({"pk", "sk"} | {field.name for field in fields(DayUsage)}),
}
"""The attributes of the other items of an account, by the kind in their key."""

REFERENCES_KEPT = timedelta(days=400)
"""How long it is kept what entries come to by reference."""

ENDED = "ended:"
"""How the kind of a grant that has ended begins in its line."""

PARTS_KEPT = timedelta(days=7)
"""How long it is kept what the parts of a round of the audit have counted."""

HOLD_BOUNDS = "hold_bounds"
BOUNDS = ("ends_by", "features", "rolls_over", "rolls_until")
"""The attribute of an account's item that has these fields of its holds."""

_ACCOUNT = frozenset(field.name for field in fields(Account) if field.compare)
_LISTED_BY = frozenset(
    {"anchor", "as_of", "given_plan_id", "next_plan_id", "status", "subscriptions", "terms"}
)
"""The fields that decide where the index `directory` lists an account; its ID never changes."""

_ENTRY_ATTRIBUTES = {"pk", "sk"} | {field.name for field in fields(Entry)} - {"entry_id"}


def to_wire(item: Mapping[str, Any]) -> Wire:
    """Return an item as DynamoDB's API takes it.

    boto3's own serializer takes five times as long, which was a third of the time of a consume.

    Raises:
        TypeError: a value has a type that no item has, such as a float.
    """
    return {name: _wire(value) for name, value in item.items()}


def from_wire(wire: Mapping[str, Any]) -> Item:
    """Return an item from DynamoDB's API as plain values; instants are still numbers."""
    return {name: _read(value) for name, value in wire.items()}


def read_item(wire: Mapping[str, Any]) -> Item:
    """Return an item as `from_wire` does, if this version knows its form.

    Raises:
        NewerVersionError: a newer version wrote it.
    """
    item = from_wire(wire)
    form = item.get("format")
    if isinstance(form, int) and form > FORMAT_MAX:
        raise NewerVersionError
    return item


def with_bytes(value: Any) -> Any:
    """Return an image from JSON, in which binary is base64 text, as in DynamoDB's API."""
    match value:
        case {"B": str(text)} if len(value) == 1:
            return {"B": base64.b64decode(text)}
        case dict():
            return {name: with_bytes(part) for name, part in value.items()}
        case list():
            return [with_bytes(part) for part in value]
    return value


def account_item(account: Account) -> Item:
    """Return an account as it is stored. `balance` is stored for the sake of conditions."""
    return _item_in(_form_with(account.grants), account)


def _form_with(grants: Sized) -> int:
    """Return the form in which this version writes an account with these grants."""
    return WITH_LINES if len(grants) > MAPS_MAX else WITH_MAPS


def _item_in(form: int, account: Account) -> Item:
    return {
        **account_key(account.account_id),
        **directory_keys(account),
        **_fields_in(form, account, _ACCOUNT - {"account_id"}),
        "balance": account.balance,
        "format": form,
    }


def _fields_in(form: int, account: Account, names: AbstractSet[str]) -> Item:
    """Return some fields of an account as its item has them, without those with their default."""
    lines = {}
    if form == WITH_LINES and "grants" in names and account.grants:
        lines = {"grants": [_line(grant) for grant in account.grants]}
    dumped = _account().dump_python(account, exclude_defaults=True, include={*names} - lines.keys())
    return _with_bounds_apart(_with_terms_packed(dumped, account)) | lines


def account_changes(before: Account, after: Account) -> tuple[Item, list[str]]:
    """Return the attributes that a change sets in an account's item, and the names that it removes.

    Only what differs is serialized: most changes leave most of an account as it was.
    """
    if before.is_old_form:
        return _rewritten(after)
    changed = {name for name in _ACCOUNT if getattr(before, name) != getattr(after, name)}
    if "subscriptions" in changed and after.terms:
        changed.add("terms")  # which refer to them by their place
    form = _form_with(after.grants)
    item = _fields_in(form, after, changed)
    if form != _form_with(before.grants):
        item["format"] = form
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


def _rewritten(after: Account) -> tuple[Item, list[str]]:
    """Return all attributes of an account, and the names that none or only old ones have."""
    item = account_item(after)
    names = {*_ACCOUNT, *OLD_ATTRIBUTES, HOLD_BOUNDS, "directory_pk", "directory_sk"}
    return item, sorted(names - item.keys() - {"account_id"})


def account_of(wire: Wire) -> Account:
    """Return the account in an item.

    Raises:
        CorruptAccountError: Scrip would not have written the item like this.
    """
    account, written = _readable(wire)
    # Nearly always the text is the same; but 1E3 is also a thousand.
    is_same = written.items() <= wire.items() or (
        from_wire(written).items() <= from_wire(wire).items()
    )
    if not is_same or not _is_sound(account):
        raise CorruptAccountError(account.account_id)
    return account


def account_as_stored(wire: Wire) -> tuple[Account, Item, Item]:
    """Return the account in an item, even one that contradicts itself.

    Also return the item, and the item that Scrip would have written for that account.

    Raises:
        CorruptAccountError: it cannot be read, or has no periods.
    """
    account, written = _readable(wire)
    return account, from_wire(wire), from_wire(written)


def _readable(wire: Wire) -> tuple[Account, Wire]:
    """Return the account in an item, and the item that Scrip would have written for it."""
    item = read_item(wire)
    account_id = item["account_id"] = id_of(item["pk"])
    try:
        joined = _with_bounds_joined(item)
        if is_old(item):
            account = _account().validate_python(converted(joined) | {"is_old_form": True})
            written = {**wire, "balance": to_wire({"balance": account.balance})["balance"]}
        else:
            form = WITH_LINES if item.get("format") == WITH_LINES else WITH_MAPS
            joined = _with_terms_unpacked(
                _with_lines_read(joined) if form == WITH_LINES else joined
            )
            is_old_form = form != _form_with(joined.get("grants", ()))
            account = _account().validate_python(joined | {"is_old_form": is_old_form})
            written = to_wire(_item_in(form, account))
            del written["format"]
        # Every form that can be read is right. Version 0.1.0 may have ended holds and left their
        # bounds.
        written |= {name: wire[name] for name in ("format", HOLD_BOUNDS) if name in wire}
        has_periods = next_change(account) > account.as_of
    except (
        # holds, bounds or terms of other types
        *(ValueError, TypeError, LookupError, AttributeError, RecursionError),
        *(OverflowError, OSError, ZoneInfoNotFoundError),
    ) as exc:
        raise CorruptAccountError(account_id) from exc
    if not has_periods:
        raise CorruptAccountError(account_id)
    return account, written


def _with_bounds_apart(dumped: Item) -> Item:
    """Return an account's item with the bounds of its holds in an attribute of their own, by ID.

    Version 0.1.0, which may still run while this one is deployed, refuses holds with attributes
    that it does not know as edited by hand, and ignores other attributes of an account.
    """
    bounds = {
        hold["hold_id"]: bound
        for hold in dumped.get("holds", ())
        if (bound := {name: hold.pop(name) for name in BOUNDS if name in hold})
    }
    return {**dumped, HOLD_BOUNDS: bounds} if bounds else dumped


def _line(grant: Grant) -> str:
    """Return a grant as a line of text; its source comes last, since any text can be one.

    It is `remaining/amount`, or one number if nothing of it has been spent.
    """
    return " ".join(
        (
            grant.grant_id,
            f"{ENDED}{grant.kind}" if grant.ended else grant.kind,
            f"{grant.amount}"
            if grant.remaining == grant.amount
            else f"{grant.remaining}/{grant.amount}",
            f"{_milliseconds(grant.granted_at)}",
            f"{_milliseconds(grant.expires_at)}" if grant.expires_at else "-",
            grant.source,
        )
    )


def _with_lines_read(item: Item) -> Item:
    """Return an account's item with its grants read."""
    return {**item, "grants": [_grant_in(line) for line in item.get("grants", ())]}


def _grant_in(line: str) -> Grant:
    """Return the grant in a line.

    Raises:
        ValueError, AttributeError, OverflowError: it is none.
    """
    grant_id, kind, credits_, granted_at, expires_at, source = line.split(" ", 5)
    remaining, _, amount = credits_.rpartition("/")
    return Grant(
        grant_id=grant_id,
        kind=GrantKind(kind.removeprefix(ENDED)),
        amount=int(amount),
        remaining=int(remaining or amount),
        granted_at=_EPOCH + int(granted_at) * _MILLISECOND,
        expires_at=None if expires_at == "-" else _EPOCH + int(expires_at) * _MILLISECOND,
        source=source,
        ended=kind.startswith(ENDED),
    )


def _with_terms_packed(dumped: Item, account: Account) -> Item:
    """Return an account's item with each term as a list, which takes half the space of a map."""
    if "terms" not in dumped:
        return dumped
    places = {one.subscription_id: n for n, one in enumerate(account.subscriptions)}
    return {**dumped, "terms": [packed(term, places) for term in account.terms]}


def _with_terms_unpacked(item: Item) -> Item:
    """Return an account's item with its terms as maps."""
    if "terms" not in item:
        return item
    known = [one["subscription_id"] for one in item.get("subscriptions", ())]
    return {**item, "terms": [_unpacked(each, known) for each in item["terms"]]}


def packed(term: Term, places: Mapping[str, int] = MappingProxyType({})) -> list[Any]:
    """Return a term as a list; a subscription that has a place is named by it."""
    lots = [
        [month, lot.allowance]
        if (lot.booked, lot.spent, lot.owed) == (lot.allowance, 0, 0)
        else [month, lot.allowance, lot.booked, lot.spent, *([lot.owed] if lot.owed else [])]
        for month, lot in term.lots.items()
    ]
    return [
        term.payment_id,
        term.number,
        places.get(term.subscription_id, term.subscription_id),
        term.item_id,
        term.plan_id,
        term.quantity,
        term.start,
        term.end,
        term.prorated + 2 * term.credited + 4 * term.forgiven,
        lots,
        *([term.back or [], term.disputed or []] if term.back or term.disputed else []),
    ]


def _unpacked(each: list[Any], known: list[str]) -> Item:
    """Return a term as a map."""
    payment_id, number, whose, item_id, plan_id, quantity, start, end, kind, lots, *rest = each
    back, disputed = rest or ([], [])
    return {
        "payment_id": payment_id,
        "number": number,
        "subscription_id": known[whose] if isinstance(whose, int) else whose,
        "item_id": item_id,
        "plan_id": plan_id,
        "quantity": quantity,
        "start": start,
        "end": end,
        "prorated": bool(kind & 1),
        "credited": bool(kind & 2),
        "forgiven": bool(kind & 4),
        "back": back or None,
        "disputed": disputed or None,
        "lots": {
            month: {
                "allowance": allowance,
                "booked": more[0] if more else allowance,
                "spent": more[1] if more else 0,
                "owed": more[2] if more[2:] else 0,
            }
            for month, allowance, *more in lots
        },
    }


def term_of(wire: Wire) -> Term:
    """Return the term in an item.

    Raises:
        CorruptAccountError: it cannot be read.
    """
    item = read_item(wire)
    try:
        return _term().validate_python(_unpacked(item["term"], []))
    except (ValueError, TypeError, LookupError) as exc:
        raise CorruptAccountError(id_of(item["pk"])) from exc


def _with_bounds_joined(item: Item) -> Item:
    """Return an account's item with the bounds of its holds put back into them."""
    bounds = item.get(HOLD_BOUNDS) or {}
    if "holds" not in item or not bounds:
        return item
    return {**item, "holds": [hold | bounds.get(hold["hold_id"], {}) for hold in item["holds"]]}


def _is_sound(account: Account) -> bool:
    return (
        account.debt >= 0
        and account.allowance >= 0
        and len(account.hash) == len(GENESIS_HASH)
        and len({grant.grant_id for grant in account.grants}) == len(account.grants)
        and all(0 <= grant.remaining <= grant.amount for grant in account.grants)
    )


def entry_item(account_id: str, entry: Entry, correlation_id: str | None = None) -> Item:
    """Return an entry as it is stored. With `seq` it appears in the index `history`."""
    item = _entry().dump_python(entry, exclude_defaults=True, exclude={"entry_id"})
    if correlation_id is not None:
        item["correlation_id"] = correlation_id
    if entry.metadata is not None:
        # As text: DynamoDB has no floats, and the chain's hash needs exactly the same JSON.
        item["metadata"] = canonical_json(entry.metadata).decode()
    return {**entry_key(account_id, entry.entry_id), **item}


def entry_of(wire: Wire) -> Entry:
    """Return the entry in an item.

    Raises:
        CorruptAccountError: it cannot be read.
    """
    item = read_item(wire)
    try:
        if "metadata" in item:
            item["metadata"] = json.loads(item["metadata"])
            canonical_json(
                item["metadata"]
            )  # without canonical JSON there is no hash: not from Scrip
        return _entry().validate_python({**item, "entry_id": id_of(item["sk"])})
    except (ValueError, RecursionError) as exc:
        raise CorruptAccountError(id_of(item["pk"])) from exc


def unknown_in_entry(wire: Wire, entry: Entry | None) -> frozenset[str]:
    """Return the attributes of an entry's item that Scrip did not write, or with another type.

    The chain covers their values, but not their types.
    """
    unknown = wire.keys() - _ENTRY_ATTRIBUTES - BESIDE_ENTRY
    if entry is None:
        return frozenset(unknown)
    written = to_wire(entry_item(id_of(wire["pk"]["S"]), entry))
    names = (wire.keys() | written.keys()) - BESIDE_ENTRY
    retyped = {name for name in names if _kinds(wire.get(name)) != _kinds(written.get(name))}
    return frozenset(unknown | retyped)


def correlation_id_of(wire: Wire) -> str | None:
    """Return what wrote an entry: the ID of a request, a message or a function's invocation."""
    correlation_id: str | None = wire.get("correlation_id", {}).get("S")
    return correlation_id


def restored(wire: Wire, at: datetime) -> Wire:
    """Return an entry's item as it is restored from a backup."""
    return {**wire, **to_wire({"restored_at": at})}


def is_restored(wire: Wire) -> bool:
    """Tell whether an entry was restored from a backup. Its events were sent when it was new."""
    return "restored_at" in wire


def refunded_of(wire: Wire) -> int:
    """Return the refunded total in an item.

    Raises:
        CorruptAccountError: it cannot be read.
    """
    total = read_item(wire).get("refunded")
    if not isinstance(total, int):
        raise CorruptAccountError(id_of(wire["pk"]["S"]))
    return total


def retired_item(grant: Grant) -> Item:
    """Return a used-up grant that has left the account's item, as it is stored, without its key."""
    item: Item = _grant().dump_python(grant, exclude={"grant_id", "remaining"})
    return item


def retired_of(wire: Wire) -> Grant:
    """Return the retired grant in an item.

    Raises:
        CorruptAccountError: it cannot be read.
    """
    item = read_item(wire)
    try:
        return _grant().validate_python({**item, "grant_id": id_of(item["sk"]), "remaining": 0})
    except ValueError as exc:
        raise CorruptAccountError(id_of(item["pk"])) from exc


def hold_end_of(wire: Wire) -> str:
    """Return the ID of the entry by which a hold ended.

    Raises:
        CorruptAccountError: it cannot be read.
    """
    ended_by = read_item(wire).get("ended_by")
    if not isinstance(ended_by, str):
        raise CorruptAccountError(id_of(wire["pk"]["S"]))
    return ended_by


def audit_item(key: Key, record: AuditRecord) -> Item:
    """Return an audit record as it is stored. The key is one of an account or of the catalog."""
    return {**key, **_audit().dump_python(record, exclude_defaults=True)}


def audit_of(wire: Wire) -> AuditRecord:
    """Return the audit record in an item."""
    return _audit().validate_python(read_item(wire))


def payment_item(payment: Payment) -> Item:
    """Return a payment as it is stored. The directory has it by the beginning of its ID."""
    item = _payment().dump_python(payment, exclude={"payment_id"})
    provider_id = payment.payment_id.partition(":")[2]
    return {**payment_key(payment.payment_id), **name_directory_keys(provider_id), **item}


def payment_of(wire: Wire) -> Payment:
    """Return the payment in an item.

    Raises:
        CorruptAccountError: Scrip would not have written the item like this.
    """
    item = read_item(wire)
    payment_id = id_of(item["pk"])
    try:
        if "returned" in item:
            item |= _with_charges(item)
        payment = _payment().validate_python({**item, "payment_id": payment_id})
    except (AttributeError, LookupError, TypeError, ValueError) as exc:
        raise CorruptAccountError(str(item.get("account_id", payment_id))) from exc
    if min(payment.taken, payment.owed, payment.unspent, payment.credits, payment.left) < 0:
        raise CorruptAccountError(payment.account_id)
    return payment


def _with_charges(item: Item) -> Item:
    """Return what an item without charges knows of returned money, as it is kept now.

    Until 0.1.0 it had one running total, refunds as amounts, and lost disputes without an amount
    that took nothing if the price was known.
    """
    return {
        "charges": {UNNAMED: {"total": item["returned"]}},
        "refunds": {
            refund_id: {"money": money, "status": RefundStatus.PENDING}
            for refund_id, money in item["refunds"].items()
        },
        "disputes": {
            dispute_id: {**dispute, "outcome": DisputeOutcome.WON}
            if item["money"] and not dispute["money"] and dispute["outcome"] == DisputeOutcome.LOST
            else dispute
            for dispute_id, dispute in item["disputes"].items()
        },
    }


def usage_item(account_id: str, day: date, usage: DayUsage) -> Item:
    """Return the usage of a day as it is stored."""
    return {**usage_key(account_id, day), **_usage().dump_python(usage, exclude_defaults=True)}


def usage_of(wire: Wire) -> DayUsage:
    """Return the usage in an item.

    Raises:
        CorruptAccountError: it cannot be read.
    """
    item = read_item(wire)
    try:
        return _usage().validate_python(item)
    except ValueError as exc:
        raise CorruptAccountError(id_of(item["pk"])) from exc


def totals_item(key: Key, totals: Totals, version: int) -> Item:
    """Return a part of a day's totals as it is stored."""
    return {**key, **_totals().dump_python(totals, exclude_defaults=True), "version": version}


def totals_of(wire: Wire) -> tuple[int, Totals]:
    """Return the version of a part of a day's totals, and that part.

    Raises:
        CorruptAccountError: it cannot be read.
    """
    item = read_item(wire)
    try:
        return item["version"], _totals().validate_python(item)
    except (LookupError, ValueError) as exc:
        raise CorruptAccountError(item["pk"]) from exc


def reference_item(account_id: str, day: date, reference: str, usage: ReferenceUsage) -> Item:
    """Return what entries with a reference come to on a day as it is stored."""
    key = reference_key(account_id, day, reference)
    return {
        **key,
        **reference_directory_keys(account_id, day, reference),
        **_reference().dump_python(usage, exclude_defaults=True),
        **({"reference": reference} if not key["sk"].endswith(f"#{reference}") else {}),
        "purge_at": int(datetime.combine(day + REFERENCES_KEPT, time.min, UTC).timestamp()),
    }


def reference_of(wire: Wire) -> tuple[date, str, ReferenceUsage]:
    """Return the day and the reference of an item, and what the entries come to.

    Raises:
        CorruptAccountError: it cannot be read.
    """
    item = read_item(wire)
    day, _, short = item["sk"].partition("#")
    try:
        usage = _reference().validate_python(item)
        return date.fromisoformat(day), item.get("reference", short), usage
    except ValueError as exc:
        raise CorruptAccountError(id_of(item["pk"])) from exc


def plan_item(plan: Plan) -> Item:
    """Return a plan as it is stored."""
    return {**plan_key(plan.plan_id), **_plan().dump_python(plan, exclude={"plan_id"})}


def plan_of(item: Item) -> Plan:
    """Return the plan in an item."""
    return _plan().validate_python({**item, "plan_id": id_of(item["sk"])})


def feature_item(feature: Feature) -> Item:
    """Return a feature as it is stored."""
    unused = {"cost", "per"} if feature.meters else {"meters"}
    item = _feature().dump_python(feature, exclude={"feature_id", *unused})
    return {**feature_key(feature.feature_id), **item}


def feature_in(record: AuditRecord) -> Feature:
    """Return the feature that an edit left."""
    return _feature().validate_python(record.after)


def feature_before(record: AuditRecord) -> Feature | None:
    """Return the feature that an edit replaced; None if the edit created it."""
    return _feature().validate_python(record.before) if record.before else None


def plan_before(record: AuditRecord) -> Plan | None:
    """Return the plan that an edit replaced; None if the edit created it."""
    return _plan().validate_python(record.before) if record.before else None


def feature_of(item: Item) -> Feature:
    """Return the feature in an item."""
    return _feature().validate_python({**item, "feature_id": id_of(item["sk"])})


def watermark_item(watermark: datetime) -> Item:
    """Return the sweep's watermark as it is stored."""
    return {**watermark_key(), "watermark": watermark}


def watermark_of(wire: Wire) -> datetime | None:
    """Return the watermark in an item; None if it cannot be read."""
    try:
        return _EPOCH + timedelta(milliseconds=from_wire(wire)["watermark"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def progress_item(progress: Progress) -> Item:
    """Return the progress of the audit as it is stored."""
    return {**progress_key(), **_progress().dump_python(progress, exclude_defaults=True)}


def progress_of(wire: Wire) -> Progress:
    """Return the progress of the audit in an item; only the step if the rest is impossible."""
    item = from_wire(wire)
    with suppress(ValueError, OverflowError):
        progress = _progress().validate_python(item)
        if progress.is_sound:
            return progress
    step = item.get("step")
    if isinstance(step, int | Decimal) and 0 <= step <= COUNT_MAX:
        return Progress(step=ceil(step))
    return Progress()


def part_item(round_id: str, part: str, counts: Counts, at: datetime) -> Item:
    """Return what a part of a round of the audit has counted as it is stored, for some days."""
    return {
        **audit_part_key(round_id, part),
        **_counts().dump_python(counts),
        "purge_at": int((at + PARTS_KEPT).timestamp()),
    }


def counts_of(wire: Wire) -> Counts:
    """Return what a part of a round has counted; nothing if the item is impossible."""
    with suppress(ValueError):
        return _counts().validate_python(from_wire(wire))
    return Counts()


def checkpoint_item(account_id: str, checkpoint: Checkpoint) -> Item:
    """Return a checkpoint of an account as it is stored; its state is text, which hardly grows."""
    item = {**checkpoint_key(account_id), "seq": checkpoint.seq, "hash": checkpoint.hash}
    if checkpoint.state is not None:
        item["digest"] = checkpoint.digest
        item["state"] = _state().dump_json(checkpoint.state, exclude_defaults=True).decode()
    return item


def checkpoint_of(wire: Wire) -> Checkpoint:
    """Return the checkpoint in an item: without a hash if it cannot be read."""
    item = from_wire(wire)
    try:
        state = item.get("state")
        checkpoint = Checkpoint(
            seq=item["seq"],
            hash=item["hash"],
            digest=item.get("digest", b""),
            state=None if state is None else _state().validate_json(state),
        )
    except (KeyError, ValueError):
        return Checkpoint(seq=0, hash=b"")
    return checkpoint if checkpoint.is_sound else Checkpoint(seq=0, hash=b"")


def digest_of(wire: Wire) -> bytes:
    """Return the digest of an item, by which it is known again."""
    text = json.dumps(wire, sort_keys=True, separators=(",", ":"), default=bytes.hex)
    return hashlib.sha256(text.encode()).digest()


def _kinds(value: Any) -> Any:
    """Return the types in a value of DynamoDB's API, without its content."""
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
    set: lambda texts: {"SS": sorted(texts)},
    type(None): lambda _: {"NULL": True},
}
"""How to write a value of each type. The lookup is fast, since a consume writes many values."""


def _read(wire: Wire) -> Any:
    """Return a value from DynamoDB's API; types that Scrip does not use stay unchanged."""
    [[kind, value]] = wire.items()
    read = _READ.get(kind)
    return read(value) if read else value


def _number(text: str) -> int | Decimal:
    """Return a number. Even one that is not written as an integer can be one: 1E3."""
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
"""How to read a value of each kind; values of other kinds stay unchanged."""


def _milliseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MILLISECOND
