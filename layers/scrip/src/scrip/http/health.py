"""The health of a stack, as the API and the command line show it."""

from datetime import timedelta
from typing import Annotated, Literal, TypedDict, cast

from pydantic import Field

from scrip.domain.audit.rounds import Progress
from scrip.domain.entries import iso
from scrip.health import Health
from scrip.http.answers import IsoInstant

HealthCode = Literal[
    "unreadable_item",
    "default_plan_missing",
    "default_plan_inactive",
    "provider_id_on_two_plans",
    "feature_missing",
    "feature_inactive",
    "sweep_late",
    "audit_mismatches",
    "accounts_unaudited",
    "audit_late",
    "dead_letters",
    "queue_unreadable",
]


class HealthProblem(TypedDict):
    """Something that needs attention."""

    code: HealthCode
    subject: str


class QueueDepths(TypedDict):
    """Approximate number of messages in each queue; null where it could not be read."""

    renew: int | None
    renew_dead_letters: int | None
    events_dead_letters: int | None


class AuditHealth(TypedDict):
    """Results of the audit of all accounts.

    `accounts` and `unaudited` are those of the last complete round; `ended_at` is null before the
    first one. `mismatches` is what that round found, or the round in progress if it has found more.
    `age_seconds` is how long ago the last round began, and so how old an unseen fault can be.
    """

    ended_at: IsoInstant | None
    age_seconds: int
    accounts: int
    mismatches: int
    unaudited: int


class AdminHealthAnswer(TypedDict):
    """The state of the stack.

    `watermark_age_seconds` is null before the first sweep, and for a watermark in the future.
    """

    status: Literal["ok", "degraded"]
    problems: list[HealthProblem]
    queues: QueueDepths
    watermark_age_seconds: int | None
    audit: Annotated[AuditHealth | None, Field(description="Null before the first audit.")]


def health_json(health: Health) -> AdminHealthAnswer:
    """Return the state of a stack; a queue that it does not have is null."""
    age = health.watermark_age
    return {
        "status": "degraded" if health.problems else "ok",
        "problems": [
            {"code": cast("HealthCode", problem.code), "subject": problem.subject}
            for problem in health.problems
        ],
        "queues": {
            "renew": health.queues.get("renew"),
            "renew_dead_letters": health.queues.get("renew_dead_letters"),
            "events_dead_letters": health.queues.get("events_dead_letters"),
        },
        "watermark_age_seconds": int(age.total_seconds()) if age is not None else None,
        "audit": _audit_json(health.audit, health.audit_age),
    }


def _audit_json(progress: Progress, age: timedelta | None) -> AuditHealth | None:
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
