"""Payments, subscriptions, refunds and disputes, whose messages arrive in any order."""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrip.domain.account import Account
from scrip.domain.commands import AdjustAction, Command, Renew, TakeBack
from scrip.domain.entitlement import entitled
from scrip.domain.entries import CLOCK, Entry, EntryType
from scrip.domain.errors import AccountClosedError
from scrip.domain.grants import GRANTS_MAX
from scrip.domain.payments import DisputeOutcome, Payment, RefundStatus
from scrip.domain.settle import settled
from scrip.domain.terms import GRACE
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
    hold,
    line,
    opened,
    pay_period,
    pay_terms,
    purchase,
    quota,
    refund,
    refund_of_money,
    release,
    reset,
    returned,
)

SECOND = DAY / 86_400
MONTH = 28 * DAY  # from the last of January to the last of February
YEAR = 365 * DAY


@dataclass
class Story:
    """An account and its payments. A command about an unknown payment waits for it."""

    account: Account = field(default_factory=lambda: opened(signup_credits=0))
    entries: list[Entry] = field(default_factory=list)
    payments: dict[str, Payment] = field(default_factory=dict)
    waiting: list[TakeBack] = field(default_factory=list)

    def receive(self, command: Command, now: datetime = NOW) -> None:
        taken = {entry.entry_id for entry in self.entries}
        if command.entry_id in taken and not isinstance(command, TakeBack):
            return
        paid = None
        if isinstance(command, TakeBack):
            paid = self.payments.get(command.payment_id)
            if paid is None:
                self.waiting.append(command)
                return
        posting = do(self.account, command, now, paid=paid)
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


def plan_at(account: Account, now: datetime) -> str:
    return entitled(settled(account, CATALOG, now), CATALOG, now).plan.plan_id


# ---- Payments ------------------------------------------------------------------------------------


def test_a_purchase_has_a_grant_of_its_own_that_never_expires() -> None:
    account = account_after(purchase(500), purchase(500, "stripe:pi_2"))
    bought = [grant for grant in account.grants if grant.kind == "purchase"]
    assert [(grant.amount, grant.expires_at, grant.source) for grant in bought] == [
        (500, None, "stripe:pi_1"),
        (500, None, "stripe:pi_2"),
    ]
    assert settled(account, CATALOG, NOW + 1_000 * DAY).balance == 1_100


def test_a_payment_writes_its_own_entry_and_one_for_each_month_that_has_begun() -> None:
    story = Story()
    story.receive(pay_terms(line(NOW, NOW + YEAR), line(NOW, NOW + MONTH, "long", item_id="si_2")))
    assert [(entry.entry_id, entry.type, entry.amount) for entry in story.entries] == [
        ("stripe:in_1", "plan", 0),
        ("expiry:g1", "expiry", -100),
        ("stripe:in_1:1:0", "plan", 50),
        ("stripe:in_1:0:0", "plan", 2_000),
    ]
    story.receive(consume(1), NOW + MONTH)
    assert "stripe:in_1:0:1" in {entry.entry_id for entry in story.entries}


def test_a_term_sets_the_base_plan_aside_and_lasts_longer_for_a_late_payment() -> None:
    story = Story(account=do(opened(), consume(60)).after)
    story.receive(pay_period(NOW, NOW + MONTH))
    account = story.account
    assert (plan_at(account, NOW), account.balance) == ("pro", 50 + 2_000)
    assert entitled(account, CATALOG, NOW).end == NOW + MONTH
    assert settled(account, CATALOG, NOW + MONTH).balance == 2_050
    after = settled(account, CATALOG, NOW + MONTH + GRACE)
    assert (plan_at(after, NOW + MONTH + GRACE), after.balance) == ("free", 50 + 1_000 + 100)
    assert settled(account, CATALOG, NOW + 1_000 * DAY).balance == 150


