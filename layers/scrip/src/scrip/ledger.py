"""The one path by which a balance changes: read, decide, commit; try again after losing a race.

    read the account -> decide(account, command, now) -> commit the posting if the account is
    unchanged

A function that dies anywhere on the way leaves either the whole change or none, and a caller who
retries with the same key gets the first answer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from ulid import ULID

from scrip.admission import Admission
from scrip.domain.commands import Command, OpenAccount, Renew
from scrip.domain.decide import SIGNUP_ENTRY_ID, PostingTooLongError, decide
from scrip.domain.entitlement import entitled
from scrip.domain.entries import CLOCK, Actor, ActorType
from scrip.domain.errors import (
    AccountNotFoundError,
    BusyError,
    CatalogUnsoundError,
    HoldEndedError,
    HoldNotFoundError,
    IdempotencyKeyReusedError,
    RefusalError,
    UnknownPlanError,
)
from scrip.domain.settle import settled
from scrip.retrying import jitter
from scrip.settings import Settings, settings
from scrip.store import items
from scrip.store.catalogs import examine_catalog
from scrip.store.client import Table, open_table
from scrip.store.commit import (
    AccountMovedError,
    AlreadyWelcomedError,
    ConflictError,
    EntryExistsError,
    check,
    commit,
)
from scrip.store.mailbox_key import own_mailbox_key
from scrip.store.queries import (
    Snapshot,
    read,
    read_entries_together,
    read_entry,
    read_for,
    read_hold_end,
)
from scrip.warm_up import is_for_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from scrip.domain.account import Account
    from scrip.domain.catalog import Catalog, Plan
    from scrip.domain.entitlement import Entitlement
    from scrip.domain.entries import Entry
    from scrip.domain.posting import Posting

CATALOG_SECONDS = 30
"""How long a process uses the catalog that it has read."""

TRIES_MAX = 200
BACKOFF_SECONDS = 0.01
PAUSE_SECONDS_MAX = 0.08
DEADLINE_SECONDS = 2.0
"""Limits for the tries of one command; the pause after try n is up to BACKOFF * 2^n.

Tries count from 0. After a conflict, only callers who have lost before pause.
"""

CROWDED_SECONDS = 0.3
"""After losing races for this long a caller gets `busy`; with the last try, within 350 ms."""

PATIENT_SECONDS = 4.0
"""How long those race who are not part of a crowd: long enough to get through any."""

WELCOME = "Welcome credits"
"""What the entry of the sign-up credits says."""

CALLERS = frozenset({ActorType.USER, ActorType.SERVICE})
"""Callers that are refused early when an account is crowded.

