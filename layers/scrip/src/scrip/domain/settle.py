"""Rolling an account forward in time: grants expire, periods open, unspent allowance rolls over.

Every decision and every read begins here, so an expired grant or last month's allowance is never
spendable, regardless of any schedule.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from scrip.domain.account import Account, AccountStatus, Quota
from scrip.domain.catalog import Catalog, Plan
from scrip.domain.entries import EntryType, iso
from scrip.domain.grants import Allocation, Grant, GrantKind, give_back
from scrip.domain.holds import end_free, outlive, release_dead, roll_over_held
from scrip.domain.posting import Draft


def settled(account: Account, catalog: Catalog, now: datetime) -> Account:
    """Return an account rolled forward to an instant, in memory: what a reader sees."""
    return settle(account, catalog, now).account


def settle(
    account: Account,
    catalog: Catalog,
    now: datetime,
    entries_max: int | None = None,
) -> Draft:
    """Roll an account forward to an instant and return the draft that says how.

    Missed periods are simulated in memory and take one plan entry together. Of what happened in
    them only lasting effects are booked: rollover grants that are still live, and debt that the
    missed allowances paid.

    With `entries_max` it stops when the draft is full, for holds and grants that are due at one
    instant and roll nothing over: they end one after the other.
    """
    # The process that opened the period may have had a fast clock; time never goes back.
    now = max(now, account.begins(account.period))
    draft = Draft(account, account, catalog.plan(account.plan_id), now, entries_max)
    if account.status is AccountStatus.CLOSED:
        return draft
    # Holds that ended before the period released credits that may roll over with it.
    release_dead(draft, min(now, account.period_end))
    due = [grant for grant in draft.account.grants if _expires_alone(grant, now)]
    if draft.is_full or not draft.has_room_for(len(due)):
        expire(draft, only=due)
        return draft
    lived, opened, debt_paid = draft.account, 0, 0
    while lived.period_end <= now and not lived.awaits_payment:
        debt_paid = draft.account.debt - lived.debt
        lived, opened = _next_period(_holds_ended(lived), catalog), opened + 1
    ending = draft.plan
    plans = plan_grants(draft.account)
    expire(draft, plans_end=account.period_end if opened else None)
    if opened:
        draft.account = replace(
            draft.account,
            anchor=lived.anchor,
            period=lived.period,
            paid_until=lived.paid_until,
            paid_by=lived.paid_by,
            next_quota=None,
            used=0,
        )
        set_quota(draft, lived.quota, catalog)
        if debt_paid:
            grant_allowance(draft, lived.period - 1, debt_paid)
        roll_over(draft, (grant for grant in lived.grants if grant.expires_at_or_never > now))
        if opened == 1:  # no hold outlives its grants by more than a period
            keep_held_rollover(draft, ending, plans)
        allowance = lived.quota.allowance(draft.plan)
        grant_allowance(draft, lived.period, allowance, missed=opened - 1)
        expire(draft)  # what the missed allowances granted
    release_dead(draft, now)
    end_free(draft)
    return draft


def set_quota(draft: Draft, quota: Quota, catalog: Catalog) -> None:
    """Put an account on a plan, with its own allowance and limits."""
    draft.plan = catalog.plan(quota.plan_id)
    draft.account = replace(
        draft.account,
        plan_id=quota.plan_id,
        monthly_credits=quota.monthly_credits,
        limits=quota.limits,
    )


def grant_allowance(draft: Draft, period: int, amount: int, *, missed: int = 0) -> None:
    """Grant the plan's credits for a period; they expire with it."""
    account = draft.account
    start = account.begins(period)
    if amount:
        draft.grant(
            f"period:{_named(account, start)}",
            EntryType.PLAN,
            GrantKind.PLAN,
            amount,
            effective_at=start,
            grant_expires_at=replace(account, period=period).allowance_end,
            metadata={"periods_skipped": missed} if missed else None,
        )


def rolled_over(
    grants: Sequence[Grant],
    ending: Plan,
    opened: Account,
    period_name: str,
) -> tuple[Grant, ...]:
    """Return the rollover grant, if any, from an ending period to the one just opened.

    It has no ID yet. The limit covers all rollover credits together, however long each lives.
    """
    if ending.rollover is None:
        return ()
    start = opened.begins(opened.period)
    unused = sum(grant.remaining for grant in grants if grant.kind is GrantKind.PLAN)
    live = sum(
        grant.remaining + opened.held_of(grant.grant_id)
        for grant in grants
        if grant.kind is GrantKind.ROLLOVER and grant.expires_at_or_never > start
    )
    kept = min(unused, ending.rollover.max - live)
    end = opened.begins(opened.period + ending.rollover.periods)
    if kept <= 0:
        return ()
    grant = _unnamed(GrantKind.ROLLOVER, kept, kept, start, end)
    return (replace(grant, source=f"rollover:{period_name}"),)


