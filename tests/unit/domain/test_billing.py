"""Payments, subscriptions, refunds and disputes, whose messages arrive in any order."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrip.domain.account import PAYMENT_GRACE, Account
from scrip.domain.commands import AdjustAction, Command, TakeBack
from scrip.domain.entries import Entry, EntryType
from scrip.domain.errors import AccountClosedError
from scrip.domain.grants import GRANTS_MAX
from scrip.domain.payments import DisputeOutcome, Payment
from scrip.domain.settle import settled
from tests.unit.domain.examples import (
    CATALOG,
    DAY,
    NOW,
    adjust,
    close,
    consume,
    dispute,
    do,
    follow,
    opened,
    pay_period,
    purchase,
    quota,
    refund_of_money,
    reset,
    returned,
)

MONTH = 28 * DAY  # from the last of January to the last of February


@dataclass
class Story:
    """An account and its payments. A command about an unknown payment waits for it."""

    account: Account = field(default_factory=lambda: opened(signup_credits=0))
    entries: list[Entry] = field(default_factory=list)
    payments: dict[str, Payment] = field(default_factory=dict)
    waiting: list[TakeBack] = field(default_factory=list)

    def receive(self, command: Command, now: datetime = NOW) -> None:
        taken = {entry.entry_id: entry for entry in self.entries}
        if command.entry_id in taken and not isinstance(command, TakeBack):
            return
        paid, expiry = None, None
        if isinstance(command, TakeBack):
            paid = self.payments.get(command.payment_id)
            if paid is None:
                self.waiting.append(command)
                return
            if self.account.grant(paid.grant_id) is None:
                expiry = taken.get(f"expiry:{paid.grant_id}")
        posting = do(self.account, command, now, paid=paid, expiry=expiry)
        self.account = posting.after
        self.entries += posting.entries
        if posting.payment:
            payment = posting.payment[1]
            self.payments[payment.payment_id] = payment
            resumed = [one for one in self.waiting if one.payment_id == payment.payment_id]
            self.waiting = [one for one in self.waiting if one not in resumed]
            for waiting in resumed:
                self.receive(waiting, now)


def account_after(*commands: Command) -> Account:
    story = Story()
    for command in commands:
        story.receive(command)
    return story.account


def test_a_purchase_has_a_grant_of_its_own_that_never_expires() -> None:
    account = account_after(purchase(500), purchase(500, "stripe:pi_2"))
    bought = [grant for grant in account.grants if grant.kind == "purchase"]
    assert [(grant.amount, grant.expires_at, grant.source) for grant in bought] == [
        (500, None, "stripe:pi_1"),
        (500, None, "stripe:pi_2"),
    ]
    assert settled(account, CATALOG, NOW + 1_000 * DAY).balance == 1_100


def test_a_paid_period_replaces_the_calendars_and_lasts_longer_for_a_late_payment() -> None:
    story = Story(account=do(opened(), consume(60)).after)
    story.receive(pay_period(NOW, NOW + MONTH))
    account = story.account
    # The rest of Free's allowance ended with its period.
    assert (account.plan_id, account.balance, account.used) == ("pro", 50 + 2_000, 0)
    assert account.period_end == NOW + MONTH
    assert settled(account, CATALOG, NOW + MONTH).balance == 2_050
    assert settled(account, CATALOG, NOW + MONTH + PAYMENT_GRACE).balance == 50
    assert settled(account, CATALOG, NOW + 1_000 * DAY).balance == 50


def test_the_next_payment_ends_the_period_and_rolls_over_up_to_the_limit() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH))
    later = NOW + MONTH + DAY
    story.receive(pay_period(NOW + MONTH, NOW + 2 * MONTH, payment_id="stripe:in_2"), later)
    assert story.account.balance == 1_000 + 2_000
    assert {entry.entry_id for entry in story.entries} >= {
        "stripe:in_1",
        "stripe:in_2",
        "rollover:stripe:in_2",
    }


def test_after_a_subscription_the_calendar_continues_at_the_end_of_the_paid_time() -> None:
    account = account_after(pay_period(NOW, NOW + MONTH), follow("canceled", NOW + DAY))
    assert settled(account, CATALOG, NOW + MONTH - DAY).balance == 2_000
    after = settled(account, CATALOG, NOW + MONTH)
    assert (after.plan_id, after.paid_until, after.anchor) == ("free", None, NOW + MONTH)
    assert after.balance == 1_000 + 100


def test_a_paid_year_is_granted_month_by_month() -> None:
    account = account_after(pay_period(NOW, NOW + 365 * DAY))
    for month in range(1, 12):
        at = account.begins(month)
        assert settled(account, CATALOG, at).period == month
        assert settled(account, CATALOG, at).balance == 2_000 + 1_000
    assert settled(account, CATALOG, account.begins(11)).period_end == NOW + 365 * DAY


def test_a_paid_upgrade_raises_the_allowance_of_the_current_period() -> None:
    for plan, amount in (("long", 0), ("pro", 0)):
        story = Story()
        story.receive(quota("free", monthly_credits=1))
        story.receive(pay_period(NOW, NOW + MONTH, "pro"))
        story.receive(pay_period(NOW + DAY, NOW + MONTH, plan, payment_id="stripe:in_2"), NOW + DAY)
        assert story.entries[-1].amount == amount
        assert (story.account.plan_id, story.account.balance) == ("pro", 2_000)
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH, "long"))
    story.receive(pay_period(NOW + DAY, NOW + MONTH, "pro", payment_id="stripe:in_2"), NOW + DAY)
    assert (story.account.plan_id, story.account.balance) == ("pro", 2_000)
    assert story.entries[-1].amount == 1_950


def test_a_payment_for_a_past_period_leaves_an_entry_and_no_credits() -> None:
    account = account_after(pay_period(NOW - 90 * DAY, NOW - 60 * DAY))
    assert (account.balance, account.plan_id, account.paid_until) == (100, "free", None)


def test_an_older_state_of_a_subscription_never_overwrites_a_newer_one() -> None:
    canceled, active = follow("canceled", NOW + DAY), follow("active", NOW)
    for order in ((canceled, active), (active, canceled)):
        subscription = account_after(*order).subscription
        assert subscription is not None
        assert subscription.status == "canceled"


def test_the_end_of_one_subscription_does_not_end_the_one_that_replaced_it() -> None:
    old = follow("canceled", NOW + 2 * DAY, subscription_id="stripe:sub_1")
    new = follow("active", NOW + DAY, subscription_id="stripe:sub_2")
    for order in ((old, new), (new, old)):
        subscription = account_after(follow("active", NOW), *order).subscription
        assert subscription is not None
        assert (subscription.subscription_id, subscription.status) == ("stripe:sub_2", "active")


@pytest.mark.parametrize("spent", [0, 300, 600])
def test_refunded_money_takes_its_own_grant_and_the_rest_becomes_debt(spent: int) -> None:
    story = Story()
    story.receive(purchase(500, money=1_000))
    if spent:
        story.receive(consume(spent))
    story.receive(returned(400))  # 200 credits
    left = 500 - max(0, spent - 100)
    assert story.account.balance == 600 - spent - 200
    assert story.account.debt == max(0, 200 - left)
    story.receive(returned(1_000))
    assert (story.account.balance, story.account.debt) == (100 - spent, max(0, spent - 100))
    story.receive(purchase(700, "stripe:pi_2"))
    assert story.account.debt == 0
    assert story.entries[-1].type is EntryType.DEBT_SETTLED or spent <= 100


def test_a_refund_reported_twice_in_both_ways_takes_back_once() -> None:
    story = Story()
    story.receive(purchase(500, money=1_000))
    for command in (
        refund_of_money("stripe:re_1", 400),
        returned(400),
        refund_of_money("stripe:re_1", 400),
        returned(700),
        refund_of_money("stripe:re_2", 300),
    ):
        story.receive(command)
    assert story.account.balance == 100 + 150
    clawbacks = [entry.amount for entry in story.entries if entry.type is EntryType.CLAWBACK]
    assert clawbacks == [-200, -150]


@pytest.mark.parametrize("amounts", [(400, 700), (700, 400), (400, 700, 400)])
def test_the_largest_of_several_amounts_of_a_refund_counts_in_any_order(
    amounts: tuple[int, ...],
) -> None:
    story = Story()
    story.receive(purchase(500, money=1_000))
    for money in amounts:
        story.receive(refund_of_money("stripe:re_1", money))
    assert story.payments["stripe:pi_1"].refunds == {"stripe:re_1": 700}
    assert story.account.balance == 100 + 150


def test_a_late_payment_keeps_the_use_of_the_period_and_one_in_time_resets_it() -> None:
    for start, used in ((NOW, 0), (NOW - DAY, 60)):
        story = Story()
        story.receive(consume(60))
        story.receive(pay_period(start, start + MONTH))
        assert story.account.used == used


def test_a_payment_overrides_a_scheduled_change_of_plan() -> None:
    account = account_after(quota("none"), pay_period(NOW, NOW + MONTH), follow("canceled", NOW))
    assert account.next_quota is None
    assert settled(account, CATALOG, NOW + MONTH).plan_id == "free"


def test_an_accounts_own_allowance_applies_to_paid_periods_of_the_same_plan() -> None:
    own = quota("pro", monthly_credits=2_500)
    assert account_after(own, pay_period(NOW, NOW + MONTH)).balance == 2_500 + 1_000
    assert account_after(own, pay_period(NOW, NOW + MONTH, "long")).balance == 50 + 1_000


def test_a_month_of_the_provider_is_never_split() -> None:
    """From the last day of February to the last of March, longer than a calendar month."""
    account = account_after(pay_period(NOW - 3 * DAY, NOW + 30 * DAY))
    assert settled(account, CATALOG, NOW + 29 * DAY).period_end == NOW + 30 * DAY
    assert settled(account, CATALOG, NOW + 29 * DAY).balance == 2_000


def test_a_year_that_is_paid_again_has_months_with_new_entry_ids() -> None:
    story = Story()
    for days, paid, used in ((365, 5, 45), (400, 46, 50)):
        payment = f"stripe:in_{days}"
        story.receive(pay_period(NOW, NOW + days * DAY, payment_id=payment), NOW + paid * DAY)
        story.receive(consume(1, f"on-day-{used}"), NOW + used * DAY)
    names = [entry.entry_id for entry in story.entries]
    assert len(set(names)) == len(names)
    assert len([name for name in names if name.startswith("period:2026-02-28")]) == 2


def test_a_scheduled_allowance_comes_with_the_payment_for_its_plan() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH))
    story.receive(quota(monthly_credits=500))
    assert story.account.balance == 2_000
    story.receive(pay_period(NOW + MONTH, NOW + 2 * MONTH, payment_id="stripe:in_2"), NOW + MONTH)
    assert story.account.balance == 1_000 + 500


@pytest.mark.parametrize("received_on", [7, 8, 9])
def test_two_late_payments_have_the_same_result_in_either_order(received_on: int) -> None:
    """A past week, or a trial, and the period after it."""
    week = 7 * DAY
    first = pay_period(NOW, NOW + week)
    second = pay_period(NOW + week, NOW + 2 * week, payment_id="stripe:in_2")
    balances = []
    for order in ((first, second), (second, first)):
        story = Story()
        for command in order:
            story.receive(command, NOW + received_on * DAY)
        balances.append((story.account.balance, story.account.paid_until, story.account.plan_id))
    assert balances == [(1_000 + 2_000, NOW + 2 * week, "pro")] * 2


def test_two_subscriptions_have_the_same_result_in_every_order() -> None:
    """A yearly subscription, replaced by a monthly one, which is canceled, too."""
    messages = (
        pay_period(NOW, NOW + 365 * DAY),
        follow("canceled", NOW + DAY),
        pay_period(NOW, NOW + MONTH, payment_id="stripe:in_2", subscription_id="stripe:sub_2"),
        follow("active", NOW, subscription_id="stripe:sub_2"),
        follow("canceled", NOW + 2 * DAY, subscription_id="stripe:sub_2"),
    )
    ends = set()
    for order in permutations(messages):
        account = settled(account_after(*order), CATALOG, NOW + 800 * DAY)
        ends.add((account.plan_id, account.balance, account.awaits_payment))
    assert ends == {("free", 100, False)}


def test_a_period_that_awaits_its_payment_gets_nothing_from_a_change_of_quota() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH))
    story.receive(quota(monthly_credits=5_000), NOW + MONTH + PAYMENT_GRACE)
    assert story.account.balance == 0


def test_a_payment_of_unknown_cost_is_taken_back_whole_and_none_more_than_whole() -> None:
    for price, back in ((0, 1), (1_000, 5_000)):
        account = account_after(purchase(500, money=price), returned(back))
        assert (account.balance, account.debt) == (100, 0)


def test_a_dispute_holds_only_credits_of_its_own_payment() -> None:
    """An upgrade's payment shares the plan grant with the one before it."""
    account = account_after(
        pay_period(NOW, NOW + MONTH, "long", money=100),
        pay_period(NOW, NOW + MONTH, "pro", payment_id="stripe:in_2"),
        returned(40, "stripe:in_1"),
        dispute(DisputeOutcome.OPEN, 60, payment_id="stripe:in_1"),
    )
    assert (account.balance, account.held, account.available) == (1_980, 30, 1_950)


