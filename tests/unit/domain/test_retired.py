"""Exhausted grants leave the account's item; refunded credits keep their lives."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrip.domain.account import Account
from scrip.domain.commands import AdjustAction
from scrip.domain.entries import Entry
from scrip.domain.grants import GRANTS_MAX, RETURNED_MAX, GrantKind
from scrip.domain.payments import DisputeOutcome
from scrip.domain.settle import settled
from tests.unit.domain.examples import (
    CATALOG,
    DAY,
    NOW,
    adjust,
    capture,
    consume,
    dispute,
    do,
    hold,
    opened,
    own_entry,
    purchase,
    refund,
    remaining,
)

YEARS = timedelta(days=4_000)


def bare() -> Account:
    return opened("none", signup_credits=0)


def with_gifts(account: Account, number: int, life: timedelta = 300 * DAY) -> Account:
    """Add `number` grants of one credit each that expire one after another."""
    for n in range(number):
        end = NOW + life + n * timedelta(seconds=1)
        gift = adjust(AdjustAction.ADD, 1, f"gift-{n}", kind=GrantKind.PROMO, expires_at=end)
        account = do(account, gift).after
    return account


def test_an_exhausted_grant_without_an_expiry_leaves_the_item() -> None:
    bought = do(bare(), purchase(100)).after
    assert [grant.kind for grant in do(bought, consume(99)).after.grants] == ["purchase"]
    spent = do(bought, consume(100))
    assert spent.after.grants == ()
    [gone] = spent.retired
    assert (gone.grant_id, gone.kind, gone.amount, gone.expires_at) == ("g1", "purchase", 100, None)


def test_an_exhausted_grant_with_an_expiry_stays_until_then() -> None:
    account = do(with_gifts(bare(), 1), consume(1)).after
    assert [(grant.remaining, grant.kind) for grant in account.grants] == [(0, "promo")]
    assert settled(account, CATALOG, NOW + YEARS).grants == ()


def test_a_grant_to_which_a_hold_will_return_credits_stays() -> None:
    bought = do(bare(), purchase(100)).after
    held = do(bought, hold(100)).after
    assert [grant.remaining for grant in held.grants] == [0]
    assert do(held, capture(40)).after.balance == 60
    assert do(held, capture(100)).after.grants == ()


def test_a_refund_restores_a_retired_grant() -> None:
    account = do(bare(), purchase(100)).after
    [before] = account.grants
    spent = do(account, consume(100))
    after = do(spent.after, refund("c1"), NOW + DAY, of=own_entry(spent)).after
    assert after.grants == (before,)
    assert settled(after, CATALOG, NOW + YEARS).balance == 100


def test_a_partial_refund_of_many_grants_returns_to_the_last_of_them() -> None:
    account = bare()
    for n in range(3):
        account = do(account, purchase(100, f"stripe:pi_{n}")).after
    spent = do(account, consume(300))
    assert len(spent.retired) == 3
    part = do(spent.after, refund("c1", 150), of=own_entry(spent))
    assert remaining(part.after) == {"stripe:pi_1": 50, "stripe:pi_2": 100}
    rest = do(part.after, refund("c1", key="r2"), of=own_entry(spent), refunded=150)
    assert remaining(rest.after) == {f"stripe:pi_{n}": 100 for n in range(3)}


@pytest.mark.parametrize("live", [GRANTS_MAX - 1, GRANTS_MAX])
def test_bought_credits_never_expire_however_many_grants_there_are(live: int) -> None:
    spent = do(do(bare(), purchase(100)).after, consume(100))
    account = with_gifts(spent.after, live)
    account = do(account, refund("c1"), of=own_entry(spent)).after
    assert settled(account, CATALOG, NOW + YEARS).balance == 100


def test_a_grant_retired_at_the_limit_keeps_its_expiry() -> None:
    gift = adjust(AdjustAction.ADD, 60, kind=GrantKind.PROMO, expires_at=NOW + 90 * DAY)
    spent = do(do(bare(), gift).after, consume(60))
    account = with_gifts(spent.after, GRANTS_MAX)  # the last replaces the exhausted gift
    assert account.grant("g1") is None
    account = do(account, refund("c1"), NOW + DAY, of=own_entry(spent)).after
    assert settled(account, CATALOG, NOW + 89 * DAY).balance == GRANTS_MAX + 60
    assert settled(account, CATALOG, NOW + 91 * DAY).balance == GRANTS_MAX


def test_a_grant_retired_by_its_own_refund_is_restored() -> None:
    gift = adjust(AdjustAction.ADD, 60, kind=GrantKind.PROMO, expires_at=NOW + 90 * DAY)
    spent = do(do(bare(), gift).after, consume(60))
    account = with_gifts(spent.after, GRANTS_MAX - 1)  # fifty with the exhausted gift
    assert account.grant("g1") is not None
    account = do(account, refund("c1"), NOW + DAY, of=own_entry(spent)).after
    assert settled(account, CATALOG, NOW + 89 * DAY).balance == GRANTS_MAX - 1 + 60


def test_expired_credits_do_not_live_on_with_live_ones() -> None:
    """One use of both is refunded while the account has the maximum of grants."""
    gift = adjust(AdjustAction.ADD, 99, kind=GrantKind.PROMO, expires_at=NOW + DAY)
    spent = do(do(do(bare(), purchase(1)).after, gift).after, consume(100))
    account = with_gifts(spent.after, GRANTS_MAX)
    account = do(account, refund("c1"), NOW + 2 * DAY, of=own_entry(spent)).after
    assert settled(account, CATALOG, NOW + 8 * DAY).balance == GRANTS_MAX + 100
    assert settled(account, CATALOG, NOW + YEARS).balance == 1


def test_many_refunds_restore_no_more_grants_than_fit_into_an_item() -> None:
    account, uses = bare(), []
    for n in range(GRANTS_MAX):
        account = do(account, purchase(1, f"stripe:pi_{n}")).after
        uses.append(do(account, consume(1, f"c{n}")))
        account = uses[-1].after
    account = with_gifts(account, GRANTS_MAX)
    for used in uses:
        entry = own_entry(used)
        account = do(account, refund(entry.entry_id, key=f"r-{entry.entry_id}"), of=entry).after
    assert len(account.grants) <= RETURNED_MAX + 1
    assert settled(account, CATALOG, NOW + YEARS).balance == GRANTS_MAX


def test_only_credits_that_return_to_an_expired_grant_live_for_a_week() -> None:
    gift = adjust(AdjustAction.ADD, 60, kind=GrantKind.PROMO, expires_at=NOW + DAY)
    spent = do(do(bare(), gift).after, consume(60))
    account = do(spent.after, refund("c1"), NOW + 2 * DAY, of=own_entry(spent)).after
    assert settled(account, CATALOG, NOW + 9 * DAY - timedelta(seconds=1)).balance == 60
    assert settled(account, CATALOG, NOW + 9 * DAY + timedelta(hours=1)).balance == 0


def test_credits_refunded_to_a_disputed_payment_belong_to_the_payment_again() -> None:
    bought = do(bare(), purchase(100))
    assert bought.payment is not None
    spent = do(bought.after, consume(100))
    account = do(spent.after, refund("c1"), of=own_entry(spent)).after
    account = do(account, dispute(DisputeOutcome.OPEN), paid=bought.payment[1]).after
    assert (account.held, account.available) == (100, 0)


@given(data=st.data())
def test_credits_that_are_spent_and_refunded_live_as_if_they_had_not_been(
    data: st.DataObject,
) -> None:
    """Against an oracle that knows only each grant's expiry at its arrival."""
    account, lives, uses = bare(), list[tuple[int, int | None]](), list[Entry]()
    for n in range(data.draw(st.integers(1, 8))):
        days = data.draw(st.sampled_from([None, None, 5, 20, 40]))
        amount = data.draw(st.integers(1, 50))
        kind = GrantKind.PROMO if days else GrantKind.ADMIN
        end = NOW + days * DAY if days else None
        gift = adjust(AdjustAction.ADD, amount, f"gift-{n}", kind=kind, expires_at=end)
        account = do(account, gift).after
        lives.append((amount, days))
        if data.draw(st.booleans()):
            used = do(account, consume(data.draw(st.integers(1, account.available)), f"c{n}"))
            account = used.after
            uses.append(own_entry(used))
    for use in data.draw(st.permutations(uses)):
        account = do(account, refund(use.entry_id, key=f"r-{use.entry_id}"), of=use).after
    for day in (0, 4, 6, 19, 21, 39, 41, 4_000):
        living = sum(amount for amount, days in lives if days is None or days > day)
        assert settled(account, CATALOG, NOW + day * DAY).balance == living


