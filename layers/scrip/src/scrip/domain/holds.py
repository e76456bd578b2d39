"""Holds: credits set aside for a later use, and what happens to them.

A hold keeps the credits that it took out of grants, even if the grants expire. It ends when it is
captured with `final` or released, or when it expires. What is left then pays debt and returns to
its grants; in a grant that has expired, it expires at once.

A hold that a user's token opened belongs to the user; every other hold belongs to the app, and a
user cannot end it. However often a hold is extended, it ends at `ends_by`: after a day or a week,
and at most a day after its credits would have expired.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import ceil
from typing import Unpack

from scrip.domain import grants as buckets
from scrip.domain.account import Account, Hold, HoldCalls
from scrip.domain.catalog import Catalog
from scrip.domain.commands import (
    CaptureHold,
    Command,
    ExtendHold,
    HoldCommand,
    HoldLine,
    OpenHold,
    ReleaseHold,
    is_users,
)
from scrip.domain.entries import ActorType, Entry, EntryType
from scrip.domain.errors import (
    HoldExceededError,
    HoldNotFoundError,
    HoldNotYoursError,
    HoldRateLimitedError,
    HoldWithoutFeatureError,
    InsufficientCreditsError,
    TooManyHoldsError,
)
from scrip.domain.grants import Allocation, Grant, GrantKind
from scrip.domain.posting import Charge, Draft, EntryDetails, Posting
from scrip.domain.spending import (
    by_feature,
    check_affordable,
    check_not_frozen,
    price,
    spend,
)

HOLDS_MAX = 32
"""The most open holds of callers per account: they are a part of its item."""

HOLD_SECONDS = 300
HOLD_SECONDS_MAX = 24 * 60 * 60
"""How long a hold lives by default, and at most from the call that opens or extends it."""

USER_HOLD_LIFE = timedelta(hours=24)
SERVICE_HOLD_LIFE = timedelta(days=7)
"""How long a hold lives at most from its opening, however often it is extended."""

HELD_PAST_EXPIRY = timedelta(hours=24)
"""How long credits can stay held after they would have expired."""

HOLD_CALLS_MAX = 600
"""How often an account's user can open, extend and release holds within an hour (UTC).

