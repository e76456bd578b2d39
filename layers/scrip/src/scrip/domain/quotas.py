"""Quotas: an account's plan, its own allowance and limits, and the reset of its usage."""

from dataclasses import replace
from typing import Any

from scrip.domain import grants as buckets
from scrip.domain.account import Quota
from scrip.domain.catalog import Catalog, Plan
from scrip.domain.commands import Command, ResetUsage, SetQuota
from scrip.domain.entries import Entry, EntryType
from scrip.domain.grants import Allocation, GrantKind
from scrip.domain.posting import Draft, Posting
from scrip.domain.settle import set_quota


def change_quota(draft: Draft, command: SetQuota, catalog: Catalog) -> Posting:
    """Change plan, allowance or limits: at once, or with the next period if it grants less.

    Raises:
        UnknownPlanError: the plan takes no new accounts.
    """
    account = draft.account
    in_force, before = account.quota, _audited(account.quota, account.next_quota)
    if command.plan_id is None:
        wanted = _changed(in_force, command)
        pending = _changed(account.next_quota, command) if account.next_quota else None
    else:
        if command.plan_id != in_force.plan_id:
            catalog.open_plan(command.plan_id)
        wanted, pending = _changed(Quota(plan_id=command.plan_id), command), None
    plan = catalog.plan(wanted.plan_id)
    entry = None
    if _grants_less(wanted, plan, in_force, draft.plan):
        draft.account = replace(draft.account, next_quota=pending or wanted)
    else:
        draft.account = replace(draft.account, next_quota=pending)
        set_quota(draft, wanted, catalog)
        # An edit of the plan, or a clawback, is not a change of this account's quota.
        if replace(wanted, limits=in_force.limits) != in_force:
            entry = grant_difference(draft, wanted.allowance(plan), command)
    after = _audited(draft.account.quota, draft.account.next_quota)
    if after == before:
        return draft.posting()
    return draft.posting(
        entry=entry,
        audit=draft.audit(command, "quota.change", before, after, entry),
    )


def grant_difference(draft: Draft, allowance: int, command: Command) -> Entry | None:
    """Raise what the plan granted for the period to an allowance; None if that is enough already.

    A period that has ended and awaits the payment for the next gets nothing more.
    """
    given = draft.account.plan_grant
    missing = allowance - (given.amount if given else 0)
    if missing <= 0 or draft.account.allowance_end <= draft.now:
        return None
    return draft.grant(
        command.entry_id,
        EntryType.PLAN,
        GrantKind.PLAN,
        missing,
        grant_expires_at=draft.account.allowance_end,
        command=command,
    )


def reset_usage(draft: Draft, command: ResetUsage) -> Posting:
    """Reset the period's usage to 0 and refill its plan grant."""
    before, given = draft.account.used, draft.account.plan_grant
    refill = 0
    if given is not None:
        refill = given.amount - given.remaining - draft.account.held_of(given.grant_id)
    allocations = (Allocation(given.grant_id, refill),) if given and refill else ()
    draft.account = replace(
        draft.account,
        used=0,
        grants=buckets.give_back(draft.account.grants, allocations),
        granted_total=draft.account.granted_total + refill,
    )
    entry = draft.enter(
        command.entry_id,
        EntryType.RESET,
        refill,
        command=command,
        allocations=allocations,
    )
    draft.settle_debt(entry)
    audit = draft.audit(command, "usage.reset", {"used": before}, {"used": 0}, entry)
    return draft.posting(entry=entry, audit=audit)


def _changed(quota: Quota, command: SetQuota) -> Quota:
    """Return a quota with the allowance and the limits that a command has."""
    if command.monthly_credits is not None:
        quota = replace(quota, monthly_credits=command.monthly_credits)
    if command.limits is not None:
        quota = replace(quota, limits=command.limits)
    return quota


def _grants_less(wanted: Quota, plan: Plan, in_force: Quota, plan_in_force: Plan) -> bool:
    if plan.unlimited or plan_in_force.unlimited:
        return plan_in_force.unlimited and not plan.unlimited
    return wanted.allowance(plan) < in_force.allowance(plan_in_force)


def _audited(in_force: Quota, pending: Quota | None) -> dict[str, Any]:
    """Return a quota in the form of the audit record."""
    audited = {
        "plan_id": in_force.plan_id,
        "monthly_credits": in_force.monthly_credits,
        "limits": dict(in_force.limits),
    }
    return audited | ({"next": _audited(pending, None)} if pending else {})
