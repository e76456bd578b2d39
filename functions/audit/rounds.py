"""Rounds of the audit: every account is audited within a day, by runs that each do what they can.

    begin a round if one is due -> read a page of the table -> audit its accounts -> save the place

A run may stop at any point: the next one continues after the last page that was saved. If two runs
overlap, the first to save a page continues and the other one ends. So no page is skipped or counted
twice.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING

from scrip.audit.accounts import OutOfTimeError, audit_account, audit_leads
from scrip.domain.errors import NewerVersionError
from scrip.observability import count, logger, measure
from scrip.store.audit.books import account_pages
from scrip.store.audit.rounds import OvertakenError, read_progress, save_progress
from scrip.store.restores import read_restore_item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from scrip.domain.audit.findings import Finding
    from scrip.domain.audit.rounds import Progress
    from scrip.ledger import Ledger
    from scrip.store.client import Table

PAGE_ITEMS = 500
"""The most items of the table that are processed before a run checks its time."""

ACCOUNT_SECONDS_MAX = 240
"""The most time for one account: one with some million entries must not stop the others."""

WORKERS = 8
"""How many accounts are audited at once; they wait for the table and for repeated readings."""


class _Verdict(Enum):
    RIGHT = auto()
    WRONG = auto()
    UNAUDITED = auto()


def continue_round(
    ledger: Ledger, *, in_time: Callable[[], bool], restart: bool = False
) -> Progress:
    """Audit accounts while there is time, at least one page; return the progress.

    Between two rounds there is nothing to do unless `restart` begins a new one. Nothing is audited
    during a restore, because accounts are incomplete then.

    Raises:
        BusyError: the table did not answer; the next run continues from there.
        TableRefusedError: the role is not allowed to read it.
    """
    now = ledger.clock()
    progress = read_progress(ledger.table).believed(now)
    # At once, so that even a run that dies reports how old the last audit is.
    _measure(progress, now)
    if read_restore_item(ledger.table) is not None:
        logger.warning("nothing is audited while a backup is being restored")
        return progress
    try:
        if restart or progress.is_due(now):
            progress = save_progress(ledger.table, progress.begun(now))
            # The first round reports at once, too: a new stack must not raise an alarm.
            _measure(progress, now)
        if progress.current:
            progress = _walk(ledger, progress, in_time)
            _measure(progress, ledger.clock())
    except OvertakenError:
        logger.info("another run continues the round")
        return read_progress(ledger.table)
    return progress


def _walk(ledger: Ledger, progress: Progress, in_time: Callable[[], bool]) -> Progress:
    """Continue the current round until it ends or time runs out."""
    table = ledger.table
    with ThreadPoolExecutor(WORKERS) as pool:
        for page in account_pages(table, after=progress.after, items_max=PAGE_ITEMS):
            verdicts = Counter(pool.map(partial(_audit, table, ledger.clock()), page.account_ids))
            astray = audit_leads(table, page.leads)
            _log(astray)
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
    """Audit an account and log its findings; return None if nothing of the account exists."""
    try:
        audited = audit_account(
            table, account_id, now, seconds_max=ACCOUNT_SECONDS_MAX, with_names=False
        )
    except OutOfTimeError:
        logger.warning("the account has too many entries", extra={"account_id": account_id})
        return _Verdict.UNAUDITED
    except NewerVersionError:
        logger.warning("a newer version wrote the account", extra={"account_id": account_id})
        return _Verdict.UNAUDITED
    if audited is None:
        return None
    _log(audited.findings)
    return _Verdict.WRONG if audited.findings else _Verdict.RIGHT


def _log(findings: Iterable[Finding]) -> None:
    """Log findings without what they are about, which may contain an address."""
    for found in findings:
        logger.error(
            "the audit has found",
            extra={
                "account_id": found.account_id,
                "code": found.code,
                "entry_id": found.entry_id,
                "seq": found.seq,
            },
        )


def _measure(progress: Progress, now: datetime) -> None:
    if progress.since is not None:
        measure("AuditAge", now - progress.since)
        count("AuditMismatches", progress.mismatches)