def test_what_a_term_set_aside_of_the_base_plans_allowance_comes_back_in_the_same_month() -> None:
    """A paid week."""
    story = Story()
    story.receive(consume(30))
    story.receive(pay_period(NOW + DAY, NOW + 8 * DAY, "long"), NOW + DAY)
    story.receive(follow("canceled", NOW + 2 * DAY), NOW + 2 * DAY)
    assert story.account.balance == 50
    story.receive(consume(60, "c2"), NOW + 8 * DAY)  # 50 of them rolled over
    assert story.account.balance == 70 - 10
    names = [entry.entry_id for entry in story.entries if entry.entry_id.startswith("period:")]
    assert names == [f"period:2026-01-31T12:00:00.000Z:{story.account.seq_last - 1}"]
    assert settled(story.account, CATALOG, NOW + MONTH).balance == 100


def test_the_next_payment_ends_the_grace_and_rolls_over_up_to_the_limit() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH))
    later = NOW + MONTH + DAY
    story.receive(pay_period(NOW + MONTH, NOW + 59 * DAY, payment_id="stripe:in_2"), later)
    assert story.account.balance == 1_000 + 2_000
    [rollover] = [grant for grant in story.account.grants if grant.kind == "rollover"]
    assert rollover.source == "rollover:stripe:in_1:0:0"
    assert rollover.expires_at == NOW + 59 * DAY  # on the last of March, as the month does


def test_after_a_subscription_the_accounts_own_calendar_goes_on() -> None:
    story = Story()
    story.receive(pay_period(NOW + 10 * DAY, NOW + 40 * DAY), NOW + 10 * DAY)
    story.receive(follow("canceled", NOW + 11 * DAY), NOW + 11 * DAY)
    assert settled(story.account, CATALOG, NOW + 39 * DAY).balance == 2_000
    after = settled(story.account, CATALOG, NOW + 40 * DAY)
    assert (plan_at(after, NOW + 40 * DAY), after.anchor) == ("free", NOW)
    assert after.balance == 1_000 + 100
    assert entitled(after, CATALOG, NOW + 40 * DAY).start == after.begins(1)


def test_a_paid_year_is_granted_month_by_month() -> None:
    account = account_after(pay_period(NOW, NOW + YEAR))
    for month in range(1, 12):
        at = account.begins(month)
        assert settled(account, CATALOG, at).balance == 2_000 + 1_000
        assert entitled(settled(account, CATALOG, at), CATALOG, at).start == at
    last = account.begins(11)
    assert entitled(settled(account, CATALOG, last), CATALOG, last).end == NOW + YEAR


def test_a_month_that_is_paid_long_before_it_begins_brings_one_allowance() -> None:
    story = Story(account=opened("none", signup_credits=0))
    story.receive(pay_period(NOW + 20 * DAY, NOW + 50 * DAY))
    for day in range(1, 50):
        if plan_at(story.account, NOW + day * DAY) == "pro":
            story.receive(consume(1, f"c{day}"), NOW + day * DAY)
    given = [(e.effective_at, e.amount) for e in story.entries if e.type == "plan" and e.amount]
    assert given == [(NOW + 20 * DAY, 2_000)]


def test_an_upgrade_takes_the_unused_part_of_the_running_month_back() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH, "free"))
    half = NOW + MONTH / 2
    story.receive(consume(30), NOW + DAY)
    story.receive(pay_period(half, half + 31 * DAY, payment_id="stripe:in_2"), half)
    assert story.entries[-2].entry_id == f"stripe:in_1:0:clawback:{story.account.seq_last - 1}"
    assert [entry.amount for entry in story.entries[-2:]] == [-50, 2_000]
    assert story.account.balance == 20 + 2_000


def test_upgrading_spending_and_going_back_gains_nothing() -> None:
    """Half a month of Pro is credited; what was spent of it is owed."""
    story = Story()
    half = NOW + MONTH / 2
    story.receive(pay_period(NOW, NOW + MONTH))
    story.receive(consume(1_700), NOW + DAY)
    down = pay_terms(
        line(half, NOW + MONTH, credited=True),
        line(half, NOW + MONTH, "free", prorated=True),
        payment_id="stripe:in_2",
    )
    story.receive(down, half)
    # 1 700 of 1 000 were spent, so 700 are owed, which Free's 50 for half a month pay in part.
    assert (story.account.balance, story.account.debt) == (-650, 650)