def expire(
    draft: Draft,
    *,
    plans_end: datetime | None = None,
    only: Sequence[Grant] | None = None,
) -> None:
    """Remove expired grants; an entry books what was left in each.

    With `plans_end`, plan grants that would outlive their period end then. With `only`, just those
    grants expire, as far as the draft has room.
    """

    def end(grant: Grant) -> datetime:
        if plans_end is not None and grant.kind is GrantKind.PLAN:
            return min(grant.expires_at_or_never, plans_end)
        return grant.expires_at_or_never

    for grant in sorted(draft.account.grants if only is None else only, key=end):
        if end(grant) > draft.now or (only is not None and draft.is_full):
            break
        draft.account = replace(
            draft.account, grants=tuple(kept for kept in draft.account.grants if kept is not grant)
        )
        outlive(draft, grant.grant_id, end(grant))
        if grant.remaining:
            draft.enter(
                f"expiry:{grant.grant_id}",
                EntryType.EXPIRY,
                -grant.remaining,
                allocations=(Allocation(grant.grant_id, grant.remaining),),
                effective_at=end(grant),
            )


def roll_over(draft: Draft, grants: Iterable[Grant]) -> None:
    """Book the rollover grants without an ID. They are not new credits, so they pay no debt."""
    for grant in grants:
        if grant.grant_id or grant.kind is not GrantKind.ROLLOVER:
            continue
        allocation = draft.place(
            grant.kind,
            grant.amount,
            source=grant.source,
            granted_at=grant.granted_at,
            expires_at=grant.expires_at,
        )
        draft.enter(
            grant.source,
            EntryType.ROLLOVER,
            grant.amount,
            allocations=(allocation,),
            effective_at=grant.granted_at,
        )


def plan_grants(account: Account) -> frozenset[str]:
    """Return the ids of an account's plan grants."""
    return frozenset(grant.grant_id for grant in account.grants if grant.kind is GrantKind.PLAN)


def keep_held_rollover(draft: Draft, ending: Plan, plans_before: frozenset[str]) -> None:
    """Let credits that were held when a period ended roll over when they are released.

    A hold must not shorten the life of credits; the room is what has not just rolled over.
    """
    if ending.rollover is None:
        return
    account = draft.account
    live = sum(
        grant.remaining + account.held_of(grant.grant_id)
        for grant in account.grants
        if grant.kind is GrantKind.ROLLOVER
    )
    until = account.begins(account.period + ending.rollover.periods)
    ended = plans_before - plan_grants(account)
    roll_over_held(draft, ended, ending.rollover.max - live, until)


def _expires_alone(grant: Grant, now: datetime) -> bool:
    """Return whether a grant has expired with credits that cannot roll over."""
    is_due = grant.remaining and grant.expires_at_or_never <= now
    return bool(is_due and grant.kind is not GrantKind.PLAN)


def _holds_ended(account: Account) -> Account:
    """Return an account at its period's end, in memory, with the credits of its expired holds."""
    end = account.period_end
    dead = [hold for hold in account.holds if hold.has_died(end)]
    freed = [allocation for hold in dead for allocation in hold.allocations]
    return replace(
        account,
        grants=give_back(account.grants, freed),
        holds=tuple(hold for hold in account.holds if not hold.has_died(end)),
    )


def _next_period(account: Account, catalog: Catalog) -> Account:
    """Return an account after one boundary, in memory; new grants have no ID."""
    start, ending = account.period_end, catalog.plan(account.plan_id)
    opened = replace(account, period=account.period + 1)
    if start == account.paid_until:
        assert account.subscription is not None
        quota = account.next_quota or Quota(plan_id=account.subscription.plan_after)
        opened = replace(opened, anchor=start, period=0, paid_until=None, paid_by=None)
    else:
        quota = account.next_quota or account.quota
    opened = replace(
        opened,
        plan_id=quota.plan_id,
        monthly_credits=quota.monthly_credits,
        limits=quota.limits,
        next_quota=None,
    )
    amount = quota.allowance(catalog.plan(quota.plan_id))
    paid = min(account.debt, amount)
    live = tuple(
        grant
        for grant in account.grants
        if grant.expires_at_or_never > start and grant.kind is not GrantKind.PLAN
    )
    return replace(
        opened,
        debt=account.debt - paid,
        grants=(
            *live,
            *rolled_over(account.grants, ending, opened, _named(opened, start)),
            _unnamed(GrantKind.PLAN, amount, amount - paid, start, opened.allowance_end),
        ),
    )


def _unnamed(
    kind: GrantKind,
    amount: int,
    remaining: int,
    start: datetime,
    expires_at: datetime,
) -> Grant:
    return Grant(
        grant_id="",
        kind=kind,
        amount=amount,
        remaining=remaining,
        granted_at=start,
        expires_at=expires_at,
        source="",
    )


def _named(account: Account, start: datetime) -> str:
    """Name a period by its first day, and by more if payments move periods and two may be alike.

    Each paid period ends later than the one before, so its end makes the name unique.
    """
    if account.paid_until is not None:
        return f"{iso(start)}:{iso(account.paid_until)}"
    if account.subscription is not None:
        return iso(start)
    return start.astimezone(account.zone).date().isoformat()
