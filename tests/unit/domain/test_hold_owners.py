"""Who owns a hold, how long it may live, and how often a user may write for free."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrip.domain.account import Account, HoldCalls
from scrip.domain.commands import (
    HOLD_ID_PATTERN,
    AdjustAction,
    Command,
    HoldLine,
    entry_name,
)
from scrip.domain.errors import (
    AccountFrozenError,
    DeductionTooLargeError,
    HoldNotFoundError,
    HoldNotYoursError,
    HoldRateLimitedError,
)
from scrip.domain.grants import GrantKind
from scrip.domain.holds import HOLD_CALLS_MAX, HOLDS_MAX
from scrip.domain.payments import DisputeOutcome
from scrip.domain.settle import settled
from tests.unit.domain.examples import (
    ADMIN,
    APP,
    CATALOG,
    DAY,
    NOW,
    USER,
    adjust,
    batch,
    capture,
    consume,
    dispute,
    do,
    extend,
    freeze,
    hold,
    month_end,
    opened,
    own_entry,
    pay_period,
    purchase,
    quota,
    release,
)

if TYPE_CHECKING:
    from scrip.domain.entries import Actor

HOUR = timedelta(hours=1)
ENDINGS: list[Callable[..., Command]] = [
    lambda of, actor: capture(1, of=of, actor=actor),
    lambda of, actor: extend(600, of=of, actor=actor),
    lambda of, actor: release(of=of, actor=actor),
]
"""All commands about a hold."""


def with_hold(hold_id: str, actor: "Actor") -> Account:
    return do(opened(), hold(60, hold_id, actor=actor)).after


def test_a_users_entries_have_their_own_prefix() -> None:
    assert entry_name(USER, "job") == "user:job"
    assert entry_name(APP, "job") == entry_name(ADMIN, "job") == "job"


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_user_ends_only_holds_that_a_users_token_opened(ending: Callable[..., Command]) -> None:
    own, app = with_hold("user:h1", USER), with_hold("h1", APP)
    assert do(own, ending("user:h1", USER)).after != own
    for account in (app, opened()):  # whether the hold exists does not matter
        with pytest.raises(HoldNotYoursError):
            do(account, ending("h1", USER))
    for actor in (APP, ADMIN):
        assert do(app, ending("h1", actor)).after != app
        assert do(own, ending("user:h1", actor)).after != own


def test_no_caller_ends_the_hold_of_a_dispute() -> None:
    bought = do(opened("none", signup_credits=0), purchase(100))
    assert bought.payment is not None
    payment = bought.payment[1]
    account = do(bought.after, dispute(DisputeOutcome.OPEN), paid=payment).after
    [set_aside] = account.holds
    for ending in ENDINGS:
        with pytest.raises(HoldNotFoundError):
            do(account, ending(set_aside.hold_id, ADMIN))


# ---- How long a hold may live --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hold_id", "actor", "bound"),
    [("user:h1", USER, DAY), ("h1", APP, 7 * DAY), ("h1", ADMIN, 7 * DAY)],
)
def test_no_extension_takes_a_hold_past_its_limit(
    hold_id: str, actor: "Actor", bound: timedelta
) -> None:
    account, now = do(opened(), hold(60, hold_id, actor=actor, expires_in=3_600)).after, NOW
    for half_hour in range(1, 2 * 24 * 8):
        now = NOW + half_hour * HOUR / 2
        if settled(account, CATALOG, now).holds:
            account = do(account, extend(86_400, of=hold_id, actor=actor), now).after
            assert account.holds[0].expires_at is not None
            assert account.holds[0].expires_at <= NOW + bound
    assert settled(account, CATALOG, NOW + bound - HOUR).holds
    assert not settled(account, CATALOG, NOW + bound).holds


def test_a_hold_opened_by_an_earlier_version_is_extended_for_a_week_at_most() -> None:
    [old] = with_hold("h1", APP).holds
    account = replace(with_hold("h1", APP), holds=(replace(old, ends_by=None),))
    for half_day in range(20):
        now = NOW + half_day * DAY / 2
        if settled(account, CATALOG, now).holds:
            account = do(account, extend(86_400), now).after
    assert account.holds[0].expires_at is not None
    assert account.holds[0].expires_at <= NOW + 7 * DAY


def test_a_hold_opened_by_an_earlier_version_is_not_extended_past_expired_credits() -> None:
    account = do(gift(HOUR), hold(100, expires_in=86_400)).after
    account = do(account, extend(1, of="h1"), NOW + 2 * HOUR).after  # the grant no longer exists
    [old] = settled(account, CATALOG, NOW + 2 * HOUR).holds
    account = replace(
        settled(account, CATALOG, NOW + 2 * HOUR), holds=(replace(old, ends_by=None),)
    )
    later = do(account, extend(86_400), NOW + 20 * HOUR).after
    assert later.holds[0].expires_at == old.expires_at


def gift(life: timedelta) -> Account:
    """Return an account that has only 100 credits, which expire."""
    command = adjust(AdjustAction.ADD, 100, kind=GrantKind.PROMO, expires_at=NOW + life)
    return do(opened("none", signup_credits=0), command).after


def test_credits_are_held_for_at_most_a_day_past_their_expiry() -> None:
    account = do(gift(HOUR), hold(100, expires_in=86_400)).after
    account = do(account, extend(86_400), NOW + 20 * HOUR).after
    assert account.holds[0].expires_at == NOW + 25 * HOUR
    assert settled(account, CATALOG, NOW + 24 * HOUR).balance == 100
    assert settled(account, CATALOG, NOW + 25 * HOUR).balance == 0


def test_a_grant_that_ends_early_limits_holds_of_its_credits() -> None:
    """A paid period's allowance lives for 3 more days unless the next payment arrives."""
    end = NOW + 28 * DAY
    account = do(opened("none", signup_credits=0), pay_period(NOW, end)).after
    account = do(account, hold(2_000, expires_in=86_400), end - HOUR).after
    account = do(account, extend(86_400), end + 20 * HOUR).after
    next_month = pay_period(end, end + 28 * DAY, payment_id="stripe:in_2")
    account = do(account, next_month, end + 21 * HOUR).after
    assert account.holds[0].expires_at == end + 24 * HOUR
    # The new allowance, and what rolls over of the held 2 000.
    assert settled(account, CATALOG, end + DAY).balance == 2_000 + 1_000