Admins, webhooks and the clock are few and not part of the crowd. They are always admitted and try
for PATIENT_SECONDS.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command did: its own entry, None if it wrote none; `replayed` if it is not new.

    `others` are the entries of a batch's other uses. `account` is the account afterwards; None for
    a replay.
    """

    entry: Entry | None
    account: Account | None = None
    others: tuple[Entry, ...] = ()
    replayed: bool = False


class Ledger:
    """The ledger of one table. `clock` returns the time in UTC, in whole milliseconds."""

    def __init__(
        self,
        table: Table,
        clock: Callable[[], datetime],
        mailbox_key: Callable[[], bytes] = own_mailbox_key,
    ) -> None:
        """Use a table and a clock; nothing is read yet.

        `mailbox_key` reads the key with which the stack hashes mailboxes.
        """
        self.table = table
        self.clock = clock
        self.mailbox_key = mailbox_key
        self._admission = Admission()
        self._catalog: tuple[float, Catalog] | None = None

    def execute(
        self,
        command: Command,
        opening: Callable[[], OpenAccount] | None = None,
        account: Account | None = None,
    ) -> Outcome:
        """Execute a command; its idempotency key takes effect at most once.

        `opening` makes the command that opens the account first if there is none. `account` is as
        it was just read, for a command that reads nothing else; if it has changed since, it is read
        again.

        Raises:
            RefusalError: the rules do not allow it; nothing was written. It is one of the
                command's `refusals`.
            IdempotencyKeyReusedError: its key belongs to another request.
            BusyError: too contended or too slow; asking again with the same key is safe.
        """
        try:
            return self._execute(command, account)
        except AccountNotFoundError:
            if opening is None:
                raise
        self._execute(opening())
        return self._execute(command)

    def rehearse(
        self,
        command: Command,
        opening: Callable[[], OpenAccount] | None = None,
        account: Account | None = None,
    ) -> Outcome:
        """Return the outcome that `execute` would have now, and write nothing.

        `account` is what a rehearsal before this one left, to rehearse several commands in a row.

        Raises:
            RefusalError, IdempotencyKeyReusedError, BusyError: as `execute` does.
        """
        snapshot = read_for(self.table, command)
        if account is not None:
            snapshot = replace(snapshot, account=account)
        elif snapshot.account is None and opening is not None:
            snapshot = replace(snapshot, account=self.rehearse(opening()).account)
        for _ in range(TRIES_MAX):
            try:
                return self._attempt(command, snapshot, check, may_stand=command.keyed)
            except AlreadyWelcomedError:
                command = _unwelcomed(command)
            except PostingTooLongError:
                renewed = self.rehearse(renewal(command.account_id), account=snapshot.account)
                snapshot = replace(snapshot, account=renewed.account)
        raise BusyError

    def account(
        self,
        account_id: str,
        opening: Callable[[], OpenAccount] | None = None,
    ) -> Account:
        """Return an account rolled forward to now; `opening` makes the command to open one first.

        Raises:
            AccountNotFoundError: it does not exist.
            BusyError: the table did not answer.
        """
        account = read(self.table, account_id).account
        if account is None and opening is not None:
            self._execute(opening())
            account = read(self.table, account_id).account
        if account is None:
            raise AccountNotFoundError(account_id)
        return self.settled(account)

    def settled(self, account: Account) -> Account:
        """Return an account rolled forward to now."""
        now = self.time(account)
        return self.with_catalog(lambda catalog: settled(account, catalog, now))

    def time(self, account: Account) -> datetime:
        """Return the time at which an account lives: now, or what its own clock shows."""
        return account.time(self.clock())

    def entitled(self, account: Account) -> Entitlement:
        """Return what an account that was rolled forward to now is entitled to.

        Another process, whose clock is fast, may have rolled it forward further.
        """
        now = max(self.time(account), account.as_of)
        return self.with_catalog(lambda catalog: entitled(account, catalog, now))

    def catalog(self) -> Catalog:
        """Return the catalog, perhaps a partial one, at most CATALOG_SECONDS old."""
        known = self._catalog  # another thread may drop it
        if known is None or time.monotonic() - known[0] > CATALOG_SECONDS:
            known = self._catalog = (time.monotonic(), examine_catalog(self.table)[0])
        return known[1]

    def with_catalog[T](self, decided: Callable[[Catalog], T]) -> T:
        """Decide with the catalog, and again with a fresh one if it lacks a plan."""
        try:
            return decided(self.catalog())
        except (CatalogUnsoundError, UnknownPlanError):
            self._catalog = None
            return decided(self.catalog())

    def plan_named(self, provider_ids: Collection[str]) -> Plan | None:
        """Return the plan with one of these provider IDs, even if it was mapped just now."""
        plan = self.catalog().plan_named(provider_ids)
        if plan is None:
            self._catalog = None
            plan = self.catalog().plan_named(provider_ids)
        return plan

    def _execute(self, command: Command, account: Account | None = None) -> Outcome:
        account_id, is_caller = command.account_id, command.actor.type in CALLERS
        began, cause = time.monotonic(), None
        snapshot = Snapshot(account=account) if account else None
        for n in range(TRIES_MAX):
            if is_caller:
                self._admission.enter(account_id)
            try:
                snapshot = snapshot or read_for(self.table, command)
                may_stand = command.keyed or n > 0
                outcome = self._attempt(command, snapshot, commit, may_stand=may_stand)
            except AlreadyWelcomedError:
                command = _unwelcomed(command)
                continue
            except PostingTooLongError:
                self._execute(renewal(account_id))
                snapshot, pause, is_crowded = None, 0.0, False
            except AccountMovedError as moved:
                # The snapshot is fresh: waiting would only make it stale.
                snapshot = None if command.reads_terms else moved.snapshot
                pause, is_crowded = 0.0, True
                cause = moved.__cause__
            except (ConflictError, BusyError) as exc:
                snapshot, is_crowded, cause = None, isinstance(exc, ConflictError), exc.__cause__
                # The other transaction will be over before the next read arrives; a pause is for
                # giving way to others.
                gives_way = (is_caller and n > 0) or not is_crowded
                pause = jitter(min(BACKOFF_SECONDS * 2**n, PAUSE_SECONDS_MAX)) if gives_way else 0.0
            else:
                self._admission.done(account_id)
                return outcome
            if is_crowded:
                self._admission.lost(account_id)
            racing = CROWDED_SECONDS if is_caller else PATIENT_SECONDS
            if time.monotonic() + pause > began + (racing if is_crowded else DEADLINE_SECONDS):
                break
            time.sleep(pause)
        raise self._admission.busy(account_id) from cause

    def _attempt(
        self,
        command: Command,
        snapshot: Snapshot,
        write: Callable[[Table, Posting], None],
        *,
        may_stand: bool,
    ) -> Outcome:
        """Decide a command and write the posting, or (with `check`) only see if it could be."""
        try:
            posting = self.with_catalog(
                lambda catalog: decide(
                    snapshot.account,
                    command,
                    catalog=catalog,
                    now=self.clock(),
                    refundable=snapshot.refundable,
                    paid=snapshot.paid,
                    past=snapshot.past,
                ),
            )
        except RefusalError as refusal:
            # A retry of a success must not be refused because of what has happened since.
            account_id, entry_id = command.account_id, command.entry_id
            if may_stand and (entry := read_entry(self.table, account_id, entry_id)):
                return self._replayed(command, entry)
            if isinstance(refusal, HoldNotFoundError):
                return self._ended(command, refusal)
            raise
        if posting.after != posting.before:
            try:
                write(self.table, posting)
            except EntryExistsError as exists:
                return self._replayed(command, exists.entry)
        first_other = len(posting.entries) - len(command.entry_ids) + 1
        others = posting.entries[first_other:]
        return Outcome(entry=posting.entry, account=posting.after, others=others)

    def _replayed(self, command: Command, entry: Entry) -> Outcome:
        if command.keyed and entry.request_hash != command.request_hash:
            raise IdempotencyKeyReusedError(entry.entry_id)
        others = read_entries_together(self.table, command.account_id, command.entry_ids[1:])
        return Outcome(entry=entry, others=others, replayed=command.keyed)

    def _ended(self, command: Command, not_found: HoldNotFoundError) -> Outcome:
        """Answer a call about a hold that is not open: it may replay the call that ended it."""
        end = read_hold_end(self.table, command.account_id, not_found.hold_id)
        if end is None:
            raise not_found
        if end.account and self.settled(end.account).hold(not_found.hold_id):
            raise BusyError  # it was opened after the account was read: decide again
        if end.entry and end.entry.request_hash == command.request_hash:
            # The call that ended it may have had another key.
            first = replace(command, entry_id=end.entry.entry_id)
            return replace(self._replayed(first, end.entry), replayed=True)
        raise HoldEndedError(not_found.hold_id, end.entry.entry_id if end.entry else None)


def _unwelcomed(command: Command) -> OpenAccount:
    """Return the command that opens an account without sign-up credits, and for no mailbox."""
    assert isinstance(command, OpenAccount), command
    return replace(command, signup_credits=0, mailboxes=())


def renewal(account_id: str) -> Renew:
    """Return the command that books what has come due on an account."""
    return Renew(account_id=account_id, entry_id=str(ULID()), keyed=False, actor=CLOCK)


def utc_now() -> datetime:
    """Return the current time in UTC, in whole milliseconds."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@cache
