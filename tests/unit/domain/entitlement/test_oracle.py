"""The oracle itself, against values worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from scrip.domain.commands import FollowSubscription, PayTerms, TakeBack
from scrip.domain.payments import RefundStatus
from scrip.domain.terms import Line
from tests.unit.domain.entitlement.books import Books
from tests.unit.domain.entitlement.lives import ALLOWANCES
from tests.unit.domain.entitlement.oracle import Oracle, seconds
from tests.unit.domain.examples import BILLING

START = datetime(2026, 4, 1, 12, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


class Account:
    """The books of an account that was opened at START, without sign-up credits."""

    def __init__(self, base_allowance: int = 0) -> None:
        self.books = Books(Oracle(ALLOWANCES, "UTC", START), base_allowance, 0)
        self.payments = 0

    def pay(
        self, at: datetime, *lines: Line, subscription: str = "sub_1", money: int = 3_000
    ) -> str:
        self.payments += 1
        payment_id = f"in_{self.payments}"
        self._hear(
            at, PayTerms, entry_id=payment_id, subscription_id=subscription, lines=lines,
            money=money,
        )  # fmt: skip
        return payment_id

    def refund(self, at: datetime, payment_id: str, money: int, *, failed: bool = False) -> None:
        status = RefundStatus.FAILED if failed else RefundStatus.SUCCEEDED
        self._hear(
            at, TakeBack, entry_id="re", payment_id=payment_id, refund_id="re_1", money=money,
            status=status,
        )  # fmt: skip

    def cancel(self, at: datetime, subscription: str = "sub_1") -> None:
        self._hear(
            at, FollowSubscription, entry_id="st", subscription_id=subscription, status="canceled",
            ended=True, at=at,
        )  # fmt: skip

    def use(self, at: datetime, amount: int) -> bool:
        return self.books.use(amount, seconds(at))

    def balance(self, at: datetime) -> int:
        self.books.pass_to(seconds(at))
        return self.books.balance

    def plan(self, at: datetime) -> str:
        return self.books.oracle.plan(seconds(at))

    def _hear(self, at: datetime, make: Any, /, **fields: Any) -> None:
        if make is FollowSubscription:
            command = make(account_id="u1", actor=BILLING, at=fields.pop("at"), **fields)
        else:
            command = make(account_id="u1", actor=BILLING, **fields)
        self.books.hear(command, seconds(at))


def line(
    plan_id: str, start: datetime, end: datetime, quantity: int = 1, item: str = "si_1"
) -> Line:
    return Line(item_id=item, plan_id=plan_id, quantity=quantity, start=start, end=end)


def rest(plan_id: str, start: datetime, end: datetime, quantity: int = 1, item: str = "") -> Line:
    return Line(
        item_id=item, plan_id=plan_id, quantity=quantity, start=start, end=end, prorated=True
    )


def credited(
    plan_id: str, start: datetime, end: datetime, quantity: int = 1, item: str = ""
) -> Line:
    return Line(
        item_id=item, plan_id=plan_id, quantity=quantity, start=start, end=end, credited=True
    )


def test_a_year_changed_to_a_dearer_month_brings_that_month_and_no_more() -> None:
    account, now = Account(base_allowance=100), START + 61 * DAY
    year = START + 365 * DAY
    account.pay(START, line("starter", START, year))
    account.pay(now, credited("starter", now, year), line("growth", now, now + 30 * DAY))
    account.cancel(now)
    # 1 June 12:00 is the boundary of the third month, so nothing of it is left.
    assert account.balance(now + MINUTE) == 3_000
    assert account.plan(now + 29 * DAY) == "growth"
    assert account.balance(now + 30 * DAY) == 100
    assert account.balance(now + 300 * DAY) == 100
    assert account.plan(now + 30 * DAY) == "free"


@pytest.mark.parametrize("returned", [0, 1])
def test_of_two_subscriptions_by_a_double_click_either_can_be_refunded(returned: int) -> None:
    account = Account()
    payments = []
    for number, at in enumerate((START, START + 2 * MINUTE)):
        terms = line("growth", at, at + 30 * DAY)
        payments.append(account.pay(at, terms, subscription=f"sub_{number}"))
        if number == 0:
            assert account.use(at + MINUTE, 200)
    account.cancel(START + DAY, f"sub_{returned}")
    account.refund(START + DAY, payments[returned], 3_000)
    # 200 were used of the first: if that goes back, the second month takes them over only when
    # credits arrive, so they are owed beside it.
    assert account.balance(START + DAY) == 2_800


def test_a_month_paid_early_begins_when_the_running_one_ends() -> None:
    account = Account()
    end = START + 30 * DAY
    account.pay(START, line("growth", START, end))
    account.use(START + DAY, 100)
    account.pay(end - 6 * DAY, line("growth", end, end + 30 * DAY))
    account.pay(end - 5 * DAY, line("growth", end + 30 * DAY, end + 60 * DAY))
    assert account.balance(end - MINUTE) == 2_900
    assert account.balance(end) == 3_000
    assert account.balance(end + 30 * DAY) == 3_000


def test_seats_added_in_a_month_bring_their_part_of_it() -> None:
    account, end = Account(), START + 30 * DAY
    now = START + 5 * DAY
    account.pay(START, line("growth", START, end, 5))
    assert account.balance(now - MINUTE) == 15_000
    account.pay(now, credited("growth", now, end, 5), rest("growth", now, end, 8))
    assert account.balance(now) == 15_000 - 12_500 + 20_000


def test_upgrading_using_and_downgrading_gains_nothing() -> None:
    account, end = Account(), START + 30 * DAY
    up, down = START + DAY, START + DAY + MINUTE
    account.pay(START, line("starter", START, end))
    account.pay(up, credited("starter", up, end), rest("growth", up, end))
    assert account.balance(up) == 500 - 483 + 2_900
    assert account.use(up, 2_900)
    account.pay(down, credited("growth", down, end), rest("starter", down, end), money=0)
    assert account.balance(down) == 17 - 2_899 + 484


def test_a_year_refunded_for_three_quarters_has_no_fourth_month() -> None:
    account = Account()
    payment = account.pay(START, line("starter", START, START + 365 * DAY), money=12_000)
    account.refund(START + 85 * DAY, payment, 9_000)
    account.cancel(START + 85 * DAY)
    assert account.balance(START + 90 * DAY) == 500
    assert account.balance(START + 100 * DAY) == 0


def test_a_refund_that_fails_gives_back() -> None:
    account = Account()
    payment = account.pay(START, line("starter", START, START + 30 * DAY))
    account.use(START + DAY, 300)
    account.refund(START + 2 * DAY, payment, 3_000)
    assert account.balance(START + 2 * DAY) == -300
    account.refund(START + 3 * DAY, payment, 3_000, failed=True)
    assert account.balance(START + 3 * DAY) == 200