@given(
    actions=st.lists(
        st.sampled_from(["extend", "hold", "release", "upgrade", "downgrade", "wait"]),
        min_size=10,
        max_size=60,
    ),
)
def test_no_hold_keeps_an_allowance_for_more_than_a_day_past_its_period(
    actions: list[str],
) -> None:
    """So holds circumvent neither expiry, resets, rollover limits nor downgrades."""
    account, now = opened("pro", signup_credits=0), NOW
    for number, action in enumerate(actions):
        now += 13 * HOUR
        account = settled(account, CATALOG, now)
        held = [one.hold_id for one in account.holds]
        command: Command
        match action:
            case "extend" if held:
                command = extend(86_400, of=held[-1], actor=USER)
            case "hold" if account.available > 0 and len(held) < HOLDS_MAX:
                name = f"user:{number}"
                command = hold(account.available, name, expires_in=86_400, actor=USER)
            case "release" if held:
                command = release(f"user:r{number}", of=held[0], actor=USER)
            case "upgrade" | "downgrade":
                plan_id = "pro" if action == "upgrade" else "free"
                command = quota(plan_id, key=f"q{number}")
            case _:
                continue
        account = do(account, command, now).after
        live = {grant.grant_id for grant in account.grants}
        for one in account.holds:
            assert one.expires_at is not None
            outlived = any(part.grant_id not in live for part in one.allocations)
            latest = account.begins(account.period) + DAY if outlived else one.expires_at
            assert now < one.expires_at <= latest
        of_now = sum(grant.amount for grant in account.grants)
        a_day_in = now >= account.begins(account.period) + DAY
        assert account.balance <= of_now or not a_day_in


# ---- Frozen accounts and deductions --------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        consume(1),
        batch(),
        hold(1, "user:h2", actor=USER),
        *(ending("user:h1", USER) for ending in ENDINGS),
    ],
)
def test_the_user_of_a_frozen_account_can_only_read(command: Command) -> None:
    frozen = do(with_hold("user:h1", USER), freeze()).after
    with pytest.raises(AccountFrozenError):
        do(frozen, command)


def test_a_service_ends_holds_of_a_frozen_account() -> None:
    frozen = do(with_hold("h1", APP), freeze()).after
    assert do(frozen, capture(60)).after.consumed_total == 60
    assert do(frozen, release()).after.held == 0
    with pytest.raises(AccountFrozenError):
        do(frozen, capture(61, excess=True))
    with pytest.raises(AccountFrozenError):
        do(frozen, hold(1, "h2"))


