"""The answers to what an admin reads and changes in one account."""

from collections.abc import Iterable
from typing import Any, Literal, TypedDict

from scrip.domain.account import Account
from scrip.domain.catalog import Catalog
from scrip.domain.entitlement import NO_OVERRIDE, Entitlement, monthly_credits
from scrip.domain.entries import iso
from scrip.domain.posting import AuditRecord
from scrip.http.accounts import Period, period_json
from scrip.http.answers import ActorAnswer, IsoInstant


class AuditAnswer(TypedDict):
    """What an admin changed: the value before and after."""

    audit_id: str
    action: str
    actor: ActorAnswer
    reason: str | None
    note: str | None
    before: dict[str, Any]
    after: dict[str, Any]
    recorded_at: IsoInstant
    entry_id: str | None


class AuditsAnswer(TypedDict):
    """Audit records, newest first; the end is `cursor: null`."""

    audit: list[AuditAnswer]
    cursor: str | None


class QuotaOverrides(TypedDict):
    """What replaces the plan's own values for this account."""

    monthly_credits: int | None
    limits: dict[str, int]


class NextQuota(TypedDict):
    """What takes effect with the next period."""

    plan_id: str
    monthly_credits: int
    unlimited: bool
    limits: dict[str, int]


class QuotaAnswer(NextQuota):
    """What an account may use, what it has used in the period, and the newest audit records."""

    account_id: str
    overrides: QuotaOverrides
    next: NextQuota | None
    period: Period
    used: int
    balance: int
    audit: list[AuditAnswer]


class ClosedAnswer(TypedDict):
    """The account is closed; its ledger is kept, but no longer names a person."""

    account_id: str
    status: Literal["closed"]


def audit_json(audit_id: str, record: AuditRecord) -> AuditAnswer:
    """Return an audit record as the API shows it."""
    return {
        "audit_id": audit_id,
        "action": record.action,
        "actor": {"type": record.actor.type, "id": record.actor.id},
        "reason": record.reason,
        "note": record.note,
        "before": dict(record.before),
        "after": dict(record.after),
        "recorded_at": iso(record.recorded_at),
        "entry_id": record.entry_id,
    }


def quota_json(
    account: Account,
    entitlement: Entitlement,
    catalog: Catalog,
    audit: Iterable[tuple[str, AuditRecord]],
) -> QuotaAnswer:
    """Return what a settled account may use, with its newest audit records."""
    plan = entitlement.plan
    override = account.overrides.get(plan.plan_id, NO_OVERRIDE)
    in_force: NextQuota = {
        "plan_id": plan.plan_id,
        "monthly_credits": entitlement.running_credits,
        "unlimited": plan.unlimited,
        "limits": dict(entitlement.limits),
    }
    return {
        "account_id": account.account_id,
        **in_force,
        "overrides": {
            "monthly_credits": override.monthly_credits,
            "limits": dict(override.limits),
        },
        "next": _next(account, entitlement, catalog),
        "period": period_json(entitlement),
        "used": account.used,
        "balance": account.balance,
        "audit": [audit_json(*record) for record in audit],
    }


def _next(account: Account, entitlement: Entitlement, catalog: Catalog) -> NextQuota | None:
    """Return what an admin's change or an edit of the plan makes of it with the next period."""
    plan, limits = entitlement.plan, entitlement.limits
    credits_ = entitlement.monthly_credits
    if account.next_plan_id is not None and entitlement.term is None:
        plan = catalog.plan(account.next_plan_id)
        override = account.overrides.get(plan.plan_id, NO_OVERRIDE)
        credits_, limits = monthly_credits(account, plan), {**plan.limits, **override.limits}
    elif credits_ == entitlement.running_credits:
        return None
    return {
        "plan_id": plan.plan_id,
        "monthly_credits": credits_,
        "unlimited": plan.unlimited,
        "limits": dict(limits),
    }
