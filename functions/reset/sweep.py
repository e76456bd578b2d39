"""The sweep: queue the renewal of every account whose period may have begun since the last sweep.

No balance depends on it, because reading or changing an account settles that account first. The
sweep may run late, stop at any point, or run twice at once: renewals are keyed by their period, and
what was not queued is queued by the next run.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from functions.reset.due_anchors import due_anchors
from scrip.domain.audit.skew import is_ahead
from scrip.observability import logger, measure
from scrip.renew_queue import DirectoryRange
from scrip.store.keys import DIRECTORY_SHARDS
from scrip.store.sweeps import move_watermark, read_watermark

if TYPE_CHECKING:
    from scrip.ledger import Ledger
    from scrip.work_queue import Queue


def queue_due_renewals(ledger: Ledger, queue: Queue) -> int:
    """Queue the renewal of all accounts that can be due by now; return how many messages that took.

    A watermark in the future is ignored: all accounts are queued.

    Raises:
        BusyError: not all were queued; the watermark stays, and the next run queues them again.
    """
    now, watermark = ledger.clock(), read_watermark(ledger.table)
    if watermark and is_ahead(watermark, now):
        logger.warning("the watermark is in the future", extra={"watermark": watermark.isoformat()})
        watermark = None
    if watermark:
        measure("WatermarkAge", now - watermark)
    ranges = [
        DirectoryRange(day=times.day, shard=shard, first=times.first, last=times.last)
        for times in due_anchors(watermark, now)
        for shard in range(DIRECTORY_SHARDS)
    ]
    queue.send(ranges)
    move_watermark(ledger.table, now)
    if not watermark:
        # Only now: a first run that fails emits no metric, which sets off the alarm.
        measure("WatermarkAge", timedelta())
    return len(ranges)
