"""Postings: the change that a command makes, and the draft in which `decide` composes it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict, Unpack

from scrip.domain import grants as buckets
from scrip.domain.account import Account
from scrip.domain.catalog import Plan
from scrip.domain.commands import Command
from scrip.domain.entries import CLOCK, Actor, Entry, EntryType, Json, chain_hash
from scrip.domain.grants import Allocation, Grant, GrantKind
from scrip.domain.payments import Payment

ENTRIES_MAX = 97
"""The most entries and retired grants of a posting together.

With the account, a refunded total or the end of a hold, and an audit record they fit into a
transaction of 100 items.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refundable:
    """A usage entry, the credits refunded so far, and the retired grants that it drew on."""

    entry: Entry
    refunded: int
    retired: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """A payment, and the entry for what was left of its grant when that expired, if any."""

    payment: Payment
    expiry: Entry | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """What an admin changed: the value before and after. Only admins can read it and its `note`."""

    action: str
    actor: Actor
    reason: str | None
    before: Json
    after: Json
    recorded_at: datetime
    entry_id: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """A decided change of one account, to be committed whole or not at all.

    `entry` is the command's own among `entries`; None if it writes none. `refund` is the refunded
    entry with its refunded total before, and the total after. `payment` is the payment involved,
    before (None if new) and after. `ended_hold` is the ID of the hold that `entry` ended. `retired`
    are exhausted grants that move from the account's item to items of their own, where a refund
    finds them. `welcomed` are the mailboxes, as keyed hashes, that get sign-up credits.
    """

    before: Account | None
    after: Account
    entries: tuple[Entry, ...] = ()
    entry: Entry | None = None
    refund: tuple[Refundable, int] | None = None
    payment: tuple[Payment | None, Payment] | None = None
    audit: AuditRecord | None = None
    ended_hold: str | None = None
    retired: tuple[Grant, ...] = ()
    welcomed: tuple[str, ...] = ()


class EntryDetails(TypedDict, total=False):
    """Fields of an entry that some types of it have. `Entry` says what they mean."""

    allocations: tuple[Allocation, ...]
    feature: str | None
    quantity: int | None
    cost: int | None
    feature_version: int | None
    reason: str | None
    reference: str | None
    metadata: Json | None
    source: str | None
    refunds: str | None
    hold_id: str | None
    expires_at: datetime | None
    expired: int | None