def full_of_grants(*commands: Command) -> Account:
    """Return an account with as many grants as allowed, after some commands."""
    story = Story()
    for command in commands:
        story.receive(command)
    for number in range(GRANTS_MAX - len(story.account.grants)):
        day = NOW + (number + 40) * DAY
        story.receive(adjust(AdjustAction.ADD, 1, f"a{number}", expires_at=day))
    assert len(story.account.grants) == GRANTS_MAX
    return story.account


def test_at_the_limit_of_grants_those_still_needed_stay() -> None:
    held = full_of_grants(purchase(500, money=1_000), dispute(DisputeOutcome.OPEN, 1_000))
    more = do(held, adjust(AdjustAction.ADD, 1, "one-more", expires_at=held.grants[-1].expires_at))
    assert more.after.grant("g2") is not None
    exhausted = full_of_grants(consume(100))
    bought = do(exhausted, purchase(10)).after
    assert bought.plan_grant is not None
    assert do(bought, quota("pro")).after.balance == bought.balance + 1_900


def test_at_the_limit_of_grants_purchases_share_one() -> None:
    account = full_of_grants(purchase(500))
    account = do(account, purchase(700, "stripe:pi_2")).after
    assert [grant.amount for grant in account.grants if grant.kind == "purchase"] == [1_200]
    crowded = full_of_grants()
    assert len(do(crowded, purchase(700)).after.grants) == GRANTS_MAX + 1
    exhausted = full_of_grants(
        adjust(AdjustAction.ADD, 9, "brief", expires_at=NOW + DAY), consume(109)
    )
    assert len(do(exhausted, purchase(700)).after.grants) == GRANTS_MAX


