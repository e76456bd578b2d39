"""What of a payment's money was returned or is disputed, as messages tell it in any order."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import permutations
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from scrip.domain.payments import RETURNING, DisputeOutcome, Payment, RefundStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    type Message = Callable[[Payment], Payment]

PAID = Payment(
    payment_id="p", account_id="a", grant_id="g", credits=1000, money=2000, currency="usd"
)
OPEN, LOST, WON = DisputeOutcome.OPEN, DisputeOutcome.LOST, DisputeOutcome.WON
PENDING, ACTION, SUCCEEDED, FAILED = RefundStatus


def refund(money: int = 2000, status: RefundStatus = SUCCEEDED, name: str = "re_1") -> Message:
    return lambda payment: payment.with_refund(
        name, money, status=status, currency="usd", charge_id="ch_1"
    )


def total(money: int, charge_id: str = "ch_1", currency: str = "usd", charged: int = 0) -> Message:
    return lambda payment: payment.with_total(charge_id, money, currency=currency, charged=charged)


def dispute(outcome: DisputeOutcome, money: int = 500) -> Message:
    return lambda payment: payment.with_dispute("dp_1", outcome, money, currency="usd")


def after(*messages: Message, payment: Payment = PAID) -> Payment:
    for message in messages:
        payment = message(payment)
    return payment


def ends(*messages: Message, payment: Payment = PAID) -> Payment:
    """Return the payment after messages, which is the same in all their orders."""
    end, *others = (after(*order, payment=payment) for order in permutations(messages))
    for other in others:
        assert other == end
    return end


def test_a_payment_of_which_nothing_came_back_has_no_share() -> None:
    assert PAID.share_back is None
    assert PAID.share_disputed is None
    assert (PAID.credits_back, PAID.is_returned) == (0, False)


def test_a_refund_takes_its_share_in_whole_units_of_money() -> None:
    partly = after(refund(500))
    assert (partly.share_back, partly.money_back, partly.credits_back) == ((500, 2000), 500, 250)
    assert not partly.is_returned
    assert after(refund(2000)).is_returned
    assert after(refund(2001)).share_back == (2000, 2000)


def test_a_refund_that_failed_or_waits_for_the_customer_gives_back_in_any_order() -> None:
    for status in (FAILED, ACTION):
        back = ends(refund(status=PENDING), total(2000), refund(status=status))
        assert back.share_back is None
    assert ends(refund(status=PENDING), refund(), refund(status=FAILED)).share_back is None
    assert ends(refund(status=PENDING), refund(status=ACTION), refund()).is_returned


def test_a_total_counts_where_no_single_refund_says_otherwise() -> None:
    assert after(total(500)).money_back == 500
    assert ends(total(500), total(1500)).money_back == 1500
    assert ends(total(1500), refund(500)).money_back == 1500
    # Of the total, 500 has come back since.
    assert ends(total(1500), refund(500, FAILED)).money_back == 1000
    assert ends(total(2000), refund(status=FAILED), refund(700, name="re_2")).money_back == 700


def test_the_totals_of_two_charges_add_up() -> None:
    both = ends(total(1000), total(1000, "ch_2"))
    assert both.share_back == (2000, 2000)
    assert ends(total(1000), refund(1000), total(600, "ch_2")).money_back == 1600


def test_a_charge_in_another_currency_counts_by_its_fraction() -> None:
    assert after(total(1550, currency="jpy", charged=3100)).share_back == (1000, 2000)
    thirds = after(total(1, currency="jpy", charged=3))
    assert (thirds.share_back, thirds.credits_back) == ((1, 3), 333)


def test_a_refund_in_another_currency_counts_by_the_price_that_the_payer_saw() -> None:
    seen = replace(PAID, presented_money=1840, presented_currency="eur")
    for money, share in ((1840, (2000, 2000)), (920, (1000, 2000))):
        one = seen.with_refund("re_1", money, currency="eur", charge_id="ch_1")
        assert one.share_back == share
    # Without that price, any part is all of it until the message about the charge comes.
    unknown = PAID.with_refund("re_1", 1550, currency="jpy", charge_id="ch_1")
    assert unknown.share_back == (2000, 2000)
    assert after(total(1550, currency="jpy", charged=3100), payment=unknown).money_back == 1000


def test_any_part_of_an_unknown_price_is_the_whole() -> None:
    free = replace(PAID, money=0)
    for message in (refund(1), total(1), dispute(LOST)):
        back = after(message, payment=free)
        assert (back.share_back, back.credits_back, back.money_back) == ((1, 1), 1000, 0)
    assert after(refund(0), total(0), payment=free).share_back is None


def test_a_dispute_sets_its_own_share_aside_and_takes_it_when_it_is_lost() -> None:
    disputed = after(dispute(OPEN))
    assert (disputed.share_disputed, disputed.money_disputed) == ((500, 2000), 500)
    assert disputed.share_back is None
    lost = ends(dispute(OPEN), dispute(LOST))
    assert (lost.share_disputed, lost.credits_back) == (None, 250)


def test_a_dispute_that_was_won_or_whose_money_was_reinstated_takes_nothing() -> None:
    for messages in ((OPEN, WON), (OPEN, LOST, WON)):
        won = ends(*map(dispute, messages))
        assert (won.share_disputed, won.share_back) == (None, None)


def test_a_dispute_without_an_amount_is_about_all_of_it() -> None:
    assert after(dispute(OPEN, 0)).share_disputed == (2000, 2000)


def test_money_does_not_go_back_twice() -> None:
    both = ends(refund(1500), dispute(OPEN, 2000))
    assert (both.share_back, both.share_disputed) == ((1500, 2000), (500, 2000))
    assert ends(refund(1500), dispute(LOST, 2000)).share_back == (2000, 2000)


@dataclass
class Bank:
    """What really happens to a payment's two charges of 1000, and the messages about it."""

    refunds: dict[str, tuple[str, int, RefundStatus]] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)

    def move(self, name: str, charge_id: str, money: int, status: RefundStatus) -> None:
        if self.refunds.get(name, (charge_id, money, PENDING))[2] is FAILED:
            return
        charge_id, money, _ = self.refunds.get(name, (charge_id, money, status))
        self.refunds[name] = (charge_id, money, status)
        self.messages.append(
            lambda payment: payment.with_refund(name, money, status=status, charge_id=charge_id)
        )
        self.messages.append(total(self.by_charge[charge_id], charge_id))

    @property
    def by_charge(self) -> dict[str, int]:
        back: dict[str, int] = defaultdict(int)
        for charge_id, money, status in self.refunds.values():
            back[charge_id] += money if status in RETURNING else 0
        return back


