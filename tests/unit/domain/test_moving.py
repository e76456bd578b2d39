"""Moving: a payment leaves one account and arrives in another, with what became of its money."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from scrip.domain.account import AccountStatus
from scrip.domain.commands import GiveUp, Pay, TakeBack
from scrip.domain.decide import decide
from scrip.domain.entries import EntryType
from scrip.domain.errors import PaymentNotFoundError, PaymentTakenError
from scrip.domain.naming import Rank
from scrip.domain.payments import DisputeOutcome, Payment, booking_of
from scrip.domain.posting import Paid, Posting
from tests.unit.domain.examples import (
    BILLING,
    CATALOG,
    NOW,
    consume,
    opened,
    pay_period,
    purchase,
)

PACK = purchase(1_000, money=500)
MONTH = pay_period(NOW, NOW + timedelta(days=31))
REFUNDED = {"refund_id": "re_1", "money": 100}
DISPUTED = {"dispute_id": "dp_1", "outcome": DisputeOutcome.OPEN, "money": 250}


class Books:
    """Two accounts, and one payment that is at most one's."""

    def __init__(self) -> None:
        self.accounts = {name: replace(opened(), account_id=name) for name in ("alice", "bob")}
        self.payment: Payment | None = None

    def do(self, command: Pay | GiveUp | TakeBack, account_id: str) -> Posting:
        """Carry out a command for an account."""
        paid = None
        if command.reads_payment and self.payment:
            paid = Paid(payment=self.payment, expiry=None)
        posting = decide(
            self.accounts[account_id],
            replace(command, account_id=account_id),
            catalog=CATALOG,
            now=NOW,
            paid=paid,
        )
        self.accounts[account_id] = posting.after
        if posting.payment:
            self.payment = posting.payment[1]
        return posting

    def give_up(self, account_id: str, to: str) -> Posting:
        assert self.payment
        command = GiveUp(
            account_id=account_id,
            entry_id="m1",
            actor=BILLING,
            payment_id=self.payment.payment_id,
            subscription_id="stripe:sub_1",
            to=to,
        )
        return self.do(command, account_id)

    def book(self, command: Pay, account_id: str) -> Posting:
        """Book a payment that an account has given up for another one."""
        assert self.payment
        moved = self.payment.moved + 1
        entry_id = booking_of(command.payment_id, moved)
        return self.do(replace(command, entry_id=entry_id, moved=moved), account_id)

    def take_back(self, account_id: str, **details: Any) -> Posting:
        assert self.payment
        command = TakeBack(
            account_id=account_id,
            entry_id="t1",
            actor=BILLING,
            payment_id=self.payment.payment_id,
            **details,
        )
        return self.do(command, account_id)

    def spend(self, account_id: str, amount: int) -> None:
        command = replace(consume(amount), account_id=account_id)
        posting = decide(self.accounts[account_id], command, catalog=CATALOG, now=NOW)
        self.accounts[account_id] = posting.after

    @property
    def balances(self) -> tuple[int, int]:
        return self.accounts["alice"].balance, self.accounts["bob"].balance


@pytest.mark.parametrize(("command", "alone"), [(PACK, 150), (MONTH, 150)])
def test_a_payment_that_moves_brings_the_new_account_what_the_old_one_loses(
    command: Pay, alone: int
) -> None:
    books, expected = Books(), Books()
    books.do(command, "alice")
    books.give_up("alice", "bob")
    books.book(command, "bob")
    expected.do(command, "bob")
    assert books.balances == (alone, expected.balances[1])
    assert books.accounts["alice"].subscriptions == ()
    assert books.payment
    assert (books.payment.account_id, books.payment.to) == ("bob", None)


@pytest.mark.parametrize("command", [PACK, MONTH])
def test_a_payment_can_come_back(command: Pay) -> None:
    books, expected = Books(), Books()
    books.do(command, "alice")
    for account_id, to in (("alice", "bob"), ("bob", "alice")):
        books.give_up(account_id, to)
        books.book(command, to)
    expected.do(command, "alice")
    assert books.balances == expected.balances
    assert books.payment
    assert books.payment.entry_id.endswith(":moved:2")


@pytest.mark.parametrize("command", [PACK, MONTH])
@pytest.mark.parametrize("fact", [REFUNDED, DISPUTED])
def test_what_was_refunded_or_disputed_moves_along(command: Pay, fact: dict[str, Any]) -> None:
    books, expected = Books(), Books()
    for world, account_id in ((books, "alice"), (expected, "bob")):
        world.do(command, account_id)
        world.take_back(account_id, **fact)
    books.give_up("alice", "bob")
    books.book(command, "bob")
    alice, bob = books.accounts["alice"], books.accounts["bob"]
    assert (alice.balance, alice.held, alice.debt) == (150, 0, 0)
    assert expected.payment
    assert books.payment
    assert books.payment.money_back == expected.payment.money_back
    assert bob.available == expected.accounts["bob"].available


def test_only_the_account_that_it_was_given_up_for_can_take_a_payment_over() -> None:
    books = Books()
    books.do(PACK, "alice")
    with pytest.raises(PaymentTakenError):
        books.book(PACK, "bob")
    books.give_up("alice", "carl")
    with pytest.raises(PaymentTakenError):
        books.book(PACK, "bob")
    books.give_up("alice", "bob")  # a stronger name has come in between
    books.book(PACK, "bob")
    with pytest.raises(PaymentNotFoundError):
        books.give_up("alice", "bob")
    assert books.balances == (150, 1_150)


@pytest.mark.parametrize("command", [PACK, MONTH])
@pytest.mark.parametrize("rank", [Rank.ONLY_ACCOUNT, Rank.TYPED])
def test_what_was_spent_is_owed_unless_only_the_payer_had_brought_it(
    command: Pay, rank: Rank
) -> None:
    books = Books()
    books.do(replace(command, rank=rank), "alice")
    books.spend("alice", 600)
    posting = books.give_up("alice", "bob")
    debt_settled = sum(entry.type is EntryType.DEBT_SETTLED for entry in posting.entries)
    left = books.accounts["alice"]
    if rank is Rank.TYPED:
        assert left.debt == 0
        assert left.balance >= 0
        assert debt_settled
    else:
        assert left.balance < 0


def test_a_closed_account_lets_its_payment_go() -> None:
    books = Books()
    books.do(PACK, "alice")
    closed = replace(books.accounts["alice"], status=AccountStatus.CLOSED, grants=())
    books.accounts["alice"] = closed
    books.give_up("alice", "bob")
    books.book(PACK, "bob")
    assert books.balances == (0, 1_150)
