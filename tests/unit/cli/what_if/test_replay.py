"""A replay writes the same entries at the same prices; other prices change what they must."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from scrip.domain.catalog import Catalog, Price
from scrip.domain.commands import AdjustAction, ResetAnchor, Use
from scrip.domain.grants import GrantKind
from scrip_cli.what_if.records import QUOTA_CHANGE, Records
from scrip_cli.what_if.replay import Outcome, Replay
from tests.unit.domain.examples import (
    CATALOG,
    DAY,
    NOW,
    adjust,
    batch,
    capture,
    close,
    consume,
    extend,
    freeze,
    hold,
    opening,
    pay_period,
    quota,
    refund,
    release,
    reset,
    use,
)
from tests.unit.domain.lives import Life, lived, lived_with_holds, lived_with_terms
from tests.unit.domain.test_invariants import LedgerMachine

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip.domain.commands import Command

TICK = timedelta(milliseconds=1)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def replayed(life: Life, wanted: Catalog = CATALOG, *, since: datetime = LONG_AGO) -> Outcome:
    """Replay a life, and check that it ends in the account's own hash."""
    assert life.account
    records = Records(
        account=life.account,
        refunded=life.refunded.keys(),
        captured=life.hold_ends.keys(),
        retired=life.retired,
        terms=life.terms,
        quotas=[change for change in life.changes if change.action == QUOTA_CHANGE],
        find_entry=life.entries.get,
        find_payment=life.payments.get,
    )
    entries = sorted(life.entries.values(), key=lambda entry: entry.seq)
    replay = Replay(records, entries, lambda *_: [CATALOG], wanted, since)
    outcome = replay.run()
    assert outcome.entries == len(entries)
    if entries:
        assert replay.side.account
        assert replay.side.account.hash == life.account.hash
    return outcome


def lived_by(*commands: Command, plan_id: str = "free") -> Life:
    """Return a life with a command each hour."""
    life = Life()
    for hour, command in enumerate([opening(plan_id), *commands]):
        life.do(command, NOW + timedelta(hours=hour))
    return life


def at_price(feature_id: str, **fields: Any) -> Catalog:
    """Return the examples' catalog with another price of a feature."""
    changed = replace(CATALOG.features[feature_id], **fields)
    return replace(CATALOG, features={**CATALOG.features, feature_id: changed})


def on_plan(plan_id: str, **fields: Any) -> Catalog:
    """Return the examples' catalog with another plan."""
    changed = replace(CATALOG.plans[plan_id], **fields)
    return replace(CATALOG, plans={**CATALOG.plans, plan_id: changed})


class ReplayMachine(LedgerMachine):
    """Any life whose end is replayed, of commands that the entries tell."""

    pay_for_terms = follow_a_subscription = take_a_payment_back = None  # type: ignore[assignment]
    change_the_quota = None  # type: ignore[assignment]

    @rule(
        plan_id=st.none() | st.sampled_from(sorted(CATALOG.plans)),
        monthly_credits=st.none() | st.integers(0, 5_000),
    )
    def change_the_quota_alone(self, plan_id: str | None, monthly_credits: int | None) -> None:
        """Change it at an instant of its own: what writes no entry has no other place."""
        self.now += TICK
        self.may_owe |= plan_id == "overdraft"
        self.execute(quota(plan_id, monthly_credits=monthly_credits, key=self.key()))
        self.now += TICK

    def teardown(self) -> None:
        outcome = replayed_from_the_middle(self)
        assert (outcome.facts, outcome.differ) == (0, 0)


class MessagesMachine(LedgerMachine):
    """Any life, of providers' messages, too: some are taken as what they did to the account."""

    def teardown(self) -> None:
        replayed_from_the_middle(self)


def replayed_from_the_middle(machine: LedgerMachine) -> Outcome:
    """Replay a life with a window that begins in its middle; at the same prices nothing changes."""
    if not hasattr(machine, "life") or not machine.life.account:
        return Outcome("u1")
    entries = machine.entries
    since = entries[len(entries) // 2].recorded_at if entries else machine.now
    outcome = replayed(machine.life, since=since)
    assert outcome.used_before == outcome.used_after
    assert outcome.debt_before == outcome.debt_after
    assert (outcome.refused, outcome.holds_exceeded, outcome.unpriced) == (0, 0, 0)
    return outcome


ReplayMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=30)
TestReplay = ReplayMachine.TestCase
MessagesMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=30)
TestMessages = MessagesMachine.TestCase


