"""Changes of plan, an account's own allowances and limits, and resets of the period's use."""

from dataclasses import replace

import pytest

from scrip.domain.account import Account, Quota
from scrip.domain.decide import decide
from scrip.domain.entries import EntryType
from scrip.domain.errors import UnknownPlanError
from scrip.domain.settle import settled
from tests.unit.domain.examples import (
    CATALOG,
    DAY,
    NOW,
    consume,
    do,
    opened,
    own_entry,
    quota,
    refund,
    reset,
)


def in_force(account: Account) -> int:
    return account.quota.allowance(CATALOG.plan(account.plan_id))


def test_an_upgrade_grants_the_difference_at_once() -> None:
    account = do(opened(), consume(120)).after
    posting = do(account, quota("pro"))
    assert (own_entry(posting).type, own_entry(posting).amount) == (EntryType.PLAN, 1_900)
    assert posting.after.balance == 30 + 1_900
    assert posting.after.plan_id == "pro"
    # There is one plan grant, which expires with the period.
    [grant] = [grant for grant in posting.after.grants if grant.kind == "plan"]
    assert (grant.amount, grant.expires_at) == (2_000, account.period_end)


def test_a_downgrade_takes_effect_with_the_next_period() -> None:
    account = do(opened("pro", signup_credits=0), quota("free")).after
    assert (account.balance, account.plan_id) == (2_000, "pro")
    assert account.next_quota is not None
    later = settled(account, CATALOG, account.period_end)
    assert (later.plan_id, later.next_quota) == ("free", None)
    assert later.balance == 1_000 + 100  # Pro's rollover limit and the new allowance


def test_a_downgrade_and_an_upgrade_within_a_period_grant_the_difference_once() -> None:
    account = opened(signup_credits=0)
    for plan_id in ("pro", "free", "pro", "free", "none", "pro"):
        account = do(account, quota(plan_id, key=f"to-{plan_id}-{account.version}")).after
        assert account.balance == 2_000
    assert (account.plan_id, account.next_quota) == ("pro", None)


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


def test_a_new_plan_has_its_defaults_unless_the_call_overrides_them() -> None:
    account = do(opened(), quota(monthly_credits=300, limits={"storage_bytes": 5})).after
    assert (in_force(account), account.limits, account.balance) == (300, {"storage_bytes": 5}, 350)
    assert do(account, quota("pro")).after.quota == quota_of("pro")
    overridden = do(account, quota("pro", monthly_credits=2_500)).after
    assert (in_force(overridden), overridden.limits) == (2_500, {})


def quota_of(plan_id: str) -> object:
    return opened(plan_id).quota


def test_limits_change_at_once_and_leave_the_rest() -> None:
    account = do(opened(), quota(monthly_credits=300)).after
    limited = do(account, quota(limits={"storage_bytes": 5})).after
    assert (in_force(limited), limited.limits, limited.balance) == (300, {"storage_bytes": 5}, 350)


def test_an_accounts_own_allowance_is_granted_every_period() -> None:
    account = do(opened(signup_credits=0), quota(monthly_credits=300)).after
    assert settled(account, CATALOG, NOW + 100 * DAY).balance == 300
    lowered = do(account, quota(monthly_credits=40)).after
    assert lowered.balance == 300
    assert settled(lowered, CATALOG, NOW + 100 * DAY).balance == 40


def test_a_scheduled_quota_includes_later_changes() -> None:
    account = do(opened("pro", signup_credits=0), quota("free")).after
    account = do(account, quota(limits={"storage_bytes": 5})).after
    assert (account.limits, account.next_quota) == (
        {"storage_bytes": 5},
        Quota(plan_id="free", limits={"storage_bytes": 5}),
    )
    account = do(account, quota(monthly_credits=30)).after
    assert settled(account, CATALOG, account.period_end).plan_id == "free"
    assert settled(account, CATALOG, account.period_end).balance == 1_000 + 30


def test_unlimited_is_more_than_any_number() -> None:
    account = do(opened("pro", signup_credits=0), quota("unlimited")).after
    assert account.plan_id == "unlimited"
    assert do(account, consume(10**6)).after.balance == 2_000
    back = do(account, quota("pro")).after
    assert (back.plan_id, back.balance) == ("unlimited", 2_000)
    assert settled(back, CATALOG, back.period_end).plan_id == "pro"


@pytest.mark.parametrize("plan_id", ["nothing-like-it", "retired"])
def test_no_account_can_change_to_a_plan_that_is_missing_or_inactive(plan_id: str) -> None:
    with pytest.raises(UnknownPlanError):
        do(opened(), quota(plan_id))


def test_accounts_on_a_deactivated_plan_stay_on_it() -> None:
    account = opened("retired", signup_credits=0)
    assert settled(account, CATALOG, NOW + 40 * DAY).balance == 70
    assert do(account, quota("retired", monthly_credits=90)).after.balance == 90


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
