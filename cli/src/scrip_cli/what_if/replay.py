"""Replaying an account: its commands again through `decide`, from its first entry on.

Twice, side by side: at the prices of the time, which must write the same entries, hash for hash;
and from some instant on at other prices.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile

from scrip.domain.account import PERIOD, Account, Subscription
from scrip.domain.catalog import Catalog
from scrip.domain.commands import UNPRICEABLE, Command, OpenAccount, Renew, ResetAnchor
from scrip.domain.decide import SIGNUP_ENTRY_ID, PostingTooLongError, decide
from scrip.domain.entries import CLOCK, GENESIS_HASH, Entry, EntryType, chained
from scrip.domain.errors import HoldExceededError, InsufficientCreditsError, RefusalError
from scrip.domain.grants import Grant, GrantKind
from scrip.domain.posting import ENTRIES_MAX, Posting, Refundable
from scrip.domain.terms import Term
from scrip_cli.what_if.facts import approximated, with_entry
from scrip_cli.what_if.records import Records
from scrip_cli.what_if.requests import DERIVED, commands_of, own_entries, quota_changes

TICK = timedelta(milliseconds=1)

NUMBERED_PERIOD = re.compile(rf"{PERIOD}.*Z:\d+")
"""The name of a month's own allowance if the account has followed a subscription before."""

FORGOTTEN = Subscription(
    subscription_id="forgotten", status="canceled", ended=True, at=datetime.min.replace(tzinfo=UTC)
)
"""Stands for the subscriptions of a closed account, which are not known any more."""

type CatalogsAt = Callable[[datetime, Sequence[Entry]], Iterable[Catalog]]
"""Returns the catalogs that some entries may have been decided with, the likeliest first."""


@dataclass
class Side:
    """An account in one of the two replays, with the items beside it that commands read."""

    account: Account | None = None
    retired: dict[str, Grant] = field(default_factory=dict)
    past: dict[str, Term] = field(default_factory=dict)
    uses: dict[str, Entry] = field(default_factory=dict)
    refunded: Counter[str] = field(default_factory=Counter)

    def copy(self) -> "Side":
        """Return a side that goes on from here by itself."""
        return Side(
            self.account,
            self.retired.copy(),
            self.past.copy(),
            self.uses.copy(),
            self.refunded.copy(),
        )

    def decide(self, command: Command, catalog: Catalog, now: datetime) -> Posting:
        """Return what a command does.

        Raises:
            RefusalError, PostingTooLongError: as `decide` does.
        """
        of, account = self.uses.get(command.reads_entry or ""), self.account
        if account is not None:  # no call of the past was one too many
            account = replace(account, hold_calls=None)
        refundable = None
        if of is not None:
            refundable = Refundable(
                entry=of,
                refunded=self.refunded[of.entry_id],
                retired=tuple(self.retired.values()),
            )
        return decide(
            account,
            command,
            catalog=catalog,
            now=now,
            refundable=refundable,
            past=tuple(self.past.values()) if command.reads_terms else (),
        )

    def write(self, posting: Posting, records: Records) -> None:
        """Go on from a posting."""
        self.account = posting.after
        self.retired |= {grant.grant_id: grant for grant in posting.retired}
        self.past |= {term.term_id: term for term in posting.terms}
        self.note(posting.entries, records)

    def note(self, entries: Iterable[Entry], records: Records) -> None:
        """Keep the uses that are refunded later, and what is."""
        for entry in entries:
            if entry.type is EntryType.USAGE and entry.entry_id in records.refunded:
                self.uses[entry.entry_id] = entry
            if entry.refunds:
                self.refunded[entry.refunds] += entry.cost or 0


@dataclass
class Outcome:
    """What a replay found. Credits.

    - `used_before`: charged less refunded in the window; `used_after`: the same at other prices.
    - `refused`: the commands that the account could not have paid for (402).
    - `holds_exceeded`: the captures that their hold would not have covered (409).
    - `debt_before`, `debt_after`: the most that was owed within the window.
    - `unpriced`: uses of features or meters that the catalog has not.
    - `entries` of the account's whole ledger; of these `facts` were taken as they are, because only
      a provider's message knew what was asked, and `differ` came out otherwise in the replay.
    """

    account_id: str
    used_before: int = 0
    used_after: int = 0
    refused: int = 0
    holds_exceeded: int = 0
    debt_before: int = 0
    debt_after: int = 0
    unpriced: int = 0
    entries: int = 0
    facts: int = 0
    differ: int = 0


