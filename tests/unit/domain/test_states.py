"""The states of an account, and its plans, by which lists are filtered."""

from datetime import timedelta

from scrip.domain.account import Account
from scrip.domain.commands import AdjustAction
from scrip.domain.states import plans_of, states_of
from tests.unit.domain.examples import (
    DAY,
    NOW,
    adjust,
    consume,
    do,
    follow,
    freeze,
    hold,
    opened,
    pay_period,
    quota,
)


def states(account: Account) -> set[str]:
    return {*states_of(account)}


def test_a_new_account_with_credits_is_in_no_state_and_on_its_base_plan() -> None:
    account = opened()
    assert (states(account), plans_of(account)) == (set(), {"free"})


def test_an_account_is_in_every_state_that_applies() -> None:
    account = do(opened(), freeze()).after
    assert states(account) == {"frozen"}
    account = do(opened(), hold(150)).after
    assert states(account) == {"held", "out_of_credits"}


def test_an_account_is_out_of_credits_with_the_last_one_and_in_debt_below_that() -> None:
    account = opened("overdraft")
    almost = do(account, consume(149)).after
    assert states(almost) == set()
    last = do(almost, consume(1, "c2")).after
    assert states(last) == {"out_of_credits"}
    owing = do(last, consume(1, "c3")).after
    assert states(owing) == {"out_of_credits", "in_debt"}


def test_a_subscription_is_past_due_until_it_is_paid_or_over() -> None:
    account = do(opened(), pay_period(NOW, NOW + 30 * DAY)).after
    for hours, (status, is_past_due) in enumerate(
        [("active", False), ("past_due", True), ("active", False), ("past_due", True)]
    ):
        account = do(account, follow(status, NOW + timedelta(hours=hours))).after
        assert ("past_due" in states(account)) == is_past_due
    over = do(account, follow("canceled", NOW + DAY)).after
    assert states(over) == set()


def test_what_is_paid_for_replaces_the_base_plan_and_stands_beside_a_given_one() -> None:
    paid = do(opened(), pay_period(NOW, NOW + 30 * DAY)).after
    assert plans_of(paid) == {"pro"}
    given = do(paid, quota("long")).after
    assert plans_of(given) == {"pro", "long"}
    later = do(given, adjust(AdjustAction.ADD, 1), NOW + 40 * DAY).after
    assert plans_of(later) == {"long"}