# ---- An overdraft has no grant to go back to -----------------------------------------------------


def test_bought_credits_that_paid_an_overdraft_back_never_expire_when_it_is_refunded() -> None:
    lent = do(opened("overdraft", signup_credits=0), consume(600))
    assert lent.after.debt == 500
    paid_back = do(lent.after, purchase(500)).after
    account = do(paid_back, refund("c1"), of=own_entry(lent)).after
    # The plan's 100 are gone with their period; the bought credits are not.
    assert settled(account, CATALOG, NOW + DAY).balance == 600
    assert settled(account, CATALOG, NOW + 27 * DAY).balance == 600
    later = settled(account, CATALOG, NOW + 29 * DAY)
    assert sum(grant.remaining for grant in later.grants if grant.expires_at is None) == 500


def test_paying_debt_takes_no_credits_that_live_longer() -> None:
    bought = do(opened("overdraft", signup_credits=0), purchase(100)).after
    used = do(bought, consume(250))  # the plan's 100, the bought 100 and 50 on credit
    account = do(used.after, refund("c1"), of=own_entry(used)).after
    assert (account.debt, account.balance) == (0, 200)
    assert {grant.kind: grant.remaining for grant in account.grants if grant.remaining} == {
        "plan": 100,
        "purchase": 100,
    }
