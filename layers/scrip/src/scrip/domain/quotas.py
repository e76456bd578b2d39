"""Quotas: an account's base plan, its overrides of plans, and the reset of its usage."""

from dataclasses import replace
from typing import Any

from scrip.domain import grants as buckets
from scrip.domain.account import Account
from scrip.domain.catalog import Catalog
from scrip.domain.commands import ResetUsage, SetQuota
from scrip.domain.entitlement import (
    NO_OVERRIDE,
    is_on_base_plan,
    month_grant,
    monthly_credits,
)
from scrip.domain.entries import EntryType
from scrip.domain.grants import Allocation
from scrip.domain.posting import Draft, Posting
from scrip.domain.settle import advance, grant_rest_of_allowance, with_base_plan


def change_quota(draft: Draft, command: SetQuota, catalog: Catalog) -> Posting:
    """Change the base plan, or the allowance and the limits of the plan in force.

    More credits come at once, fewer with the next period. A plan that a term gives stays the
    term's: choosing it only removes its overrides.

    Raises:
        UnknownPlanError: the plan takes no new accounts.
    """
    before = _audited(draft)
    shown, terms = draft.plan, draft.account.all_terms
    paid = {term.plan_id for term in terms.given if terms.is_in_force(term, draft.now)}
    plan_id = shown.plan_id if command.plan_id is None else command.plan_id
    if plan_id != shown.plan_id:
        catalog.open_plan(plan_id)
    account = _overridden(draft.account, command, plan_id)
    if command.plan_id is not None and plan_id not in paid:
        account = _moved(draft, account, plan_id, catalog)
    seen, draft.account = draft.account, account
    _raise(draft, seen, catalog)
    entries = len(draft.entries)
    if is_on_base_plan(draft.account, draft.account.all_terms, draft.now):
        grant_rest_of_allowance(draft, draft.now, command)
    advance(draft, catalog, changed=True, command=command)
    entry = next((entry for entry in draft.entries[entries:] if entry.type is EntryType.PLAN), None)
    after = _audited(draft)
    if after == before and entry is None:
        return draft.posting()
    return draft.posting(
        entry=entry,
        audit=draft.audit(command, "quota.change", before, after, entry),
    )


def reset_usage(draft: Draft, command: ResetUsage) -> Posting:
    """Reset the period's usage to 0 and refill the allowance of the plan in force."""
    before = draft.account.used
    given = month_grant(draft.account, draft.entitlement, draft.now)
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


def _overridden(account: Account, command: SetQuota, plan_id: str) -> Account:
    """Return an account with what a command overrides of a plan; a new plan starts without."""
    override = NO_OVERRIDE
    if command.plan_id is None:
        override = account.overrides.get(plan_id, NO_OVERRIDE)
    if command.monthly_credits is not None:
        override = replace(override, monthly_credits=command.monthly_credits)
    if command.limits is not None:
        override = replace(override, limits=command.limits)
    others = {name: other for name, other in account.overrides.items() if name != plan_id}
    if override != NO_OVERRIDE:
        others[plan_id] = override
    return replace(account, overrides=others)


def _moved(draft: Draft, account: Account, plan_id: str, catalog: Catalog) -> Account:
    """Return an account with another base plan: if it grants less, with the next period."""
    if plan_id == account.base_plan_id:
        return replace(account, next_plan_id=None)
    wanted, current = catalog.plan(plan_id), catalog.plan(account.base_plan_id)
    is_less = monthly_credits(account, wanted) < monthly_credits(draft.account, current)
    if wanted.unlimited or current.unlimited:
        is_less = current.unlimited and not wanted.unlimited
    if is_less and is_on_base_plan(account, account.all_terms, draft.now):
        return replace(account, next_plan_id=plan_id)
    return with_base_plan(account, plan_id)


def _raise(draft: Draft, before: Account, catalog: Catalog) -> None:
    """Raise what the running months bring, where the change of the account raised it.

    An edit of a plan changes no running month.
    """
    account = draft.account
    was, now = catalog.plan(before.base_plan_id), catalog.plan(account.base_plan_id)
    credits_ = monthly_credits(account, now)
    if account.period_at(draft.now) == account.period and (
        (was.plan_id, monthly_credits(before, was)) != (now.plan_id, credits_)
    ):
        draft.account = replace(account, allowance=max(account.allowance, credits_))
    terms = account.all_terms
    for term in terms.given:
        plan = catalog.plan(term.plan_id)
        credits_ = monthly_credits(account, plan, term)
        month = terms.month_at(term, draft.now)
        lot = draft.account.lot(term.lot_id(month))
        if lot is None or not terms.is_in_force(term, draft.now):
            continue
        if monthly_credits(before, plan, term) < credits_ > lot.allowance:
            draft.put_lot(term.lot_id(month), replace(lot, allowance=credits_))


def _audited(draft: Draft) -> dict[str, Any]:
    """Return the plan and what is overridden, of other plans too, in the audit record's form."""
    account, plan_id = draft.account, draft.plan.plan_id
    overrides = {
        name: {"monthly_credits": override.monthly_credits, "limits": dict(override.limits)}
        for name, override in ({plan_id: NO_OVERRIDE} | dict(account.overrides)).items()
    }
    audited: dict[str, Any] = {"plan_id": plan_id, **overrides.pop(plan_id)}
    if overrides:
        audited["overrides"] = overrides
    if account.given_plan_id is not None:
        audited["given_plan_id"] = account.given_plan_id
    return audited | ({"next": {"plan_id": account.next_plan_id}} if account.next_plan_id else {})