def test_a_closed_account_gets_nothing_and_keeps_its_debt() -> None:
    story = Story()
    story.receive(purchase(500, money=1_000))
    story.receive(dispute(DisputeOutcome.OPEN, 1_000))
    account = do(story.account, close()).after
    assert (account.balance, account.held, account.grants) == (0, 0, ())
    assert settled(account, CATALOG, NOW + 100 * DAY) == account
    for command in (
        purchase(5, "stripe:pi_2"),
        pay_period(NOW, NOW + MONTH),
        consume(1),
        quota("pro"),
    ):
        with pytest.raises(AccountClosedError):
            do(account, command)
    assert do(account, close("again")).after == account


def test_credits_that_expired_unspent_create_no_debt() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH, money=2_000))
    story.receive(follow("canceled", NOW + DAY))
    story.receive(consume(500))
    late = NOW + 3 * MONTH
    before = settled(story.account, CATALOG, late)
    story.receive(returned(1_500, "stripe:in_1"), late)
    assert (story.account.balance, story.account.debt) == (before.balance, 0)
    story.receive(returned(2_000, "stripe:in_1"), late)
    assert (story.account.balance, story.account.debt) == (before.balance - 500, 500)


def test_disputed_credits_count_as_unspent_when_their_grant_has_expired() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH, money=2_000))
    story.receive(follow("canceled", NOW))
    story.receive(consume(500))
    story.receive(dispute(DisputeOutcome.OPEN, 1_000, payment_id="stripe:in_1"))
    late = NOW + 2 * MONTH
    story.receive(returned(1_000, "stripe:in_1"), late)
    assert (story.account.held, story.account.debt) == (1_500, 0)
    story.receive(dispute(DisputeOutcome.LOST, 1_000, payment_id="stripe:in_1"), late)
    assert (story.account.balance, story.account.held, story.account.debt) == (-400, 0, 500)


