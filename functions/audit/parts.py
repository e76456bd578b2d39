"""Parts of a round: walk a segment of the table or a shard of the directory, audit its accounts.

What there is no time for goes back to the queue, with what was counted so far. Stopping at any
point and auditing twice are safe: a part counts when it is done, and only once.
"""

from __future__ import annotations

from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto
from itertools import chain, pairwise
from typing import TYPE_CHECKING

from scrip.audit.accounts import (
    OutOfTimeError,
    audit_account,
    audit_leads,
    audit_newer,
    audit_together,
)
from scrip.audit_queue import TableSegment
from scrip.domain.audit.checkpoint import is_news
from scrip.domain.audit.rounds import Counts
from scrip.domain.errors import NewerVersionError
from scrip.observability import count, logger
from scrip.store.audit.books import account_pages, patient
from scrip.store.audit.checkpoints import (
    drop_checkpoint,
    keep_checkpoint,
    keep_first,
    read_checkpoints,
    unchanged,
)
from scrip.store.audit.quick import read_quickly
from scrip.store.audit.rounds import read_progress, save_part
from scrip.store.keys import id_of
from scrip.store.restores import read_restore_item
from scrip.store.sweeps import directory_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from datetime import datetime

    from scrip.audit.accounts import Audited
    from scrip.audit_queue import DirectoryShard, Part
    from scrip.domain.audit.checkpoint import Checkpoint
    from scrip.domain.audit.findings import Finding
    from scrip.ledger import Ledger
    from scrip.store.audit.books import Lead
    from scrip.store.client import Table
    from scrip.work_queue import Queue

PAGE_ITEMS = 500
"""The most items of the table that are processed before a worker checks its time."""

ACCOUNT_SECONDS_MAX = 240
"""The most time for one account: one with some million entries must not stop the others."""

AT_ONCE = 8
"""How many accounts are audited at once; they wait for the table and for repeated readings."""

POOL = ThreadPoolExecutor(AT_ONCE)

type Page = tuple[Collection[str], Collection[Lead], Part | None]
"""Accounts, what leads to accounts, and what is left of a part after them."""


class _Verdict(Enum):
    RIGHT = auto()
    WRONG = auto()
    UNAUDITED = auto()


def audit_part(ledger: Ledger, queue: Queue, part: Part, *, in_time: Callable[[], bool]) -> None:
    """Audit the accounts of a part of the current round, at least a page of them.

    When `in_time` returns False, the rest goes back to the queue. Parts of earlier rounds are
    dropped, and so is every part during a restore, after which it is queued again.

    Raises:
        BusyError: the table did not answer; repeating the part is safe.
        TableRefusedError: the role is not allowed to read it.
    """
    current = read_progress(ledger.table).current
    if current is None or current.round_id != part.round_id:
        logger.info("a part of an earlier round", extra={"part": part.name})
        return
    if read_restore_item(ledger.table) is not None:
        logger.warning("nothing is audited while a backup is being restored")
        return
    read_quickly(ledger.table.client)
    counted, is_whole = part.counted, isinstance(part, TableSegment)
    for account_ids, leads, rest in _pages(ledger.table, part):
        counted += _audit_page(ledger, account_ids, is_whole=is_whole)
        astray = audit_leads(ledger.table, leads)
        _log(astray)
        counted += Counts(mismatches=len(astray))
        if rest and not in_time():
            queue.send([rest.model_copy(update={"counted": counted})])
            return
    if save_part(ledger.table, part.round_id, part.name, counted, ledger.clock()):
        count("AuditedAccounts", counted.accounts)


def _pages(table: Table, part: Part) -> Iterator[Page]:
    if isinstance(part, TableSegment):
        return _of_segment(table, part)
    return _of_shard(table, part)


def _of_segment(table: Table, part: TableSegment) -> Iterator[Page]:
    for page in account_pages(
        table,
        segment=part.segment,
        segments=part.segments,
        after=part.after,
        items_max=PAGE_ITEMS,
    ):
        rest = part.model_copy(update={"after": page.last}) if page.last else None
        yield page.account_ids, page.leads, rest


def _of_shard(table: Table, part: DirectoryShard) -> Iterator[Page]:
    pages = directory_pages(
        patient(table), day=part.day, shard=part.shard, first=part.first, last="23:59"
    )
    for places, following in pairwise(chain(pages, [()])):
        rest = part.model_copy(update={"first": following[0]}) if following else None
        yield [id_of(place) for place in places], (), rest


def _audit_page(ledger: Ledger, account_ids: Collection[str], *, is_whole: bool) -> Counts:
    """Audit accounts, from their first entries or from their checkpoints on."""
    table, now = ledger.table, ledger.clock()
    known = read_checkpoints(table, account_ids)
    silent: set[str] = set()
    right: dict[str, Audited] = {}
    if not is_whole:
        vouched = {name: last for name, last in known.items() if last.state}
        silent = unchanged(table, vouched)
        newer = POOL.map(
            lambda name: audit_newer(table, name, vouched[name], now), vouched.keys() - silent
        )
        right = {audited.account_id: audited for audited in newer if audited}
    right |= audit_together(
        table,
        [name for name in account_ids if name not in silent | right.keys()],
        now,
        known,
        POOL,
        seconds_max=ACCOUNT_SECONDS_MAX,
    )
    _keep(table, {name: audited.proved for name, audited in right.items()}, known)
    others = [name for name in account_ids if name not in silent | right.keys()]
    verdicts = Counter(POOL.map(lambda name: _audit(table, now, name, known.get(name)), others))
    return Counts(
        accounts=len(silent) + len(right) + verdicts.total() - verdicts[None],
        mismatches=verdicts[_Verdict.WRONG],
        unaudited=verdicts[_Verdict.UNAUDITED],
    )


def _keep(
    table: Table, proved: Mapping[str, Checkpoint | None], known: Mapping[str, Checkpoint]
) -> None:
    """Keep what was proved of accounts, if it is new."""
    new = {name: one for name, one in proved.items() if one and is_news(one, known.get(name))}
    keep_first(table, {name: one for name, one in new.items() if name not in known})
    again = [name for name in new if name in known]
    deque(POOL.map(lambda name: keep_checkpoint(table, name, new[name], known[name]), again), 0)


def _audit(
    table: Table, now: datetime, account_id: str, last: Checkpoint | None
) -> _Verdict | None:
    """Audit an account and log its findings; return None if nothing of the account exists."""
    try:
        audited = audit_account(
            table,
            account_id,
            now,
            checkpoint=last,
            seconds_max=ACCOUNT_SECONDS_MAX,
            with_names=False,
        )
    except OutOfTimeError:
        logger.warning("the account has too many entries", extra={"account_id": account_id})
        return _Verdict.UNAUDITED
    except NewerVersionError:
        logger.warning("a newer version wrote the account", extra={"account_id": account_id})
        return _Verdict.UNAUDITED
    if audited is None:
        return None
    if audited.findings:
        _log(audited.findings)
        if last and last.state:
            drop_checkpoint(table, account_id)
        return _Verdict.WRONG
    if audited.proved and is_news(audited.proved, last):
        keep_checkpoint(table, account_id, audited.proved, last)
    return _Verdict.RIGHT


def _log(findings: Iterable[Finding]) -> None:
    """Log findings without what they are about, which may contain an address."""
    for found in findings:
        logger.error(
            "the audit has found",
            extra={
                "account_id": found.account_id,
                "code": found.code,
                "entry_id": found.entry_id,
                "seq": found.seq,
            },
        )
