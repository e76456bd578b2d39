"""Renewals: walk a range of the directory and settle each account; queue what is left over.

Stopping at any point and running twice at once are safe: a renewal is keyed by its period, and SQS
delivers again what was not finished.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from scrip.domain.account import Account
from scrip.domain.errors import AccountNotFoundError, BusyError, NewerVersionError
from scrip.ledger import renewal
from scrip.observability import logger
from scrip.renew_queue import DirectoryRange, OneAccount, Queue
from scrip.store.keys import id_of
from scrip.store.queries import read_accounts
from scrip.store.sweeps import directory_pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip.ledger import Ledger


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

    What a newer version wrote is left to that version, whose sweeps visit the account again.

    Raises:
        ScripError: it cannot be settled.
    """
    try:
        ledger.execute(renewal(account_id))
    except AccountNotFoundError:
        logger.info("the account no longer exists", extra={"account_id": account_id})
    except NewerVersionError:
        logger.warning("a newer version has to renew it", extra={"account_id": account_id})


def _up_to_date(ledger: Ledger, account_ids: list[str]) -> set[str]:
    """Return the accounts of a page on which nothing has come due, with one call.

    The sweep visits an account some hours before and after it is due, so most need no more.
    """
    found = set()
    for account in read_accounts(ledger.table, account_ids).values():
        with suppress(Exception):  # a broken account shows when it is renewed
            if isinstance(account, Account) and ledger.settled(account) == account:
                found.add(account.account_id)
    return found
