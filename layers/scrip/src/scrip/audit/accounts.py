"""Auditing an account of the table, which is read again before a finding is reported."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from scrip.domain.audit.audit import (
    audit_entries,
    audit_onto,
    audit_sums,
    next_checkpoint,
    payments_booked,
)
from scrip.domain.audit.books import Books
from scrip.domain.audit.findings import Code, Finding
from scrip.domain.audit.tally import Tally
from scrip.domain.errors import BusyError, NewerVersionError
from scrip.store.audit.books import (
    TableRefusedError,
    read_books,
    read_ledger,
    read_newer,
    read_payments,
    stray,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Executor
    from datetime import datetime

    from scrip.domain.audit.books import StoredEntry
    from scrip.domain.audit.checkpoint import Checkpoint
    from scrip.domain.payments import Payment
    from scrip.store.audit.books import Lead, StoredLedger
    from scrip.store.client import Table

PAUSES_SECONDS = (0.5, 2.0)
"""Pauses before an account with findings is read again; index and usage usually lag less."""

FINDINGS_MAX = 100
"""The most findings reported of one account; the first ones usually cause the others."""


class OutOfTimeError(Exception):
    """An account has more entries than can be read in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """The result: how many entries were read, what is wrong, and what was proved if nothing is."""

    account_id: str
    entries: int
    findings: tuple[Finding, ...]
    proved: Checkpoint | None = None


def audit_account(
    table: Table,
    account_id: str,
    now: datetime,
    *,
    checkpoint: Checkpoint | None = None,
    seconds_max: float = math.inf,
    with_names: bool = True,
) -> Audited | None:
    """Audit an account from its first entry; return None if nothing of it exists.

    Its checkpoint, if it has one, must agree with that: it is evidence of what once was there.
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
    read = partial(_read_once, table, account_id, now, checkpoint, deadline, with_names=with_names)
    audited = read()
    for pause in PAUSES_SECONDS:
        if audited is None or not audited.findings:
            break
        time.sleep(pause)
        again = read()
        alike = frozenset(again.findings) if again else frozenset()
        audited = Audited(
            account_id=account_id,
            entries=again.entries if again else 0,
            findings=tuple(found for found in audited.findings if found in alike),
            proved=again.proved if again else None,
        )
    return audited


def audit_together(
    table: Table,
    account_ids: Iterable[str],
    now: datetime,
    checkpoints: Mapping[str, Checkpoint],
    pool: Executor,
    *,
    seconds_max: float = math.inf,
) -> dict[str, Audited]:
    """Audit accounts from their first entries, with one read of all their payments.

    Return those that are right. Each of the others needs an audit of its own, which says why.

    Raises:
        BusyError: the table did not answer, several times.
        TableRefusedError: the table refused a request.
    """
    deadline = time.monotonic() + seconds_max

    def begin(account_id: str) -> tuple[Tally, int] | None:
        try:
            tally, ledger = _opened(table, account_id, now, checkpoints.get(account_id))
            entries = _Counted(ledger, deadline)
            return None if any(audit_entries(tally, entries)) else (tally, entries.seen)
        except (BusyError, TableRefusedError):
            raise
        except Exception:  # noqa: BLE001 - shows when the account is audited by itself
            return None

    begun = [one for one in pool.map(begin, account_ids) if one]
    booked = set[str]().union(*(payments_booked(tally) for tally, _ in begun))
    payments = read_payments(table, booked)
    return {
        tally.books.account_id: Audited(
            account_id=tally.books.account_id, entries=seen, findings=(), proved=tally.kept
        )
        for tally, seen in begun
        if not _has_findings(tally, payments)
    }


def _has_findings(tally: Tally, payments: Mapping[str, Payment]) -> bool:
    try:
        return any(audit_sums(tally, payments))
    except Exception:  # noqa: BLE001 - shows when the account is audited by itself
        return True


def audit_newer(
    table: Table, account_id: str, checkpoint: Checkpoint, now: datetime
) -> Audited | None:
    """Audit the entries of an account from its checkpoint on; return None unless all are right.

    Then the whole account has to be audited, which alone says what is wrong.

    Raises:
        BusyError: the table did not answer, several times.
        TableRefusedError: the table refused a request.
        NewerVersionError: a newer version wrote some of it, which only that one can audit.
    """
    try:
        books = read_books(table, account_id, with_names=False)
        newer = read_newer(table, account_id, checkpoint.seq)
        proved = newer and next_checkpoint(
            replace(books, checkpoint=checkpoint),
            newer,
            lambda ids: read_payments(table, ids),
            now,
        )
    except (BusyError, NewerVersionError, TableRefusedError):
        raise
    except Exception:  # noqa: BLE001 - shows when the whole account is audited
        return None
    if not newer or not proved:
        return None
    return Audited(account_id=account_id, entries=len(newer) - 1, findings=(), proved=proved)


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
    table: Table,
    account_id: str,
    now: datetime,
    checkpoint: Checkpoint | None,
    deadline: float,
    *,
    with_names: bool,
) -> Audited | None:
    entries = None
    try:
        tally, ledger = _opened(table, account_id, now, checkpoint, with_names=with_names)
        entries = _Counted(ledger, deadline)
        found = audit_onto(tally, entries, lambda ids: read_payments(table, ids))
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
        seen = entries.seen if entries else 0
        return Audited(account_id=account_id, entries=seen, findings=(finding,))
    if not entries.seen and tally.books == Books(account_id=account_id, account=None):
        return None
    proved = None if findings else tally.kept
    return Audited(account_id=account_id, entries=entries.seen, findings=findings, proved=proved)


def _opened(
    table: Table,
    account_id: str,
    now: datetime,
    checkpoint: Checkpoint | None,
    *,
    with_names: bool = False,
) -> tuple[Tally, StoredLedger]:
    """Return a tally of an account, and the entries that it has to add up."""
    books = read_books(table, account_id, with_names=with_names)
    ledger = read_ledger(table, account_id)
    return Tally(replace(books, unnumbered=ledger.unnumbered, checkpoint=checkpoint), now), ledger


class _Counted:
    """Entries that are counted while they are read, until a deadline."""

    def __init__(self, entries: Iterable[StoredEntry], deadline: float) -> None:
        self.entries, self.deadline, self.seen = entries, deadline, 0

    def __iter__(self) -> Iterator[StoredEntry]:
        for stored in self.entries:
            self.seen += 1
            if time.monotonic() > self.deadline:
                raise OutOfTimeError
            yield stored
