"""The whole history of an account, as stored in the table, for tests to tamper with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from scrip.domain.audit.audit import audit
from scrip.domain.audit.books import Books, StoredEntry
from scrip.domain.commands import AdjustAction
from scrip.domain.entries import GENESIS_HASH, Entry, chain_hash
from scrip.domain.payments import DisputeOutcome, Payment
from scrip.domain.usage import DayUsage
from tests.unit.domain.examples import (
    DAY,
    NOW,
    adjust,
    capture,
    consume,
    dispute,
    do,
    extend,
    freeze,
    hold,
    opening,
    pay_period,
    purchase,
    quota,
    refund,
    refund_of_money,
    release,
    reset,
    returned,
    use,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date, datetime

    from scrip.domain.account import Account
    from scrip.domain.audit.findings import Finding
    from scrip.domain.commands import Command
    from scrip.domain.grants import Grant
    from scrip.domain.posting import AuditRecord, Posting
    from scrip.domain.terms import Term

LONG_AFTER = timedelta(days=300)


@dataclass
class Life:
    """An account, its entries by ID, and its other items."""

    account: Account | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    refunded: dict[str, int] = field(default_factory=dict)
    hold_ends: dict[str, str] = field(default_factory=dict)
    retired: dict[str, Grant] = field(default_factory=dict)
    terms: dict[str, Term] = field(default_factory=dict)
    payments: dict[str, Payment] = field(default_factory=dict)
    usage: dict[date, DayUsage] = field(default_factory=dict)
    audited: set[str] = field(default_factory=set)
    closings: set[str] = field(default_factory=set)
    changes: list[AuditRecord] = field(default_factory=list)

    def do(self, command: Command, now: datetime) -> None:
        """Execute a command as the ledger does."""
        payment = self.payments.get(getattr(command, "payment_id", ""))
        of = getattr(command, "refunds", "")
        self.write(
            do(
                self.account,
                command,
                now,
                of=self.entries.get(of),
                refunded=self.refunded.get(of, 0),
                paid=payment,
            ),
        )

    def write(self, posting: Posting) -> None:
        """Store and count a posting, as the table and its stream do."""
        self.account = posting.after
        for entry in posting.entries:
            self.entries[entry.entry_id] = entry
            day = entry.recorded_at.date()
            self.usage[day] = self.usage.get(day, DayUsage()).with_entries([entry])
        if posting.refund:
            self.refunded[posting.refund[0].entry.entry_id] = posting.refund[1]
        if posting.ended_hold and posting.entry:
            self.hold_ends[posting.ended_hold] = posting.entry.entry_id
        self.retired |= {grant.grant_id: grant for grant in posting.retired}
        self.terms |= {term.term_id: term for term in posting.terms}
        if posting.payment:
            self.payments[posting.payment[1].payment_id] = posting.payment[1]
        if posting.audit:
            self.changes.append(posting.audit)
        if posting.audit and posting.audit.entry_id:
            self.audited.add(posting.audit.entry_id)
            if posting.audit.action == "account.close":
                self.closings.add(posting.audit.entry_id)

    def edit(self, entry_id: str, **changed: Any) -> None:
        """Edit only an entry."""
        self.entries[entry_id] = replace(self.entries[entry_id], **changed)

    def rehash(self, *only: str) -> None:
        """Recompute the hashes of some entries, or of the whole chain."""
        if only:
            for entry_id in only:
                self.edit(entry_id, hash=chain_hash(self.entries[entry_id]))
            return
        newest = GENESIS_HASH
        for entry in sorted(self.entries.values(), key=lambda entry: entry.seq):
            linked = replace(entry, previous_hash=newest)
            newest = chain_hash(linked)
            self.entries[entry.entry_id] = replace(linked, hash=newest)

    def change(self, **changed: Any) -> None:
        """Edit only the account."""
        assert self.account
        self.account = replace(self.account, **changed)

    def seal(self) -> None:
        """Rewrite the whole chain, and store its end in the account."""
        self.rehash()
        newest = max(self.entries.values(), key=lambda entry: entry.seq)
        self.change(hash=newest.hash, seq_last=newest.seq)

    def books(self, **changed: Any) -> Books:
        """Return the account and its items other than entries, with a test's changes."""
        mine = {
            "account": self.account,
            "balance": self.account.balance if self.account else None,
            "refunded": self.refunded,
            "hold_ends": self.hold_ends,
            "retired": self.retired,
            "terms": self.terms,
            "usage": self.usage,
            "audited": frozenset(self.audited),
            "closings": frozenset(self.closings),
        }
        return Books(account_id="u1", **(mine | changed))

    def payments_of(self, ids: Collection[str]) -> dict[str, Payment]:
        """Find payments by their IDs."""
        return {name: self.payments[name] for name in ids if name in self.payments}

    def audit(
        self,
        *,
        stored: Sequence[StoredEntry] | None = None,
        **changed: Any,
    ) -> list[Finding]:
        """Audit the account much later, with a test's changes to its books or entries."""
        if stored is None:
            stored = [
                StoredEntry(entry_id=entry.entry_id, seq=entry.seq, entry=entry)
                for entry in self.entries.values()
            ]
        newest = max((entry.recorded_at for entry in self.entries.values()), default=NOW)
        return list(
            audit(
                self.books(**changed),
                sorted(stored, key=lambda one: one.seq),
                self.payments_of,
                newest + LONG_AFTER,
            ),
        )


