"""The effects of time on an account."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrip.domain.account import Account
from scrip.domain.commands import AdjustAction, Command, PayTerms
from scrip.domain.entitlement import next_change
from scrip.domain.errors import RefusalError
from scrip.domain.payments import DisputeOutcome
from scrip.domain.settle import settle, settled
from scrip.domain.terms import GRACE
from tests.unit.domain.examples import (
    CATALOG,
    DAY,
    NOW,
    adjust,
    consume,
    dispute,
    do,
    follow,
    hold,
    line,
    month_end,
    opened,
    own_entry,
    pay_terms,
    quota,
    refund,
    remaining,
    returned,
)
from tests.unit.domain.lives import Life

HOUR = DAY / 24


def test_a_grant_can_be_spent_until_the_instant_it_expires() -> None:
    expires_at = NOW + DAY
    account = do(opened(), adjust(AdjustAction.ADD, 10, expires_at=expires_at)).after
    moment = DAY / 86_400_000
    assert settled(account, CATALOG, expires_at - moment).balance == 160
    assert settled(account, CATALOG, expires_at).balance == 150


def test_at_a_boundary_the_old_plan_grant_expires_and_the_new_one_arrives() -> None:
    account = do(opened(), consume(30)).after
    draft = settle(account, CATALOG, month_end(account))
    assert [(entry.entry_id, entry.amount) for entry in draft.entries] == [
        ("expiry:g2", -70),
        ("period:2026-02-28", 100),
    ]
    assert (draft.account.used, draft.account.period) == (0, 1)
    assert draft.entries[1].effective_at == month_end(account)


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
    assert settled(account, CATALOG, month_end(account)).balance == 2_000 + kept


def test_rolled_over_credits_are_spent_first_and_end_with_their_period() -> None:
    account = opened("pro", signup_credits=0)
    boundary = month_end(account)
    account = do(account, consume(100), boundary).after
    assert remaining(account) == {
        "rollover:period:2026-01-31T12:00:00.000Z": 900,
        "period:2026-02-28T12:00:00.000Z": 2_000,
    }
    after = settled(account, CATALOG, month_end(account))
    assert remaining(after) == {
        "rollover:period:2026-02-28T12:00:00.000Z": 1_000,
        "period:2026-03-31T12:00:00.000Z": 2_000,
    }


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


def test_missed_periods_pay_a_debt_as_lived_ones_do_although_credits_are_held() -> None:
    account = opened("overdraft", signup_credits=30)
    evening = month_end(account) - 6 * HOUR
    for command in (consume(100), hold(30, expires_in=86_400), consume(60, "c2")):
        account = do(account, command, evening).after
    assert (account.held, account.debt) == (30, 60)
    lived = account
    for month in range(1, 4):
        lived = settled(lived, CATALOG, account.begins(month) + DAY)
    missed = settled(account, CATALOG, account.begins(3) + DAY)
    assert missed.balance == lived.balance == 100 + 30


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
    boundary = month_end(account)
    begun = do(account, consume(1), boundary).after
    behind = do(begun, consume(10, "c2"), boundary - DAY / 86_400)
    back = do(behind.after, refund("c2"), boundary + DAY, of=own_entry(behind))
    assert (behind.after.used, back.after.used) == (11, 1)


def test_the_next_change_is_when_time_alone_does_something() -> None:
    """A trial of 14 days that is not going on; before it and after it the account's own month."""
    account = opened(now=NOW)
    assert next_change(account) == month_end(account)
    start, end = NOW + 5 * DAY, NOW + 19 * DAY
    account = do(account, pay_terms(line(start, end, "free"), money=0), NOW + DAY).after
    account = do(account, follow("canceled", NOW + DAY), NOW + DAY).after
    changes = []
    for _ in range(4):
        changes.append(next_change(account))
        account = settled(account, CATALOG, changes[-1])
    assert changes == [start, end, end + GRACE, account.begins(1)]  # it lets go of the term
    assert (account.balance, account.terms) == (50 + 100, ())


def test_a_period_of_the_base_plan_is_no_change_while_a_term_is_in_force() -> None:
    account = do(opened(), pay_terms(line(NOW, NOW + 92 * DAY))).after
    months = account.all_terms.months(account.terms[0])
    assert next_change(settled(account, CATALOG, NOW + 10 * DAY)) == months[1].start
    assert settled(account, CATALOG, NOW + 80 * DAY).period == account.period == 0