def test_rolled_over_credits_count_for_the_payment_they_came_from() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH))
    story.receive(consume(500))
    later = NOW + MONTH
    story.receive(pay_period(later, NOW + 2 * MONTH, payment_id="stripe:in_2"), later)
    story.receive(consume(300, "of-what-rolled-over"), later)
    assert story.account.balance == 700 + 2_000
    story.receive(returned(1_000, "stripe:in_1"), later)  # 500 of them had expired
    assert (story.account.balance, story.account.debt) == (200 + 2_000, 0)
    story.receive(returned(2_000, "stripe:in_1"), later)
    assert (story.account.balance, story.account.debt) == (2_000 - 800, 800)


def test_a_refunded_year_grants_nothing_after_its_current_month() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + 365 * DAY, money=20_000))
    story.receive(returned(20_000, "stripe:in_1"), NOW + DAY)
    story.receive(follow("canceled", NOW + DAY), NOW + DAY)
    assert story.account.balance == 0
    for month in range(1, 12):
        account = settled(story.account, CATALOG, NOW + (30 * month + 5) * DAY)
        assert (account.plan_id, account.balance) == ("free", 100)


def test_a_reset_does_not_refill_disputed_or_refunded_credits() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH))
    story.receive(consume(300))
    story.receive(dispute(DisputeOutcome.OPEN, 2_000, payment_id="stripe:in_1"))
    story.receive(reset())
    assert (story.account.balance, story.account.held) == (2_000, 1_700)
    story.receive(dispute(DisputeOutcome.WON, 2_000, payment_id="stripe:in_1"))
    assert (story.account.balance, story.account.available) == (2_000, 2_000)
    story.receive(returned(2_000, "stripe:in_1"))
    story.receive(reset("reset-2"))
    assert story.account.balance == 0
    # Paid again, it brings its full allowance.
    story.receive(pay_period(NOW, NOW + MONTH, payment_id="stripe:in_2"))
    assert story.account.balance == 2_000


