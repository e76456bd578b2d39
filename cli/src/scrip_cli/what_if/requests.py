"""From entries back to the command that wrote them.

An entry has the hash of its request, which shows what it does not say: whether a capture was final,
or a balance set rather than added to. Of the commands that could have written an entry, the one
with that hash is the real one. Without a match, as where a hold asked for longer than it could
live, the first that reproduces the entry will do.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import product
from typing import Any

from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    CaptureHold,
    CloseAccount,
    Command,
    Consume,
    ConsumeBatch,
    HoldLine,
    OpenHold,
    PayTerms,
    Purchase,
    Refund,
    ReleaseHold,
    ResetUsage,
    SetFrozen,
    SetQuota,
    Use,
)
from scrip.domain.entries import ActorType, Entry, EntryType
from scrip.domain.grants import GrantKind
from scrip.domain.posting import AuditRecord
from scrip.domain.terms import Line
from scrip_cli.what_if.records import Records

DERIVED = "release:"
"""How the entries of releases begin that are not a command's own. No caller's key has a colon."""

GIVEN = {
    EntryType.ADMIN_GRANT: GrantKind.ADMIN,
    EntryType.PROMO: GrantKind.PROMO,
    EntryType.REFERRAL: GrantKind.REFERRAL,
}
"""The types of an admin's grants, and the kind that the request named."""


UNKNOWN_LIFE = timedelta(days=365)
"""How long credits may have lived that were used up before they would have expired."""


def own_entries(entries: Sequence[Entry]) -> list[Entry]:
    """Return those of a ledger's next entries that the next command named; none for the clock's.

    In between may be entries of the clock, and of holds that end with it.
    """
    now, own = entries[0].recorded_at, list[Entry]()
    for entry in entries:
        if own and entry.entry_id == f"{own[0].entry_id}~{len(own) + 1}":
            own.append(entry)
        elif own or entry.recorded_at != now:
            break
        elif entry.request_hash is not None and not entry.entry_id.startswith(DERIVED):
            own.append(entry)
    return own


def commands_of(account_id: str, own: Sequence[Entry], records: Records) -> list[Command]:
    """Return the commands that may have written such entries, the likeliest first.

    None for what providers' messages do beside payments: that is known by its effect only.
    """
    first = own[0]
    found = list(_possible(account_id, own, records))
    known = [command for command in found if command.request_hash == first.request_hash]
    return known[:1] or found


def quota_changes(account_id: str, record: AuditRecord, entry: Entry | None) -> list[SetQuota]:
    """Return the commands that may have led to an audit record of a change of the quota."""
    after: dict[str, Any] = dict(record.after)
    moved = (after.get("next") or {}).get("plan_id") or after.get("given_plan_id")
    plan_ids = dict.fromkeys([None, after["plan_id"], moved, *after.get("overrides", {})])
    own = [after, *after.get("overrides", {}).values()]
    credits_ = dict.fromkeys([None, *(one["monthly_credits"] for one in own)])
    limits = [None, *(one["limits"] for one in own)]
    found = [
        SetQuota(
            account_id=account_id,
            entry_id=record.entry_id or "",  # then nothing is named after it
            actor=record.actor,
            reason=record.reason,
            reference=entry.reference if entry else None,
            metadata=entry.metadata if entry else None,
            plan_id=plan_id,
            monthly_credits=monthly_credits,
            limits=limit,
        )
        for plan_id, monthly_credits, limit in product(plan_ids, credits_, limits)
    ]
    asked = entry.request_hash if entry else None
    return [one for one in found if one.request_hash == asked] or found