# ---- At once or in any steps ---------------------------------------------------------------------

PAYMENTS = ["stripe:in_1", "stripe:in_2"]
PLANS = st.sampled_from(["free", "pro", "long", "overdraft", "none"])


@st.composite
def paid_lines(draw: st.DrawFn) -> PayTerms:
    start = NOW + draw(st.integers(-40, 60)) * DAY
    lines = [
        line(
            begins := start + draw(st.sampled_from([0, 0, 10, 20])) * DAY,
            begins + draw(st.sampled_from([7, 14, 30, 31, 92, 365])) * DAY,
            draw(PLANS),
            item_id=draw(st.sampled_from(["", "si_1", "si_2"])),
            quantity=draw(st.integers(1, 3)),
            prorated=draw(st.sampled_from([False, False, True])),
            credited=draw(st.sampled_from([False, False, False, True])),
        )
        for _ in range(draw(st.integers(1, 2)))
    ]
    return pay_terms(
        *lines,
        payment_id=draw(st.sampled_from(PAYMENTS)),
        subscription_id=draw(st.sampled_from(["stripe:sub_1", "stripe:sub_2"])),
    )


COMMANDS = st.one_of(
    paid_lines(),
    paid_lines(),
    st.builds(consume, st.integers(1, 200)),
    st.builds(hold, st.integers(1, 90), expires_in=st.sampled_from([60, 86_400, 7 * 86_400])),
    st.builds(
        adjust,
        st.just(AdjustAction.ADD),
        st.integers(1, 90),
        expires_at=st.integers(30, 99).map(lambda days: NOW + days * DAY),
    ),
    st.builds(quota, st.none() | PLANS, monthly_credits=st.none() | st.integers(0, 3_000)),
    st.builds(follow, st.sampled_from(["active", "canceled"]), st.just(NOW)),
    st.builds(returned, st.integers(1, 2_000), st.sampled_from(PAYMENTS)),
    st.builds(
        dispute,
        st.sampled_from(list(DisputeOutcome)),
        st.integers(1, 2_000),
        payment_id=st.sampled_from(PAYMENTS),
    ),
)


@settings(derandomize=True, max_examples=60)
@given(
    plan_id=PLANS,
    commands=st.lists(st.tuples(COMMANDS, st.integers(0, 20)), max_size=8),
    days=st.lists(st.integers(0, 500), min_size=2, max_size=4),
)
def test_settling_at_once_comes_to_the_same_as_in_any_steps(
    plan_id: str, commands: list[tuple[Command, int]], days: list[int]
) -> None:
    """Two steps at all pairs of instants: those of the changes, just before them, and others."""
    life = Life(account=opened(plan_id))
    for number, (command, day) in enumerate(sorted(commands, key=lambda each: each[1])):
        name = command.entry_id if isinstance(command, PayTerms) else f"k{number}"
        if name not in life.entries:
            with suppress(RefusalError):
                life.do(replace(command, entry_id=name), NOW + day * DAY)
    account = life.account
    assert account
    changes = [account.as_of]
    while len(changes) < 5:
        later = settled(account, CATALOG, changes[-1])
        changes.append(next_change(later))
    instants = sorted(
        {instant - moment for instant in changes[1:] for moment in (0 * DAY, DAY / 86_400_000)}
        | {NOW + (20 + day) * DAY for day in days}
    )
    at_once = {instant: seen(settled(account, CATALOG, instant)) for instant in instants}
    for between in instants:
        stopped = settled(account, CATALOG, between)
        for instant in instants:
            if instant > between:
                assert seen(settled(stopped, CATALOG, instant)) == at_once[instant]


def seen(account: Account) -> Account:
    """Return an account without how its entries are numbered, and without what came and went."""
    names = {grant.grant_id: f"{n}" for n, grant in enumerate(account.grants)}
    return replace(
        account,
        version=0,
        seq_last=0,
        hash=b"",
        granted_total=0,
        grants=tuple(replace(one, grant_id=names[one.grant_id]) for one in account.grants),
        holds=tuple(
            replace(
                one,
                allocations=tuple(
                    replace(part, grant_id=names[part.grant_id]) for part in one.allocations
                ),
            )
            for one in account.holds
        ),
    )
