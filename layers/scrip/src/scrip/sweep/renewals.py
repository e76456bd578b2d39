"""The sweep: accounts that nobody touches come into their periods on time, too.

    start: ask the queue for all that can be due since the watermark -> move the watermark
    renew: walk a range of the directory, settle each account; out of time: queue what is left

No balance depends on it, since whoever reads or changes an account settles it first. So it may come
late, die anywhere, or run twice at once: what is done is keyed by its period, what is not done is
asked for again.
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
from scrip.store.sweeps import (
    directory_pages,
    move_watermark,
    read_sound_accounts,
    read_watermark,
)
from scrip.sweep.queue import DirectoryRange, OneAccount, Queue

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip.ledger import Ledger


def start(ledger: Ledger, queue: Queue) -> int:
    """Ask for the renewal of all accounts that can be due by now; return how many messages ask.

    A watermark in the future says nothing: all accounts are asked for, as if there were none.

    Raises:
        BusyError: not all was asked for; the watermark stays, and the next run asks again.
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
        # Only now: a first run that fails tells nothing, and the alarm takes that for late.
        measure("WatermarkAge", timedelta())
    return len(ranges)


def renew_range(
    ledger: Ledger,
    queue: Queue,
    directory_range: DirectoryRange,
    *,
    in_time: Callable[[], bool],
) -> None:
    """Settle the accounts in a range of the directory, one at least.

    Once `in_time` says no, the rest goes back to the queue. So does, alone, an account that cannot
    be settled: it will fail there until SQS puts it among the dead letters.

    Raises:
        BusyError: the table did not answer; doing all of it again is safe.
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
            except Exception:  # noqa: BLE001 - what is wrong with one account stops no other
                logger.warning("put aside", exc_info=True, extra={"account_id": account_id})
                queue.send([OneAccount(account_id=account_id)])


def renew_account(ledger: Ledger, account_id: str) -> None:
    """Write down what time has done to an account, if anything.

    Raises:
        ScripError: it cannot be settled.
    """
    try:
        ledger.execute(renewal(account_id))
    except AccountNotFoundError:
        logger.info("it has gone since", extra={"account_id": account_id})


def _up_to_date(ledger: Ledger, account_ids: list[str]) -> set[str]:
    """Return those of a page of accounts to which time has done nothing, at the price of one call.

    The sweep comes by some hours before and after an account is due: most need no more than this.
    """
    found = set()
    for account in read_sound_accounts(ledger.table, account_ids):
        with suppress(Exception):  # what is wrong with it is seen when it is renewed
            if settled(account, ledger.catalog(), ledger.clock()) == account:
                found.add(account.account_id)
    return found