def test_a_deduction_ends_as_many_of_the_users_holds_as_it_needs() -> None:
    account = opened()  # 150 credits
    for number, amount in enumerate((50, 40, 60)):
        account = do(account, hold(amount, f"user:h{number}", actor=USER)).after
    posting = do(account, adjust(AdjustAction.DEDUCT, 90))
    assert [hold.hold_id for hold in posting.after.holds] == ["user:h0"]
    assert (posting.after.balance, posting.after.held) == (60, 50)
    assert [entry.entry_id for entry in posting.entries] == [
        "release:user:h2",
        "release:user:h1",
        "a1",
    ]
    assert do(account, adjust(AdjustAction.SET, 0)).after.balance == 0


def test_a_deduction_ends_none_of_the_apps_holds() -> None:
    account = do(with_hold("h1", APP), hold(50, "user:h2", actor=USER)).after
    assert do(account, adjust(AdjustAction.DEDUCT, 90)).after.held == 60
    with pytest.raises(DeductionTooLargeError) as refused:
        do(account, adjust(AdjustAction.DEDUCT, 91))
    assert (refused.value.available, refused.value.shortfall) == (90, 1)


@pytest.mark.parametrize("balance", [0, 20, 40, 70, 100])
def test_a_balance_can_be_set_whatever_expires_when_holds_end(balance: int) -> None:
    account = do(gift(HOUR), adjust(AdjustAction.ADD, 40, "a0")).after
    account = do(account, hold(100, "user:h1", expires_in=86_400, actor=USER)).after
    later = NOW + 2 * HOUR  # the 100 have expired and are held, 40 are available
    assert do(account, adjust(AdjustAction.SET, balance), later).after.balance == balance


# ---- How often a user may write for free ---------------------------------------------------------


