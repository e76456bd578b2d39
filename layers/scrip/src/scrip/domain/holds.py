"""Holds: credits set aside for a use that is to come, and what becomes of them.

A hold keeps the credits that it took out of grants, whether the grants live on or not. It ends when
somebody captures it for good or releases it, or when its time is over. What is left of it then pays
what is owed, and goes back to its grants; into one that has expired, only to expire at once.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from scrip.domain import grants as buckets
from scrip.domain.account import Account, Hold
from scrip.domain.catalog import Catalog
from scrip.domain.commands import CaptureHold, ExtendHold, HoldCommand, OpenHold, ReleaseHold
from scrip.domain.entries import Entry, EntryType
from scrip.domain.errors import (
    HoldExceededError,
    HoldNotFoundError,
    HoldWithoutFeatureError,
    InsufficientCreditsError,
    TooManyHoldsError,
)
from scrip.domain.grants import Allocation, Grant, GrantKind
from scrip.domain.posting import Draft, Posting
from scrip.domain.spending import check_affordable, check_not_frozen, price, spend

HOLDS_MAX = 32
"""How many holds of callers an account has open at most: they are a part of its item."""

HOLD_SECONDS = 300
HOLD_SECONDS_MAX = 24 * 60 * 60
"""How long a hold lives unless told otherwise, and how long at most from when that was told."""


def open_hold(draft: Draft, command: OpenHold, catalog: Catalog) -> Posting:
    """Set aside what a use will cost. What an overdraft would lend cannot be held.

    Raises:
        InsufficientCreditsError: there is not so much.
        TooManyHoldsError: the account has no room for another.
    """
    account = draft.account
    check_not_frozen(account)
    cost, feature_version = price(command, catalog)
    wanted = 0 if draft.plan.unlimited else cost
    if wanted > account.available:
        raise InsufficientCreditsError(
            required=cost,
            available=account.available,
            shortfall=cost - account.available,
            next_reset_at=account.period_end,
        )
    if sum(hold.expires_at is not None for hold in account.holds) >= HOLDS_MAX:
        raise TooManyHoldsError(HOLDS_MAX)
    grants, allocations = buckets.draw(account.grants, wanted)
    hold = Hold(
        hold_id=command.entry_id,
        allocations=allocations,
        expires_at=draft.now + timedelta(seconds=command.expires_in),
        feature=command.feature,
        uncharged=cost - wanted,
    )
    draft.change(grants=grants, holds=(*account.holds, hold))
    entry = draft.enter(
        command.entry_id,
        EntryType.HOLD,
        0,
        command=command,
        allocations=allocations,
        feature=command.feature,
        quantity=command.quantity,
        cost=cost,
        feature_version=feature_version,
        hold_id=hold.hold_id,
        expires_at=hold.expires_at,
    )
    return draft.posting(entry=entry)


def extend_hold(draft: Draft, command: ExtendHold) -> Posting:
    """Let a hold live longer; it never lives shorter for it."""
    hold = _open(draft.account, command)
    end = draft.now + timedelta(seconds=command.expires_in)
    extended = replace(hold, expires_at=max(end, hold.expires_at or end))
    _put(draft, extended)
    entry = draft.enter(
        command.entry_id,
        EntryType.HOLD,
        0,
        command=command,
        feature=hold.feature,
        hold_id=hold.hold_id,
        expires_at=extended.expires_at,
    )
    return draft.posting(entry=entry)


def capture_hold(draft: Draft, command: CaptureHold, catalog: Catalog) -> Posting:
    """Spend what was held, and what is above it if the call says so.

    An account whose plan is unlimited by now pays nothing, and what was held for it goes back.

    Raises:
        HoldExceededError: it is more than is left, and the call does not want it taken elsewhere.
        AccountFrozenError, InsufficientCreditsError: what is above the hold cannot be taken.
        HoldWithoutFeatureError: a quantity of it has no price.
    """
    hold, unlimited = _open(draft.account, command), draft.plan.unlimited
    cost, feature_version = _captured(command, hold, catalog)
    excess = max(0, cost - hold.left)
    # An entry is charged whole or not at all, so that its refunds know what to give back.
    is_mixed = hold.uncharged and not unlimited
    if not cost or (excess and (is_mixed or not command.excess)):
        raise HoldExceededError(hold.hold_id, cost, hold.left)
    if excess:
        check_not_frozen(draft.account)
        check_affordable(draft, excess)
    used, rest = _split(hold, cost - excess)
    charged, freed = ((), used) if unlimited else (used, ())
    kept = rest.allocations
    if command.final:
        freed, kept = buckets.joined(*freed, *rest.allocations), ()
    if freed:
        _put(draft, replace(rest, allocations=charged + kept))
        _give_back(draft, hold, freed, f"release:{command.entry_id}", command=command)
    _put(draft, rest)
    if command.final:
        _remove(draft, hold)
    entry = spend(
        draft,
        command.entry_id,
        command,
        cost=cost,
        taken=0 if unlimited else excess,
        held=charged,
        feature=hold.feature,
        quantity=command.quantity,
        feature_version=feature_version,
        hold_id=hold.hold_id,
    )
    return draft.posting(entry=entry, ended_hold=hold.hold_id if command.final else None)


def release_hold(draft: Draft, command: ReleaseHold) -> Posting:
    """End a hold and give back all that is left of it."""
    hold = _open(draft.account, command)
    _remove(draft, hold)
    entry = _give_back(draft, hold, hold.allocations, command.entry_id, command=command)
    return draft.posting(entry=entry, ended_hold=hold.hold_id)


def release_dead(draft: Draft, until: datetime) -> None:
    """End the holds whose time is over at an instant, in the order in which they ended."""
    dead = [hold for hold in draft.account.holds if hold.has_died(until)]
    for hold in sorted(dead, key=lambda hold: hold.expires_at or until):
        _remove(draft, hold)
        if hold.allocations:
            _give_back(
                draft,
                hold,
                hold.allocations,
                f"release:{hold.hold_id}",
                effective_at=hold.expires_at,
            )


def put_back(
    draft: Draft,
    freed: tuple[Allocation, ...],
    entry_id: str,
    **told: Any,
) -> tuple[Entry, frozenset[str]]:
    """Put credits that were held back into their grants, and enter it.

    Returns the entry, and the ids of the grants that had expired: they are there again until
    `expire_again` is called.
    """
    live = {grant.grant_id for grant in draft.account.grants}
    gone = Counter[str]()
    for allocation in freed:
        if allocation.grant_id not in live:
            gone[allocation.grant_id] += allocation.amount
    again = (
        Grant(
            grant_id=grant_id,
            kind=GrantKind.PURCHASE,
            amount=amount,
            remaining=0,
            granted_at=draft.now,
            expires_at=draft.now,
            source=entry_id,
        )
        for grant_id, amount in gone.items()
    )
    draft.change(grants=buckets.give_back((*draft.account.grants, *again), freed))
    entry = draft.enter(entry_id, EntryType.RELEASE, 0, allocations=freed, **told)
    return entry, frozenset(gone)


def expire_again(draft: Draft, released: Entry, gone: frozenset[str]) -> int:
    """Let go the grants that had expired, with what came back to them; return how much."""
    left = tuple(
        Allocation(grant.grant_id, grant.remaining)
        for grant in draft.account.grants
        if grant.grant_id in gone and grant.remaining
    )
    draft.change(grants=tuple(kept for kept in draft.account.grants if kept.grant_id not in gone))
    expired = sum(allocation.amount for allocation in left)
    if expired:
        # A caller may have named the release as a grant is, and its own expiry is named after that.
        name = released.entry_id if ":" in released.entry_id else f"release:{released.entry_id}"
        draft.enter(
            f"expiry:{name}",
            EntryType.EXPIRY,
            -expired,
            allocations=left,
            effective_at=released.effective_at,
        )
    return expired


def _open(account: Account, command: HoldCommand) -> Hold:
    hold = account.hold(command.hold_id)
    if hold is None:
        raise HoldNotFoundError(command.hold_id)
    return hold


def _captured(command: CaptureHold, hold: Hold, catalog: Catalog) -> tuple[int, int | None]:
    """Return what a capture costs, and the version of the feature that says so."""
    if command.quantity is not None:
        if hold.feature is None:
            raise HoldWithoutFeatureError(hold.hold_id)
        feature = catalog.held_feature(hold.feature)
        return feature.price(command.quantity), feature.version
    return hold.left if command.amount is None else command.amount, None


def _split(hold: Hold, amount: int) -> tuple[tuple[Allocation, ...], Hold]:
    """Take credits out of a hold in the order in which they came into it; it has as much.

    Returns what of them is out of grants, and what is left of the hold.
    """
    uncharged = min(hold.uncharged, amount)
    used, kept, wanted = [], [], amount - uncharged
    for allocation in hold.allocations:
        part = min(wanted, allocation.amount)
        wanted -= part
        used.append(Allocation(allocation.grant_id, part))
        kept.append(Allocation(allocation.grant_id, allocation.amount - part))
    rest = replace(hold, allocations=_some(kept), uncharged=hold.uncharged - uncharged)
    return _some(used), rest


def _some(allocations: Iterable[Allocation]) -> tuple[Allocation, ...]:
    return tuple(allocation for allocation in allocations if allocation.amount)


def _give_back(
    draft: Draft,
    hold: Hold,
    freed: tuple[Allocation, ...],
    entry_id: str,
    **told: Any,
) -> Entry:
    entry, gone = put_back(draft, freed, entry_id, hold_id=hold.hold_id, **told)
    draft.settle_debt(entry)
    expire_again(draft, entry, gone)
    return entry


def _put(draft: Draft, changed: Hold) -> None:
    """Replace an open hold by what it is now."""
    draft.change(
        holds=tuple(
            changed if hold.hold_id == changed.hold_id else hold for hold in draft.account.holds
        ),
    )


def _remove(draft: Draft, ended: Hold) -> None:
    draft.change(
        holds=tuple(hold for hold in draft.account.holds if hold.hold_id != ended.hold_id),
    )