def lived() -> Life:
    """Return a life with something of everything.

    It has 150 credits at first, uses and a refund, an upgrade, a disputed purchase, another that is
    partly refunded, a freeze, a reset, and a new month.
    """
    life = Life()
    commands = [
        opening("free"),
        consume(30, "c1"),
        use("chat", 4, "c2"),
        refund("c2", 8, "r1"),
        quota("pro", key="q1"),
        adjust(AdjustAction.ADD, 500, "a1"),
        purchase(1_000, "stripe:pi_1"),
        purchase(400, "stripe:pi_2"),
        returned(250, "stripe:pi_2"),
        use("tokens", 5_000, "c3"),
        adjust(AdjustAction.DEDUCT, 20, "a2"),
        dispute(DisputeOutcome.OPEN),
        replace(freeze(), entry_id="f1"),
        replace(freeze(frozen=False), entry_id="f2"),
    ]
    for hour, command in enumerate(commands):
        life.do(command, NOW + timedelta(hours=hour))
    life.do(consume(7, "c4"), NOW + 40 * DAY)
    life.do(reset("reset-1"), NOW + 41 * DAY)
    life.do(consume(9, "c5"), NOW + 41 * DAY)
    return life


def lived_with_holds() -> Life:
    """Return a life with holds that were captured, released, left to expire, and are open.

    It has 150 credits at first. The last hold, on an unlimited plan, is partly used.
    """
    life = Life()
    commands = [
        opening("free"),
        hold(50, "h1", expires_in=3_600),
        extend(86_400, "x1", of="h1"),
        hold(20, "h2"),
        capture(5, "p2", of="h2"),
        hold(10, "h3"),
        capture(key="p3", of="h3"),
        hold(10, "h4"),
        release("p4", of="h4"),
        hold(30, "h5"),
        capture(30, "p5", of="h5", final=False),
        hold(15, "h6", expires_in=1),
        quota("unlimited", key="q1"),
        hold(40, "h7", expires_in=86_400),
        capture(8, "p7", of="h7", final=False),
    ]
    for minute, command in enumerate(commands):
        life.do(command, NOW + timedelta(minutes=minute))
    return life


def lived_with_terms() -> Life:
    """Return a life with a paid month, of which a part is refunded, and uses of it."""
    life = Life()
    commands = [
        opening("free"),
        pay_period(NOW, NOW + 30 * DAY, money=2_000),
        consume(300, "c1"),
        refund_of_money("stripe:re_1", 500, "stripe:in_1"),
        consume(20, "c2"),
    ]
    for hour, command in enumerate(commands):
        life.do(command, NOW + timedelta(hours=hour))
    return life
