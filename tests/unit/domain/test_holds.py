"""Holds: opening, capturing, releasing, and what happens when they expire."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrip.domain.account import Account
from scrip.domain.commands import AdjustAction, Renew, Use
from scrip.domain.decide import PostingTooLongError, decide
from scrip.domain.entries import CLOCK, Entry, iso
from scrip.domain.errors import (
    AccountFrozenError,
    HoldExceededError,
    HoldNotFoundError,
    HoldWithoutFeatureError,
    InsufficientCreditsError,
    RefusalError,
    TooManyHoldsError,
)
from scrip.domain.grants import Allocation, GrantKind
from scrip.domain.holds import HOLDS_MAX
from scrip.domain.posting import ENTRIES_MAX
from scrip.domain.settle import settled
from tests.unit.domain.examples import (
    CATALOG,
    DAY,
    NOW,
    adjust,
    batch,
    capture,
    consume,
    do,
    extend,
    freeze,
    hold,
    month_end,
    opened,
    own_entry,
    quota,
    refund,
    release,
)

SECOND = timedelta(seconds=1)


def held(amount: int = 60, **fields: Any) -> Account:
    """Return an account with 150 credits, some of them held."""
    return do(opened(), hold(amount, **fields)).after


def summary(entries: tuple[Entry, ...]) -> list[tuple[str, str, int, int]]:
    """Return ID, type, amount and moved credits of each entry."""
    return [
        (entry.entry_id, entry.type, entry.amount, sum(part.amount for part in entry.allocations))
        for entry in entries
    ]


def test_a_hold_reduces_the_available_credits_and_not_the_balance() -> None:
    posting = do(opened(), hold(60))
    account = posting.after
    assert (account.balance, account.held, account.available) == (150, 60, 90)
    entry = own_entry(posting)
    assert (entry.type, entry.amount, entry.cost, entry.hold_id) == ("hold", 0, 60, "h1")
    assert (entry.held_after, entry.expires_at) == (60, NOW + 300 * SECOND)


def test_a_hold_has_the_price_of_a_use() -> None:
    posting = do(opened(), hold(feature="tokens", quantity=4_000))
    assert posting.after.held == 12
    entry = own_entry(posting)
    assert (entry.feature, entry.quantity, entry.feature_version) == ("tokens", 4_000, 1)


REFUSED: list[tuple[str, Callable[[], Account], Any, type[RefusalError]]] = [
    ("more than is available", lambda: held(60), hold(91, "h2"), InsufficientCreditsError),
    ("what is held already", lambda: held(60), consume(91), InsufficientCreditsError),
    ("on credit", lambda: opened("overdraft"), hold(151), InsufficientCreditsError),
    ("on a frozen account", lambda: do(opened(), freeze()).after, hold(1), AccountFrozenError),
    ("above the hold", held, capture(61), HoldExceededError),
    ("above what is available", held, capture(151, excess=True), InsufficientCreditsError),
    ("another's quantity", held, capture(quantity=5), HoldWithoutFeatureError),
    ("what was never held", opened, capture(), HoldNotFoundError),
    ("what has ended", lambda: do(held(), release()).after, capture(), HoldNotFoundError),
]


@pytest.mark.parametrize(("what", "account", "command", "refusal"), REFUSED)
def test_an_impossible_hold_or_capture_is_refused(
    what: str, account: Callable[[], Account], command: Any, refusal: type[RefusalError]
) -> None:
    with pytest.raises(refusal):
        do(account(), command)


def test_a_capture_spends_a_part_and_releases_the_rest() -> None:
    posting = do(held(60), capture(25))
    assert summary(posting.entries) == [("release:c1", "release", 0, 35), ("c1", "usage", -25, 25)]
    account = posting.after
    assert (account.balance, account.held, account.available) == (125, 0, 125)
    assert (account.used, account.consumed_total) == (25, 25)
    assert (posting.ended_hold, account.holds) == ("h1", ())
    assert own_entry(posting).hold_id == "h1"


def test_captures_repeat_until_the_final_one() -> None:
    account = do(held(60), capture(25, final=False)).after
    assert (account.balance, account.held) == (125, 35)
    account = do(account, capture(35, "c2", final=False)).after
    assert (account.balance, account.held) == (90, 0)
    with pytest.raises(HoldExceededError):
        do(account, capture(key="c3"))
    posting = do(account, capture(10, "c3", excess=True))
    assert (posting.after.balance, posting.ended_hold) == (80, "h1")


def test_a_capture_without_an_amount_takes_all_that_is_left() -> None:
    assert do(held(60), capture()).after.balance == 90


def test_a_capture_above_the_hold_takes_the_excess_from_available_credits() -> None:
    posting = do(held(60), capture(100, excess=True))
    assert (posting.after.balance, posting.after.available) == (50, 50)
    assert own_entry(posting).allocations == (Allocation("g2", 100),)


def test_a_capture_above_the_hold_may_use_the_overdraft() -> None:
    account = do(opened("overdraft"), hold(150)).after
    posting = do(account, capture(200, excess=True))
    assert (posting.after.debt, own_entry(posting).amount) == (50, -200)


def test_a_quantity_is_captured_at_its_price_even_of_a_deactivated_feature() -> None:
    account = do(opened(), hold(feature="tokens", quantity=4_000)).after
    retired = replace(
        CATALOG,
        features={"tokens": replace(CATALOG.features["tokens"], active=False)},
    )
    posting = decide(account, capture(quantity=1_500), catalog=retired, now=NOW)
    assert (own_entry(posting).cost, own_entry(posting).quantity) == (5, 1_500)
    assert posting.after.balance == 145


def test_a_freeze_stops_new_holds_but_no_open_ones() -> None:
    account = do(held(60), freeze()).after
    with pytest.raises(AccountFrozenError):
        do(account, capture(61, excess=True))
    assert do(account, capture(60)).after.balance == 90
    assert do(account, release()).after.available == 150


def test_a_capture_is_refunded_like_any_use() -> None:
    posting = do(held(60), capture(25))
    usage = own_entry(posting)
    again = do(posting.after, refund("c1"), of=usage).after
    assert (again.balance, again.grants) == (150, opened().grants)


def test_a_release_returns_all_credits() -> None:
    posting = do(held(60), release())
    assert summary(posting.entries) == [("r1", "release", 0, 60)]
    assert (posting.after.available, posting.ended_hold) == (150, "h1")
    assert posting.after.grants == opened().grants


def test_a_hold_ends_by_itself_when_it_expires() -> None:
    account = held(60)
    assert settled(account, CATALOG, NOW + 299 * SECOND).held == 60
    read = settled(account, CATALOG, NOW + 300 * SECOND)
    assert (read.held, read.available) == (0, 150)
    posting = do(account, consume(150), NOW + DAY)
    assert summary(posting.entries) == [
        ("release:h1", "release", 0, 60),
        ("c1", "usage", -150, 150),
    ]
    assert posting.entries[0].effective_at == NOW + 300 * SECOND
    assert posting.entries[0].actor == CLOCK


def test_a_hold_is_extended_and_never_shortened() -> None:
    account = do(held(60), extend(3_600), NOW + 200 * SECOND).after
    [extended] = account.holds
    assert extended.expires_at == NOW + 3_800 * SECOND
    assert do(account, extend(1, "e2"), NOW + 201 * SECOND).after == account


def test_an_extension_leaves_no_entry() -> None:
    assert do(held(60), extend(3_600)).entries == ()


def test_held_credits_outlive_their_grant_and_expire_when_released() -> None:
    gift = adjust(AdjustAction.ADD, 100, kind=GrantKind.PROMO, expires_at=NOW + 60 * SECOND)
    account = do(opened("none", signup_credits=0), gift).after
    account = do(account, hold(80)).after
    later = NOW + 120 * SECOND
    assert settled(account, CATALOG, later).balance == 80
    assert do(account, capture(80), later).after.balance == 0
    posting = do(account, capture(30), later)
    assert summary(posting.entries) == [
        ("expiry:g1", "expiry", -20, 20),
        ("release:c1", "release", 0, 50),
        ("expiry:release:c1", "expiry", -50, 50),
        ("c1", "usage", -30, 30),
    ]
    assert posting.after.balance == 0


def test_the_grant_of_held_credits_stays_as_ended_until_the_hold_ends() -> None:
    gift = adjust(AdjustAction.ADD, 100, kind=GrantKind.PROMO, expires_at=NOW + 60 * SECOND)
    account = do(do(opened("none", signup_credits=0), gift).after, hold(80)).after
    later = settled(account, CATALOG, NOW + 120 * SECOND)
    assert [(one.amount, one.remaining, one.ended) for one in later.grants] == [(80, 0, True)]
    assert later.available == 0
    assert do(later, capture(30, final=False), NOW + 120 * SECOND).after.grants == later.grants
    assert do(later, release(), NOW + 120 * SECOND).after.grants == ()


def test_no_key_of_a_release_takes_the_id_of_a_grants_expiry() -> None:
    gift = adjust(AdjustAction.ADD, 100, kind=GrantKind.PROMO, expires_at=NOW + 60 * SECOND)
    account = do(do(opened("none", signup_credits=0), gift).after, hold(80)).after
    posting = do(account, release("g1"), NOW + 120 * SECOND)
    assert summary(posting.entries) == [
        ("expiry:g1", "expiry", -20, 20),
        ("g1", "release", 0, 80),
        ("expiry:release:g1", "expiry", -80, 80),
    ]


def test_released_credits_pay_debt_before_they_expire() -> None:
    account = do(opened("overdraft", signup_credits=0), hold(100)).after
    account = do(account, consume(40)).after
    assert (account.debt, account.available) == (40, -40)
    posting = do(account, release())
    assert (posting.after.debt, posting.after.available) == (0, 60)
    assert own_entry(posting).debt_left == 0


def test_a_hold_that_ended_within_a_month_rolls_over_with_it() -> None:
    account = opened("pro", signup_credits=0)
    end = month_end(account)
    before = do(account, hold(500, expires_in=60), end - 61 * SECOND).after
    across = do(account, hold(500, expires_in=60), end - 30 * SECOND).after
    assert settled(before, CATALOG, end + DAY).balance == 3_000
    held_on = settled(across, CATALOG, end + 10 * SECOND)
    assert (held_on.balance, held_on.available) == (3_500, 3_000)
    assert settled(across, CATALOG, end + DAY).balance == 3_000


def test_what_has_rolled_over_once_does_not_roll_over_again_with_its_hold() -> None:
    account = opened("pro", signup_credits=0)
    second = month_end(account)
    account = settled(account, CATALOG, second)
    end = month_end(account)
    account = do(account, hold(1_500, expires_in=60), end - 30 * SECOND).after
    account = do(account, consume(1_400), end - 20 * SECOND).after
    after = do(account, release(), end + 10 * SECOND).after
    assert after.balance == 2_000 + 100 + 500
    rolled = {grant.lot_id: grant.amount for grant in after.grants if grant.kind == "rollover"}
    assert rolled == {f"period:{iso(second)}": 600}


def test_what_several_grants_of_a_month_return_rolls_over_together() -> None:
    account = opened("pro", signup_credits=0)
    account = do(account, hold(500, expires_in=60), month_end(account) - 30 * SECOND).after
    end = month_end(account)
    account = settled(account, CATALOG, end)
    [ended] = [grant for grant in account.grants if grant.ended]
    [held] = account.holds
    halves = [replace(ended, grant_id=grant_id, amount=250) for grant_id in ("g1", "g0")]
    account = replace(
        account,
        grants=(*halves, *(grant for grant in account.grants if not grant.ended)),
        holds=(
            replace(
                held,
                allocations=tuple(Allocation(half.grant_id, 250) for half in halves),
                rolls_over=500,
                rolls_until=end + 28 * DAY,
            ),
        ),
    )
    before = settled(account, CATALOG, end).available
    after = do(account, release(), end + 10 * SECOND).after
    assert after.available == before + 500


def test_an_unlimited_plan_holds_no_credits_and_records_captures() -> None:
    account = do(opened("unlimited"), hold(10**6)).after
    assert (account.held, account.available) == (0, 50)
    posting = do(account, capture(700, final=False))
    entry = own_entry(posting)
    assert (entry.amount, entry.cost, posting.after.balance) == (0, 700, 50)
    refunded = do(posting.after, refund("c1", key="r1"), of=entry)
    assert (own_entry(refunded).amount, refunded.after.balance) == (0, 50)
    with pytest.raises(HoldExceededError):
        do(account, capture(10**6 + 1))


def test_an_uncharged_hold_ends_with_its_unlimited_plan() -> None:
    free = do(opened("unlimited"), hold(30)).after
    assert own_entry(do(free, capture(30))).amount == 0
    metered = replace(free, plan_id="free")
    assert settled(metered, CATALOG, NOW).holds == ()
    with pytest.raises(HoldNotFoundError):
        do(metered, capture(30))


def test_a_capture_is_not_charged_once_the_plan_is_unlimited() -> None:
    upgraded = do(held(60), quota("unlimited")).after
    posting = do(upgraded, capture(25, final=False))
    assert (own_entry(posting).amount, posting.after.held) == (0, 35)
    assert posting.after.balance == upgraded.balance
    final = do(upgraded, capture(25))
    assert summary(final.entries) == [("release:c1", "release", 0, 60), ("c1", "usage", 0, 0)]
    [once] = final.entries[0].allocations
    assert once.amount == 60


def test_an_account_has_a_limited_number_of_holds() -> None:
    account = opened()
    for number in range(HOLDS_MAX):
        account = do(account, hold(1, f"h{number}")).after
    with pytest.raises(TooManyHoldsError):
        do(account, hold(1, "one-more"))


def test_a_batch_takes_all_or_nothing_with_an_entry_for_each_use() -> None:
    uses = (Use(feature="chat", quantity=2), Use(amount=7, reference="job-2"))
    posting = do(opened(), batch(*uses))
    assert [(e.entry_id, e.amount, e.balance_after) for e in posting.entries] == [
        ("b1", -10, 140),
        ("b1~2", -7, 133),
    ]
    assert posting.entries[1].reference == "job-2"
    with pytest.raises(InsufficientCreditsError) as refused:
        do(opened(), batch(Use(amount=100), Use(amount=51)))
    assert (refused.value.required, refused.value.shortfall) == (151, 1)


def lives(account: Account) -> list[tuple[str, int, datetime | None]]:
    """Return what is left in an account's grants, and when they expire."""
    return sorted((grant.kind, grant.remaining, grant.expires_at) for grant in account.grants)