@pytest.mark.parametrize("life_of", [lived, lived_with_holds, lived_with_terms])
def test_the_same_prices_give_the_same_ledger(life_of: Callable[[], Life]) -> None:
    outcome = replayed(life_of())
    assert outcome.differ == 0
    assert outcome.used_before == outcome.used_after > 0


def test_a_payment_that_was_taken_as_it_was_owes_nothing_at_the_same_prices() -> None:
    machine = MessagesMachine()
    machine.open_account(
        plan_id="free",
        signup_credits=0,
        day=NOW.date(),
        second=0,
        time_zone="UTC",
        reset_anchor=ResetAnchor.SIGNUP,
    )
    for plan_id in ("long", "long", "free"):
        machine.pay_for_terms(
            begins=-40,
            change=None,
            days=7,
            plan_ids=[plan_id],
            quantity=1,
            subscription="stripe:sub_1",
        )
    assert replayed_from_the_middle(machine).facts


def test_a_feature_at_another_price_costs_what_that_price_says() -> None:
    life = lived_by(use("chat", 4, "c1"), consume(3, "c2"))
    outcome = replayed(life, at_price("chat", cost=7))
    assert (outcome.used_before, outcome.used_after, outcome.refused) == (23, 31, 0)


def test_usage_is_priced_again_meter_by_meter_and_rounded_up_once() -> None:
    spent = replace(use("model", key="c1"), quantity=None, usage={"input": 4_000, "output": 250})
    outcome = replayed(
        lived_by(spent),
        at_price(
            "model", meters={"input": Price(cost=1, per=1_000), "output": Price(cost=1, per=100)}
        ),
    )
    assert (outcome.used_before, outcome.used_after) == (2, 7)


def test_only_what_the_window_has_is_counted_and_priced_again() -> None:
    life = lived_by(use("chat", 2, "c1"), use("chat", 2, "c2"), use("chat", 2, "c3"))
    for hours, used in ((1, 3), (2, 2), (3, 1), (4, 0)):
        outcome = replayed(life, at_price("chat", cost=10), since=NOW + timedelta(hours=hours))
        assert (outcome.used_before, outcome.used_after) == (10 * used, 20 * used)


def test_who_cannot_pay_the_other_price_would_have_been_refused() -> None:
    life = lived_by(use("chat", 10, "c1"), use("chat", 10, "c2"), use("chat", 10, "c3"))
    outcome = replayed(life, at_price("chat", cost=10))  # of 150 credits
    assert (outcome.used_before, outcome.used_after, outcome.refused) == (150, 100, 2)


def test_a_refusal_leaves_more_for_what_follows() -> None:
    life = lived_by(use("chat", 20, "c1"), use("chat", 1, "c2"))
    outcome = replayed(life, at_price("chat", cost=10))
    assert (outcome.refused, outcome.used_after) == (1, 10)


def test_an_overdraft_becomes_debt_at_a_higher_price() -> None:
    life = lived_by(use("chat", 20, "c1"), plan_id="overdraft")
    outcome = replayed(life, at_price("chat", cost=10))
    assert (outcome.refused, outcome.debt_before, outcome.debt_after) == (0, 0, 50)


def test_a_lower_price_leaves_no_debt() -> None:
    life = lived_by(use("chat", 40, "c1"), plan_id="overdraft")
    outcome = replayed(life, at_price("chat", cost=1))
    assert (outcome.debt_before, outcome.debt_after) == (50, 0)


def test_a_batch_is_refused_as_a_whole() -> None:
    uses = Use(feature="chat", quantity=2), Use(feature="chat", quantity=20)
    outcome = replayed(lived_by(batch(*uses)), at_price("chat", cost=7))
    assert (outcome.used_before, outcome.used_after, outcome.refused) == (110, 0, 1)


def test_a_full_refund_returns_what_the_use_would_have_cost() -> None:
    life = lived_by(use("chat", 4, "c1"), refund("c1"))
    outcome = replayed(life, at_price("chat", cost=7))
    assert (outcome.used_before, outcome.used_after) == (0, 0)


def test_a_hold_and_its_capture_are_priced_again() -> None:
    life = lived_by(hold(feature="chat", quantity=10, expires_in=7_200), capture(quantity=6))
    outcome = replayed(life, at_price("chat", cost=7))
    assert (outcome.used_before, outcome.used_after) == (30, 42)


