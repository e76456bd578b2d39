"""Renewals: walk a range of the directory and settle each account; queue what is left over.

Stopping at any point and running twice at once are safe: a renewal is keyed by its period, and SQS
delivers again what was not finished.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from typing import TYPE_CHECKING

from scrip.domain.account import Account
from scrip.domain.errors import AccountNotFoundError, BusyError, NewerVersionError
from scrip.ledger import renewal
from scrip.observability import logger
from scrip.renew_queue import DirectoryRange, OneAccount
from scrip.store.keys import id_of
from scrip.store.queries import read_accounts
from scrip.store.sweeps import directory_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from scrip.ledger import Ledger
    from scrip.work_queue import Queue

AT_ONCE = 10
"""How many accounts are settled at once: as many as a client has connections."""

POOL = ThreadPoolExecutor(AT_ONCE)


def renew_range(
    ledger: Ledger,
    queue: Queue,
    directory_range: DirectoryRange,
    *,
    in_time: Callable[[], bool],
) -> None:
    """Settle the accounts in a range of the directory, at least one, several at once.

    When `in_time` returns False, the rest goes back to the queue. An account that cannot be settled
    goes back by itself: it will fail until SQS moves it to the dead-letter queue.

    Raises:
        BusyError: the table did not answer; repeating all of it is safe.
    """
    has_begun = False
    for places in directory_pages(ledger.table, **directory_range.model_dump()):
        due = _due(ledger, places)
        # A page on which nothing is due counts, too: reading it took time.
        for some in batched(due, AT_ONCE, strict=False) if due else [()]:
            if has_begun and not in_time():
                first, _ = some[0] if some else (places[0], None)
                queue.send([directory_range.model_copy(update={"first": first})])
                return
            has_begun = True
            _renew_together(ledger, queue, some)


def _renew_together(
    ledger: Ledger, queue: Queue, due: Iterable[tuple[str, Account | None]]
) -> None:
    """Settle accounts, each in a thread; an error of one does not keep the others from it.

    Raises:
        BusyError: the table did not answer for one of them.
    """
    renewals = [
        (id_of(place), POOL.submit(renew_account, ledger, id_of(place), account))
        for place, account in due
    ]
    busy = None
    for account_id, renewing in renewals:
        try:
            renewing.result()
        except BusyError as exc:
            busy = exc
        except Exception:  # noqa: BLE001 - one broken account must not stop the others
            logger.warning(
                "queued an account that could not be renewed",
                exc_info=True,
                extra={"account_id": account_id},
            )
            queue.send([OneAccount(account_id=account_id)])
    if busy:
        raise busy


def renew_account(ledger: Ledger, account_id: str, account: Account | None = None) -> None:
    """Book what has come due on an account, if anything.

    `account` is as it was just read; without it, it is read first. What a newer version wrote is
    left to that version, whose sweeps visit the account again.

    Raises:
        ScripError: it cannot be settled.
    """
    try:
        ledger.execute(renewal(account_id), account=account)
    except AccountNotFoundError:
        logger.info("the account no longer exists", extra={"account_id": account_id})
    except NewerVersionError:
        logger.warning("a newer version has to renew it", extra={"account_id": account_id})


def _due(ledger: Ledger, places: Sequence[str]) -> list[tuple[str, Account | None]]:
    """Return the places of a page on which something has come due, with their accounts, or None.

    They are read with one call. An account that cannot be read or settled counts as due: its error
    shows when it is renewed. The sweep visits an account some hours before and after it is due, so
    most are not.
    """
    found = read_accounts(ledger.table, [id_of(place) for place in places])
    due: list[tuple[str, Account | None]] = []
    for place in places:
        account = found.get(id_of(place))
        if not isinstance(account, Account):
            due.append((place, None))
        elif not _is_up_to_date(ledger, account):
            due.append((place, account))
    return due


def _is_up_to_date(ledger: Ledger, account: Account) -> bool:
    try:
        return ledger.settled(account) == account
    except Exception:  # noqa: BLE001 - a broken account shows when it is renewed
        return False