def test_a_dispute_holds_what_is_left_and_its_outcome_decides_about_that() -> None:
    story = Story()
    story.receive(purchase(500, money=1_000))
    story.receive(consume(300))  # 100 of the plan, 200 of the purchase
    story.receive(dispute(DisputeOutcome.OPEN, 1_000))
    held = story.account
    assert (held.balance, held.held, held.available) == (300, 300, 0)
    story.receive(dispute(DisputeOutcome.WON, 1_000))
    assert (story.account.balance, story.account.held, story.account.debt) == (300, 0, 0)
    story.receive(dispute(DisputeOutcome.LOST, 1_000))  # it is closed already
    assert (story.account.balance, story.account.held, story.account.debt) == (300, 0, 0)
    story.receive(dispute(DisputeOutcome.LOST, 1_000, dispute_id="stripe:dp_2"))
    assert (story.account.balance, story.account.held, story.account.debt) == (-200, 0, 200)


def test_a_refund_during_a_dispute_is_taken_out_of_the_held_credits() -> None:
    story = Story()
    story.receive(purchase(500, money=1_000))
    story.receive(dispute(DisputeOutcome.OPEN, 600))
    story.receive(returned(400))
    assert (story.account.balance, story.account.held, story.account.debt) == (400, 300, 0)
    story.receive(dispute(DisputeOutcome.WON, 600))
    assert (story.account.balance, story.account.held, story.account.available) == (400, 0, 400)


