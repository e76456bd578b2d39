"""Changes of plan, an account's own allowances and limits, and resets of the period's use."""

from dataclasses import replace
from datetime import timedelta

import pytest

from scrip.domain.account import Account, Override
from scrip.domain.decide import decide
from scrip.domain.entitlement import entitled
from scrip.domain.entries import EntryType
from scrip.domain.errors import UnknownPlanError
from scrip.domain.periods import boundary
from scrip.domain.settle import settled
from tests.unit.domain.examples import (
    CATALOG,
    DAY,
    NOW,
    consume,
    do,
    follow,
    month_end,
    opened,
    own_entry,
    pay_period,
    quota,
    refund,
    reset,
    returned,
)

MONTH = 28 * DAY  # from the last of January to the last of February


def plan_of(account: Account) -> str:
    return entitled(account, CATALOG, account.as_of).plan.plan_id


def allowance(account: Account) -> int:
    return entitled(account, CATALOG, account.as_of).monthly_credits


def limits(account: Account) -> dict[str, int]:
    return dict(entitled(account, CATALOG, account.as_of).limits)


# ---- The base plan -------------------------------------------------------------------------------


def test_an_upgrade_grants_the_difference_at_once() -> None:
    account = do(opened(), consume(120)).after
    posting = do(account, quota("pro"))
    assert (own_entry(posting).type, own_entry(posting).amount) == (EntryType.PLAN, 1_900)
    assert posting.after.balance == 30 + 1_900
    assert plan_of(posting.after) == "pro"
    # There is one plan grant, which expires with the period.
    [grant] = [grant for grant in posting.after.grants if grant.kind == "plan"]
    assert (grant.amount, grant.expires_at) == (2_000, month_end(account))


def test_a_downgrade_takes_effect_with_the_next_period() -> None:
    account = do(opened("pro", signup_credits=0), quota("free")).after
    assert (account.balance, plan_of(account), account.next_plan_id) == (2_000, "pro", "free")
    later = settled(account, CATALOG, month_end(account))
    assert (plan_of(later), later.next_plan_id) == ("free", None)
    assert later.balance == 1_000 + 100  # Pro's rollover limit and the new allowance


def test_a_downgrade_and_an_upgrade_within_a_period_grant_the_difference_once() -> None:
    account = opened(signup_credits=0)
    for plan_id in ("pro", "free", "pro", "free", "none", "pro"):
        account = do(account, quota(plan_id, key=f"to-{plan_id}-{account.version}")).after
        assert account.balance == 2_000
    assert (plan_of(account), account.next_plan_id) == ("pro", None)


def test_the_plan_that_it_was_opened_on_is_none_that_an_admin_gave() -> None:
    account = do(opened(), quota("pro")).after
    assert account.given_plan_id == "pro"
    back = settled(do(account, quota("free")).after, CATALOG, month_end(account))
    assert (back.plan_id, back.given_plan_id) == ("free", None)


def test_the_same_change_again_changes_nothing() -> None:
    account = do(opened(), quota("pro", limits={"storage_bytes": 5})).after
    again = do(account, quota("pro", limits={"storage_bytes": 5}, key="q2"))
    assert (again.after, again.entries, again.audit) == (account, (), None)


def test_a_change_without_an_allowance_grants_nothing_whatever_the_plan_says_now() -> None:
    account = opened()
    plans = {**CATALOG.plans, "free": replace(CATALOG.plan("free"), monthly_credits=300)}
    edited = replace(CATALOG, plans=plans)
    for command in (quota(), quota("free"), quota(limits={"storage_bytes": 5})):
        posting = decide(account, command, catalog=edited, now=NOW)
        assert (posting.entries, posting.after.balance) == ((), account.balance)


def test_unlimited_is_more_than_any_number() -> None:
    account = do(opened("pro", signup_credits=0), quota("unlimited")).after
    assert plan_of(account) == "unlimited"
    assert do(account, consume(10**6)).after.balance == 2_000
    back = do(account, quota("pro")).after
    assert (plan_of(back), back.balance) == ("unlimited", 2_000)
    assert plan_of(settled(back, CATALOG, month_end(back))) == "pro"