Each line of a hold counts, because it has an entry of its own.
"""


def open_hold(draft: Draft, command: OpenHold, catalog: Catalog) -> Posting:
    """Set aside what a use will cost. An overdraft cannot be held.

    Raises:
        InsufficientCreditsError: the available credits do not cover it.
        TooManyHoldsError: the account has no room for another hold.
    """
    account = draft.account
    check_not_frozen(account)
    _count_calls(draft, command, len(command.uses))
    charges = [price(line, catalog) for line in command.uses]
    cost = sum(charge["cost"] for charge in charges)
    wanted = 0 if draft.plan.unlimited else cost
    if wanted > account.available:
        raise InsufficientCreditsError(
            required=cost,
            available=account.available,
            shortfall=cost - account.available,
            next_reset_at=draft.entitlement.end,
        )
    if sum(hold.expires_at is not None for hold in account.holds) >= HOLDS_MAX:
        raise TooManyHoldsError(HOLDS_MAX)
    _, drawn = buckets.draw(account.grants, wanted)
    ends_by = _latest_end(draft, command.entry_id, drawn)
    feature, features = for_features([charge.get("feature") for charge in charges])
    hold = Hold(
        hold_id=command.entry_id,
        allocations=(),
        expires_at=min(ends_by, draft.now + timedelta(seconds=command.expires_in)),
        ends_by=ends_by,
        feature=feature,
        features=features,
    )
    entries = []
    for entry_id, charge in zip(command.entry_ids, charges, strict=True):
        wanted = 0 if draft.plan.unlimited else charge["cost"]
        grants, drawn = buckets.draw(draft.account.grants, wanted)
        hold = replace(
            hold,
            allocations=buckets.joined(*hold.allocations, *drawn),
            uncharged=hold.uncharged + charge["cost"] - wanted,
        )
        draft.account = replace(draft.account, grants=grants, holds=(*account.holds, hold))
        entries.append(
            draft.enter(
                entry_id,
                EntryType.HOLD,
                0,
                command=command,
                allocations=drawn,
                **charge,
                hold_id=hold.hold_id,
                expires_at=hold.expires_at,
            )
        )
    return draft.posting(entry=entries[0])


def for_features(of_lines: Sequence[str | None]) -> tuple[str | None, tuple[str, ...]]:
    """Return the `feature` and the `features` of a hold with such lines."""
    if len(of_lines) == 1:
        return of_lines[0], ()
    return None, tuple(sorted({feature for feature in of_lines if feature}))


def extend_hold(draft: Draft, command: ExtendHold) -> Posting:
    """Extend a hold, but not beyond its limit; it never shortens the hold."""
    hold = _open(draft.account, command)
    assert hold.expires_at is not None, hold
    ends_by = hold.ends_by or _latest_end_of_old(draft, hold, hold.expires_at)
    expires_at = min(ends_by, draft.now + timedelta(seconds=command.expires_in))
    if expires_at > hold.expires_at:
        _count_calls(draft, command, 1)
        _put(draft, replace(hold, expires_at=expires_at, ends_by=ends_by))
    return draft.posting()


def capture_hold(draft: Draft, command: CaptureHold, catalog: Catalog) -> Posting:
    """Spend held credits, and what exceeds them if the call allows that.

    An account whose plan is unlimited by now pays nothing, and its held credits are released.

    Raises:
        HoldExceededError: it is more than is left, and the call allows no excess.
        AccountFrozenError, InsufficientCreditsError: the excess cannot be taken.
        HoldWithoutFeatureError: it is not for the feature of a quantity or usage.
    """
    hold, unlimited = _open(draft.account, command), draft.plan.unlimited
    charges = [_captured(line, hold, catalog) for line in command.uses]
    cost = sum(charge["cost"] for charge in charges)
    excess = max(0, cost - hold.left)
    if not cost or (excess and not command.excess):
        raise HoldExceededError(hold.hold_id, cost, hold.left)
    if excess:
        check_not_frozen(draft.account)
        check_affordable(draft, excess)
    used, rest = _split(hold, cost - excess)
    to_charge = replace(hold, allocations=used)
    freed, kept = used if unlimited else (), rest.allocations
    if command.final:
        freed, kept = buckets.joined(*freed, *kept), ()
    if freed:
        _put(draft, replace(rest, allocations=(() if unlimited else used) + kept))
        give_back(
            draft,
            freed,
            f"release:{command.entry_id}",
            ends=hold if command.final else None,
            hold_id=hold.hold_id,
            command=command,
        )
    entries = []
    for entry_id, charge in zip(command.entry_ids, charges, strict=True):
        within = min(charge["cost"], to_charge.left)
        held, to_charge = _split(to_charge, within)
        later = () if unlimited else to_charge.allocations
        _put(draft, replace(rest, allocations=later + kept))
        entries.append(
            spend(
                draft,
                entry_id,
                command,
                **charge,
                taken=0 if unlimited else charge["cost"] - within,
                held=() if unlimited else held,
                hold_id=hold.hold_id,
            )
        )
    if command.final:
        _remove(draft, hold)
    return draft.posting(entry=entries[0], ended_hold=hold.hold_id if command.final else None)


def release_hold(draft: Draft, command: ReleaseHold) -> Posting:
    """End a hold and release all that is left of it."""
    hold = _open(draft.account, command)
    _count_calls(draft, command, 1)
    _remove(draft, hold)
    entry = give_back(
        draft,
        hold.allocations,
        command.entry_id,
        ends=hold,
        hold_id=hold.hold_id,
        command=command,
    )
    return draft.posting(entry=entry, ended_hold=hold.hold_id)


def release_dead(draft: Draft, until: datetime) -> None:
    """End the holds that have expired by an instant, in the order in which they expired."""
    dead = [hold for hold in draft.account.holds if hold.has_died(until)]
    for hold in sorted(dead, key=lambda hold: hold.expires_at or until):
        if draft.is_full:
            break
        _end(draft, hold, effective_at=hold.expires_at)


def release_own(draft: Draft, command: Command, grant_id: str | None = None) -> bool:
    """End the newest hold that the account's user opened, because a command needs its credits.

    With a `grant_id`, the newest that holds credits of that grant. Returns False if there is none.
    """
    own = [
        hold
        for hold in draft.account.holds
        if is_users(hold.hold_id)
        and (hold.allocations if grant_id is None else hold.has_of(grant_id))
    ]
    if own:
        _end(draft, own[-1], command=command)
    return bool(own)


def end_free(draft: Draft) -> None:
    """End the free holds of an unlimited plan when the account has left that plan."""
    if not draft.plan.unlimited:
        free = [hold for hold in draft.account.holds if hold.uncharged]
        assert not any(hold.allocations for hold in free), free
        draft.account = replace(
            draft.account, holds=tuple(hold for hold in draft.account.holds if hold not in free)
        )


def outlive(draft: Draft, grant_id: str, expired_at: datetime) -> None:
    """Limit the holds that have credits of an expired grant.

    It may have expired earlier than expected when they were opened. A dispute's hold has no limit.
    """
    latest = expired_at + HELD_PAST_EXPIRY
    for hold in draft.account.holds:
        if hold.expires_at is not None and hold.has_of(grant_id):
            expires_at = min(hold.expires_at, latest)
            ends_by = min(hold.ends_by or latest, latest)
            _put(draft, replace(hold, expires_at=expires_at, ends_by=ends_by))


def roll_over_held(draft: Draft, grant_id: str, room: int, until: datetime) -> None:
    """Record how many held credits would have rolled over if they had not been held.

    Their grant has just ended with its month; `room` more credits can roll over, `until` then.
    """
    for hold in draft.account.holds:
        of_ended = sum(part.amount for part in hold.allocations if part.grant_id == grant_id)
        rolls = min(room, of_ended)
        if rolls > 0:
            room -= rolls
            _put(draft, replace(hold, rolls_over=hold.rolls_over + rolls, rolls_until=until))


def free_disputed(draft: Draft, grant_ids: Container[str], wanted: int) -> None:
    """Free credits that disputes hold of some grants, because they are taken back anyway."""
    for hold in draft.account.holds:
        mine = sum(part.amount for part in hold.allocations if part.grant_id in grant_ids)
        amount = min(wanted, mine)
        if hold.expires_at is None and amount > 0:
            wanted -= amount
            name = draft.unique_name(f"{hold.hold_id}:taken")
            set_free(draft, hold, amount, name, grant_ids=grant_ids)


def set_free(
    draft: Draft,
    hold: Hold,
    amount: int,
    entry_id: str,
    *,
    grant_ids: Container[str] | None = None,
    is_won: bool = False,
    command: Command | None = None,
) -> int:
    """Return credits that a dispute holds to their grants; with `grant_ids`, of these only.

    They are the user's again only if the dispute `is_won`: else they are about to be taken back.
    Returns how many had expired with their grants meanwhile.
    """
    freed, kept = [], []
    for part in hold.allocations:
        is_meant = grant_ids is None or part.grant_id in grant_ids
        free = min(amount, part.amount) if is_meant else 0
        amount -= free
        freed.append(replace(part, amount=free))
        kept.append(replace(part, amount=part.amount - free))
    if rest := _some(kept):
        left = sum(part.amount for part in rest)
        _put(draft, replace(hold, allocations=rest, rolls_over=min(hold.rolls_over, left)))
    else:
        _remove(draft, hold)
    entry = give_back(
        draft,
        _some(freed),
        entry_id,
        pays_debt=is_won,
        ends=hold if is_won else None,
        command=command,
        source=hold.hold_id,
    )
    return entry.expired or 0


def life_max(hold_id: str) -> timedelta:
    """Return how long a hold lives at most from its opening."""
    return USER_HOLD_LIFE if is_users(hold_id) else SERVICE_HOLD_LIFE


def give_back(
    draft: Draft,
    freed: tuple[Allocation, ...],
    entry_id: str,
    *,
    pays_debt: bool = True,
    ends: Hold | None = None,
    command: Command | None = None,
    effective_at: datetime | None = None,
    **details: Unpack[EntryDetails],
) -> Entry:
    """Return held credits to their grants, with an entry.

    They pay debt first if `pays_debt`. What is left in a grant that has expired expires at once,
    and the entry's `expired` says how much; but if this `ends` the hold, credits that would have
    rolled over with their period do so now.
    """
    at = effective_at or draft.now
    known = {grant.grant_id: grant for grant in draft.account.grants}
    gone, debt = Counter[str](), draft.account.debt if pays_debt else 0
    expired = of_months = 0
    for allocation in freed:
        paid = min(debt, allocation.amount)
        debt -= paid
        home = known.get(allocation.grant_id)
        if home is None or home.ended:
            gone[allocation.grant_id] += allocation.amount
            expired += allocation.amount - paid
            if home is None or home.kind is GrantKind.PLAN:
                of_months += allocation.amount - paid
    again = tuple(
        # An earlier version removed a grant that had expired, whatever was held of it.
        Grant(
            grant_id=grant_id,
            kind=GrantKind.PLAN,
            amount=amount,
            remaining=0,
            granted_at=at,
            expires_at=at,
            source=entry_id,
            ended=True,
        )
        for grant_id, amount in gone.items()
        if grant_id not in known
    )
    draft.account = replace(
        draft.account, grants=buckets.give_back((*draft.account.grants, *again), freed)
    )
    until = ends.rolls_until if ends else None
    rolled = min(of_months, ends.rolls_over) if ends and until and until > at else 0
    details["allocations"] = freed
    details["expired"] = expired - rolled or None
    entry = draft.enter(
        entry_id, EntryType.RELEASE, 0, command=command, effective_at=effective_at, **details
    )
    if pays_debt:
        draft.settle_debt(entry)
    lots = _expire_again(draft, entry, gone)
    is_again = {grant.grant_id for grant in again}
    draft.account = replace(
        draft.account,
        grants=tuple(grant for grant in draft.account.grants if grant.grant_id not in is_again),
    )
    if rolled and until:
        _roll_over(draft, entry, lots, rolled, until)
    return entry


def _roll_over(
    draft: Draft,
    released: Entry,
    lots: Mapping[str, int],
    amount: int,
    until: datetime,
) -> None:
    """Roll over credits late that were held when their month ended."""
    name = f"rollover:{_release_name(released)}"
    for lot_id, ended in lots.items():
        part = min(ended, amount)
        amount -= part
        if part:
            draft.roll_over(lot_id, part, name, granted_at=released.effective_at, expires_at=until)
            name = draft.unique_name(name)


def _expire_again(draft: Draft, released: Entry, gone: Container[str]) -> dict[str, int]:
    """Remove what returned to grants that have ended.

    Returns how much was of which month: of the rest nothing rolls over, and of what did so never
    again.
    """
    ended = [grant for grant in draft.account.grants if grant.grant_id in gone]
    left = tuple(Allocation(grant.grant_id, grant.remaining) for grant in ended if grant.remaining)
    for grant in ended:
        draft.end_grant(replace(grant, amount=grant.amount - grant.remaining, remaining=0))
        if grant.source == draft.account.allowance_source:
            # A term has set it aside. If none is in force any more, the allowance has room again.
            draft.account = replace(draft.account, is_behind=True)
    if left:
        draft.enter(
            f"expiry:{_release_name(released)}",
            EntryType.EXPIRY,
            -sum(allocation.amount for allocation in left),
            allocations=left,
            effective_at=released.effective_at,
        )
    months = Counter[str]()
    for grant in ended:
        if grant.kind is GrantKind.PLAN:
            months[grant.lot_id] += grant.remaining
    return months


def _latest_end(draft: Draft, hold_id: str, allocations: Iterable[Allocation]) -> datetime:
    """Return until when a hold opened now can be extended, as far as that is known."""
    latest = draft.now + life_max(hold_id)
    drawn = {allocation.grant_id for allocation in allocations}
    for grant in draft.account.grants:
        if grant.grant_id in drawn and grant.expires_at_or_never < latest:
            latest = min(latest, grant.expires_at_or_never + HELD_PAST_EXPIRY)
    return latest


def _latest_end_of_old(draft: Draft, hold: Hold, expires_at: datetime) -> datetime:
    """Return until when a hold can be extended if an earlier version opened it and stored no limit.

    That version extended a hold by up to a day each time, whatever happened to its grants.
    """
    live = {grant.grant_id for grant in draft.account.grants if not grant.ended}
    if any(allocation.grant_id not in live for allocation in hold.allocations):
        return expires_at
    return expires_at + SERVICE_HOLD_LIFE - USER_HOLD_LIFE


def _release_name(released: Entry) -> str:
    """Return the name from which entries that follow a release derive theirs.

    An app may have given the release the name of a grant or a period, from which other entries
    derive theirs. No app's key has a colon.
    """
    return released.entry_id if ":" in released.entry_id else f"release:{released.entry_id}"


def _open(account: Account, command: HoldCommand) -> Hold:
    """Return the open hold that a command names; no caller can end a dispute's hold."""
    if command.actor.type is ActorType.USER and not is_users(command.hold_id):
        raise HoldNotYoursError(command.hold_id)
    hold = account.hold(command.hold_id)
    if hold is None or hold.expires_at is None:
        raise HoldNotFoundError(command.hold_id)
    return hold