def test_lines_of_several_items_bring_an_allowance_each() -> None:
    account = account_after(
        pay_terms(
            line(NOW, NOW + MONTH, item_id="si_1"),
            line(NOW, NOW + MONTH, "free", item_id="si_2", quantity=3),
        )
    )
    assert account.balance == 2_000 + 300
    assert plan_at(account, NOW) == "pro"


def test_a_payment_for_a_past_period_leaves_entries_and_no_credits() -> None:
    story = Story()
    story.receive(pay_period(NOW - 90 * DAY, NOW - 60 * DAY))
    assert (story.account.balance, plan_at(story.account, NOW)) == (100, "free")
    assert sum(entry.amount for entry in story.entries) == 0


def test_a_late_payment_keeps_the_use_of_its_period_and_one_in_time_resets_it() -> None:
    for start, used in ((NOW + DAY, 0), (NOW - DAY, 60)):
        story = Story()
        story.receive(consume(60))
        story.receive(pay_period(start, start + MONTH), NOW + DAY)
        assert story.account.used == used


def test_a_month_of_the_provider_is_never_split() -> None:
    """From the last day of February to the last of March, longer than a calendar month."""
    account = account_after(pay_period(NOW - 3 * DAY, NOW + 30 * DAY))
    at = NOW + 29 * DAY
    assert entitled(settled(account, CATALOG, at), CATALOG, at).end == NOW + 30 * DAY
    assert settled(account, CATALOG, at).balance == 2_000


def test_a_year_that_becomes_a_month_and_a_year_again_prints_no_credits() -> None:
    story, amounts = Story(), []
    for number, length in enumerate((YEAR, MONTH, YEAR, MONTH), start=1):
        at = NOW + number * DAY
        story.receive(pay_period(at, at + length, payment_id=f"stripe:in_{number}"), at)
        amounts.append(story.account.balance)
    a_day = 2_000 / 28
    assert all(amount <= 2_000 + number * a_day for number, amount in enumerate(amounts, start=1))


# ---- Subscriptions -------------------------------------------------------------------------------


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


def test_one_who_stops_paying_leaves_the_paid_plan_whatever_was_overridden() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH))
    story.receive(quota(monthly_credits=1_500), NOW + DAY)
    story.receive(follow("canceled", NOW + 2 * DAY), NOW + 2 * DAY)
    account = settled(story.account, CATALOG, NOW + 370 * DAY)
    assert (plan_at(account, NOW + 370 * DAY), account.balance) == ("free", 100)


def test_a_change_of_the_base_plan_comes_due_while_a_term_is_in_force() -> None:
    account = account_after(
        quota("none"), pay_period(NOW, NOW + 2 * MONTH), follow("canceled", NOW)
    )
    assert account.next_plan_id == "none"
    after = settled(account, CATALOG, NOW + 100 * DAY)
    assert (plan_at(after, NOW + 100 * DAY), after.next_plan_id, after.balance) == ("none", None, 0)


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
        balances.append((story.account.balance, plan_at(story.account, NOW + 13 * DAY)))
    assert balances == [(1_000 + 2_000, "pro")] * 2


def test_two_subscriptions_have_the_same_result_in_every_order() -> None:
    """A yearly subscription, replaced by a monthly one, which is canceled, too."""
    messages = (
        pay_period(NOW, NOW + YEAR),
        follow("canceled", NOW + DAY),
        pay_period(NOW, NOW + MONTH, payment_id="stripe:in_2", subscription_id="stripe:sub_2"),
        follow("active", NOW, subscription_id="stripe:sub_2"),
        follow("canceled", NOW + 2 * DAY, subscription_id="stripe:sub_2"),
    )
    ends = set()
    for order in permutations(messages):
        account = account_after(*order)
        assert account.balance == 2 * 2_000
        account = settled(account, CATALOG, NOW + 800 * DAY)
        ends.add((plan_at(account, NOW + 800 * DAY), account.balance))
    assert ends == {("free", 100)}


def test_a_subscription_by_a_double_click_is_refunded_as_if_it_had_been_alone() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH))
    twice = pay_period(NOW, NOW + MONTH, payment_id="stripe:in_2", subscription_id="stripe:sub_2")
    story.receive(twice)
    assert story.account.balance == 4_000
    story.receive(returned(2_000, "stripe:in_2"), NOW + DAY)
    assert (story.account.balance, story.account.debt) == (2_000, 0)
    assert plan_at(story.account, NOW + DAY) == "pro"