def test_a_users_calls_about_holds_are_limited_by_the_hour() -> None:
    account, now = opened(), NOW
    commands: list[Callable[[int], Command]] = [
        lambda n: hold(1, f"user:h{n}", expires_in=60, actor=USER),
        lambda n: extend(120, of=f"user:h{n}", actor=USER),
        lambda n: release(f"user:r{n}", of=f"user:h{n}", actor=USER),
    ]
    for call in range(HOLD_CALLS_MAX):
        account = do(account, commands[call % 3](call // 3), now).after
    late = now + timedelta(minutes=59, seconds=1)
    with pytest.raises(HoldRateLimitedError) as refused:
        do(account, hold(1, "user:more", actor=USER), late)
    assert (refused.value.calls_max, refused.value.retry_after) == (HOLD_CALLS_MAX, 59)
    # Charged calls and calls of a service are not counted.
    assert do(account, consume(1), late).after.consumed_total == 1
    assert do(account, hold(1, actor=APP), late).after.held == 1
    assert do(account, hold(1, "user:more", actor=USER), NOW + HOUR).after.held == 1


def test_each_line_of_a_users_hold_counts_as_it_has_an_entry() -> None:
    counted = HoldCalls(hour=NOW.replace(minute=0), calls=HOLD_CALLS_MAX - 3)
    account = replace(opened(), hold_calls=counted)
    for lines in (2, 3):
        held = hold(key="user:h1", lines=(HoldLine(amount=1),) * lines, actor=USER)
        calls = do(account, held).after.hold_calls
        assert calls == replace(counted, calls=counted.calls + lines)
    too_many = hold(key="user:h1", lines=(HoldLine(amount=1),) * 4, actor=USER)
    with pytest.raises(HoldRateLimitedError):
        do(account, too_many)


def test_an_extension_that_changes_nothing_writes_nothing() -> None:
    account = do(with_hold("user:h1", USER), extend(86_400, of="user:h1", actor=USER)).after
    again = do(account, extend(86_400, of="user:h1", actor=USER), NOW + HOUR)
    assert again.after == account


# ---- Responses -----------------------------------------------------------------------------------


def test_a_release_shows_how_much_of_it_expired_at_once() -> None:
    account = do(gift(HOUR), hold(60, expires_in=86_400)).after
    posting = do(account, release(), NOW + 2 * HOUR)
    own = own_entry(posting)
    assert (own.balance_after, own.expired, own.balance_left) == (60, 60, 0)
    assert own.balance_left == posting.after.balance


def test_the_id_of_a_users_hold_fits_into_a_path() -> None:
    for good in ("h1", "user:h1", "user:" + "k" * 128, "k" * 128):
        assert re.fullmatch(HOLD_ID_PATTERN, good)
    for bad in ("stripe:pi_1:dp_1", "user:", ":h1", "user:" + "k" * 129, "..", "a/b"):
        assert not re.fullmatch(HOLD_ID_PATTERN, bad)


# ---- Holds over the end of a period that rolls over ----------------------------------------------

MONTH = datetime(2026, 2, 28, 12, tzinfo=UTC)
"""The end of the first period."""


@pytest.mark.parametrize(
    ("used_before", "held", "captured", "balance"),
    [
        (0, 2_000, 0, 1_000),  # as if it had not been held: no more than the limit rolls over
        (1_500, 500, 0, 500),
        (1_500, 200, 0, 500),  # 300 at the end of the month, 200 when they are released
        (1_500, 500, 120, 380),
        (200, 900, 0, 1_000),
        (0, 2_000, 2_000, 0),
    ],
)
def test_credits_held_over_a_months_end_roll_over_as_if_they_had_not_been_held(
    used_before: int, held: int, captured: int, balance: int
) -> None:
    account = opened("pro", signup_credits=0)
    if used_before:
        account = do(account, consume(used_before, "before")).after
    account = do(account, hold(held, expires_in=86_400), MONTH - HOUR).after
    end = capture(captured) if captured else release()
    ended = do(account, end, MONTH + HOUR)
    assert ended.after.balance == 2_000 + balance
    assert own_entry(ended).balance_left == ended.after.balance
    later = ended.after if captured else account  # a hold that no one ends expires
    assert settled(later, CATALOG, MONTH + 20 * DAY).balance == 2_000 + balance
    # It lives for one period, as all rollovers do.
    rolled = [grant for grant in ended.after.grants if grant.kind is GrantKind.ROLLOVER]
    assert {grant.expires_at for grant in rolled} <= {datetime(2026, 3, 31, 12, tzinfo=UTC)}
    assert len(rolled) <= 1


def test_a_plan_without_rollover_keeps_no_held_credits() -> None:
    account = do(opened("free", signup_credits=0), hold(100, expires_in=86_400), MONTH - HOUR).after
    assert do(account, release(), MONTH + HOUR).after.balance == 100


def test_holds_at_a_months_end_do_not_raise_the_rollover_limit() -> None:
    """Up to 120 credits live for three periods, and the user holds all of them each time."""
    account, now = opened("long", signup_credits=0), NOW
    for month in range(1, 9):
        end = month_end(account)
        rolled = sum(grant.remaining for grant in account.grants if grant.kind == "rollover")
        if rolled:
            name = f"user:{month}"
            account = do(account, hold(rolled, name, actor=USER), end - timedelta(minutes=1)).after
            now = end + timedelta(seconds=30)
            account = do(account, release(f"user:r{month}", of=name, actor=USER), now).after
        account = settled(account, CATALOG, end + HOUR)
        rolled = sum(grant.remaining for grant in account.grants if grant.kind == "rollover")
        assert rolled <= 120


def test_a_dispute_takes_the_payments_credits_out_of_the_users_holds() -> None:
    bought = do(opened("none", signup_credits=0), purchase(100))
    assert bought.payment is not None
    account = do(bought.after, hold(100, "user:h1", actor=USER)).after
    account = do(account, dispute(DisputeOutcome.OPEN), paid=bought.payment[1]).after
    assert (account.held, account.available) == (100, 0)
    assert account.hold("user:h1") is None
    app = do(bought.after, hold(100, "h1")).after
    kept = do(app, dispute(DisputeOutcome.OPEN), paid=bought.payment[1]).after
    assert kept.hold("h1") is not None


@pytest.mark.parametrize("key", ["2026-02-28", "2026-03-31", "g1", "g2"])
def test_no_key_of_a_release_takes_the_id_of_an_entry_that_time_writes(key: str) -> None:
    account = do(opened("pro", signup_credits=0), consume(1_500, "before")).after
    account = do(account, hold(200, expires_in=86_400), MONTH - HOUR).after
    ended = do(account, release(key), MONTH + HOUR)
    later = do(ended.after, consume(1), MONTH + 32 * DAY)
    names = [entry.entry_id for entry in (*ended.entries, *later.entries)]
    assert {"period:2026-02-28", "period:2026-03-31"} < set(names)
    assert [name for name in names if name.startswith("rollover:")] == [
        "rollover:period:2026-01-31T12:00:00.000Z:5",
        f"rollover:release:{key}",
        "rollover:period:2026-02-28T12:00:00.000Z:12",
    ]
    assert len(names) == len(set(names))
