"""Checks of what is kept beside the entries: refunded totals, usage, payments, records, ends."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, datetime, timedelta

from scrip.domain.account import AccountStatus
from scrip.domain.audit.books import Books
from scrip.domain.audit.checks.account import CLAWBACK, OPENED
from scrip.domain.audit.checks.check import Check, Reporter, is_capture
from scrip.domain.audit.findings import Code, Finding
from scrip.domain.commands import CaptureHold
from scrip.domain.entries import Entry, EntryType, iso
from scrip.domain.grants import GrantKind
from scrip.domain.payments import DisputeOutcome, Payment

COUNTED_WITHIN = timedelta(days=1)
"""The stream keeps what it tells for so long; an entry older than that has been counted or lost."""

ADMIN_TYPES = frozenset(
    {
        *(EntryType.ADMIN_GRANT, EntryType.PROMO, EntryType.REFERRAL, EntryType.ADMIN_DEDUCT),
        *(EntryType.RESET, EntryType.FREEZE, EntryType.UNFREEZE),
    },
)
"""The types that only an admin's command writes, with an audit record."""

RELEASE = "release:"
"""What the id of a release begins with that no command about the hold asked for."""

PERIOD = "period:"
"""What the id of a plan entry begins with that the clock wrote."""


class Refunds(Check):
    """Refunds of an entry are what its total says, and never more than it took."""

    def __init__(self, books: Books) -> None:
        """Look for the entries that have a refunded total."""
        super().__init__(books)
        self.costs: dict[str, int] = {}
        self.refunded: Counter[str] = Counter()

    def take(self, entry: Entry) -> Iterator[Finding]:
        """Follow uses that were refunded, and their refunds."""
        cost, moved = entry.cost or 0, abs(entry.amount)
        if entry.type in {EntryType.USAGE, EntryType.REFUND} and moved not in {0, cost}:
            told = f"It moves {moved} credits, and says that they are {cost}."
            yield self.found_in(entry, Code.COST_WRONG, told)
        if entry.type is EntryType.USAGE and entry.entry_id in self.books.refunded:
            self.costs[entry.entry_id] = cost
        if entry.type is not EntryType.REFUND:
            return
        of = entry.refunds or ""
        self.refunded[of] += cost
        # What an entry took is known once it was seen and has a total; if not, the end tells.
        if self.refunded[of] > self.costs.get(of, self.refunded[of]):
            told = f"{self.refunded[of]} credits of entry {of} are refunded with it, "
            told += f"which took {self.costs[of]}."
            yield self.found_in(entry, Code.REFUND_TOO_LARGE, told)

    def close(self) -> Iterator[Finding]:
        """Compare the totals."""
        for name in sorted(self.books.refunded.keys() | self.refunded.keys()):
            told, refunded = self.books.refunded.get(name, 0), self.refunded[name]
            if name in self.books.refunded and told <= 0:
                sentence = f"The total says {told} credits; there is none before a first refund."
                yield self.found(Code.REFUNDED_TOTAL_WRONG, f"refunded total of {name}", sentence)
                continue
            if told != refunded:
                sentence = f"The total says {told} credits, and the refunds are {refunded}."
                yield self.found(Code.REFUNDED_TOTAL_WRONG, f"refunded total of {name}", sentence)
            elif name not in self.costs:
                sentence = f"{refunded} credits of it were refunded, and it took none."
                yield self.found(Code.REFUND_TOO_LARGE, f"entry {name}", sentence)


