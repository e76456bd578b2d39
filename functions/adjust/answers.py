"""The answers to what an admin reads and changes in one account."""

from collections.abc import Iterable
from typing import Any, Literal, TypedDict

from scrip.domain.account import Account, Quota
from scrip.domain.catalog import Catalog
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
    """The account is closed; its ledger is kept, and no longer leads to a person."""

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
    catalog: Catalog,
    audit: Iterable[tuple[str, AuditRecord]],
) -> QuotaAnswer:
    """Return what a settled account may use, with its newest audit records."""
    pending = account.next_quota
    return {
        "account_id": account.account_id,
        **_in_force(account.quota, catalog),
        "overrides": {
            "monthly_credits": account.monthly_credits,
            "limits": dict(account.limits),
        },
        "next": _in_force(pending, catalog) if pending else None,
        "period": period_json(account),
        "used": account.used,
        "balance": account.balance,
        "audit": [audit_json(*record) for record in audit],
    }


def _in_force(quota: Quota, catalog: Catalog) -> NextQuota:
    """Return a quota, completed from its plan."""
    plan = catalog.plan(quota.plan_id)
    return {
        "plan_id": plan.plan_id,
        "monthly_credits": quota.allowance(plan),
        "unlimited": plan.unlimited,
        "limits": {**plan.limits, **quota.limits},
    }
