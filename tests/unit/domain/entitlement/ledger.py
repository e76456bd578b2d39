"""A ledger of one account in memory: what the store keeps, and messages that wait."""

from __future__ import annotations

from collections import Counter
from copy import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any

from scrip.domain.commands import PayTerms, Refund, Renew, TakeBack
from scrip.domain.decide import PostingTooLongError, decide
from scrip.domain.entitlement import entitled
from scrip.domain.entries import CLOCK
from scrip.domain.errors import PaymentNotFoundError, RefusalError
from scrip.domain.posting import Paid, Refundable
from scrip.domain.settle import settle
from tests.unit.domain.entitlement.lives import CATALOG
from tests.unit.domain.examples import opening

if TYPE_CHECKING:
    from scrip.domain.account import Account
    from scrip.domain.commands import Command
    from scrip.domain.entries import Entry
    from scrip.domain.grants import Grant
    from scrip.domain.payments import Payment
    from scrip.domain.posting import Draft
    from scrip.domain.terms import Term

SIGNUP_CREDITS = 50
RENEWAL = Renew(account_id="u1", entry_id="renewal", keyed=False, actor=CLOCK)
TRIES_MAX = 9


class Ledger:
    """An account, its entries by ID, and its other items."""

    def __init__(self, opened: datetime, zone: str) -> None:
        self.entries: dict[str, Entry] = {}
        self.refunded: Counter[str] = Counter()
        self.retired: dict[str, Grant] = {}
        self.payments: dict[str, Payment] = {}
        self.past: dict[str, Term] = {}
        self.waiting: list[TakeBack] = []
        self._seen: tuple[tuple[int, datetime], Draft] | None = None
        self.account = self._written(
            None, opening("free", signup_credits=SIGNUP_CREDITS, time_zone=zone), opened
        )

    def copy(self) -> Ledger:
        """Return another ledger of the same past."""
        other = copy(self)
        other.__dict__ |= {
            name: copy(value)
            for name, value in self.__dict__.items()
            if isinstance(value, dict | list)
        }
        return other

    def do(self, command: Command, now: datetime) -> bool:
        """Execute a command as the ledger does; return whether it was not refused.

        Money that goes back before its payment is heard of waits for it.
        """
        if command.entry_id in self.entries:
            return True
        try:
            self._execute(command, now)
        except PaymentNotFoundError:
            assert isinstance(command, TakeBack)
            self.waiting.append(command)
        except RefusalError:
            return False
        if isinstance(command, PayTerms):
            due = [one for one in self.waiting if one.payment_id == command.entry_id]
            self.waiting = [one for one in self.waiting if one not in due]
            for one in due:
                self.do(one, now)
        return True

    def _execute(self, command: Command, now: datetime) -> None:
        for _ in range(TRIES_MAX):
            try:
                self.account = self._written(self.account, command, now)
            except PostingTooLongError:
                self.account = self._written(self.account, RENEWAL, now)
            else:
                return
        raise PostingTooLongError

    def draft(self, now: datetime) -> Draft:
        """Return the account rolled forward to an instant."""
        key = (self.account.version, now)
        if self._seen is None or self._seen[0] != key:
            self._seen = (key, settle(self.account, CATALOG, now))
        return self._seen[1]

    def at(self, now: datetime) -> Account:
        return self.draft(now).account

    def plan_at(self, now: datetime) -> str:
        return entitled(self.at(now), CATALOG, now).plan.plan_id

    def _written(self, account: Account | None, command: Command, now: datetime) -> Account:
        refundable, paid = None, None
        if isinstance(command, Refund) and (of := self.entries.get(command.refunds)):
            retired = tuple(self.retired.values())
            refundable = Refundable(entry=of, refunded=self.refunded[of.entry_id], retired=retired)
        if isinstance(command, TakeBack) and (payment := self.payments.get(command.payment_id)):
            paid = Paid(payment=payment, expiry=None)
        posting = decide(
            account,
            command,
            catalog=CATALOG,
            now=now,
            refundable=refundable,
            paid=paid,
            past=tuple(self.past.values()) if command.reads_terms else (),
        )
        self.entries |= {entry.entry_id: entry for entry in posting.entries}
        self.retired |= {grant.grant_id: grant for grant in posting.retired}
        self.past |= {term.term_id: term for term in posting.terms}
        if posting.refund:
            self.refunded[posting.refund[0].entry.entry_id] = posting.refund[1]
        if posting.payment:
            self.payments[posting.payment[1].payment_id] = posting.payment[1]
        return posting.after

    def terms(self, now: datetime) -> dict[str, list[int]]:
        """Return what each term has brought less what it has lost, month by month."""
        draft = self.draft(now)
        lately = (*draft.closed, *draft.account.terms)
        known = self.past | {term.term_id: term for term in lately}
        return {
            name: booked
            for name, term in known.items()
            if (booked := [lot.booked for _, lot in sorted(term.lots.items()) if lot.booked])
        }

    def state(self, now: datetime) -> dict[str, Any]:
        """Return all that a user can see of the account, and its terms."""
        account = self.at(now)
        entitlement = entitled(account, CATALOG, now)
        grants = Counter[tuple[str, datetime | None]]()
        for grant in account.grants:
            grants[grant.kind, grant.expires_at] += grant.remaining
        return {
            "available": account.available,
            "balance": account.balance,
            "debt": account.debt,
            "held": account.held,
            "grants": +grants,
            "plan": entitlement.plan.plan_id,
            "period": (entitlement.start, entitlement.end),
            "terms": self.terms(now),
        }