@pytest.mark.parametrize("back", [1, 2])
@pytest.mark.parametrize("heard", [1, 20, 33, 50])
def test_either_of_two_subscriptions_goes_back_alike_whenever_it_is_heard(
    back: int, heard: int
) -> None:
    """A month of each, of which 30 credits are used; the other one is renewed."""
    story = Story(account=opened("none", signup_credits=0))
    for number in (1, 2):
        name = f"stripe:sub_{number}"
        month = line(NOW, NOW + MONTH, "free")
        story.receive(pay_terms(month, payment_id=f"stripe:in_{number}", subscription_id=name))
    story.receive(consume(30), NOW + DAY / 2)
    messages = [
        (heard * DAY, returned(2_000, f"stripe:in_{back}")),
        (heard * DAY, follow("canceled", NOW, subscription_id=f"stripe:sub_{back}")),
        (
            MONTH,
            pay_terms(
                line(NOW + MONTH, NOW + MONTH + 31 * DAY, "free"),
                payment_id="stripe:in_3",
                subscription_id=f"stripe:sub_{3 - back}",
            ),
        ),
    ]
    for after, message in sorted(messages, key=lambda one: one[0]):
        story.receive(message, NOW + after)
    assert settled(story.account, CATALOG, NOW + 51 * DAY).balance == 100


# ---- Refunds -------------------------------------------------------------------------------------


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
    assert story.payments["stripe:pi_1"].money_back == 700
    assert story.account.balance == 100 + 150


def test_a_payment_of_unknown_cost_is_taken_back_whole_and_none_more_than_whole() -> None:
    for price, back in ((0, 1), (1_000, 5_000)):
        account = account_after(purchase(500, money=price), returned(back))
        assert (account.balance, account.debt) == (100, 0)


def test_credits_that_expired_unspent_create_no_debt() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH, money=2_000))
    story.receive(follow("canceled", NOW + DAY), NOW + DAY)
    story.receive(consume(500), NOW + 2 * DAY)
    late = NOW + 3 * MONTH
    before = settled(story.account, CATALOG, late)
    story.receive(returned(1_500, "stripe:in_1"), late)
    assert (story.account.balance, story.account.debt) == (before.balance, 0)
    story.receive(returned(2_000, "stripe:in_1"), late)
    # The running allowance of 100 pays at once what it can of the 500 that were spent.
    assert (story.account.balance, story.account.debt) == (before.balance - 500, 400)


@pytest.mark.parametrize("heard_on", [40, 58, 61, 300])
def test_what_was_spent_of_a_rollover_is_owed_whenever_its_payment_goes_back(heard_on: int) -> None:
    """2 000 are paid; 500 are used in their month, and 600 of the 1 000 that roll over."""
    story = Story(account=opened("none", signup_credits=0))
    steps: list[tuple[int, Command]] = [(1, consume(500)), (29, consume(600, "c2"))]
    steps += [
        (day, pay_period(NOW + day * DAY, NOW + end * DAY, payment_id=f"stripe:in_{day}"))
        for day, end in ((0, 28), (28, 59), (59, 89))
    ]
    for day, command in sorted(steps, key=lambda step: step[0]):
        if day < heard_on:
            story.receive(command, NOW + day * DAY)
    before = settled(story.account, CATALOG, NOW + heard_on * DAY)
    story.receive(returned(2_000, "stripe:in_0"), NOW + heard_on * DAY)
    rest = 400 if heard_on < 59 else 0  # of the rollover, until it expires
    assert story.account.balance == before.balance - rest - 1_100
    [back] = [entry for entry in story.entries if entry.type is EntryType.CLAWBACK]
    assert (back.amount, back.debt_after) == (-rest - 1_100, 1_100)


