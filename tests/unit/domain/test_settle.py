"""The effects of time on an account."""

from datetime import UTC, datetime

import pytest

from scrip.domain.commands import AdjustAction
from scrip.domain.entries import EntryType
from scrip.domain.settle import settle, settled
from tests.unit.domain.examples import (
    CATALOG,
    DAY,
    NOW,
    adjust,
    consume,
    do,
    opened,
    own_entry,
    refund,
    remaining,
)


def test_a_grant_can_be_spent_until_the_instant_it_expires() -> None:
    expires_at = NOW + DAY
    account = do(opened(), adjust(AdjustAction.ADD, 10, expires_at=expires_at)).after
    moment = DAY / 86_400_000
    assert settled(account, CATALOG, expires_at - moment).balance == 160
    assert settled(account, CATALOG, expires_at).balance == 150


def test_at_a_boundary_the_old_plan_grant_expires_and_the_new_one_arrives() -> None:
    account = do(opened(), consume(30)).after
    draft = settle(account, CATALOG, account.period_end)
    assert [(entry.entry_id, entry.amount) for entry in draft.entries] == [
        ("expiry:g2", -70),
        ("period:2026-02-28", 100),
    ]
    assert (draft.account.used, draft.account.period) == (0, 1)
    assert draft.entries[1].effective_at == account.period_end


def test_a_boundary_changes_no_grants_but_the_plans() -> None:
    account = do(opened(), adjust(AdjustAction.ADD, 10)).after
    after = settled(account, CATALOG, NOW + 100 * DAY)
    assert remaining(after)["signup:grant"] == 50
    assert remaining(after)["a1"] == 10


@pytest.mark.parametrize(("used", "kept"), [(0, 1_000), (1_000, 1_000), (1_001, 999), (2_000, 0)])
def test_unspent_credits_roll_over_up_to_the_plans_limit(used: int, kept: int) -> None:
    account = opened("pro", signup_credits=0)
    if used:
        account = do(account, consume(used)).after
    assert settled(account, CATALOG, account.period_end).balance == 2_000 + kept


def test_rolled_over_credits_are_spent_first_and_end_with_their_period() -> None:
    account = opened("pro", signup_credits=0)
    boundary = account.period_end
    account = do(account, consume(100), boundary).after
    assert remaining(account) == {"rollover:2026-02-28": 900, "period:2026-02-28": 2_000}
    after = settled(account, CATALOG, account.period_end)
    assert remaining(after) == {"rollover:2026-03-31": 1_000, "period:2026-03-31": 2_000}


def test_the_limit_of_rollovers_applies_to_all_periods_together() -> None:
    account = opened("long", signup_credits=0)
    assert [settled(account, CATALOG, account.begins(k)).balance for k in range(6)] == [
        50,
        100,
        150,
        170,
        170,
        170,
    ]


@pytest.mark.parametrize("plan_id", ["free", "pro", "long", "overdraft", "unlimited", "none"])
@pytest.mark.parametrize("spent", [0, 20, 300, 590])
def test_missed_periods_have_the_same_result_as_periods_one_by_one(
    plan_id: str, spent: int
) -> None:
    account = opened(plan_id)
    account = do(account, adjust(AdjustAction.ADD, 5, expires_at=NOW + 70 * DAY)).after
    if spent and (plan_id == "overdraft" or account.available >= spent):
        account = do(account, consume(spent)).after
    one_by_one = account
    for period in range(1, 15):
        moment = account.begins(period) + DAY
        one_by_one = settled(one_by_one, CATALOG, moment)
        at_once = settled(account, CATALOG, moment)
        assert [
            (grant.kind, grant.remaining, grant.expires_at)
            for grant in sorted(at_once.grants, key=lambda grant: grant.spend_order)
            if grant.remaining
        ] == [
            (grant.kind, grant.remaining, grant.expires_at)
            for grant in sorted(one_by_one.grants, key=lambda grant: grant.spend_order)
            if grant.remaining
        ]
        assert (at_once.balance, at_once.debt) == (one_by_one.balance, one_by_one.debt)
        assert (at_once.period, at_once.used) == (one_by_one.period, one_by_one.used)


def test_missed_periods_take_one_plan_entry_with_their_number() -> None:
    draft = settle(opened(), CATALOG, datetime(2027, 4, 1, tzinfo=UTC))
    plan = [entry for entry in draft.entries if entry.type is EntryType.PLAN]
    assert [(entry.entry_id, entry.metadata) for entry in plan] == [
        ("period:2027-03-31", {"periods_skipped": 13}),
    ]


def test_missed_allowances_that_paid_debt_are_recorded() -> None:
    lent = do(opened("overdraft", signup_credits=0), consume(350)).after
    draft = settle(lent, CATALOG, lent.begins(3))
    assert [(entry.type, entry.amount, entry.debt_after) for entry in draft.entries] == [
        (EntryType.PLAN, 200, 250),
        (EntryType.DEBT_SETTLED, 0, 50),
        (EntryType.PLAN, 100, 50),
        (EntryType.DEBT_SETTLED, 0, 0),
    ]
    assert draft.account.balance == 50


def test_an_account_unused_for_decades_takes_one_posting_that_fits_a_transaction() -> None:
    account = opened("long")
    for n in range(1, 48):
        command = adjust(AdjustAction.ADD, 1, f"a{n}", expires_at=NOW + n * DAY)
        account = do(account, command).after
    assert len(settle(account, CATALOG, NOW + 40 * 365 * DAY).entries) < 97


def test_a_slow_clock_undoes_nothing() -> None:
    later = do(opened(), consume(1), NOW + 40 * DAY).after
    assert settled(later, CATALOG, NOW) == later


def test_use_at_a_slow_clock_belongs_to_the_period_that_has_begun() -> None:
    account = opened()
    boundary = account.period_end
    begun = do(account, consume(1), boundary).after
    behind = do(begun, consume(10, "c2"), boundary - DAY / 86_400)
    back = do(behind.after, refund("c2"), boundary + DAY, of=own_entry(behind))
    assert (behind.after.used, back.after.used) == (11, 1)
