"""Rounds of the audit: every account is proved within a day, by runs that each do what they can.

    begin a round if one is due -> a page of the table -> its accounts, some at once -> save how far

A run may die anywhere: the next goes on after the last page that was saved. Of two at once the one
that saves a page first goes on, and the other ends. So nothing is left out, and no page counts
twice.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING

from scrip.audit.accounts import OutOfTimeError, audit_account, audit_leads
from scrip.observability import count, logger, measure
from scrip.store.audit.books import account_pages
from scrip.store.audit.rounds import OvertakenError, read_progress, save_progress
from scrip.store.backup import is_being_restored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from scrip.domain.audit.findings import Finding
    from scrip.domain.audit.rounds import Progress
    from scrip.ledger import Ledger
    from scrip.store.client import Table

PAGE_ITEMS = 500
"""So many items of the table, at most, are done with before a run looks at its time."""

ACCOUNT_SECONDS_MAX = 240
"""No account is audited for longer: one of some million entries must not stop the rest."""

WORKERS = 8
"""So many accounts at once; they wait for the table, and for their next readings."""


class _Verdict(Enum):
    RIGHT = auto()
    WRONG = auto()
    UNAUDITED = auto()


def go_on(ledger: Ledger, *, in_time: Callable[[], bool], anew: bool = False) -> Progress:
    """Audit accounts while there is time, a page at least; return how far the audit has come.

    Between two rounds there is nothing to do, unless a round is to begin `anew`; nor is there while
    a backup is being put back, of which accounts are not whole yet.

    Raises:
        BusyError: the table did not answer; the next run goes on from there.
        TableRefusedError: the role does not allow to read it.
    """
    now = ledger.clock()
    progress = read_progress(ledger.table).believed(now)
    # At once: a run that dies tells at least for how long nothing was proved.
    _measure(progress, now)
    if is_being_restored(ledger.table):
        logger.warning("nothing is audited, since a backup is being put back")
        return progress
    try:
        if anew or progress.is_due(now):
            progress = save_progress(ledger.table, progress.begun(now))
            # The first round, too, tells of itself at once: a new stack rings no alarm.
            _measure(progress, now)
        if progress.current:
            progress = _walk(ledger, progress, in_time)
            _measure(progress, ledger.clock())
    except OvertakenError:
        logger.info("another run goes on with the round")
        return read_progress(ledger.table)
    return progress


def _walk(ledger: Ledger, progress: Progress, in_time: Callable[[], bool]) -> Progress:
    """Go on with the round under way until it or the time ends."""
    table = ledger.table
    with ThreadPoolExecutor(WORKERS) as pool:
        for page in account_pages(table, after=progress.after, items_max=PAGE_ITEMS):
            verdicts = Counter(pool.map(partial(_audit, table, ledger.clock()), page.account_ids))
            astray = audit_leads(table, page.leads)
            _tell(astray)
            progress = progress.moved(
                page.last,
                accounts=verdicts.total() - verdicts[None],
                mismatches=verdicts[_Verdict.WRONG] + len(astray),
                unaudited=verdicts[_Verdict.UNAUDITED],
            )
            if page.last is None:
                progress = progress.ended(ledger.clock())
            progress = save_progress(table, progress)
            count("AuditedAccounts", verdicts.total() - verdicts[None])
            if not in_time():
                break
    return progress


def _audit(table: Table, now: datetime, account_id: str) -> _Verdict | None:
    """Audit an account and tell what is wrong with it; None where there is nothing of it."""
    try:
        audited = audit_account(table, account_id, now, seconds_max=ACCOUNT_SECONDS_MAX)
    except OutOfTimeError:
        logger.warning("it has too many entries", extra={"account_id": account_id})
        return _Verdict.UNAUDITED
    if audited is None:
        return None
    _tell(audited.findings)
    return _Verdict.WRONG if audited.findings else _Verdict.RIGHT


def _tell(findings: Iterable[Finding]) -> None:
    """Log findings. What they are about can be an address, so only `scrip audit` tells that."""
    for found in findings:
        told = {"code": found.code, "entry_id": found.entry_id, "seq": found.seq}
        logger.error("the audit has found", extra={"account_id": found.account_id, **told})


def _measure(progress: Progress, now: datetime) -> None:
    if progress.since is not None:
        measure("AuditAge", now - progress.since)
        count("AuditMismatches", progress.mismatches)