def test_a_year_refunded_in_part_loses_its_last_months() -> None:
    """Three quarters of it after three months."""
    story = Story()
    story.receive(pay_period(NOW, NOW + YEAR, "free", money=12_000))
    later = NOW + 62 * DAY
    story.receive(returned(9_000, "stripe:in_1"), later)
    account = story.account
    assert (account.balance, account.debt) == (100, 0)
    assert entitled(account, CATALOG, later).term is not None
    after = settled(account, CATALOG, NOW + 90 * DAY)
    assert entitled(after, CATALOG, NOW + 90 * DAY).term is None


def test_a_refunded_year_brings_nothing_more_and_what_was_spent_is_owed() -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + YEAR, money=20_000))
    story.receive(consume(300))
    story.receive(returned(20_000, "stripe:in_1"), NOW + DAY)
    # The base plan is in force again, and what a term had set aside of it pays a part.
    assert (story.account.balance, story.account.debt) == (-200, 200)
    for month in range(3, 12):
        account = settled(story.account, CATALOG, NOW + (30 * month + 5) * DAY)
        assert (plan_at(account, account.as_of), account.balance) == ("free", 100)


def test_what_a_returned_term_had_superseded_is_in_force_again() -> None:
    story = Story()
    half = NOW + MONTH / 2
    story.receive(pay_period(NOW, NOW + MONTH, "free"))
    story.receive(pay_period(half, half + 31 * DAY, payment_id="stripe:in_2"), half)
    assert (plan_at(story.account, half), story.account.balance) == ("pro", 50 + 2_000)
    story.receive(returned(2_000, "stripe:in_2"), half + DAY)
    assert entitled(story.account, CATALOG, half + DAY).term is not None
    assert (plan_at(story.account, half + DAY), story.account.balance) == ("free", 100)


@pytest.mark.parametrize("is_seen", [True, False])
def test_what_was_owed_because_of_a_term_that_is_returned_is_given_back(*, is_seen: bool) -> None:
    """It was paid in advance, and superseded a month of which most was spent."""
    story = Story(account=opened("none", signup_credits=0))
    half = NOW + MONTH / 2
    story.receive(pay_period(NOW, NOW + MONTH, "free"))
    story.receive(pay_period(half, half + MONTH, "free", payment_id="stripe:in_2"))
    story.receive(consume(90))
    if is_seen:
        story.receive(Renew(account_id="u1", entry_id="r1", keyed=False, actor=CLOCK), half)
        assert (story.account.balance, story.account.debt) == (10 - 50 + 100, 0)
    story.receive(returned(2_000, "stripe:in_2"), NOW + 90 * DAY)
    assert (story.account.balance, story.account.debt) == (0, 0)


def test_what_comes_back_of_an_earlier_plan_pays_before_the_month_that_runs() -> None:
    story = Story(account=opened("none", signup_credits=0))
    end, change = NOW + MONTH, NOW + MONTH / 2
    story.receive(pay_period(NOW, end, "free"))
    upgrade = (
        line(change, end, "free", credited=True),
        line(change, end, "pro", prorated=True),
    )
    story.receive(pay_terms(*upgrade, payment_id="stripe:in_2"), change)
    story.receive(consume(80), change + DAY)
    story.receive(pay_period(end, end + 31 * DAY, "free", payment_id="stripe:in_3"), end)
    story.receive(returned(2_000, "stripe:in_2"), end + DAY)
    assert (story.account.balance, story.account.debt) == (100, 0)


def test_a_use_and_the_payment_that_it_drew_on_can_both_go_back() -> None:
    story = Story(account=opened("none", signup_credits=0))
    story.receive(pay_period(NOW, NOW + MONTH, "free"))
    story.receive(consume(80))
    used = story.entries[-1]
    story.account = do(story.account, refund("c1"), NOW + 32 * DAY, of=used).after
    assert story.account.balance == 80
    story.receive(returned(2_000, "stripe:in_1"), NOW + 33 * DAY)
    assert (story.account.balance, story.account.debt) == (0, 0)


def test_what_a_user_held_of_the_base_plans_allowance_is_not_spent() -> None:
    story = Story()
    story.receive(hold(60))
    story.receive(pay_period(NOW, NOW + MONTH), NOW + SECOND)
    story.receive(returned(2_000, "stripe:in_1"), NOW + 2 * SECOND)
    assert (story.account.available, story.account.held) == (40, 60)
    story.receive(release(), NOW + 3 * SECOND)
    assert settled(story.account, CATALOG, NOW + 3 * SECOND).available == 100