def _possible(account_id: str, own: Sequence[Entry], records: Records) -> Iterator[Command]:  # noqa: C901, PLR0912 - a case for each type of entry
    entry = own[0]
    who: dict[str, Any] = {
        "account_id": account_id,
        "entry_id": entry.entry_id,
        "actor": entry.actor,
    }
    said: dict[str, Any] = {
        "reason": entry.reason,
        "reference": entry.reference,
        "metadata": entry.metadata,
    }
    match entry.type, entry.actor.type:
        case EntryType.USAGE, _ if entry.hold_id is not None:
            yield from _captures(own, who | said)
        case EntryType.USAGE, _:
            if len(own) == 1:
                yield Consume(**_measure(entry), **who, **said)
            yield ConsumeBatch(
                uses=tuple(
                    Use(
                        **_measure(one),
                        reason=one.reason,
                        reference=one.reference,
                        metadata=one.metadata,
                    )
                    for one in own
                ),
                **who,
            )
        case EntryType.HOLD, _ if entry.hold_id == entry.entry_id and entry.expires_at:
            seconds = -((entry.recorded_at - entry.expires_at) // timedelta(seconds=1))
            if len(own) == 1:
                yield OpenHold(expires_in=seconds, **_measure(entry), **who, **said)
            lines = tuple(HoldLine(**_measure(one)) for one in own)
            yield OpenHold(expires_in=seconds, lines=lines, **who, **said)
        case EntryType.RELEASE, _ if entry.hold_id is not None:
            yield ReleaseHold(hold_id=entry.hold_id, **who, **said)
        case EntryType.REFUND, _:
            for amount in (None, entry.cost):
                yield Refund(refunds=entry.refunds or "", amount=amount, **who, **said)
        case EntryType.FREEZE | EntryType.UNFREEZE, _:
            yield SetFrozen(frozen=entry.type is EntryType.FREEZE, **who, **said)
        case EntryType.RESET, _:
            yield ResetUsage(**who, **said)
        case EntryType.PURCHASE, ActorType.WEBHOOK if entry.entry_id == entry.source:
            yield Purchase(credits=entry.amount, **_money(entry, records), **who, **said)
        case EntryType.PLAN, ActorType.WEBHOOK if entry.entry_id == entry.source:
            yield from _payments_of_terms(entry, records, who | said)
        case EntryType.PLAN, ActorType.ADMIN:
            for record in records.quotas:
                if record.entry_id == entry.entry_id:
                    yield from quota_changes(account_id, record, entry)
        case ((EntryType.ADMIN_GRANT | EntryType.PROMO | EntryType.REFERRAL), ActorType.ADMIN):
            kind = GIVEN[entry.type]
            grant_id = entry.allocations[0].grant_id
            ends = [records.expiry(grant_id)]
            if ends == [None] and grant_id not in records.retired:
                # If it had never expired, the request would be known by its hash.
                ends = [entry.recorded_at + UNKNOWN_LIFE, None]
            actions = (AdjustAction.ADD, entry.amount), (AdjustAction.SET, entry.balance_after)
            for (action, amount), end in product(actions, ends):
                added: dict[str, Any] = {"kind": kind, "expires_at": end}
                yield Adjust(action=action, amount=amount, **added, **who, **said)
        case EntryType.ADMIN_DEDUCT, ActorType.ADMIN:
            taken = AdjustAction.DEDUCT, -entry.amount
            for action, amount in (taken, (AdjustAction.SET, entry.balance_after)):
                yield Adjust(action=action, amount=amount, **who, **said)
            yield CloseAccount(**who, **said)


def _measure(entry: Entry) -> dict[str, Any]:
    """Return how much was used, as a request says it."""
    if entry.feature is None or (entry.quantity is None and entry.usage is None):
        return {"amount": entry.cost}
    return {"feature": entry.feature, "quantity": entry.quantity, "usage": entry.usage}


def _captures(own: Sequence[Entry], asked: dict[str, Any]) -> Iterator[CaptureHold]:
    """Yield the captures that may have written entries; they never said the hold's feature."""
    measures = [_measure(entry) for entry in own]
    bare = [{**one, "feature": None} for one in measures]
    lines = [tuple(HoldLine(**one) for one in some) for some in (measures, bare)]
    uses: list[dict[str, Any]] = [{"lines": some} for some in lines]
    if len(own) == 1:
        del bare[0]["feature"]
        uses = [bare[0], *([{}] if "amount" in bare[0] else []), *uses]
    for use, final, excess in product(uses, (True, False), (False, True)):
        yield CaptureHold(hold_id=own[0].hold_id or "", final=final, excess=excess, **use, **asked)


def _money(entry: Entry, records: Records) -> dict[str, Any]:
    payment = records.find_payment(entry.source or "")
    if payment is None:
        return {"money": 0}
    return {
        "money": payment.money,
        "currency": payment.currency,
        "presented_money": payment.presented_money,
        "presented_currency": payment.presented_currency,
        "rank": payment.rank,
    }


def _payments_of_terms(entry: Entry, records: Records, asked: dict[str, Any]) -> Iterator[PayTerms]:
    """Yield the payment of the terms that are still known."""
    terms = records.terms_of(entry.entry_id)
    if terms:
        lines = tuple(
            Line(
                item_id=term.item_id,
                plan_id=term.plan_id,
                quantity=term.quantity,
                start=term.start,
                end=term.end,
                prorated=term.prorated,
                credited=term.credited,
            )
            for term in terms
        )
        subscription_id = terms[0].subscription_id
        money = _money(entry, records)
        yield PayTerms(subscription_id=subscription_id, lines=lines, **money, **asked)
