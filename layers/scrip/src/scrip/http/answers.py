"""Answers: the domain's values as the API shows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.content_types import APPLICATION_JSON

from scrip.domain.account import Hold
from scrip.domain.commands import is_users
from scrip.domain.entries import ActorType, iso

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from datetime import date, timedelta

    from scrip.domain.account import Account, Quota
    from scrip.domain.audit.rounds import Progress
    from scrip.domain.catalog import Catalog, Feature, Plan
    from scrip.domain.commands import Command
    from scrip.domain.entries import Entry
    from scrip.domain.grants import Grant
    from scrip.domain.posting import AuditRecord
    from scrip.domain.usage import DayUsage
    from scrip.ledger import Outcome
    from scrip.store.inbox import InboxRecord


def answer(
    body: dict[str, Any],
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response[dict[str, Any]]:
    """Return an answer of JSON."""
    return Response(
        status_code=status,
        content_type=APPLICATION_JSON,
        headers=dict(headers or {}),
        body=body,
    )


def posted(command: Command, outcome: Outcome, status: int) -> Response[dict[str, Any]]:
    """Return the answer to a command that wrote an entry.

    Everything in it follows from the entry, so that a replay gives the first answer again.
    """
    assert outcome.entry is not None
    entry = outcome.entry
    body = {
        "entry": entry.shown_to(command.actor.type),
        "account": _summary_after(command.account_id, entry),
    }
    return answer(body, status, _replayed(outcome))


def posted_batch(command: Command, outcome: Outcome) -> Response[dict[str, Any]]:
    """Return the answer to a batch, which likewise follows from its entries."""
    assert outcome.entry is not None
    entries = (outcome.entry, *outcome.others)
    body = {
        "entries": [entry.shown_to(command.actor.type) for entry in entries],
        "account": _summary_after(command.account_id, entries[-1]),
    }
    return answer(body, headers=_replayed(outcome))


def posted_hold(command: Command, outcome: Outcome) -> Response[dict[str, Any]]:
    """Return the answer to what opened a hold, which likewise follows from its entry."""
    assert outcome.entry is not None
    entry = outcome.entry
    hold = Hold(
        hold_id=entry.entry_id,
        allocations=entry.allocations,
        expires_at=entry.expires_at,
        feature=entry.feature,
        uncharged=0 if entry.allocations else entry.cost or 0,
    )
    body = {
        "hold": hold_json(hold),
        "entry": entry.shown_to(command.actor.type),
        "account": _summary_after(command.account_id, entry),
    }
    return answer(body, 201, _replayed(outcome))


def extended_hold(hold_id: str, account: Account, catalog: Catalog) -> Response[dict[str, Any]]:
    """Return the answer to what extended a hold: it wrote no entry, so this is of the account."""
    hold = account.hold(hold_id)
    assert hold is not None, hold_id
    return answer({"hold": hold_json(hold), "account": _summary(account, catalog)})


def hold_json(hold: Hold) -> dict[str, Any]:
    """Return an open hold."""
    if hold.expires_at is None:
        opened_by = ActorType.WEBHOOK
    else:
        opened_by = ActorType.USER if is_users(hold.hold_id) else ActorType.SERVICE
    return {
        "hold_id": hold.hold_id,
        "opened_by": opened_by,
        "amount": hold.amount,
        "left": hold.left,
        "feature": hold.feature,
        "expires_at": iso(hold.expires_at) if hold.expires_at else None,
        "allocations": [asdict(allocation) for allocation in hold.allocations],
    }


def account_json(account: Account, catalog: Catalog) -> dict[str, Any]:
    """Return a settled account as `GET /v1/accounts/{account_id}` shows it."""
    return _summary(account, catalog) | {
        "status": account.status,
        "plan_id": account.plan_id,
        "subscription_status": account.subscription.status if account.subscription else None,
        "period": _period_json(account),
        "used": account.used,
        "granted_total": account.granted_total,
        "consumed_total": account.consumed_total,
        "grants": [
            _grant_json(grant)
            for grant in sorted(account.grants, key=lambda grant: grant.spend_order)
        ],
    }


def listed_account_json(account: Account, emails: Iterable[str]) -> dict[str, Any]:
    """Return a settled account as a list of accounts shows it."""
    return {
        "account_id": account.account_id,
        "emails": list(emails),
        "status": account.status,
        "plan_id": account.plan_id,
        "subscription_status": account.subscription.status if account.subscription else None,
        "balance": account.balance,
        "available": account.available,
        "held": account.held,
        "debt": account.debt,
    }


def webhook_json(record: InboxRecord) -> dict[str, Any]:
    """Return a message of the inbox without its payload."""
    return {
        "webhook_id": record.inbox_id,
        "provider": record.provider,
        "type": record.type,
        "status": record.status,
        "reason": record.reason,
        "account_id": record.account_id,
        "attempts": record.attempts,
        "waits_for": list(record.waits_for),
        "sent_at": iso(record.sent_at),
        "received_at": iso(record.received_at),
        "changed_at": iso(record.changed_at),
    }


def usage_json(days: Mapping[date, DayUsage], group_by: Container[str]) -> list[dict[str, Any]]:
    """Return rows of use, by `day`, by `feature`, by both, or one row of all."""
    rows: dict[tuple[object, ...], dict[str, Any]] = {}
    for day, usage in days.items():
        for use in usage.uses:
            told = {"day": day.isoformat(), "feature": use.feature}
            group = {name: value for name, value in told.items() if name in group_by}
            row = rows.setdefault(
                tuple(group.values()),
                {**group, "credits": 0, "count": 0, "refunded": 0},
            )
            row["credits"] += use.credits
            row["count"] += use.count
            row["refunded"] += use.refunded
    return list(rows.values())


def catalog_json(catalog: Catalog) -> dict[str, Any]:
    """Return the catalog as `GET /v1/catalog` shows it to anybody."""
    return {
        "plans": [_plan_json(plan) for plan in catalog.plans.values() if plan.active],
        "features": [
            _feature_json(feature) for feature in catalog.features.values() if feature.active
        ],
    }


def _plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "plan_id": plan.plan_id,
        "name": plan.name,
        "monthly_credits": plan.monthly_credits,
        "unlimited": plan.unlimited,
        "rollover": asdict(plan.rollover) if plan.rollover else None,
        "overdraft_limit": plan.overdraft_limit,
        "limits": plan.limits,
        "version": plan.version,
    }


def _feature_json(feature: Feature) -> dict[str, Any]:
    return {
        "feature_id": feature.feature_id,
        "name": feature.name,
        "cost": feature.cost,
        "per": feature.per,
        "unit": feature.unit,
        "version": feature.version,
    }


def quota_json(
    account: Account,
    catalog: Catalog,
    audit: Iterable[tuple[str, AuditRecord]],
) -> dict[str, Any]:
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
        "period": _period_json(account),
        "used": account.used,
        "audit": [audit_json(*record) for record in audit],
    }


def audit_json(audit_id: str, record: AuditRecord) -> dict[str, Any]:
    """Return an audit record."""
    return {"audit_id": audit_id, **asdict(record), "recorded_at": iso(record.recorded_at)}


def _in_force(quota: Quota, catalog: Catalog) -> dict[str, Any]:
    """Return a quota with what it takes from its plan."""
    plan = catalog.plan(quota.plan_id)
    return {
        "plan_id": plan.plan_id,
        "monthly_credits": quota.allowance(plan),
        "unlimited": plan.unlimited,
        "limits": {**plan.limits, **quota.limits},
    }


def audit_health_json(progress: Progress, age: timedelta | None) -> dict[str, Any] | None:
    """What the audit of all accounts has come to; None before the first."""
    if age is None:
        return None
    last = progress.last
    return {
        "ended_at": iso(last.ended_at) if last and last.ended_at else None,
        "age_seconds": int(age.total_seconds()),
        "accounts": last.accounts if last else 0,
        "mismatches": progress.mismatches,
        "unaudited": last.unaudited if last else 0,
    }


def _replayed(outcome: Outcome) -> dict[str, str]:
    return {"Idempotency-Replayed": "true"} if outcome.replayed else {}


def _period_json(account: Account) -> dict[str, Any]:
    return {"start": iso(account.begins(account.period)), "end": iso(account.period_end)}


def _grant_json(grant: Grant) -> dict[str, Any]:
    return {
        "grant_id": grant.grant_id,
        "kind": grant.kind,
        "amount": grant.amount,
        "remaining": grant.remaining,
        "priority": grant.priority,
        "granted_at": iso(grant.granted_at),
        "expires_at": iso(grant.expires_at) if grant.expires_at else None,
        "source": grant.source,
    }


def _summary(account: Account, catalog: Catalog) -> dict[str, Any]:
    """Return the first part of what is shown of an account."""
    return {
        "account_id": account.account_id,
        "balance": account.balance,
        "available": account.available,
        "held": account.held,
        "debt": account.debt,
        "unlimited": catalog.plan(account.plan_id).unlimited,
    }


def _summary_after(account_id: str, entry: Entry) -> dict[str, Any]:
    """Return the account as the posting left it of which an entry is the command's own."""
    return {
        "account_id": account_id,
        "balance": entry.balance_left,
        "available": entry.balance_left - entry.held_after,
        "held": entry.held_after,
        "debt": entry.debt_left,
        "unlimited": entry.unlimited,
    }