@dataclass(frozen=True)
class Step:
    """The next entries, and the command that wrote them, if it is known.

    `posting` is what the command does in the replay; None if it is not what the entries say.
    """

    entries: Sequence[Entry]
    command: Command | None
    posting: Posting | None


class Replay:
    """The replay of one account."""

    def __init__(
        self,
        records: Records,
        entries: Iterable[Entry],
        catalogs_at: CatalogsAt,
        wanted: Catalog,
        since: datetime,
    ) -> None:
        """Take the entries by seq, the catalogs, and the start of the window."""
        self.records = records
        self.account_id = records.account.account_id
        self.catalogs_at = catalogs_at
        self.wanted = wanted
        self.since = since
        self.side = Side()
        self.other: Side | None = None
        self.outcome = Outcome(self.account_id)
        self._entries = iter(entries)
        self._ahead: deque[Entry] = deque()
        self._quotas = deque(records.quotas)
        self._external_at: datetime | None = None
        # Nothing is named after it.
        self._renewal = Renew(account_id=self.account_id, entry_id="", keyed=False, actor=CLOCK)

    def run(self) -> Outcome:
        """Replay all of it."""
        while self._look_ahead():
            now = self._ahead[0].recorded_at
            if self.other is None and now >= self.since:
                self.other = self.side.copy()
            if self.side.account is None:
                self._open()
                continue
            while self._quotas and self._quotas[0].recorded_at < now:
                self._change_quota()
            self._extend_holds(now)
            step = self._next_step(now)
            if step.posting is None and self._quotas and self._quotas[0].recorded_at == now:
                self._change_quota()  # of one instant, only that shows which came first
            else:
                self._go_on(step, now)
        return self.outcome

    def _look_ahead(self) -> bool:
        missing = 2 * ENTRIES_MAX - len(self._ahead)
        if missing > ENTRIES_MAX:
            self._ahead.extend(islice(self._entries, missing))
        return bool(self._ahead)

    def _open(self) -> None:
        """Open the account as its item and its first entry say."""
        account, first = self.records.account, self._ahead[0]
        is_welcome = first.entry_id == SIGNUP_ENTRY_ID
        for reset_anchor, now in (
            (ResetAnchor.SIGNUP, account.anchor),
            (ResetAnchor.MONTH, first.recorded_at),
        ):
            command = OpenAccount(
                account_id=self.account_id,
                entry_id=SIGNUP_ENTRY_ID,
                actor=first.actor,
                reason=first.reason if is_welcome else None,
                plan_id=account.plan_id,
                signup_credits=first.amount if is_welcome else 0,
                reset_anchor=reset_anchor,
                time_zone=account.time_zone,
            )
            step = self._tried(
                [command], now, own=[first], leads_to=lambda p: p.after.anchor == account.anchor
            )
            if step is not None:
                self._go_on(step, now)
                return
        self.side.account = _unopened(account)

    def _next_step(self, now: datetime) -> Step:
        ahead = list(islice(self._ahead, ENTRIES_MAX))
        if self._external_at == now and ahead[0].request_hash is None:
            return Step(ahead[:1], None, None)  # the rest of what a message did
        own = own_entries(ahead)
        commands = commands_of(self.account_id, own, self.records) if own else []
        for correct in (lambda _: None, self._hear_of_subscriptions, self._move_ends):
            correct(now)
            if commands and (step := self._tried(commands, now, own=own, entries_min=1)):
                return step
            if ahead[0].request_hash is None and (
                step := self._tried([self._renewal], now, entries_min=1)
            ):
                return step
        if commands and ahead[0].request_hash is not None:
            return Step(ahead[: ahead.index(own[-1]) + 1], commands[0], None)
        return Step(ahead[:1], None, None)

    def _tried(
        self,
        commands: Sequence[Command],
        now: datetime,
        *,
        own: Sequence[Entry] = (),
        entries_min: int = 0,
        leads_to: Callable[[Posting], bool] = lambda _: True,
    ) -> Step | None:
        """Return the step that the next entries are, if it is one of these commands.

        `own` are the command's own entries, which have the hash of the real request.
        """
        for command in commands:
            for catalog in self.catalogs_at(now, own):
                try:
                    posting = self.side.decide(command, catalog, now)
                except (RefusalError, PostingTooLongError):
                    continue
                posting = _named(posting, command, own)
                written = list(islice(self._ahead, len(posting.entries)))
                if (
                    len(written) >= entries_min
                    and [entry.hash for entry in written]
                    == [entry.hash for entry in posting.entries]
                    and leads_to(posting)
                ):
                    return Step(written, command, posting)
        return None

    def _go_on(self, step: Step, now: datetime) -> None:
        """Take a step on both sides."""
        before, known = self.side.account, self._grants()
        for _ in step.entries:
            self._ahead.popleft()
        self.outcome.entries += len(step.entries)
        if step.posting is not None:
            self.side.write(step.posting, self.records)
        else:
            is_clock = step.entries[0].request_hash is None
            # What the clock's part of such a posting does is not known either.
            is_external = step.command is None and (not is_clock or self._external_at == now)
            self._external_at = now if is_external else None
            self.outcome.facts += len(step.entries) if is_external else 0
            self.outcome.differ += 0 if is_external else len(step.entries)
            self._take_as_facts(step.entries)
        if self.other is None:
            return
        self.outcome.used_before += _used(step.entries)
        known |= self._grants()
        if step.posting is None and _are_alike(self.other.account, before):
            self.other.account = self.side.account
            self.other.note(step.entries, self.records)
            self.outcome.used_after += _used(step.entries)
        elif step.command is not None:
            self._decide_otherwise(step.command, now)
        elif self.other.account is not None:
            posting = approximated(self.other.account, step.entries, known, self.wanted, now)
            self._write_otherwise(posting)
        if self.side.account and self.other.account:
            self.outcome.debt_before = max(self.outcome.debt_before, self.side.account.debt)
            self.outcome.debt_after = max(self.outcome.debt_after, self.other.account.debt)

    def _take_as_facts(self, entries: Sequence[Entry]) -> None:
        assert self.side.account is not None
        for entry in entries:
            self.side.account = with_entry(self.side.account, entry, self.records)
        self.side.note(entries, self.records)

    def _decide_otherwise(self, command: Command, now: datetime) -> None:
        assert self.other is not None
        try:
            posting = self.other.decide(command, self.wanted, now)
        except InsufficientCreditsError:
            self.outcome.refused += 1
        except HoldExceededError:
            self.outcome.holds_exceeded += 1
        except UNPRICEABLE:
            self.outcome.unpriced += 1
        except RefusalError:
            pass  # it was about a hold or a use that was refused
        except PostingTooLongError:
            renewed = self.other.decide(self._renewal, self.wanted, now)
            self._write_otherwise(renewed)
            self._decide_otherwise(command, now)
        else:
            self._write_otherwise(posting)

    def _write_otherwise(self, posting: Posting) -> None:
        assert self.other is not None
        self.other.write(posting, self.records)
        self.outcome.used_after += _used(posting.entries)

    def _change_quota(self) -> None:
        """Make the next change of the quota, if it has no entry of its own."""
        record = self._quotas.popleft()
        if record.entry_id is not None:
            return
        self._extend_holds(record.recorded_at)
        step = self._tried(
            quota_changes(self.account_id, record, None),
            record.recorded_at,
            leads_to=lambda p: p.audit is not None and p.audit.after == record.after,
        )
        if step is not None:
            self._go_on(step, record.recorded_at)

    def _extend_holds(self, now: datetime) -> None:
        """Let holds live as long as they did: extending one writes no entry."""
        account = self.side.account
        assert account is not None
        released = {
            entry.entry_id: entry.effective_at
            for entry in self._ahead
            if entry.type is EntryType.RELEASE and entry.request_hash is None
        }
        lasting = {hold.hold_id for hold in self.records.account.holds}
        lasting |= set(self.records.captured)
        ends: dict[str, datetime] = {}
        for hold in account.holds:
            released_at = released.get(f"{DERIVED}{hold.hold_id}")
            if hold.expires_at is not None and released_at is not None:
                ends[hold.hold_id] = released_at
            elif hold.has_died(now) and (hold.allocations or hold.hold_id in lasting):
                ends[hold.hold_id] = max(hold.ends_by or now, now + TICK)
        for side in (self.side, self.other) if ends else ():
            if side is not None and side.account is not None:
                holds = side.account.holds
                side.account = replace(
                    side.account,
                    holds=tuple(
                        replace(hold, expires_at=ends.get(hold.hold_id, hold.expires_at))
                        for hold in holds
                    ),
                )

    def _hear_of_subscriptions(self, now: datetime) -> None:
        """Let subscriptions end when the provider says that they did.

        That writes no entry. If it is not known any more, the name of a month says that there was
        one.
        """
        assert self.side.account is not None
        heard = {
            one.subscription_id: one
            for one in self.records.account.subscriptions
            if one.ended and one.at <= now
        }
        known = {one.subscription_id: one for one in self.side.account.subscriptions}
        is_numbered = any(
            NUMBERED_PERIOD.fullmatch(entry.entry_id)
            for entry in takewhile(lambda entry: entry.request_hash is None, self._ahead)
        )
        if is_numbered and not known and not heard:
            heard[FORGOTTEN.subscription_id] = FORGOTTEN
        for side in (self.side, self.other) if heard else ():
            if side is not None and side.account is not None:
                side.account = replace(side.account, subscriptions=tuple((known | heard).values()))

    def _move_ends(self, now: datetime) -> None:
        """Let grants live as long as they did.

        What makes a subscription end without a grace writes no entry, nor does an earlier end.
        """
        assert self.side.account is not None
        expired = {
            entry.entry_id: entry.effective_at
            for entry in takewhile(lambda entry: entry.request_hash is None, self._ahead)
            if entry.type is EntryType.EXPIRY
        }
        ends: dict[tuple[GrantKind, str], datetime] = {}
        for grant in self.side.account.grants:
            expired_at = expired.get(f"expiry:{grant.grant_id}")
            if expired_at is not None:
                ends[grant.kind, grant.source] = expired_at
            elif grant.remaining and grant.expires_at_or_never <= now:
                ends[grant.kind, grant.source] = now + TICK
        for side in (self.side, self.other) if ends else ():
            if side is not None and side.account is not None:
                grants = side.account.grants
                side.account = replace(
                    side.account,
                    grants=tuple(
                        replace(grant, expires_at=ends[grant.kind, grant.source])
                        if (grant.kind, grant.source) in ends and not grant.ended
                        else grant
                        for grant in grants
                    ),
                )

    def _grants(self) -> dict[str, Grant]:
        account = self.side.account
        return {grant.grant_id: grant for grant in account.grants} if account else {}


