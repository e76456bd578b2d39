"""Rolling an account forward in time: grants expire, periods open, unspent allowance rolls over.

Every decision and every read begins here, so nobody ever sees an expired grant as spendable or
last month's allowance, whatever any schedule has done.
"""

from dataclasses import replace
from datetime import datetime

from scrip.domain.account import Account
from scrip.domain.catalog import Catalog, Plan
from scrip.domain.entries import EntryType
from scrip.domain.grants import Allocation, Grant, GrantKind
from scrip.domain.periods import period_at
from scrip.domain.posting import Draft


def settled(account: Account, catalog: Catalog, now: datetime) -> Account:
    """Return an account as it is at an instant, in memory: what a reader sees."""
    return settle(account, catalog, now).account


def settle(account: Account, catalog: Catalog, now: datetime) -> Draft:
    """Roll an account forward to an instant and return the draft that says how.

    Missed periods are lived through in memory and take one plan entry together. What happened in
    them is written down only where it lasts: the rollover grants that are still live, and the debt
    that the missed allowances paid.
    """
    plan = catalog.plan(account.plan_id)
    # Whoever opened the period may have had a clock that was ahead; time does not go back.
    now = max(now, account.begins(account.period))
    draft = Draft(account, account, plan, now)
    last = period_at(account.anchor, account.zone, now)
    grants, debt, debt_paid = account.grants, account.debt, 0
    for period in range(account.period + 1, last + 1):
        debt_paid = account.debt - debt
        grants, debt = _next_period(account, period, plan, grants, debt)

    _expire(draft, now)
    if last > account.period:
        draft.change(period=last, used=0)
        if debt_paid:
            grant_allowance(draft, last - 1, debt_paid)
        for grant in grants:
            if not grant.grant_id and grant.kind is GrantKind.ROLLOVER and _lives(grant, now):
                _roll_over(draft, grant)
        grant_allowance(draft, last, plan.monthly_credits, missed=last - account.period - 1)
        _expire(draft, now)
    return draft


def grant_allowance(draft: Draft, period: int, amount: int, *, missed: int = 0) -> None:
    """Give the plan's credits for a period; they expire with it."""
    start = draft.account.begins(period)
    if amount:
        draft.grant(
            f"period:{_day(draft.account, start)}",
            EntryType.PLAN,
            GrantKind.PLAN,
            amount,
            effective_at=start,
            expires_at=draft.account.begins(period + 1),
            metadata={"periods_skipped": missed} if missed else None,
        )


def _next_period(
    account: Account,
    period: int,
    plan: Plan,
    grants: tuple[Grant, ...],
    debt: int,
) -> tuple[tuple[Grant, ...], int]:
    """Return the grants and the debt of an account after one boundary; new grants have no id."""
    start = account.begins(period)
    live = [grant for grant in grants if _lives(grant, start)]
    new = Grant(
        grant_id="",
        kind=GrantKind.PLAN,
        amount=plan.monthly_credits,
        remaining=plan.monthly_credits - min(debt, plan.monthly_credits),
        granted_at=start,
        expires_at=account.begins(period + 1),
        source="",
    )
    if plan.rollover:
        # The bound holds for all rollover credits together, however many periods they live.
        unused = _remaining(grants, GrantKind.PLAN) - _remaining(live, GrantKind.PLAN)
        kept = min(unused, plan.rollover.max - _remaining(live, GrantKind.ROLLOVER))
        if kept > 0:
            end = account.begins(period + plan.rollover.periods)
            kind = GrantKind.ROLLOVER
            live.append(replace(new, kind=kind, amount=kept, remaining=kept, expires_at=end))
    return (*live, new), debt - (new.amount - new.remaining)


def _roll_over(draft: Draft, grant: Grant) -> None:
    """Write down a rollover grant. It is no new credit, so it pays no debt."""
    entry_id = f"rollover:{_day(draft.account, grant.granted_at)}"
    allocation = draft.place(
        grant.kind,
        grant.amount,
        source=entry_id,
        granted_at=grant.granted_at,
        expires_at=grant.expires_at,
    )
    draft.enter(
        entry_id,
        EntryType.ROLLOVER,
        grant.amount,
        allocations=(allocation,),
        effective_at=grant.granted_at,
    )


def _expire(draft: Draft, now: datetime) -> None:
    """Remove the grants that have expired; what was left in them is an entry."""
    due = [grant for grant in draft.account.grants if not _lives(grant, now)]
    for grant in sorted(due, key=lambda grant: grant.expires_at or now):
        draft.change(grants=tuple(kept for kept in draft.account.grants if kept is not grant))
        if grant.remaining:
            draft.enter(
                f"expiry:{grant.grant_id}",
                EntryType.EXPIRY,
                -grant.remaining,
                allocations=(Allocation(grant.grant_id, grant.remaining),),
                effective_at=grant.expires_at,
            )


def _lives(grant: Grant, now: datetime) -> bool:
    return grant.expires_at is None or grant.expires_at > now


def _remaining(grants: tuple[Grant, ...] | list[Grant], kind: GrantKind) -> int:
    return sum(grant.remaining for grant in grants if grant.kind is kind)


def _day(account: Account, instant: datetime) -> str:
    return instant.astimezone(account.zone).date().isoformat()