@pytest.mark.parametrize("order", [("pro", "long"), ("long", "pro")])
def test_what_ends_together_rolls_over_alike_in_any_order(order: tuple[str, str]) -> None:
    story = Story(account=opened("none", signup_credits=0))
    for plan_id in order:
        name = f"stripe:sub_{plan_id}"
        month = line(NOW, NOW + MONTH, plan_id)
        story.receive(pay_terms(month, payment_id=f"stripe:in_{plan_id}", subscription_id=name))
        story.receive(follow("canceled", NOW, subscription_id=name))
    assert settled(story.account, CATALOG, NOW + MONTH + DAY).balance == 1_000


# ---- Disputes ------------------------------------------------------------------------------------


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


def test_a_refund_of_a_term_during_its_dispute_is_taken_out_of_the_held_credits() -> None:
    story = Story(account=opened("none", signup_credits=0))
    story.receive(pay_period(NOW, NOW + MONTH))
    story.receive(dispute(DisputeOutcome.OPEN, 2_000, payment_id="stripe:in_1"))
    story.receive(returned(500, "stripe:in_1"))
    assert (story.account.balance, story.account.held, story.account.debt) == (1_500, 1_500, 0)
    story.receive(dispute(DisputeOutcome.WON, 2_000, payment_id="stripe:in_1"))
    assert (story.account.balance, story.account.available) == (1_500, 1_500)


def test_a_dispute_holds_its_share_of_its_own_payment() -> None:
    second = pay_period(NOW, NOW + MONTH, payment_id="stripe:in_2", subscription_id="stripe:sub_2")
    account = account_after(
        pay_period(NOW, NOW + MONTH, "long", money=100),
        second,
        returned(40, "stripe:in_1"),
        dispute(DisputeOutcome.OPEN, 60, payment_id="stripe:in_1"),
    )
    assert (account.balance, account.held, account.available) == (2_030, 30, 2_000)


def test_a_dispute_holds_what_rolled_over_from_its_payment() -> None:
    story = Story(account=opened("none", signup_credits=0))
    story.receive(pay_period(NOW, NOW + MONTH))
    later = NOW + MONTH
    story.receive(pay_period(later, NOW + 59 * DAY, payment_id="stripe:in_2"), later)
    story.receive(dispute(DisputeOutcome.OPEN, 2_000, payment_id="stripe:in_1"), later + DAY)
    assert (story.account.held, story.account.available) == (1_000, 2_000)
    story.receive(dispute(DisputeOutcome.LOST, 2_000, payment_id="stripe:in_1"), later + 2 * DAY)
    assert (story.account.balance, story.account.held, story.account.debt) == (2_000, 0, 0)


def test_a_dispute_ends_the_users_own_holds_on_its_credits() -> None:
    story = Story(account=opened("none", signup_credits=0))
    story.receive(pay_period(NOW, NOW + MONTH))
    story.receive(hold(1_500, "user:h1"))
    story.receive(dispute(DisputeOutcome.OPEN, 2_000, payment_id="stripe:in_1"))
    assert [(one.hold_id, one.amount) for one in story.account.holds] == [
        ("stripe:in_1:stripe:dp_1", 2_000)
    ]


def test_the_disputed_part_of_a_month_that_begins_meanwhile_waits_for_the_end() -> None:
    story = Story(account=opened("none", signup_credits=0))
    story.receive(pay_period(NOW + DAY, NOW + 29 * DAY, "free"))
    story.receive(dispute(DisputeOutcome.OPEN, 1_000, payment_id="stripe:in_1"))
    for day in (1, 2, 3):
        story.receive(consume(1, f"c{day}"), NOW + day * DAY)
    story.receive(follow("active", NOW + 3 * DAY), NOW + 3 * DAY)
    assert (story.account.balance, story.account.held) == (47, 0)
    story.receive(dispute(DisputeOutcome.WON, 1_000, payment_id="stripe:in_1"), NOW + 4 * DAY)
    assert story.account.balance == 97