def _count_calls(draft: Draft, command: Command, calls: int) -> None:
    """Count what a user's command writes and pays nothing for.

    Raises:
        HoldRateLimitedError: it exceeds this hour's limit.
    """
    if command.actor.type is not ActorType.USER:
        return
    hour = draft.now.replace(minute=0, second=0, microsecond=0)
    counted = draft.account.hold_calls
    # A process with a slow clock counts within the hour that another process has begun.
    if counted is None or counted.hour < hour:
        counted = HoldCalls(hour=hour, calls=0)
    if counted.calls + calls > HOLD_CALLS_MAX:
        left = counted.hour + timedelta(hours=1) - draft.now
        raise HoldRateLimitedError(
            calls_max=HOLD_CALLS_MAX,
            retry_after=ceil(left.total_seconds()),
        )
    counted = replace(counted, calls=counted.calls + calls)
    draft.account = replace(draft.account, hold_calls=counted)


def _captured(line: HoldLine, hold: Hold, catalog: Catalog) -> Charge:
    """Return what is charged for one use of a hold; without any measure, all that is left."""
    if line.quantity is None and line.usage is None:
        amount = hold.left if line.amount is None else line.amount
        return {"cost": amount, "feature": hold.feature}
    feature = line.feature or hold.feature
    if feature is None or feature not in hold.all_features:
        raise HoldWithoutFeatureError(hold.hold_id)
    return by_feature(catalog.held_feature(feature), line.quantity, line.usage)