MOVES = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["ch_1", "ch_2"]),
        st.integers(1, 300),
        st.sampled_from([PENDING, SUCCEEDED, FAILED]),
    ),
    max_size=8,
)


@given(MOVES, st.data())
def test_whatever_order_messages_come_in_what_is_back_is_what_the_bank_gave_back(
    moves: Sequence[tuple[str, str, int, RefundStatus]],
    data: st.DataObject,
) -> None:
    bank = Bank()
    states: dict[str, RefundStatus] = {}
    for name, charge_id, money, status in moves:
        # A bank settles a refund, or it fails; it does not go back to pending.
        if list(RefundStatus).index(status) >= list(RefundStatus).index(states.get(name, PENDING)):
            states[name] = status
            bank.move(name, charge_id, money, status)
    heard = data.draw(st.permutations([*bank.messages, *bank.messages[:3]]))
    end = after(*heard)
    truth = sum(bank.by_charge.values())
    assert end == after(*bank.messages)
    assert end.money_back == truth
    assert end.share_back == ((truth, 2000) if truth else None)
    # Each message that is lost may hide a refund or that one failed, and makes up none.
    if FAILED not in states.values():
        some = after(*data.draw(st.lists(st.sampled_from(heard)) if heard else st.just([])))
        assert some.money_back <= truth


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_share_is_exact(money: int, charged: int, part: int) -> None:
    payment = replace(PAID, money=money)
    back = after(total(min(part, charged), currency="jpy", charged=charged), payment=payment)
    assert back.share_back is not None
    assert Fraction(*back.share_back) == Fraction(min(part, charged), charged)