def test_disputed_credits_of_a_grant_that_expires_meanwhile_are_gone_when_released() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH))
    story.receive(follow("canceled", NOW))
    story.receive(dispute(DisputeOutcome.OPEN, 2_000, payment_id="stripe:in_1"))
    late = NOW + 2 * MONTH
    before = settled(story.account, CATALOG, late)
    assert (before.held, before.available) == (2_000, 100)
    story.receive(dispute(DisputeOutcome.WON, 2_000, payment_id="stripe:in_1"), late)
    assert (story.account.balance, story.account.held) == (100, 0)


REFUNDED_IN_PARTS = "bought, refunded in parts"
LIVES = {
    REFUNDED_IN_PARTS: (
        purchase(500, money=1_000),
        refund_of_money("stripe:re_1", 400),
        returned(400),
        refund_of_money("stripe:re_2", 100),
    ),
    "bought, disputed and won": (
        purchase(500, money=1_000),
        dispute(DisputeOutcome.OPEN, 1_000),
        dispute(DisputeOutcome.WON, 1_000),
    ),
    "bought, disputed and lost": (
        purchase(500, money=1_000),
        dispute(DisputeOutcome.OPEN, 1_000),
        dispute(DisputeOutcome.LOST, 1_000),
    ),
    "subscribed, refunded, ended": (
        follow("incomplete", NOW),
        pay_period(NOW, NOW + MONTH, money=2_000),
        follow("active", NOW),
        returned(2_000, "stripe:in_1"),
        follow("canceled", NOW + DAY),
    ),
    "subscribed, disputed in part and lost": (
        follow("active", NOW),
        pay_period(NOW, NOW + MONTH, money=2_000),
        returned(500, "stripe:in_1"),
        dispute(DisputeOutcome.OPEN, 1_500, payment_id="stripe:in_1"),
        dispute(DisputeOutcome.LOST, 1_500, payment_id="stripe:in_1"),
    ),
}


@settings(max_examples=200)
@given(name=st.sampled_from(sorted(LIVES)), chance=st.randoms(use_true_random=False))
def test_every_order_of_messages_has_the_same_result(name: str, chance: Random) -> None:
    """Each message arrives twice, up to three days late."""
    messages = [*LIVES[name], *LIVES[name]]
    usual, story = Story(), Story()
    for command in messages:
        usual.receive(command)
    chance.shuffle(messages)
    late = sorted(chance.uniform(0, 3) * DAY for _ in messages)
    for command, delay in zip(messages, late, strict=True):
        story.receive(command, NOW + delay)
    assert not story.waiting
    assert state(story) == state(usual)
    if name != REFUNDED_IN_PARTS:
        # Partial refunds are taken back in parts; everything else leaves the same entries.
        assert moves(story) == moves(usual)


def state(story: Story) -> object:
    account = settled(story.account, CATALOG, NOW + 4 * DAY)
    return (
        (account.balance, account.held, account.debt, account.available),
        (account.plan_id, account.paid_until, account.subscription),
        {grant.kind: (grant.amount, grant.remaining) for grant in account.grants},
    )


def moves(story: Story) -> Counter[tuple[EntryType, int]]:
    """Return what entries move; a refund during a dispute first releases its part."""
    return Counter(
        (entry.type, entry.amount) for entry in story.entries if entry.type is not EntryType.RELEASE
    )