def _split(hold: Hold, amount: int) -> tuple[tuple[Allocation, ...], Hold]:
    """Take credits out of a hold, which must have them, in the order in which they were held.

    Returns those that came from grants, and what is left of the hold.
    """
    uncharged = min(hold.uncharged, amount)
    used, kept, wanted = [], [], amount - uncharged
    for allocation in hold.allocations:
        part = min(wanted, allocation.amount)
        wanted -= part
        used.append(Allocation(allocation.grant_id, part))
        kept.append(Allocation(allocation.grant_id, allocation.amount - part))
    rest = replace(hold, allocations=_some(kept), uncharged=hold.uncharged - uncharged)
    return _some(used), replace(rest, rolls_over=min(hold.rolls_over, rest.amount))


def _some(allocations: Iterable[Allocation]) -> tuple[Allocation, ...]:
    return tuple(allocation for allocation in allocations if allocation.amount)


def _end(
    draft: Draft,
    hold: Hold,
    *,
    command: Command | None = None,
    effective_at: datetime | None = None,
) -> None:
    """End a hold other than by a command about it; one without credits leaves no trace."""
    _remove(draft, hold)
    if hold.allocations:
        give_back(
            draft,
            hold.allocations,
            f"release:{hold.hold_id}",
            ends=hold,
            command=command,
            effective_at=effective_at,
            hold_id=hold.hold_id,
        )


def _put(draft: Draft, changed: Hold) -> None:
    """Replace an open hold by its changed version."""
    draft.account = replace(
        draft.account,
        holds=tuple(
            changed if hold.hold_id == changed.hold_id else hold for hold in draft.account.holds
        ),
    )


def _remove(draft: Draft, ended: Hold) -> None:
    draft.account = replace(
        draft.account,
        holds=tuple(hold for hold in draft.account.holds if hold.hold_id != ended.hold_id),
    )
