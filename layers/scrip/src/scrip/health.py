"""Health: what an operator should know of a stack before its users do."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from scrip.domain.audit.rounds import WITHIN, Progress
from scrip.domain.audit.skew import is_ahead
from scrip.domain.errors import BusyError, ScripError
from scrip.observability import logger
from scrip.store.audit.rounds import read_progress
from scrip.store.catalogs import examine_catalog
from scrip.store.sweeps import read_watermark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scrip.domain.catalog import Catalog
    from scrip.ledger import Ledger
    from scrip.sweep.queue import Queue

WATERMARK_AGE_MAX = timedelta(hours=2)
"""A sweep comes every hour; two that are missing are not a coincidence."""

DEAD_LETTERS = "dead_letters"
"""What the names of queues end with that should be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that wants a look: a code for programs, and what it is about."""

    code: str
    subject: str


@dataclass(slots=True, kw_only=True)
class Health:
    """How a stack is. `queues` are messages by queue, None for one that did not say.

    The ages are None where nothing is known: before the first run, or by an instant in the future.
    """

    audit: Progress
    audit_age: timedelta | None = None
    queues: dict[str, int | None] = field(default_factory=dict)
    watermark_age: timedelta | None = None
    problems: list[Problem] = field(default_factory=list)


def examine(ledger: Ledger, default_plan: str, queues: Mapping[str, Queue]) -> Health:
    """Return how a stack is.

    Raises:
        BusyError: its table cannot be read.
    """
    try:
        catalog, unreadable = examine_catalog(ledger.table)
        watermark = read_watermark(ledger.table)
        progress = read_progress(ledger.table)
    except ScripError:
        raise
    except Exception as exc:
        logger.exception("the table cannot be read")
        raise BusyError from exc
    health = Health(
        problems=[Problem(code="unreadable_item", subject=key) for key in unreadable],
        audit=progress.believed(ledger.clock()),
    )
    health.problems += _unsound(catalog, default_plan)
    if watermark is not None:
        if not is_ahead(watermark, ledger.clock()):
            health.watermark_age = ledger.clock() - watermark
        health.problems += _swept(health)
    if health.audit.since is not None:
        health.audit_age = ledger.clock() - health.audit.since
    health.problems += _audited(health, is_believed=health.audit == progress)
    for name, queue in queues.items():
        try:
            depth = health.queues[name] = queue.depth()
        except BusyError:
            logger.warning("a queue cannot be read", exc_info=True, extra={"queue": name})
            health.queues[name] = None
            health.problems.append(Problem(code="queue_unreadable", subject=name))
        else:
            if depth and name.endswith(DEAD_LETTERS):
                health.problems.append(Problem(code="dead_letters", subject=name))
    return health


def _swept(health: Health) -> Iterator[Problem]:
    """Yield what is wrong with a watermark."""
    if health.watermark_age is None or health.watermark_age > WATERMARK_AGE_MAX:
        yield Problem(code="sweep_late", subject="watermark")


def _audited(health: Health, *, is_believed: bool) -> Iterator[Problem]:
    """Yield what the audit has found, or has not come to."""
    if health.audit.mismatches:
        yield Problem(code="audit_mismatches", subject="audit")
    if health.audit.last and health.audit.last.unaudited:
        yield Problem(code="accounts_unaudited", subject="audit")
    if not is_believed or (health.audit_age is not None and health.audit_age > WITHIN):
        yield Problem(code="audit_late", subject="audit")


def _unsound(catalog: Catalog, default_plan: str) -> Iterator[Problem]:
    """Yield what new accounts or payments will stumble over."""
    plan = catalog.plans.get(default_plan)
    if plan is None:
        yield Problem(code="default_plan_missing", subject=default_plan)
    elif not plan.active:
        yield Problem(code="default_plan_inactive", subject=default_plan)
    plans_of = defaultdict(list)
    for plan in catalog.plans.values():
        for provider_id in plan.provider_ids:
            plans_of[provider_id].append(plan.plan_id)
    for provider_id, plan_ids in plans_of.items():
        if len(plan_ids) > 1:
            yield Problem(code="provider_id_on_two_plans", subject=provider_id)