class Draft:
    """An account while a posting is composed: every step keeps balance and ledger consistent."""

    def __init__(
        self,
        before: Account | None,
        account: Account,
        plan: Plan,
        now: datetime,
        entries_max: int | None = None,
    ) -> None:
        """Start from an account as read, or from a new one (`before` is None).

        After `entries_max` entries settling stops: the rest is for the next posting.
        """
        self.before = before
        self.account = account
        self.plan = plan
        self.now = now
        self.entries_max = entries_max
        self.entries: list[Entry] = []
        self.retired: list[Grant] = []

    @property
    def is_full(self) -> bool:
        """Whether settling has used up its room."""
        return not self.has_room_for(1)

    def has_room_for(self, entries: int) -> bool:
        """Return whether settling can write this many more entries."""
        return self.entries_max is None or len(self.entries) + entries <= self.entries_max

    def enter(
        self,
        entry_id: str,
        entry_type: EntryType,
        amount: int,
        *,
        command: Command | None = None,
        effective_at: datetime | None = None,
        **details: Unpack[EntryDetails],
    ) -> Entry:
        """Append an entry that explains the account as it is now.

        `command` is the one that causes it, if any; the entry takes over its reason, reference and
        metadata unless `details` has others.
        """
        if command is not None:
            details = {
                "reason": command.reason,
                "reference": command.reference,
                "metadata": command.metadata,
                **details,
            }
        entry = Entry(
            entry_id=entry_id,
            seq=self.account.seq_last + 1,
            type=entry_type,
            amount=amount,
            balance_after=self.account.balance,
            held_after=self.account.held,
            debt_after=self.account.debt,
            unlimited=self.plan.unlimited,
            actor=command.actor if command else CLOCK,
            recorded_at=self.now,
            effective_at=effective_at or self.now,
            request_hash=command.request_hash if command else None,
            previous_hash=self.account.hash,
            **details,
        )
        entry = replace(entry, hash=chain_hash(entry))
        self.account = replace(self.account, seq_last=entry.seq, hash=entry.hash)
        self.entries.append(entry)
        return entry

    def place(
        self,
        kind: GrantKind,
        amount: int,
        *,
        source: str,
        expires_at: datetime | None,
        granted_at: datetime | None = None,
    ) -> Allocation:
        """Put credits into a new grant, or one of the same kind and expiry, and return which.

        The grant is named after the seq of its entry, which must be the next one.
        """
        grant = Grant(
            grant_id=f"g{self.account.seq_last + 1}",
            kind=kind,
            amount=amount,
            remaining=amount,
            granted_at=granted_at or self.now,
            expires_at=expires_at,
            source=source,
        )
        grants, grant_id = buckets.add(self.account.grants, grant)
        self.account = replace(self.account, grants=grants)
        return Allocation(grant_id, amount)

    def grant(
        self,
        entry_id: str,
        entry_type: EntryType,
        kind: GrantKind,
        amount: int,
        *,
        command: Command | None = None,
        grant_expires_at: datetime | None = None,
        effective_at: datetime | None = None,
        **details: Unpack[EntryDetails],
    ) -> Entry:
        """Add new credits: into a grant, with an entry, paying debt first."""
        allocation = self.place(
            kind,
            amount,
            source=entry_id,
            expires_at=grant_expires_at,
            granted_at=effective_at,
        )
        self.account = replace(self.account, granted_total=self.account.granted_total + amount)
        details["allocations"] = (allocation,)
        entry = self.enter(
            entry_id, entry_type, amount, command=command, effective_at=effective_at, **details
        )
        self.settle_debt(entry)
        return entry

    def settle_debt(self, arrived: Entry) -> None:
        """Pay debt out of the credits that an entry just added."""
        paid, debt = [], self.account.debt
        for allocation in arrived.allocations:
            if part := min(debt, allocation.amount):
                paid.append(Allocation(allocation.grant_id, part))
                debt -= part
        if paid:
            self.account = replace(
                self.account, grants=buckets.withdraw(self.account.grants, paid), debt=debt
            )
            self.enter(
                f"debt:{arrived.entry_id}",
                EntryType.DEBT_SETTLED,
                0,
                allocations=tuple(paid),
                effective_at=arrived.effective_at,
            )

    def audit(
        self,
        command: Command,
        action: str,
        before: Json,
        after: Json,
        entry: Entry | None,
    ) -> AuditRecord:
        """Return the audit record of an admin's command."""
        return AuditRecord(
            action=action,
            actor=command.actor,
            reason=command.reason,
            before=before,
            after=after,
            recorded_at=self.now,
            entry_id=entry.entry_id if entry else None,
            note=command.note,
        )

    def make_room(self) -> None:
        """Retire every exhausted grant if the account has reached its limit of grants.

        A plan grant stays because it records what its period was granted.
        """
        if len(self.account.grants) >= buckets.GRANTS_MAX:
            self._retire(grant for grant in self._exhausted() if grant.kind is not GrantKind.PLAN)

    def posting(
        self,
        *,
        entry: Entry | None = None,
        refund: tuple[Refundable, int] | None = None,
        payment: tuple[Payment | None, Payment] | None = None,
        audit: AuditRecord | None = None,
        ended_hold: str | None = None,
        welcomed: tuple[str, ...] = (),
    ) -> Posting:
        """Close the draft; any change makes a new version. `Posting` describes the arguments.

        Exhausted grants that never expire would stay on the account's item forever, so they are
        retired, as far as the transaction has room.
        """
        if self.account != self.before:
            room = max(0, ENTRIES_MAX - len(self.entries) - len(self.retired))
            lasting = [grant for grant in self._exhausted() if grant.expires_at is None]
            self._retire(lasting[:room])
        if self.account != self.before or payment:
            self.account = replace(self.account, version=self.account.version + 1)
        return Posting(
            before=self.before,
            after=self.account,
            entries=tuple(self.entries),
            entry=entry,
            refund=refund,
            payment=payment,
            audit=audit,
            ended_hold=ended_hold,
            retired=tuple(self.retired),
            welcomed=welcomed,
        )

    def _exhausted(self) -> list[Grant]:
        """Return the grants with nothing left and nothing held."""
        return [
            grant
            for grant in self.account.grants
            if not grant.remaining and not self.account.held_of(grant.grant_id)
        ]

    def _retire(self, exhausted: Iterable[Grant]) -> None:
        gone = list(exhausted)
        self.retired += gone
        self.account = replace(
            self.account, grants=tuple(grant for grant in self.account.grants if grant not in gone)
        )
