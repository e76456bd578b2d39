"""Auditing an account of the table, which is read again before a finding is reported."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from scrip.domain.audit.audit import audit
from scrip.domain.audit.books import Books
from scrip.domain.audit.findings import Code, Finding
from scrip.domain.errors import BusyError, NewerVersionError
from scrip.store.audit.books import TableRefusedError, read_books, read_ledger, read_payments, stray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from scrip.domain.audit.books import StoredEntry
    from scrip.store.audit.books import Lead
    from scrip.store.client import Table

PAUSES_SECONDS = (0.5, 2.0)
"""Pauses before an account with findings is read again; index and usage usually lag less."""

FINDINGS_MAX = 100
"""The most findings reported of one account; the first ones usually cause the others."""


class OutOfTimeError(Exception):
    """An account has more entries than can be read in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """The result: how many entries the account has, and what is wrong with it."""

    account_id: str
    entries: int
    findings: tuple[Finding, ...]


def audit_account(
    table: Table,
    account_id: str,
    now: datetime,
    *,
    seconds_max: float = math.inf,
    with_names: bool = True,
) -> Audited | None:
    """Return what is wrong with an account; None if nothing of it exists.

    Names can be left to `audit_leads`, which checks those of many accounts at once.

    The account may change while it is read, so a reading is not a snapshot. Only what all readings
    find is reported: a real fault stays, an intermediate state does not.

    Raises:
        BusyError: the table did not answer, several times.
        TableRefusedError: the table refused a request.
        OutOfTimeError: it takes longer than `seconds_max`.
        NewerVersionError: a newer version wrote some of it, which only that one can audit.
    """
    deadline = time.monotonic() + seconds_max
    audited = _read_once(table, account_id, now, deadline, with_names=with_names)
    for pause in PAUSES_SECONDS:
        if audited is None or not audited.findings:
            break
        time.sleep(pause)
        again = _read_once(table, account_id, now, deadline, with_names=with_names)
        alike = frozenset(again.findings) if again else frozenset()
        audited = Audited(
            account_id=account_id,
            entries=again.entries if again else 0,
            findings=tuple(found for found in audited.findings if found in alike),
        )
    return audited


def audit_leads(table: Table, leads: Iterable[Lead]) -> list[Finding]:
    """Return the payments and names that lead to accounts which do not lead back to them.

    They were added or redirected by hand, which an account's own audit cannot find, except for
    names that it has.

    Raises:
        BusyError: the table did not answer, several times.
    """
    return [
        Finding(
            code=lead.code,
            account_id=lead.account_id,
            about=lead.about,
            sentence="It is a name of this account, but does not lead to it."
            if lead.leads_to
            else "It leads to this account, but nothing in the account leads to it.",
        )
        for lead in stray(table, leads)
    ]


def _read_once(
    table: Table, account_id: str, now: datetime, deadline: float, *, with_names: bool
) -> Audited | None:
    seen = 0

    def counted(entries: Iterable[StoredEntry]) -> Iterator[StoredEntry]:
        nonlocal seen
        for stored in entries:
            seen += 1
            if time.monotonic() > deadline:
                raise OutOfTimeError
            yield stored

    try:
        books = read_books(table, account_id, with_names=with_names)
        ledger = read_ledger(table, account_id)
        books = replace(books, unnumbered=ledger.unnumbered)
        found = audit(books, counted(ledger), lambda ids: read_payments(table, ids), now)
        findings = tuple(islice(found, FINDINGS_MAX))
    except (BusyError, NewerVersionError, TableRefusedError, OutOfTimeError):
        raise
    except Exception as exc:  # noqa: BLE001 - no account may stop the audit of others
        finding = Finding(
            code=Code.ITEM_UNREADABLE,
            account_id=account_id,
            about="account",
            sentence=f"Its entries cannot be added up: {exc!r}.",
        )
        return Audited(account_id=account_id, entries=seen, findings=(finding,))
    if not seen and books == Books(account_id=account_id, account=None):
        return None
    return Audited(account_id=account_id, entries=seen, findings=findings)