class Usage(Check):
    """The use of a day is that of the entries which it says it has counted."""

    def __init__(self, books: Books, now: datetime) -> None:
        """Know by `now` which entries must have been counted."""
        super().__init__(books)
        self.settled_before = now - COUNTED_WITHIN
        self.uses: dict[date, Counter[tuple[str | None, str]]] = {}
        self.counted: Counter[date] = Counter()
        self.lost: Counter[date] = Counter()

    def take(self, entry: Entry) -> Iterator[Finding]:
        """Count an entry, if the item of its day says that it has counted it."""
        day = entry.recorded_at.date()
        usage = self.books.usage.get(day)
        if usage is None or not any(first <= entry.seq <= last for first, last in usage.counted):
            if entry.recorded_at < self.settled_before:
                self.lost[day] += 1
            return
        self.counted[day] += 1
        uses = self.uses.setdefault(day, Counter())
        if entry.type is EntryType.USAGE:
            uses[entry.feature, "credits"] += entry.cost or 0
            uses[entry.feature, "count"] += 1
        if entry.type is EntryType.REFUND:
            uses[entry.feature, "refunded"] += entry.cost or 0
        yield from ()

    def close(self) -> Iterator[Finding]:
        """Compare the days."""
        for day, lost in sorted(self.lost.items()):
            told = f"{lost} entries of the day are older than a day and not counted."
            yield self.found(Code.USAGE_NOT_COUNTED, f"usage of {day}", told)
        for day, usage in sorted(self.books.usage.items()):
            about = f"usage of {day}"
            numbers = sum(last - first + 1 for first, last in usage.counted)
            if numbers != self.counted[day]:
                told = f"It says that it counted {numbers} entries, and the day has "
                told += f"{self.counted[day]} of them."
                yield self.found(Code.USAGE_WRONG, about, told)
            said: Counter[tuple[str | None, str]] = Counter()
            for use in usage.uses:
                for name in ("credits", "count", "refunded"):
                    said[use.feature, name] += getattr(use, name)
            counted = self.uses.get(day, Counter())
            for feature, name in sorted(said.keys() | counted.keys(), key=str):
                key = feature, name
                if said[key] != counted[key]:
                    told = f"{name} of {feature or 'uses by amount'} is {said[key]}, and by the "
                    told += f"entries {counted[key]}."
                    yield self.found(Code.USAGE_WRONG, about, told)


class Periods(Check):
    """Every period is granted once, under its name."""

    def __init__(self, books: Books) -> None:
        """Know no period yet."""
        super().__init__(books)
        self.granted: dict[tuple[datetime, str], str] = {}

    def take(self, entry: Entry) -> Iterator[Finding]:
        """Look at what the clock has granted: it has no request."""
        account = self.books.account
        by_clock = entry.type is EntryType.PLAN and entry.request_hash is None
        if account is None or not by_clock:
            return
        day = entry.effective_at.astimezone(account.zone).date().isoformat()
        name, instant = entry.entry_id.removeprefix(PERIOD), iso(entry.effective_at)
        # Named by the day or the instant of its start, and then perhaps by what it is part of.
        paid_until = "" if name == day else name.removeprefix(instant)
        is_named = name == day or (name.startswith(instant) and paid_until[:1] in {"", ":"})
        if not entry.entry_id.startswith(PERIOD) or not is_named:
            told = f"It is a period's plan grant, and not named after its start, {instant}."
            yield self.found_in(entry, Code.PERIOD_MISNAMED, told)
        earlier = self.granted.setdefault((entry.effective_at, paid_until), entry.entry_id)
        if earlier != entry.entry_id:
            told = f"It grants the period from {instant} again, after {earlier}."
            yield self.found_in(entry, Code.PERIOD_GRANTED_TWICE, told)

    def close(self) -> Iterator[Finding]:
        """Check that the account has one plan grant of each period."""
        account = self.books.account
        ends = Counter(
            grant.expires_at
            for grant in (account.grants if account else ())
            if grant.kind is GrantKind.PLAN
        )
        for end, grants in ends.items():
            if grants > 1:
                told = f"{grants} plan grants end at {iso(end) if end else 'no time'}."
                yield self.found(Code.PERIOD_GRANTED_TWICE, "account", told)