@pytest.mark.parametrize("plan_id", ["nothing-like-it", "retired"])
def test_no_account_can_change_to_a_plan_that_is_missing_or_inactive(plan_id: str) -> None:
    with pytest.raises(UnknownPlanError):
        do(opened(), quota(plan_id))


def test_accounts_on_a_deactivated_plan_stay_on_it() -> None:
    account = opened("retired", signup_credits=0)
    assert settled(account, CATALOG, NOW + 40 * DAY).balance == 70
    assert do(account, quota("retired", monthly_credits=90)).after.balance == 90


def test_an_upgrade_finds_the_allowance_after_a_zone_changed_its_rules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A government moves a zone by an hour, and the time zone data follows."""
    account = do(opened(signup_credits=0), consume(100)).after
    monkeypatch.setattr(
        "scrip.domain.account.boundary",
        lambda anchor, zone, k: boundary(anchor, zone, k) + timedelta(hours=bool(k)),
    )
    assert do(account, quota(monthly_credits=150)).after.available == 50


# ---- Overrides -----------------------------------------------------------------------------------


def test_a_new_plan_has_its_defaults_unless_the_call_overrides_them() -> None:
    account = do(opened(), quota(monthly_credits=300, limits={"storage_bytes": 5})).after
    assert (allowance(account), limits(account), account.balance) == (
        300,
        {"storage_bytes": 5},
        350,
    )
    upgraded = do(account, quota("pro")).after
    assert (allowance(upgraded), limits(upgraded)) == (2_000, {})
    overridden = do(account, quota("pro", monthly_credits=2_500)).after
    assert (allowance(overridden), limits(overridden)) == (2_500, {})


def test_limits_change_at_once_and_leave_the_rest() -> None:
    account = do(opened(), quota(monthly_credits=300)).after
    limited = do(account, quota(limits={"storage_bytes": 5})).after
    assert (allowance(limited), limits(limited), limited.balance) == (
        300,
        {"storage_bytes": 5},
        350,
    )


def test_an_accounts_own_allowance_is_granted_every_period() -> None:
    account = do(opened(signup_credits=0), quota(monthly_credits=300)).after
    assert settled(account, CATALOG, NOW + 100 * DAY).balance == 300
    lowered = do(account, quota(monthly_credits=40)).after
    assert lowered.balance == 300
    assert settled(lowered, CATALOG, NOW + 100 * DAY).balance == 40


def test_an_override_is_one_of_the_plan_in_force_and_waits_for_no_other() -> None:
    account = do(opened("pro", signup_credits=0), quota("free")).after
    account = do(account, quota(limits={"storage_bytes": 5})).after
    assert (limits(account), account.next_plan_id) == ({"storage_bytes": 5}, "free")
    assert account.overrides == {"pro": Override(limits={"storage_bytes": 5})}
    later = settled(account, CATALOG, month_end(account))
    assert (plan_of(later), limits(later), later.balance) == ("free", {}, 1_000 + 100)


# ---- Beside a subscription -----------------------------------------------------------------------


def test_an_allowance_of_a_paid_plan_is_raised_at_once_and_lowered_with_the_next_month() -> None:
    account = do(opened(signup_credits=0), pay_period(NOW, NOW + 365 * DAY)).after
    raised = do(account, quota(monthly_credits=2_500), NOW + DAY)
    assert own_entry(raised).amount == 500
    assert raised.after.balance == 2_500
    lowered = do(raised.after, quota(monthly_credits=700, key="q2"), NOW + 2 * DAY).after
    assert lowered.balance == 2_500
    assert settled(lowered, CATALOG, NOW + MONTH).balance == 1_000 + 700


def test_an_override_applies_to_its_own_plan_alone() -> None:
    own = do(opened(signup_credits=0), quota("pro", monthly_credits=2_500)).after
    for plan_id, credits_ in (("pro", 2_500), ("long", 50)):
        paid = do(own, pay_period(NOW, NOW + MONTH, plan_id)).after
        # The admin's plan stands beside the paid one.
        assert paid.balance == 2_500 + credits_
    paid = do(opened(signup_credits=0), pay_period(NOW, NOW + MONTH)).after
    paid = do(paid, quota(monthly_credits=9_000)).after
    ended = do(paid, follow("canceled", NOW)).after
    assert (allowance(paid), allowance(settled(ended, CATALOG, NOW + MONTH))) == (9_000, 100)


def test_choosing_the_paid_plan_removes_its_overrides_and_gives_no_plan() -> None:
    account = do(opened(signup_credits=0), pay_period(NOW, NOW + MONTH)).after
    account = do(account, quota(monthly_credits=2_500)).after
    chosen = do(account, quota("pro", key="q2")).after
    assert (chosen.given_plan_id, chosen.overrides) == (None, {})
    assert (chosen.balance, allowance(chosen)) == (2_500, 2_000)


def test_choosing_a_paid_plan_gives_no_other_one_although_a_larger_one_shows() -> None:
    other = pay_period(NOW, NOW + MONTH, "long", payment_id="in_2", subscription_id="sub_2")
    account = do(do(opened(signup_credits=0), pay_period(NOW, NOW + MONTH)).after, other).after
    chosen = do(account, quota("long", limits={"storage_bytes": 5})).after
    assert (chosen.given_plan_id, chosen.balance, limits(chosen)) == (None, 2_050, {})
    assert chosen.overrides == {"long": Override(limits={"storage_bytes": 5})}


def test_a_plan_that_an_admin_gives_stands_beside_a_paid_one() -> None:
    account = do(opened(signup_credits=0), pay_period(NOW, NOW + MONTH, "long")).after
    assert account.balance == 50
    given = do(account, quota("pro")).after
    assert (plan_of(given), given.balance) == ("pro", 50 + 2_000)
    free = do(account, quota("free")).after  # the one that it was opened on is none of them
    assert (plan_of(free), free.balance) == ("long", 50)


def test_changes_after_a_returned_year_raise_the_allowance_once() -> None:
    """Several upgrades in one period come to the last one's allowance."""
    paid = do(opened(signup_credits=0), pay_period(NOW, NOW + 365 * DAY))
    assert paid.payment
    later = NOW + 40 * DAY
    back = returned(2_000, "stripe:in_1")
    account = do(paid.after, back, later, paid=paid.payment[1]).after
    for credits_ in (3_000, 4_000, 5_000):
        account = do(account, quota(monthly_credits=credits_, key=f"q{credits_}"), later).after
    assert sum(grant.amount for grant in account.grants if grant.kind == "plan") == 5_000


