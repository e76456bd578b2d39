"""The tally: what an account's entries add up to, entry by entry, by no rule of the ledger."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from scrip.domain.account import Account
from scrip.domain.audit.books import Books
from scrip.domain.audit.checkpoint import Checkpoint, Origin, State, unsettled_since
from scrip.domain.audit.conventions import (
    CLAWBACK,
    EXPIRY,
    INTO_GRANTS,
    NEW_CREDITS,
    OPENED,
    RESTORED,
    ROLLED_OVER,
    USER,
    ends_hold,
    is_clock_plan,
    is_requested_plan,
    period_part,
)
from scrip.domain.entries import GENESIS_HASH, Entry, EntryType
from scrip.domain.payments import DisputeOutcome

if TYPE_CHECKING:
    from scrip.domain.payments import Payment

USER_HOLD_MAX, SERVICE_HOLD_MAX = timedelta(days=1), timedelta(days=7)
"""How long a hold may last."""

MONTH_MAX = timedelta(days=62)
"""How long a month that was paid for can be, its grace included."""

COUNTED_WITHIN = timedelta(days=1)
"""How long the stream keeps a record: an older entry has been counted into usage, or lost."""


class Tally:
    """What the entries so far add up to.

    Entries are not kept. Memory grows with refunded entries, holds, payments, and days of use.
    """

    def __init__(self, books: Books, now: datetime) -> None:
        """Start before the first entry."""
        self.books, self.account = books, books.account
        # The last entry. Its hash is None after a gap, when the next entry cannot be compared.
        self.seq, self.entry_id = 0, ""
        self.hash: bytes | None = GENESIS_HASH
        self.balance = self.held = self.debt = 0
        self.is_whole, self.is_frozen = True, False
        # Grants: the credits left of each, and what entries brought to those that are known.
        grants = books.account.grants if books.account else ()
        self.grants = {grant.grant_id: grant for grant in grants}
        self.known_grants = {**books.retired, **self.grants}
        self.left: Counter[str] = Counter()
        self.brought: Counter[str] = Counter()
        self.brought_before: defaultdict[str, set[int]] = defaultdict(set)
        self.origins: dict[str, Origin] = {}
        self.grant_of_entry: dict[str, str] = {}
        # Holds: the credits of each grant in each hold, and the terms of open holds.
        holds = books.account.holds if books.account else ()
        self.open_holds = {hold.hold_id for hold in holds}
        self.in_holds: dict[str, Counter[str]] = {}
        self.hold_end_max: dict[str, datetime] = {}
        self.hold_features: defaultdict[str, list[str | None]] = defaultdict(list)
        self.latest: list[Entry] = []
        self.uncharged: Counter[str] = Counter()
        self.unseen_hold_ends = dict(books.hold_ends)
        # Counters. `used` is None unless an entry of the clock shows when the period began. Where
        # terms decide that, it began within a month of the last change.
        self.begun = _begun(books.account) if books.account else None
        self.is_paid = bool(books.account and _may_have_paid(books.account))
        self.granted = self.consumed = self.used_max = 0
        self.used: int | None = None
        # Refunds: cost and refunds of entries that have a refunded total.
        self.refundable: set[str] = set()
        self.costs: dict[str, int] = {}
        self.refunded: Counter[str] = Counter()
        # Usage: by day, the entries that its item has counted, and those that it has missed.
        self.must_be_counted_before = now - COUNTED_WITHIN
        self.counted: Counter[date] = Counter()
        self.missed: Counter[date] = Counter()
        self.uses: defaultdict[date, Counter[tuple[str | None, str]]] = defaultdict(Counter)
        self.lines: defaultdict[date, Counter[tuple[str, str]]] = defaultdict(Counter)
        # The entries that granted periods, and audit records whose entry has not been seen.
        self.periods: dict[tuple[datetime, str], str] = {}
        self.unseen_audited = set(books.audited)
        # Payments: credits brought and their grant, money, clawbacks; disputes by their holds.
        self.payments: Mapping[str, Payment] = {}
        self.paid: dict[str, tuple[int, str]] = {}
        self.paid_grants: set[str] = set()
        self.paid_before_terms: set[str] = set()
        self.money: dict[str, int] = {}
        self.taken_back: Counter[str] = Counter()
        self.clawbacks: Counter[str] = Counter()
        self.expired: dict[str, int] = {}
        self.unspent: Counter[str] = Counter()
        self.disputes: dict[str, tuple[str, str]] = {}
        self.dispute_ends: dict[str, str] = {}
        # The checkpoint, once an entry is as new as `unsettled`. Payments booked before the one
        # that this tally continues from, and the first instant of the days that it adds up whole.
        self.unsettled, self.has_kept = unsettled_since(now), False
        self.kept: Checkpoint | None = None
        self.paid_before, self.whole_since = frozenset[str](), datetime.min.replace(tzinfo=UTC)

    def resume(self, state: State, entry: Entry) -> None:
        """Start after a checkpoint instead: with its state, and the entry that it names."""
        self.seq, self.entry_id, self.hash = entry.seq, entry.entry_id, entry.hash
        self.balance, self.held = entry.balance_after, entry.held_after
        self.debt, self.is_frozen = entry.debt_after, state.is_frozen
        self.left.update(state.left)
        self.brought.update(state.brought)
        self.brought_before.update((name, set(had)) for name, had in state.brought_before.items())
        self.origins.update(state.origins)
        self.in_holds = {name: Counter(parts) for name, parts in state.in_holds.items()}
        self.hold_end_max.update(state.hold_end_max)
        self.hold_features.update((name, [*of]) for name, of in state.hold_features.items())
        self.uncharged.update(state.uncharged)
        self.granted, self.consumed = state.granted, state.consumed
        if self.is_paid:
            self.used_max = state.used_max
        elif state.begun == self.begun:
            self.used, self.used_max = state.used, state.used_max
        self.paid_before, self.whole_since = state.paid, state.before

    def keep(self) -> None:
        """Keep a checkpoint at the last entry, the first time this is called; none before any."""
        has_kept, self.has_kept = self.has_kept, True
        if has_kept or not self.seq or self.hash is None:
            return
        terms = self.account.terms if self.account else ()
        paid = self.paid.keys() | self.paid_before
        state = State(
            before=self.unsettled,
            is_frozen=self.is_frozen,
            left=dict(self.left),
            brought=_only(self.grants, self.brought),
            brought_before={
                name: frozenset(had)
                for name, had in _only(self.grants, self.brought_before).items()
            },
            origins=_only(self.grants, self.origins),
            in_holds={name: dict(parts) for name, parts in self.in_holds.items()},
            hold_end_max=_only(self.open_holds, self.hold_end_max),
            hold_features={
                name: tuple(of) for name, of in _only(self.open_holds, self.hold_features).items()
            },
            uncharged=_only(self.open_holds, self.uncharged),
            begun=self.begun,
            granted=self.granted,
            consumed=self.consumed,
            used=self.used,
            used_max=self.used_max,
            paid=frozenset(term.payment_id for term in terms if term.payment_id in paid),
        )
        self.kept = Checkpoint(seq=self.seq, hash=self.hash, digest=self.books.digest, state=state)

    def skip(self, seq: int) -> None:
        """Pass over entries up to a seq that are missing or cannot be read."""
        self.seq, self.hash, self.is_whole = seq, None, False

    def add(self, entry: Entry) -> None:
        """Add the next entry."""
        self._add_to_grants(entry)
        self._add_to_holds(entry)
        self._add_to_counters(entry)
        self._add_to_usage(entry)
        self._add_to_payments(entry)
        self._add_to_disputes(entry)
        if entry.type in {EntryType.FREEZE, EntryType.UNFREEZE}:
            self.is_frozen = entry.type is EntryType.FREEZE
        if self.account and is_clock_plan(entry):
            period = entry.effective_at, period_part(entry, self.account.zone)
            self.periods.setdefault(period, entry.entry_id)
        self.unseen_audited.discard(entry.entry_id)
        self.seq, self.entry_id, self.hash = entry.seq, entry.entry_id, entry.hash
        self.balance, self.held = entry.balance_after, entry.held_after
        self.debt = entry.debt_after

    def grant_changes(self, entry: Entry) -> Iterator[tuple[str, int]]:
        """Yield by how many credits the next entry changes each grant, what it holds included."""
        direction = 1 if entry.type in INTO_GRANTS else -1
        spent = self._spent_from_hold(entry)
        for allocation in entry.allocations:
            name = allocation.grant_id
            yield name, direction * allocation.amount + spent[name]

    def _spent_from_hold(self, entry: Entry) -> Counter[str]:
        """Return what the next entry spends out of a hold, by grant: first in, first out."""
        spent: Counter[str] = Counter()
        if entry.type is EntryType.USAGE and entry.hold_id:
            released = self.held - entry.held_after
            for grant_id, amount in self.in_holds.get(entry.hold_id, {}).items():
                spent[grant_id] = min(amount, released - spent.total())
        return spent

    def _add_to_grants(self, entry: Entry) -> None:
        for name, amount in self.grant_changes(entry):
            is_retired = name in self.known_grants and name not in self.grants
            if entry.type is EntryType.REFUND and is_retired and not self.left[name]:
                # It comes back from its item, which stays as it is, whatever joins the grant then.
                self.brought_before[name].add(self.brought[name])
            self.left[name] += amount
            if not self.left[name]:
                del self.left[name]
        if (own := f"g{entry.seq}") in self.known_grants:
            self.origins[own] = Origin(entry.type, entry.effective_at, entry.entry_id)
        for allocation in entry.allocations:
            name = allocation.grant_id
            if name not in self.known_grants:
                continue
            if entry.type in NEW_CREDITS | {EntryType.ROLLOVER}:
                self.brought[name] += allocation.amount
                self.grant_of_entry[entry.entry_id] = name
            if entry.type is EntryType.CLAWBACK:
                # Earlier versions took from a rollover without lowering what it had brought.
                self.brought_before[name].add(self.brought[name])
            if entry.type in {EntryType.CLAWBACK, EntryType.EXPIRY}:
                self.brought[name] -= allocation.amount

    def _add_to_holds(self, entry: Entry) -> None:
        name = entry.hold_id
        amounts = {part.grant_id: part.amount for part in entry.allocations}
        match entry.type:
            case EntryType.HOLD:
                self._change_hold(name or entry.entry_id.removesuffix(OPENED), amounts)
            case EntryType.RELEASE:
                released = {grant_id: -amount for grant_id, amount in amounts.items()}
                self._change_hold(name or entry.source or "", released)
            case EntryType.USAGE if name:
                spent = self._spent_from_hold(entry)
                self._change_hold(name, {grant_id: -amount for grant_id, amount in spent.items()})
            case EntryType.ADMIN_DEDUCT if self.held and not entry.held_after:
                self.in_holds.clear()  # closing an account takes what is held, and names no hold
        if name in self.open_holds:
            self._add_to_terms(name, entry)
        self.latest = self.of_command(entry)
        ended_by = self.books.hold_ends.get(name or "")
        if ended_by == self.latest[0].entry_id and ends_hold(self.latest):
            self.unseen_hold_ends.pop(name or "", None)

    def of_command(self, entry: Entry) -> list[Entry]:
        """Return the next entry, after those that its command wrote right before it."""
        if self.latest and entry.entry_id == f"{self.latest[0].entry_id}~{len(self.latest) + 1}":
            return [*self.latest, entry]
        return [entry]

    def _change_hold(self, hold_id: str, amounts: Mapping[str, int]) -> None:
        in_hold = self.in_holds.setdefault(hold_id, Counter())
        in_hold.update(amounts)
        if not any(in_hold.values()):
            del self.in_holds[hold_id]  # there may be millions of them

    def _add_to_terms(self, name: str, entry: Entry) -> None:
        if entry.type is EntryType.HOLD:
            longest = USER_HOLD_MAX if name.startswith(USER) else SERVICE_HOLD_MAX
            # Version 0.1.0 restarted the limit at each extension, and wrote an entry for it.
            self.hold_end_max[name] = entry.recorded_at + longest
            if entry.entry_id == name or entry.entry_id.startswith(f"{name}~"):
                self.hold_features[name].append(entry.feature)
                self.uncharged[name] += 0 if entry.allocations else entry.cost or 0
        if entry.type is EntryType.USAGE:
            self.uncharged[name] = max(0, self.uncharged[name] - (entry.cost or 0))

    def _add_to_counters(self, entry: Entry) -> None:
        cost = entry.cost or 0
        match entry.type:
            case EntryType.USAGE:
                self.consumed += cost
                in_period = self.begun is not None and entry.recorded_at >= self.begun
                self.used_max += cost if in_period else 0
                if self.used is not None:
                    self.used += cost
                if entry.entry_id in self.books.refunded:
                    self.costs[entry.entry_id] = cost
                    if in_period:
                        self.refundable.add(entry.entry_id)
            case EntryType.REFUND:
                self.consumed -= cost
                self.refunded[entry.refunds or ""] += cost
                if self.used is not None and entry.refunds in self.refundable:
                    self.used = max(0, self.used - cost)
            case EntryType.RESET:
                self.granted += entry.amount
                self.used_max = 0
                self.used = None if self.used is None else 0
            case EntryType.PLAN if entry.effective_at == self.begun and not self.is_paid:
                # A payment may move the account into a period in which credits were already used.
                self.used = 0 if is_clock_plan(entry) else None
        if entry.type in NEW_CREDITS:
            self.granted += entry.amount

    def _add_to_usage(self, entry: Entry) -> None:
        day, cost = entry.recorded_at.date(), entry.cost or 0
        usage = self.books.usage.get(day)
        if usage is None or not any(first <= entry.seq <= last for first, last in usage.counted):
            if entry.recorded_at < self.must_be_counted_before:
                self.missed[day] += 1
            return
        self.counted[day] += 1
        self.lines[day].update({(entry.type, "count"): 1, (entry.type, "amount"): entry.amount})
        self.lines[day]["references", "count"] += bool(entry.reference)
        if entry.type is EntryType.USAGE:
            self.uses[day].update({(entry.feature, "credits"): cost, (entry.feature, "count"): 1})
            for meter, count in (entry.usage or {}).items():
                self.uses[day][entry.feature, f"meter {meter}"] += count
        if entry.type is EntryType.REFUND:
            self.uses[day].update({(entry.feature, "refunded"): cost})

    def has_moved(self, booking: str) -> bool:
        """Return whether a payment that an entry books has moved to another account since."""
        payment = self.payments[booking]
        return payment.moved > 0 and payment.entry_id != booking

    def _add_to_payments(self, entry: Entry) -> None:
        # The ID of a plan entry that an admin's change of quota wrote has no colon.
        is_paid = is_requested_plan(entry) and ":" in entry.entry_id
        payment_id, restored, _ = entry.entry_id.rpartition(RESTORED)
        if entry.type is EntryType.PURCHASE and restored:
            self.taken_back[payment_id] -= entry.amount
            amount, _ = self.paid.get(payment_id, (0, ""))
            self.paid[payment_id] = amount, entry.allocations[0].grant_id
        elif is_paid or entry.type is EntryType.PURCHASE:
            grant_id = entry.allocations[0].grant_id if entry.allocations else ""
            self.paid[entry.entry_id] = entry.amount, grant_id
            self.paid_grants.add(grant_id)
            if is_paid and (entry.amount or entry.source is None):
                # Until 0.2.0 the entry of a payment had the credits of its first month.
                self.paid_before_terms.add(entry.entry_id)
            money = (entry.metadata or {}).get("money")
            if isinstance(money, int):
                self.money[entry.entry_id] = money
        if entry.type is EntryType.CLAWBACK:
            payment_id, _, _ = entry.entry_id.rpartition(CLAWBACK)
            if payment_id.rpartition(":")[0] in self.paid.keys() | self.paid_before:
                return  # of a term, which knows what became of its months
            self.taken_back[payment_id] -= entry.amount
            self.clawbacks[payment_id] += 1

    def _add_to_disputes(self, entry: Entry) -> None:
        match entry.type:
            case EntryType.HOLD if entry.hold_id is None:
                hold_id = entry.entry_id.removesuffix(OPENED)
                dispute_id = entry.source or ""
                self.disputes[hold_id] = hold_id.removesuffix(f":{dispute_id}"), dispute_id
            case EntryType.RELEASE if (hold_id := entry.source or "") in self.disputes:
                outcome = entry.entry_id.removeprefix(f"{hold_id}:")
                if outcome in set(DisputeOutcome):
                    self.dispute_ends[hold_id] = outcome
            case EntryType.EXPIRY:
                name = entry.entry_id.removeprefix(EXPIRY)
                hold_id, _, _ = name.rpartition(":")
                if hold_id in self.disputes:
                    self.unspent[self.disputes[hold_id][0]] -= entry.amount
                elif name in self.paid_grants:
                    self.expired[name] = -entry.amount
            case EntryType.ROLLOVER:
                hold_id, _, outcome = entry.entry_id.removeprefix(ROLLED_OVER).rpartition(":")
                if outcome.isdecimal():  # a second month of one release
                    hold_id = hold_id.rpartition(":")[0]
                if hold_id in self.disputes:
                    self.unspent[self.disputes[hold_id][0]] -= entry.amount


def _only[Value](names: Collection[str], found: Mapping[str, Value]) -> dict[str, Value]:
    """Return what is known of some names."""
    return {name: value for name, value in found.items() if name in names}


def _begun(account: Account) -> datetime:
    """Return when the period in which `used` counts began, at the earliest."""
    start = account.begins(max(0, account.period))
    return min(start, account.as_of - MONTH_MAX) if _may_have_paid(account) else start


def _may_have_paid(account: Account) -> bool:
    """Return whether terms may have decided when the period began; a closed account lost them."""
    return bool(account.subscriptions) or account.status == "closed"