@given(
    ends=st.lists(st.integers(0, 150), min_size=40, max_size=47),
    holds=st.integers(0, HOLDS_MAX),
    days=st.sampled_from([1, 2, 28, 29, 60, 100, 200, 400]),
    plan_id=st.sampled_from(["long", "pro", "none"]),
    used=st.integers(0, 40),
)
def test_changes_that_do_not_fit_one_posting_are_written_in_steps_with_the_same_result(
    ends: list[int], holds: int, days: int, plan_id: str, used: int
) -> None:
    """Grants that expire on some day, many of them at one time, and holds that expire together."""
    account = opened(plan_id, signup_credits=100)
    account = do(account, consume(used + 1)).after
    for number, end in enumerate(ends):
        expires_at = NOW + timedelta(days=end, hours=1)
        gift = adjust(
            AdjustAction.ADD, 10, f"a{number}", kind=GrantKind.PROMO, expires_at=expires_at
        )
        account = do(account, gift).after
    for number in range(holds):
        account = do(account, hold(1, f"h{number}", expires_in=86_400)).after
    now = NOW + days * DAY
    many = batch(*(Use(amount=1) for _ in range(25)))
    at_once, steps = settled(account, CATALOG, now), 0
    while True:
        try:
            do(account, many, now)
        except PostingTooLongError:
            renewal = Renew(account_id="u1", entry_id="renewal", keyed=False, actor=CLOCK)
            posting = do(account, renewal, now)
            assert 0 < len(posting.entries) <= ENTRIES_MAX
            account, steps = posting.after, steps + 1
        else:
            break
    assert steps <= 10
    stepped = settled(account, CATALOG, now)
    assert (stepped.balance, stepped.held) == (at_once.balance, at_once.held)
    assert lives(stepped) == lives(at_once)
