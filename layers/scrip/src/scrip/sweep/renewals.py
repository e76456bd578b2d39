"""The sweep: accounts without requests begin their periods on time, too.

start: queue the ranges of the directory that can be due since the watermark -> move the watermark
renew: walk a range of the directory, settle each account; out of time: queue what is left

No balance depends on it, since every read or change of an account settles it first. So the sweep
can be late, die anywhere, or run twice at once: what is done is keyed by its period, and what is
not done is queued again.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from scrip.domain.audit.skew import is_ahead
from scrip.domain.errors import AccountNotFoundError, BusyError
from scrip.domain.settle import settled
from scrip.domain.sweeps import due_anchors
from scrip.ledger import renewal
from scrip.observability import logger, measure
from scrip.store.keys import DIRECTORY_SHARDS, id_of
from scrip.store.queries import read_accounts
from scrip.store.sweeps import directory_pages, move_watermark, read_watermark
from scrip.sweep.queue import DirectoryRange, OneAccount, Queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip.ledger import Ledger


def start(ledger: Ledger, queue: Queue) -> int:
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


def renew_range(
    ledger: Ledger,
    queue: Queue,
    directory_range: DirectoryRange,
    *,
    in_time: Callable[[], bool],
) -> None:
    """Settle the accounts in a range of the directory, at least one.

    When `in_time` returns False, the rest goes back to the queue. An account that cannot be settled
    goes back by itself: it will fail until SQS moves it to the dead-letter queue.

    Raises:
        BusyError: the table did not answer; repeating all of it is safe.
    """
    visited = 0
    for places in directory_pages(ledger.table, **directory_range.model_dump()):
        up_to_date = _up_to_date(ledger, [id_of(place) for place in places])
        for place in places:
            if visited and not in_time():
                queue.send([directory_range.model_copy(update={"first": place})])
                return
            visited += 1
            if (account_id := id_of(place)) in up_to_date:
                continue
            try:
                renew_account(ledger, account_id)
            except BusyError:
                raise
            except Exception:  # noqa: BLE001 - one broken account must not stop the others
                logger.warning(
                    "queued an account that could not be renewed",
                    exc_info=True,
                    extra={"account_id": account_id},
                )
                queue.send([OneAccount(account_id=account_id)])


def renew_account(ledger: Ledger, account_id: str) -> None:
    """Book what has come due on an account, if anything.

    Raises:
        ScripError: it cannot be settled.
    """
    try:
        ledger.execute(renewal(account_id))
    except AccountNotFoundError:
        logger.info("the account no longer exists", extra={"account_id": account_id})


def _up_to_date(ledger: Ledger, account_ids: list[str]) -> set[str]:
    """Return the accounts of a page on which nothing has come due, with one call.

    The sweep visits an account some hours before and after it is due, so most need no more.
    """
    found = set()
    for account in filter(None, read_accounts(ledger.table, account_ids).values()):
        with suppress(Exception):  # a broken account shows when it is renewed
            if settled(account, ledger.catalog(), ledger.clock()) == account:
                found.add(account.account_id)
    return found
