"""What time alone will do to an account."""

from datetime import UTC, datetime, timedelta

import pytest

from scrip.domain.clocks import AHEAD_MAX
from scrip.domain.commands import AdjustAction
from scrip.domain.settle import settled
from scrip.domain.terms import GRACE
from scrip.domain.upcoming import Change, upcoming
from tests.unit.domain import examples
from tests.unit.domain.examples import CATALOG, DAY, NOW, do, opened

FEBRUARY, MARCH = datetime(2026, 2, 28, 12, tzinfo=UTC), datetime(2026, 3, 31, 12, tzinfo=UTC)


def shown(change: Change) -> tuple[datetime, int, int, int, int]:
    """Return when, the credits granted, expired and released, and the balance then."""
    return change.at, change.granted, change.expired, change.released, change.after.balance


def test_a_renewal_shows_what_arrives_and_what_is_lost() -> None:
    account = do(opened(), examples.consume(30)).after
    assert [shown(change) for change in upcoming(account, CATALOG, NOW, 2)] == [
        (FEBRUARY, 100, 70, 0, 150),
        (MARCH, 100, 100, 0, 150),
    ]


def test_what_rolls_over_is_not_lost() -> None:
    account = do(opened("pro"), examples.consume(300)).after
    [change] = upcoming(account, CATALOG, NOW, 1)
    assert shown(change) == (FEBRUARY, 2_000, 700, 0, 3_050)


def test_a_grants_expiry_and_a_holds_end_are_changes_of_their_own() -> None:
    gift = examples.adjust(AdjustAction.ADD, 40, expires_at=NOW + DAY)
    account = do(do(opened(), gift).after, examples.hold(10, expires_in=300)).after
    assert [shown(change) for change in upcoming(account, CATALOG, NOW, 2)] == [
        (NOW + timedelta(minutes=5), 0, 0, 10, 190),
        (NOW + DAY, 0, 40, 0, 150),
    ]


def test_the_end_of_a_plan_shows_the_plan_that_follows() -> None:
    account = do(do(opened("pro"), examples.consume(2_050)).after, examples.quota("free")).after
    plans = [
        (
            change.entitled_before.plan.plan_id,
            change.entitled_after.plan.plan_id,
            change.begins_period,
        )
        for change in upcoming(account, CATALOG, NOW, 2)
    ]
    assert plans == [("pro", "free", True), ("free", "free", True)]


def test_a_paid_plan_ends_with_its_last_term_and_grace(subtests: pytest.Subtests) -> None:
    paid = do(opened(), examples.pay_period(NOW, MARCH)).after
    for ended, end in ((True, MARCH), (False, MARCH + GRACE)):
        with subtests.test(ended=ended):
            status = "canceled" if ended else "active"
            account = do(paid, examples.follow(status, NOW + DAY), NOW + DAY).after
            changes = upcoming(account, CATALOG, NOW + DAY, 12)
            back = [one for one in changes if one.entitled_after.plan.plan_id == "free"]
            assert (back[0].at, back[0].entitled_before.plan.plan_id) == (end, "pro")


def test_what_nobody_can_notice_is_left_out() -> None:
    gift = examples.adjust(AdjustAction.ADD, 40, expires_at=NOW + DAY)
    account = do(do(opened(), gift).after, examples.consume(190)).after
    [change] = upcoming(account, CATALOG, NOW, 1)
    assert change.at == FEBRUARY, "the gift, which is used up, expires before"


def test_the_account_after_each_change_is_what_settling_to_it_says() -> None:
    account = do(opened("long"), examples.consume(30)).after
    for change in upcoming(account, CATALOG, NOW, 20):
        assert change.after == settled(change.before, CATALOG, change.at)
        just_before = change.at - timedelta(milliseconds=1)
        assert settled(change.before, CATALOG, just_before).balance == change.before.balance


def test_the_list_ends_with_ten_years_or_when_nothing_is_left_to_happen() -> None:
    far = upcoming(opened(), CATALOG, NOW, 1_000)
    assert far[-1].at <= NOW + AHEAD_MAX < far[-1].at + 32 * DAY
    closed = do(opened(), examples.close()).after
    assert upcoming(closed, CATALOG, NOW, 1_000) == ()