def ledger() -> Ledger:
    """Return the ledger of this process."""
    table = open_table(settings().table_name, settings().table_roots)
    if settings().faults:
        from scrip.store.faults import inject  # noqa: PLC0415 - only where it was asked for

        inject(table, settings().faults)
    return Ledger(table, utc_now)


def prepare() -> None:
    """Prepare this process's ledger for its first command.

    Unless the process is for a snapshot, it reads the catalog, so that a connection is open.
    """
    items.prepare()
    own = ledger()
    if not is_for_snapshot():
        own.catalog()


def opening(
    account_id: str,
    mailboxes: tuple[str, ...] = (),
    stack: Settings | None = None,
    reason: str = WELCOME,
) -> OpenAccount:
    """Return the command that opens an account with a stack's settings, by default this one's.

    `mailboxes` are its owner's, as keyed hashes. `reason` is what the entry of the sign-up credits
    says.
    """
    stack = stack or settings()
    return OpenAccount(
        account_id=account_id,
        entry_id=SIGNUP_ENTRY_ID,
        keyed=False,
        actor=Actor(ActorType.SYSTEM, "signup"),
        reason=reason,
        plan_id=stack.default_plan,
        signup_credits=stack.signup_credits,
        reset_anchor=stack.reset_anchor,
        time_zone=stack.time_zone,
        mailboxes=mailboxes,
    )
