"""Auditing the table: every account, each read again before anything is said of it.

find the accounts, whatever is left of them -> read each one whole -> add it up anew
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from scrip.domain.audit.audit import audit
from scrip.domain.audit.books import Books
from scrip.domain.audit.findings import Code, Finding
from scrip.domain.errors import BusyError
from scrip.store.audit.books import (
    TableRefusedError,
    read_books,
    read_ledger,
    read_payments,
    stray,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from scrip.domain.audit.books import StoredEntry
    from scrip.store.audit.books import Lead
    from scrip.store.client import Table

PAUSES_SECONDS = (0.5, 2.0)
"""Before each further reading of an account in which something was found. The index and the usage
lag behind by less, as a rule."""

FINDINGS_MAX = 100
"""So many findings of one account are told; the first of them are the cause of the others."""


class OutOfTimeError(Exception):
    """An account has more entries than there was time for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What came out: how many entries the account has, and what is wrong with it."""

    account_id: str
    entries: int
    findings: tuple[Finding, ...]


def audit_account(
    table: Table, account_id: str, now: datetime, *, seconds_max: float = math.inf
) -> Audited | None:
    """Return what is wrong with an account; None where there is nothing of it at all.

    Others may change the account meanwhile. What is read in one go is not of one moment, so only
    what several readings find alike is told: what stands there wrongly stays, what was seen in
    between does not.

    Raises:
        BusyError: the table did not answer, several times.
        TableRefusedError: it may not be read.
        OutOfTimeError: it takes longer than `seconds_max`.
    """
    deadline = time.monotonic() + seconds_max
    audited = _read_once(table, account_id, now, deadline)
    for pause in PAUSES_SECONDS:
        if audited is None or not audited.findings:
            break
        time.sleep(pause)
        again = _read_once(table, account_id, now, deadline)
        alike = frozenset(again.findings) if again else frozenset()
        audited = Audited(
            account_id=account_id,
            entries=again.entries if again else 0,
            findings=tuple(found for found in audited.findings if found in alike),
        )
    return audited


def audit_leads(table: Table, leads: Iterable[Lead]) -> list[Finding]:
    """Return what is wrong with payments and names that lead to accounts.

    Accounts find their own; this finds those that were put in or turned away by hand.

    Raises:
        BusyError: the table did not answer, several times.
    """
    return [
        Finding(
            code=lead.code,
            account_id=lead.account_id,
            about=lead.about,
            sentence="It leads to this account, and nothing leads from there to it.",
        )
        for lead in stray(table, leads)
    ]


def _read_once(table: Table, account_id: str, now: datetime, deadline: float) -> Audited | None:
    seen = 0

    def entries() -> Iterator[StoredEntry]:
        nonlocal seen
        for stored in read_ledger(table, account_id):
            seen += 1
            if time.monotonic() > deadline:
                raise OutOfTimeError
            yield stored

    try:
        books = read_books(table, account_id)
        found = audit(books, entries(), lambda ids: read_payments(table, ids), now)
        findings = tuple(islice(found, FINDINGS_MAX))
    except (BusyError, TableRefusedError, OutOfTimeError):
        raise
    except Exception as exc:  # noqa: BLE001 - whatever hands have left there stops no other account
        told = f"It cannot be added up: {exc!r}."
        finding = Finding(
            code=Code.ITEM_UNREADABLE, account_id=account_id, about="account", sentence=told
        )
        return Audited(account_id=account_id, entries=seen, findings=(finding,))
    if not seen and books == Books(account_id=account_id, account=None):
        return None
    return Audited(account_id=account_id, entries=seen, findings=findings)
