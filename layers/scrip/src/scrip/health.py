"""The health of a stack: what an operator should know before users notice."""

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
    from collections.abc import Iterable, Iterator, Mapping

    from scrip.domain.catalog import Catalog
    from scrip.ledger import Ledger
    from scrip.work_queue import Queue

WATERMARK_AGE_MAX = timedelta(hours=2)
"""The sweep runs every hour; two missing runs are not a coincidence."""

DEAD_LETTERS = "dead_letters"
"""The end of the names of queues that should be empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that needs attention: a code for programs, and its subject."""

    code: str
    subject: str


@dataclass(slots=True, kw_only=True)
class Health:
    """The health of a stack. `queues` are numbers of messages, None for a queue that is unreadable.

    An age is None before the first run, or if the stored instant is in the future.
    """

    audit: Progress
    audit_age: timedelta | None = None
    queues: dict[str, int | None] = field(default_factory=dict)
    watermark_age: timedelta | None = None
    problems: list[Problem] = field(default_factory=list)


def examine(
    ledger: Ledger, default_plan: str, features: Iterable[str], queues: Mapping[str, Queue]
) -> Health:
    """Return the health of a stack whose catalog should have these features.

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
    health.problems += _catalog_problems(catalog, default_plan)
    health.problems += _feature_problems(catalog, features)
    if watermark is not None:
        if not is_ahead(watermark, ledger.clock()):
            health.watermark_age = ledger.clock() - watermark
        health.problems += _sweep_problems(health)
    if health.audit.since is not None:
        health.audit_age = ledger.clock() - health.audit.since
    health.problems += _audit_problems(health, is_believed=health.audit == progress)
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


def _sweep_problems(health: Health) -> Iterator[Problem]:
    """Yield the problems of the sweep."""
    if health.watermark_age is None or health.watermark_age > WATERMARK_AGE_MAX:
        yield Problem(code="sweep_late", subject="watermark")


def _audit_problems(health: Health, *, is_believed: bool) -> Iterator[Problem]:
    """Yield the problems that the audit found, or that it has."""
    if health.audit.mismatches:
        yield Problem(code="audit_mismatches", subject="audit")
    if health.audit.last and health.audit.last.unaudited:
        yield Problem(code="accounts_unaudited", subject="audit")
    if not is_believed or (health.audit_age is not None and health.audit_age > WITHIN):
        yield Problem(code="audit_late", subject="audit")


def _catalog_problems(catalog: Catalog, default_plan: str) -> Iterator[Problem]:
    """Yield catalog problems that would affect new accounts or payments."""
    plan = catalog.plans.get(default_plan)
    if plan is None:
        if not catalog.is_partial:
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


def _feature_problems(catalog: Catalog, features: Iterable[str]) -> Iterator[Problem]:
    """Yield the features whose every consume is refused."""
    for feature_id in features:
        feature = catalog.features.get(feature_id)
        if feature is None:
            yield Problem(code="feature_missing", subject=feature_id)
        elif not feature.active:
            yield Problem(code="feature_inactive", subject=feature_id)