class Payments(Check):
    """Every payment's entry has its payment, which says the same of what came and went back."""

    def __init__(
        self,
        books: Books,
        find: Callable[[Collection[str]], Mapping[str, Payment]],
    ) -> None:
        """Know how to find payments by their ids."""
        super().__init__(books)
        self.find = find
        self.brought: dict[str, tuple[int, str]] = {}
        self.grant_ids: set[str] = set()
        self.money: dict[str, int] = {}
        self.taken_back: Counter[str] = Counter()
        self.changes: Counter[str] = Counter()
        self.expired: dict[str, int] = {}
        self.disputed: dict[str, tuple[str, str]] = {}
        self.ended: dict[str, str] = {}
        self.unspent: Counter[str] = Counter()

    def take(self, entry: Entry) -> Iterator[Finding]:
        """Note what a payment has brought, or what was taken back of it."""
        # A plan entry that an admin's change of quota wrote has a key of its own, without a colon.
        paid = is_asked_plan(entry) and ":" in entry.entry_id
        if paid or entry.type is EntryType.PURCHASE:
            grant_id = entry.allocations[0].grant_id if entry.allocations else ""
            self.brought[entry.entry_id] = entry.amount, grant_id
            self.grant_ids.add(grant_id)
            money = (entry.metadata or {}).get("money")
            if isinstance(money, int):
                self.money[entry.entry_id] = money
        if entry.type is EntryType.CLAWBACK:
            payment_id, _, _ = entry.entry_id.rpartition(CLAWBACK)
            self.taken_back[payment_id] -= entry.amount
            self.changes[payment_id] += 1
        self._dispute(entry)
        yield from ()

    def _dispute(self, entry: Entry) -> None:
        """Note what disputes set aside, how they ended, and what expired unspent."""
        match entry.type:
            case EntryType.HOLD if entry.hold_id is None:
                hold_id = entry.entry_id.removesuffix(OPENED)
                dispute_id = entry.source or ""
                self.disputed[hold_id] = hold_id.removesuffix(f":{dispute_id}"), dispute_id
            case EntryType.RELEASE:
                outcome = entry.entry_id.removeprefix(f"{entry.source}:")
                if outcome != entry.entry_id and (entry.source or "") in self.disputed:
                    self.ended[entry.source or ""] = outcome
            case EntryType.EXPIRY:
                name = entry.entry_id.removeprefix("expiry:")
                hold_id, _, _ = name.rpartition(":")
                if hold_id in self.disputed:
                    self.unspent[self.disputed[hold_id][0]] -= entry.amount
                elif name in self.grant_ids:
                    self.expired[name] = -entry.amount

    def close(self) -> Iterator[Finding]:
        """Compare with the payments."""
        names = self.brought.keys() | self.taken_back.keys()
        payments = self.find(names) if names else {}
        for name in sorted(names):
            for told in self._wrong(name, payments.get(name)):
                yield self.found(Code.PAYMENT_WRONG, f"payment {name}", told)

    def _wrong(self, name: str, payment: Payment | None) -> Iterator[str]:
        if name not in self.brought:
            yield "Credits of it were taken back, and no entry brought them."
        elif payment is None:
            yield "Its entry is there, and the payment is missing or cannot be read."
        else:
            if payment.account_id != self.books.account_id:
                yield f"It belongs to the account {payment.account_id}."
            if (payment.credits, payment.grant_id) != self.brought[name]:
                amount, grant_id = self.brought[name]
                yield (
                    f"It says that it brought {payment.credits} credits into grant "
                    f"{payment.grant_id or 'none'}, and the entry {amount} into "
                    f"{grant_id or 'none'}."
                )
            if payment.taken + payment.owed != self.taken_back[name]:
                yield (
                    f"It says that {payment.taken + payment.owed} credits were taken back, and "
                    f"the entries {self.taken_back[name]}."
                )
            yield from self._money_wrong(name, payment)
            yield from self._dispute_wrong(name, payment)

    def _money_wrong(self, name: str, payment: Payment) -> Iterator[str]:
        """Compare the money with the credits that were taken back for it."""
        money = self.money.get(name, payment.money)
        if payment.money != money:
            yield f"It says that it cost {payment.money}, and the entry {money}."
        if payment.version <= self.changes[name]:
            yield f"It is of version {payment.version}, after {self.changes[name]} clawbacks."
        if payment.unspent != self.unspent[name]:
            yield (
                f"It says that {payment.unspent} credits were set aside and expired, and the "
                f"entries {self.unspent[name]}."
            )
        short = payment.credits_back - self.taken_back[name]
        if not 0 <= short <= self._forgiven(payment):
            yield (
                f"The money that it says went back had bought {payment.credits_back} credits, and "
                f"by the entries {self.taken_back[name]} were taken back."
            )

    def _forgiven(self, payment: Payment) -> int:
        """Return how many credits at most nobody owes: none, while the payment's grant is there.

        What expired with the grant, or while it was set aside, is gone without being spent.
        """
        account = self.books.account
        if account is None or account.status is AccountStatus.CLOSED:
            return payment.credits
        if account.grant(payment.grant_id):
            return 0
        expired = self.unspent[payment.payment_id] + self.expired.get(payment.grant_id, 0)
        return expired + account.held_of(payment.grant_id)

    def _dispute_wrong(self, name: str, payment: Payment) -> Iterator[str]:
        """Compare the disputes with the holds that they opened, and how those ended."""
        account = self.books.account
        held = {hold.hold_id for hold in account.holds} if account else set()
        for hold_id, (payment_id, dispute_id) in self.disputed.items():
            if payment_id != name:
                continue
            dispute = payment.disputes.get(dispute_id)
            ended = self.ended.get(hold_id, DisputeOutcome.OPEN if hold_id in held else None)
            if dispute is None or dispute.outcome != (ended or dispute.outcome):
                told = dispute.outcome if dispute else "unknown"
                yield f"Its dispute {dispute_id} is {told}, and by the entries {ended or 'there'}."