def test_a_month_that_begins_during_a_dispute_waits_for_its_end() -> None:
    story = Story(account=opened("none", signup_credits=0))
    story.receive(pay_period(NOW, NOW + YEAR, "free", money=12_000))
    story.receive(dispute(DisputeOutcome.OPEN, 12_000, payment_id="stripe:in_1"), NOW + DAY)
    assert settled(story.account, CATALOG, NOW + MONTH).available == 0
    won, at = dispute(DisputeOutcome.WON, 12_000, payment_id="stripe:in_1"), NOW + MONTH + DAY
    story.receive(won, at)
    assert (story.account.balance, story.account.available) == (100, 100)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(("outcome", "debt"), [(DisputeOutcome.WON, 0), (DisputeOutcome.LOST, 500)])
def test_what_expired_while_a_dispute_held_it_is_not_owed(
    outcome: DisputeOutcome, debt: int, order: tuple[int, int]
) -> None:
    """500 of 2 000 are spent; half is disputed, and the other half is refunded."""
    story = Story(account=opened("none", signup_credits=0))
    story.receive(pay_period(NOW, NOW + MONTH))
    story.receive(follow("canceled", NOW))
    story.receive(consume(500))
    story.receive(dispute(DisputeOutcome.OPEN, 1_000, payment_id="stripe:in_1"))
    messages = (
        returned(1_000, "stripe:in_1"),
        dispute(outcome, 1_000, payment_id="stripe:in_1"),
    )
    for number in order:
        story.receive(messages[number], NOW + 3 * MONTH)
    assert (story.account.balance, story.account.held, story.account.debt) == (-debt, 0, debt)


@pytest.mark.parametrize(("months", "left"), [(1, 1_000), (3, 0)])
def test_disputed_credits_whose_month_ends_meanwhile_roll_over_if_they_are_released(
    months: int, left: int
) -> None:
    story = Story()
    story.receive(pay_period(NOW, NOW + MONTH))
    story.receive(follow("canceled", NOW))
    story.receive(dispute(DisputeOutcome.OPEN, 2_000, payment_id="stripe:in_1"))
    late = NOW + months * MONTH + DAY
    before = settled(story.account, CATALOG, late)
    assert (before.held, before.available) == (2_000, 100)
    story.receive(dispute(DisputeOutcome.WON, 2_000, payment_id="stripe:in_1"), late)
    assert (story.account.balance, story.account.held) == (100 + left, 0)


def test_a_reset_does_not_refill_disputed_or_refunded_credits() -> None:
    story = Story(account=opened("none", signup_credits=0))
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


# ---- Limits and ends -----------------------------------------------------------------------------


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
    assert bought.allowance_grant is not None
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


# ---- Any order -----------------------------------------------------------------------------------


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
    now = NOW + 4 * DAY
    account = settled(story.account, CATALOG, now)
    entitlement = entitled(account, CATALOG, now)
    return (
        (account.balance, account.held, account.debt, account.available),
        (entitlement.plan, entitlement.start, entitlement.end, account.subscription),
        {grant.kind: (grant.amount, grant.remaining) for grant in account.grants},
    )


def moves(story: Story) -> Counter[tuple[EntryType, int]]:
    """Return what entries move; only a dispute that is heard of while it is open holds credits."""
    own = {EntryType.HOLD, EntryType.RELEASE}
    return Counter((entry.type, entry.amount) for entry in story.entries if entry.type not in own)


# ---- What goes back twice, or while something else holds it -------------------------------------


@pytest.mark.parametrize("outcome", [DisputeOutcome.LOST, DisputeOutcome.WON])
def test_what_a_dispute_holds_is_taken_before_anything_is_owed(outcome: DisputeOutcome) -> None:
    """Nothing was used: all of a month is disputed, and then two thirds of it are credited."""
    story = Story(account=opened("none", signup_credits=0))
    end, change = NOW + 30 * DAY, NOW + 10 * DAY
    story.receive(pay_terms(line(NOW, end, item_id="a")))
    story.receive(dispute(DisputeOutcome.OPEN, 2_000, payment_id="stripe:in_1"), NOW + DAY)
    credited = line(change, end, item_id="a", credited=True)
    story.receive(pay_terms(credited, payment_id="stripe:in_2", money=0), change)
    assert (story.account.held, story.account.debt) == (667, 0)
    story.receive(dispute(outcome, 2_000, payment_id="stripe:in_1"), NOW + 40 * DAY)
    left = 667 if outcome is DisputeOutcome.WON else 0  # which has rolled over
    assert (story.account.balance, story.account.held, story.account.debt) == (left, 0, 0)


