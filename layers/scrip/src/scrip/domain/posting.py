"""Postings: the change that a command makes, and the draft in which `decide` composes it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict, Unpack

from scrip.domain import grants as buckets
from scrip.domain.account import Account
from scrip.domain.catalog import Plan, Price
from scrip.domain.commands import Command
from scrip.domain.condense import condensed
from scrip.domain.entitlement import Entitlement
from scrip.domain.entries import CLOCK, Actor, Entry, EntryType, Json, chained
from scrip.domain.grants import Allocation, Grant, GrantKind
from scrip.domain.payments import Payment
from scrip.domain.terms import Lot, Term

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
    finds them; so are `terms` those that are over. `welcomed` are the mailboxes, as keyed hashes,
    that get sign-up credits.
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
    terms: tuple[Term, ...] = ()
    welcomed: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many items of a transaction it takes that `ENTRIES_MAX` limits."""
        return len(self.entries) + len(self.retired) + len(self.terms)


class Charge(TypedDict, total=False):
    """What a use costs, and why, as fields of its entry. `cost` in credits."""

    feature: str | None
    quantity: int | None
    usage: Mapping[str, int] | None
    cost: int
    feature_version: int | None
    price: Mapping[str, Price] | None


class EntryDetails(Charge, total=False):
    """Fields of an entry that some types of it have. `Entry` says what they mean."""

    allocations: tuple[Allocation, ...]
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
        entitlement: Entitlement,
        now: datetime,
        entries_max: int | None = None,
    ) -> None:
        """Start from an account as read, or from a new one (`before` is None).

        After `entries_max` entries settling stops: the rest is for the next posting.
        """
        self.before = before
        self.account = account
        self.entitlement = entitlement
        self.now = now
        self.entries_max = entries_max
        self.entries: list[Entry] = []
        self.retired: list[Grant] = []
        self.past: tuple[Term, ...] = ()
        self.closed: list[Term] = []
        self.numbered: set[str] = set()

    @property
    def plan(self) -> Plan:
        """The plan in force."""
        return self.entitlement.plan

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
            **details,
        )
        self.account = replace(self.account, seq_last=entry.seq)
        self.entries.append(entry)
        return entry

    @property
    def newly_closed(self) -> tuple[Term, ...]:
        """The terms that are over and not stored yet as they are now."""
        return tuple(term for term in self.closed if term not in self.past)

    def unique_name(self, start: str) -> str:
        """Return an ID for the next entry that no other entry has."""
        name = f"{start}:{self.account.seq_last + 1}"
        self.numbered.add(name)
        return name

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
        grant_source: str | None = None,
        into: str | None = None,
        grant_expires_at: datetime | None = None,
        effective_at: datetime | None = None,
        **details: Unpack[EntryDetails],
    ) -> Entry:
        """Add new credits, with an entry, paying debt first: to the grant `into`, if it is live."""
        if into is not None and self.account.grant(into):
            allocation = Allocation(into, amount)
            self.account = replace(
                self.account,
                grants=tuple(
                    replace(g, amount=g.amount + amount, remaining=g.remaining + amount)
                    if g.grant_id == into
                    else g
                    for g in self.account.grants
                ),
            )
        else:
            allocation = self.place(
                kind,
                amount,
                source=grant_source or entry_id,
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

    def roll_over(
        self,
        lot_id: str,
        amount: int,
        entry_id: str,
        *,
        granted_at: datetime,
        expires_at: datetime,
    ) -> None:
        """Keep unspent allowance for longer. It is not new, so it pays no debt."""
        allocation = self.place(
            GrantKind.ROLLOVER,
            amount,
            source=f"{buckets.ROLLED_OVER}{lot_id}",
            granted_at=granted_at,
            expires_at=expires_at,
        )
        self.enter(
            entry_id,
            EntryType.ROLLOVER,
            amount,
            allocations=(allocation,),
            effective_at=granted_at,
        )

    def end_grant(self, grant: Grant) -> None:
        """Remove a grant; while holds have credits of it, it stays as `ended`.

        What was spent of a month's credits is kept with the month, what was spent of the base
        plan's allowance with the account.
        """
        held = self.account.held_of(grant.grant_id)
        self.account = replace(
            self.account,
            grants=tuple(
                replace(grant, ended=True) if other.grant_id == grant.grant_id else other
                for other in self.account.grants
                if held or other.grant_id != grant.grant_id
            ),
        )
        if held:
            return
        if lot := self.account.lot(grant.lot_id):
            self.put_lot(grant.lot_id, replace(lot, spent=lot.spent + grant.amount))
        elif grant.source == self.account.allowance_source:
            spent = self.account.allowance_spent + grant.amount
            self.account = replace(self.account, allowance_spent=spent)

    def put_lot(self, lot_id: str, lot: Lot) -> None:
        """Record what became of the credits of a term's month."""
        found = self.account.month_of(lot_id)
        assert found, lot_id
        term, month = found
        changed = replace(term, lots={**term.lots, month: lot})
        self.account = replace(
            self.account,
            terms=tuple(changed if other is term else other for other in self.account.terms),
        )

    def recall(self, past: Iterable[Term]) -> None:
        """Bring back the terms that are over, so that what becomes of them can change."""
        terms = {term.term_id: term for term in (*past, *self.closed, *self.account.terms)}
        self.past, self.closed = tuple(past), []
        # What new facts say of the past is booked now, as it is seen now.
        self.account = replace(self.account, terms=tuple(terms.values()), as_of=self.now)

    def settle_debt(self, entry: Entry, credits_: Iterable[Allocation] | None = None) -> None:
        """Pay debt out of the credits that an entry just added, or those in other grants."""
        paid, debt = [], self.account.debt
        for allocation in entry.allocations if credits_ is None else credits_:
            if part := min(debt, allocation.amount):
                paid.append(Allocation(allocation.grant_id, part))
                debt -= part
        if paid:
            self.account = replace(
                self.account, grants=buckets.withdraw(self.account.grants, paid), debt=debt
            )
            self.enter(
                f"debt:{entry.entry_id}",
                EntryType.DEBT_SETTLED,
                0,
                allocations=tuple(paid),
                effective_at=entry.effective_at,
            )

    def take(
        self,
        entry_id: str,
        taken: tuple[Allocation, ...],
        owed: int,
        *,
        command: Command | None,
        effective_at: datetime | None = None,
        source: str,
    ) -> Entry:
        """Book what was taken back out of grants, and what is owed because it was spent."""
        self.account = replace(self.account, debt=self.account.debt + owed)
        return self.enter(
            entry_id,
            EntryType.CLAWBACK,
            -sum(part.amount for part in taken) - owed,
            command=command,
            effective_at=effective_at,
            allocations=taken,
            source=source,
        )

    def pay_owed(self, entry: Entry) -> None:
        """Pay debt that an entry made out of what comes and goes, as if it arrived only now.

        That is allowances, and what was refunded of them after their month. What expires first
        pays first.
        """
        passing = sorted(
            (
                grant
                for grant in self.account.grants
                if grant.kind in buckets.PASSING and grant.expires_at and grant.remaining
            ),
            key=lambda grant: (grant.expires_at_or_never, grant.spend_order),
        )
        self.settle_debt(entry, [Allocation(g.grant_id, g.remaining) for g in passing])

    def condense(self) -> dict[int, Entry]:
        """Drop the allowances that both came and went; return the entries left by their old seq."""
        if self.before is None:
            return {entry.seq: entry for entry in self.entries}
        self.account, kept = condensed(self.before, self.account, self.entries, self.numbered)
        self.entries = list(kept.values())
        return kept

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

        Allowances stay, even if they rolled over: what was spent of them counts with their month.
        """
        if buckets.live_count(self.account.grants) >= buckets.GRANTS_MAX:
            others = (g for g in self._exhausted() if g.kind not in buckets.ALLOWANCES)
            self._retire(others)

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
        retired, as far as the transaction has room. So do grants leave that ended with their holds.
        """
        for grant in self.account.grants:
            if grant.ended and not self.account.held_of(grant.grant_id):
                self.end_grant(grant)
        kept = self.condense()
        entry = kept.get(entry.seq) if entry else None
        if self.entries:
            self.entries = list(chained(self.entries, self.account.hash))
            self.account = replace(self.account, hash=self.entries[-1].hash)
            first = self.entries[0].seq
            entry = self.entries[entry.seq - first] if entry else None
        if self.account != self.before:
            taken = len(self.entries) + len(self.retired) + len(self.newly_closed)
            room = max(0, ENTRIES_MAX - taken)
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
            terms=self.newly_closed,
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