class AdminChanges(Check):
    """Whatever an admin changed has its audit record, and every record's entry is there."""

    def __init__(self, books: Books) -> None:
        """Look for the entries that audit records name."""
        super().__init__(books)
        self.unseen = set(books.audited)

    def take(self, entry: Entry) -> Iterator[Finding]:
        """Look for the entry's audit record."""
        quota = is_asked_plan(entry) and ":" not in entry.entry_id
        by_admin = entry.type in ADMIN_TYPES or quota
        if by_admin and entry.entry_id not in self.books.audited:
            told = "It is an admin's change, and no audit record tells of it."
            yield self.found_in(entry, Code.AUDIT_RECORD_WRONG, told)
        self.unseen.discard(entry.entry_id)

    def close(self) -> Iterator[Finding]:
        """Tell of records without their entries."""
        for name in sorted(self.unseen):
            told = f"An audit record tells of the entry {name}, which is not there."
            yield self.found(Code.AUDIT_RECORD_WRONG, f"entry {name}", told)


class HoldEnds(Check):
    """What a command has ended is known to have ended by its entry, and nothing else is."""

    def __init__(self, books: Books) -> None:
        """Look for the entries that are said to have ended holds."""
        super().__init__(books)
        self.unseen = dict(books.hold_ends)

    def take(self, entry: Entry) -> Iterator[Finding]:
        """Look for what is said of the hold that an entry has ended."""
        if entry.hold_id is None or not ends_hold(entry):
            return
        said = self.books.hold_ends.get(entry.hold_id)
        if said == entry.entry_id:
            self.unseen.pop(entry.hold_id, None)
        else:
            told = f"It ended the hold {entry.hold_id}; what is kept of that says "
            told += f"{said or 'nothing'}."
            yield self.found_in(entry, Code.HOLD_END_WRONG, told)

    def close(self) -> Iterator[Finding]:
        """Tell of ends without their entries, and of those of holds that are open."""
        for name, entry_id in sorted(self.unseen.items()):
            told = f"It says that the entry {entry_id} ended the hold, and none of that id did."
            yield self.found(Code.HOLD_END_WRONG, f"end of hold {name}", told)
        for hold in self.books.account.holds if self.books.account else ():
            if hold.hold_id in self.books.hold_ends:
                told = "It says that the hold has ended, which is open."
                yield self.found(Code.HOLD_END_WRONG, f"end of hold {hold.hold_id}", told)


class Names(Reporter):
    """The outside names of an account lead to it, and the directory lists it."""

    def close(self) -> Iterator[Finding]:
        """Check where the account's names lead."""
        for name, account_id in sorted(self.books.names.items()):
            if account_id != self.books.account_id:
                told = f"It is a name of this account, and leads to {account_id or 'nobody'}."
                yield self.found(Code.ALIAS_WRONG, f"alias {name}", told)
        if not self.books.listed:
            account = self.books.account
            is_closed = account is not None and account.status is AccountStatus.CLOSED
            told = "The directory lists it, and it is closed."
            if not is_closed:
                told = (
                    "The directory does not list it where its anchor is: no sweep finds it there."
                )
            yield self.found(Code.DIRECTORY_WRONG, "account", told)


def ends_hold(entry: Entry) -> bool:
    """Tell whether somebody ended a hold with what an entry says; the clock ends them silently.

    Whether a capture was to be the last one is told by nothing but the hash of what was asked.
    """
    if entry.type is EntryType.RELEASE:
        # What a capture leaves goes back under a name of its own, and so does what ends by itself.
        return entry.hold_id is not None and not entry.entry_id.startswith(RELEASE)
    return is_capture(entry) and any(
        entry.request_hash
        == CaptureHold(
            account_id="",
            entry_id="",
            actor=entry.actor,
            reason=entry.reason,
            reference=entry.reference,
            metadata=entry.metadata,
            hold_id=entry.hold_id or "",
            quantity=entry.quantity,
            amount=amount,
            final=True,
            excess=excess,
        ).request_hash
        for amount in (None, None if entry.quantity else entry.cost)
        for excess in (False, True)
    )


def is_asked_plan(entry: Entry) -> bool:
    """Tell whether somebody asked for what a plan entry gave; the clock asks for nothing."""
    return entry.type is EntryType.PLAN and entry.request_hash is not None