def test_a_purchase_whose_refund_failed_is_taken_from_its_grant_when_it_is_refunded_again() -> None:
    story = Story(account=opened("none", signup_credits=0))
    story.receive(purchase(1_000))
    story.receive(refund_of_money("stripe:re_1", 500))
    story.receive(replace(refund_of_money("stripe:re_1", 500), status=RefundStatus.FAILED))
    assert (story.account.balance, story.account.debt) == (1_000, 0)
    story.receive(refund_of_money("stripe:re_2", 500))
    assert (story.account.spendable, story.account.debt) == (0, 0)


def test_a_refund_takes_what_a_dispute_holds_of_several_months() -> None:
    story = Story(account=opened("none", signup_credits=0))
    story.receive(pay_period(NOW, NOW + YEAR, "long", money=12_000))
    later = NOW + 70 * DAY
    story.receive(dispute(DisputeOutcome.OPEN, 12_000, payment_id="stripe:in_1"), later)
    assert (story.account.held, story.account.available) == (150, 0)
    credited = line(NOW, NOW + YEAR, "long", credited=True)
    story.receive(pay_terms(credited, payment_id="stripe:in_2"), later + DAY)
    assert (story.account.balance, story.account.held, story.account.debt) == (0, 0, 0)


def test_more_months_than_fit_into_one_posting_are_booked_by_those_that_follow() -> None:
    """Two subscriptions of 40 items that renew at one instant."""
    story = Story(account=opened("none", signup_credits=0))
    items = [line(NOW, NOW + YEAR, "free", item_id=f"si_{n}") for n in range(40)]
    for number in (1, 2):
        name = f"stripe:sub_{number}"
        story.receive(pay_terms(*items, payment_id=f"stripe:in_{number}", subscription_id=name))
    assert settled(story.account, CATALOG, NOW).balance == 8_000
    _renew(story, NOW + MONTH + DAY)
    story.receive(consume(8_000), NOW + MONTH + DAY)
    assert story.account.balance == 0


def test_a_late_year_of_many_items_pays_a_debt_by_and_by() -> None:
    story = Story(account=opened("none", signup_credits=0))
    story.receive(purchase(100_000))
    story.receive(consume(100_000))
    story.receive(returned(500), NOW + DAY)
    items = [line(NOW, NOW + YEAR, "free", item_id=f"si_{n}") for n in range(40)]
    late = NOW + 215 * DAY
    story.receive(pay_terms(*items), late)
    seen = settled(story.account, CATALOG, late).debt
    _renew(story, late)
    assert story.account.debt == seen == 100_000 - 8 * 40 * 100
    assert not story.account.is_behind


def _renew(story: Story, now: datetime) -> None:
    """Let the schedule book what is due, as often as it takes."""
    for number in range(20):
        renew = Renew(account_id="u1", entry_id=f"r{number}", keyed=False, actor=CLOCK)
        story.receive(renew, now)


def test_very_many_changes_of_one_period_leave_the_account_by_and_by() -> None:
    story = Story(account=opened("none", signup_credits=0))
    end = NOW + 30 * DAY
    story.receive(pay_terms(line(NOW, end, item_id="a")))
    for n in range(1, 61):
        at, plans = NOW + n * DAY / 4, ("pro", "long")
        lines = (
            line(at, end, plans[(n - 1) % 2], item_id="a", credited=True),
            line(at, end, plans[n % 2], item_id="a", prorated=True),
        )
        story.receive(pay_terms(*lines, payment_id=f"stripe:in_{n + 1}"), at)
    for n in range(24):
        renew = Renew(account_id="u1", entry_id=f"r{n}", keyed=False, actor=CLOCK)
        story.receive(renew, NOW + (34 + 31 * (n // 2)) * DAY)
    assert len(story.account.terms) < 30
