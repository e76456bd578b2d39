"""Lists of accounts, as the API and the command line show them."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from scrip.domain.account import Account
from scrip.domain.errors import BusyError, CorruptAccountError, ScripError
from scrip.http.answers import listed_account_json
from scrip.ledger import Ledger
from scrip.observability import logger
from scrip.store.directory import read_accounts
from scrip.users import emails_of

THREADS = 8
"""How many accounts' addresses are looked up at once."""


def listed_accounts(ledger: Ledger, account_ids: Iterable[str]) -> list[dict[str, Any]]:
    """Return up to 100 accounts as they are now; what is wrong with one stops no other."""
    known = read_accounts(ledger.table, list(account_ids))
    ledger.catalog()  # once, and not by each thread
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(partial(_listed, ledger), known.keys(), known.values()))


def _listed(ledger: Ledger, account_id: str, account: Account | None) -> dict[str, Any]:
    if account is None:
        return {"account_id": account_id, "error": CorruptAccountError.code}
    try:
        return listed_account_json(ledger.settled(account), emails_of(ledger, account_id))
    except BusyError:
        raise
    except Exception as exc:  # noqa: BLE001 - what is wrong with one stops no other
        logger.exception("cannot be shown", extra={"account_id": account_id})
        code = exc.code if isinstance(exc, ScripError) else ScripError.code
        return {"account_id": account_id, "error": code}
