"""Rounds of the audit: every account is audited within a day, by workers that share a queue.

    begin a round if one is due -> queue its parts -> sum up what is done -> end it

A run may stop at any point and two may overlap: the next one sums up again, and of two
only one can save. A part that was lost on the way is queued again once the queue is empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrip.audit_queue import parts_of
from scrip.domain.audit.rounds import Counts
from scrip.observability import count, logger, measure
from scrip.store.audit.rounds import OvertakenError, read_parts, read_progress, save_progress
from scrip.store.restores import read_restore_item

if TYPE_CHECKING:
    from datetime import datetime

    from scrip.domain.audit.rounds import Progress
    from scrip.ledger import Ledger
    from scrip.work_queue import Queue


def continue_round(ledger: Ledger, queue: Queue, *, restart: bool = False) -> Progress:
    """Begin a round if one is due, or end it if all parts are done; return the progress.

    Between two rounds there is nothing to do unless `restart` begins a new one, of the whole table.
    None begins during a restore, because accounts are incomplete then.

    Raises:
        BusyError: the table or the queue did not answer; the next run continues from there.
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
            progress = save_progress(ledger.table, progress.begun(now, whole=restart))
            # The first round reports at once, too: a new stack must not raise an alarm.
            _measure(progress, now)
            assert progress.current
            queue.send(parts_of(progress.current))
        elif progress.current:
            progress = _sum_up(ledger, queue, progress)
    except OvertakenError:
        logger.info("another run continues the round")
        return read_progress(ledger.table)
    return progress


def _sum_up(ledger: Ledger, queue: Queue, progress: Progress) -> Progress:
    """Save what the current round has counted, and end it if it is done."""
    assert progress.current
    done = read_parts(ledger.table, progress.current.round_id)
    missing = [part for part in parts_of(progress.current) if part.name not in done]
    progress = progress.counted(sum(done.values(), Counts()))
    if not missing:
        progress = progress.ended(ledger.clock())
    elif not queue.depth():
        logger.warning("parts of the round were lost", extra={"parts": len(missing)})
        queue.send(missing)
    progress = save_progress(ledger.table, progress)
    _measure(progress, ledger.clock())
    return progress


def _measure(progress: Progress, now: datetime) -> None:
    if progress.since is not None:
        measure("AuditAge", now - progress.since)
        count("AuditMismatches", progress.mismatches)