# ---- Resets --------------------------------------------------------------------------------------


def test_a_reset_refills_the_allowance_and_sets_the_use_to_zero() -> None:
    account = do(opened(signup_credits=0), consume(80)).after
    posting = do(account, reset())
    assert (own_entry(posting).type, own_entry(posting).amount) == (EntryType.RESET, 80)
    assert (posting.after.balance, posting.after.used) == (100, 0)
    assert posting.audit is not None
    assert (posting.audit.before, posting.audit.after) == ({"used": 80}, {"used": 0})
    assert posting.after.granted_total == 180
    # An upgrade still grants the difference to the plan's allowance, not to what was refilled.
    assert do(posting.after, quota("pro")).after.balance == 2_000


def test_a_reset_refills_the_month_of_the_paid_plan() -> None:
    account = do(opened(signup_credits=0), pay_period(NOW, NOW + 365 * DAY)).after
    account = do(account, consume(1_300), NOW + MONTH + DAY).after  # 1 000 had rolled over
    refilled = do(account, reset(), NOW + MONTH + 2 * DAY)
    assert (own_entry(refilled).amount, refilled.after.balance) == (300, 2_000)


def test_the_credits_of_a_reset_pay_debt_first() -> None:
    owing = do(opened("overdraft", signup_credits=0), consume(150)).after
    after = do(owing, reset()).after
    assert (after.balance, after.debt) == (50, 0)


def test_a_refund_after_a_reset_has_its_own_grant() -> None:
    used = do(opened(signup_credits=0), consume(80))
    account = do(used.after, reset()).after
    after = do(account, refund("c1"), of=own_entry(used)).after
    assert after.balance == 180
    assert [grant.kind for grant in after.grants] == ["plan", "refund"]