def test_a_capture_of_a_model_call_is_priced_again_meter_by_meter() -> None:
    most = replace(hold(feature="model", expires_in=7_200), usage={"input": 9_000, "output": 900})
    life = lived_by(most, replace(capture(), usage={"input": 4_000, "output": 250}))
    dearer = at_price(
        "model", meters={"input": Price(cost=1, per=1_000), "output": Price(cost=1, per=100)}
    )
    outcome = replayed(life, dearer)
    assert (outcome.used_before, outcome.used_after, outcome.differ) == (2, 7, 0)


def test_of_a_hold_that_is_refused_no_capture_is_counted() -> None:
    life = lived_by(hold(feature="chat", quantity=10, expires_in=7_200), capture(quantity=6))
    outcome = replayed(life, at_price("chat", cost=100))
    assert (outcome.used_after, outcome.refused) == (0, 1)


def test_a_capture_that_its_hold_would_not_cover_is_named() -> None:
    life = lived_by(hold(40, expires_in=7_200), capture(8))
    assert replayed(life).holds_exceeded == 0
    life = lived_by(hold(feature="chat", quantity=1, expires_in=7_200), capture(5))
    outcome = replayed(life, at_price("chat", cost=4))
    assert (outcome.used_after, outcome.holds_exceeded) == (0, 1)


def test_a_use_of_a_feature_that_the_catalog_has_not_is_named() -> None:
    life = lived_by(use("chat", 1, "c1"))
    outcome = replayed(life, at_price("chat", active=False))
    assert (outcome.used_after, outcome.unpriced) == (0, 1)


def test_a_plan_with_less_runs_out_earlier() -> None:
    life = Life()
    life.do(opening("free", signup_credits=0), NOW)
    life.do(consume(80, "c1"), NOW + 40 * DAY)
    outcome = replayed(life, on_plan("free", monthly_credits=70), since=NOW + DAY)
    assert (outcome.used_before, outcome.refused) == (80, 1)


def test_a_month_that_has_begun_keeps_its_credits() -> None:
    life = lived_by(consume(80, "c1"))
    outcome = replayed(life, on_plan("free", monthly_credits=1), since=NOW + timedelta(hours=1))
    assert outcome.refused == 0


def test_a_paid_month_brings_what_its_plan_has() -> None:
    life = lived_by(pay_period(NOW, NOW + 30 * DAY), consume(1_500, "c1"))
    outcome = replayed(life, on_plan("pro", monthly_credits=1_000))
    assert (outcome.used_before, outcome.refused) == (1_500, 1)


@pytest.mark.parametrize(
    "command",
    [
        adjust(AdjustAction.ADD, 70),
        adjust(AdjustAction.ADD, 70, kind=GrantKind.PROMO, expires_at=NOW + 9 * DAY),
        adjust(AdjustAction.SET, 70),
        adjust(AdjustAction.SET, 700, kind=GrantKind.REFERRAL),
        adjust(AdjustAction.DEDUCT, 70),
        freeze(),
        quota("pro"),
        quota(monthly_credits=700),
        reset(),
        hold(20, expires_in=86_400),
        close(),
    ],
)
def test_each_command_is_known_by_its_entry(command: Command) -> None:
    outcome = replayed(lived_by(consume(10, "c1"), command))
    assert (outcome.facts, outcome.differ) == (0, 0)


def test_a_hold_that_was_extended_lives_on_in_the_replay() -> None:
    life = Life()
    life.do(opening("free"), NOW)
    life.do(hold(40, expires_in=60), NOW)
    life.do(extend(7_200), NOW + timedelta(seconds=30))
    life.do(capture(quantity=None, amount=30), NOW + timedelta(hours=1))
    life.do(hold(40, "h2", expires_in=60), NOW + timedelta(hours=2))
    life.do(extend(7_200, "e2", of="h2"), NOW + timedelta(hours=2, seconds=30))
    life.do(consume(1, "c9"), NOW + timedelta(hours=9))
    outcome = replayed(life)
    assert (outcome.differ, outcome.used_after) == (0, 31)


def test_a_released_hold_is_released_at_other_prices_too() -> None:
    life = lived_by(
        hold(feature="chat", quantity=10, expires_in=7_200), release("r1"), use("chat", 20, "c1")
    )
    assert replayed(life, at_price("chat", cost=7)).refused == 0