def _are_alike(one: Account | None, other: Account | None) -> bool:
    """Return whether two accounts are the same but for the hash, which has the real requests."""
    return one == other or bool(one and other and replace(one, hash=other.hash) == other)


def _unopened(account: Account) -> Account:
    """Return an account without any credits, as it was before its first entry."""
    return Account(
        account_id=account.account_id,
        version=0,
        plan_id=account.plan_id,
        time_zone=account.time_zone,
        anchor=account.anchor,
        period=-1,
        allowance=0,
        as_of=account.anchor,
        seq_last=0,
        hash=GENESIS_HASH,
    )


def _named(posting: Posting, command: Command, own: Sequence[Entry]) -> Posting:
    """Return a posting with the hash of the real request, which may have asked for more."""
    asked, real = command.request_hash, own[0].request_hash if own else None
    if real in {asked, None} or not posting.entries:
        return posting
    newest = posting.before.hash if posting.before else GENESIS_HASH
    renamed = [
        replace(entry, request_hash=real) if entry.request_hash == asked else entry
        for entry in posting.entries
    ]
    entries = tuple(chained(renamed, newest))
    return replace(posting, entries=entries, after=replace(posting.after, hash=entries[-1].hash))


def _used(entries: Iterable[Entry]) -> int:
    """Return the credits that entries charged, less those that they refunded."""
    signs = {EntryType.USAGE: 1, EntryType.REFUND: -1}
    return sum(signs.get(entry.type, 0) * (entry.cost or 0) for entry in entries)
