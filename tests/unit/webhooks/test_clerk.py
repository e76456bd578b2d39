"""The facts in each of Clerk's events."""

from dataclasses import replace
from typing import Any

import pytest

from scrip.domain.errors import PayloadError
from scrip.domain.naming import Names
from scrip.webhooks.facts import (
    Fact,
    PaidLine,
    PeriodPaid,
    SubscriptionUpdated,
    Unclear,
    UserCreated,
    UserDeleted,
)
from scrip.webhooks.messages import IgnoredError
from scrip.webhooks.providers import Provider
from tests.unit.webhooks import examples
from tests.unit.webhooks.examples import day, named

USER = "user_ScripAlice01"
ACCOUNT = f"account:{USER}"
NAMES = named(
    accounts=ACCOUNT,
    subscriptions="clerk:csub_item_ScripPro01",
    customers="clerk:cpayer_ScripAlice01",
)

NOVEMBER = PeriodPaid(
    names=NAMES,
    payment_id=f"clerk:csub_item_ScripPro01:{int(day(11, 1).timestamp())}",
    subscription_id="clerk:csub_item_ScripPro01",
    lines=(PaidLine(plan_names=("cplan_ScripPro", "pro"), start=day(11, 1), end=day(12, 1)),),
    money=2000,
    currency="usd",
)


def translated(name: str, of: str = "data", **changes: Any) -> tuple[Fact, ...]:
    return examples.sample(Provider.CLERK, name, of=of, **changes)


def periods(name: str, **changes: Any) -> list[PeriodPaid]:
    return [fact for fact in translated(name, **changes) if isinstance(fact, PeriodPaid)]


def status_in(name: str, **changes: Any) -> SubscriptionUpdated:
    (fact,) = (
        fact for fact in translated(name, **changes) if isinstance(fact, SubscriptionUpdated)
    )
    return fact


def test_a_user_is_an_account_with_a_name_and_the_addresses_that_are_verified() -> None:
    created = UserCreated(account_id=USER, emails=("alice@example.com",), name="Alice Example")
    assert translated("user_created") == (created,)
    [nameless] = translated("user_created", first_name=None, last_name="")
    assert nameless == replace(created, name=None)
    updated = examples.body(Provider.CLERK, "user_created") | {"type": "user.updated"}
    assert examples.translated(Provider.CLERK, updated) == (created,)


def test_a_deleted_user_is_deleted() -> None:
    assert translated("user_deleted") == (UserDeleted(account_id=USER),)
    assert translated("user_deleted", id=None) == (Unclear(reason="the deleted user has no id"),)


def test_an_active_item_is_a_period_paid_and_a_subscription() -> None:
    active = SubscriptionUpdated(
        names=NAMES,
        subscription_id="clerk:csub_item_ScripPro01",
        status="active",
        ended=False,
        at=day(11, 1, 4.321),
    )
    assert translated("subscription_item_active") == (NOVEMBER, active)


def test_an_item_its_subscription_and_its_payment_state_the_same_period() -> None:
    # The payment's times are in seconds, the others' in milliseconds.
    for name in ("subscription_item_active", "subscription_updated", "payment_attempt_paid"):
        assert periods(name) == [NOVEMBER], name


def test_a_renewal_is_an_update_with_a_new_start() -> None:
    (december,) = periods("subscription_item_renewed")
    (line,) = december.lines
    assert (line.start, line.end) == (day(12, 1), day(1, 1))
    assert december.payment_id != NOVEMBER.payment_id
    assert december.subscription_id == NOVEMBER.subscription_id


def test_a_free_plan_is_ignored_and_needs_no_end() -> None:
    for plan in ({"is_default": False}, {"is_default": True, "amount": 100}):
        with pytest.raises(IgnoredError, match="costs money"):
            translated("subscription_item_free", of="data.plan", **plan)
    for end in (None, 0, -62135596800000):  # the last is what Clerk sent until 2026
        with pytest.raises(IgnoredError, match="costs money"):
            translated("subscription_item_free", period_end=end)
    with pytest.raises(IgnoredError, match="costs money"):
        translated("subscription_item_free", plan=None)


def test_a_plan_may_have_fees_instead_of_an_amount() -> None:
    plan = examples.body(Provider.CLERK, "subscription_item_active")["data"]["plan"]
    priced = {name: plan[name] for name in plan.keys() - {"amount", "currency"}}
    fee, annual = {"amount": 2000, "currency": "USD"}, {"amount": 20_000, "currency": "USD"}
    assert periods("subscription_item_active", plan=priced | {"fee": fee}) == [NOVEMBER]
    by_year = {"plan": priced | {"fee": fee, "annual_fee": annual}, "amount": None}
    for plan_period, money in (("month", 2000), ("annual", 20_000)):
        (paid,) = periods("subscription_item_active", plan_period=plan_period, **by_year)
        assert (paid.money, paid.currency) == (money, "usd")
    free = {"amount": 0, "currency": "USD"}
    with pytest.raises(IgnoredError):
        translated("subscription_item_active", plan=priced | {"fee": free, "annual_fee": free})
    # A plan that is sold by the year alone is not free.
    sold = priced | {"fee": free, "annual_fee": annual}
    assert periods("subscription_item_active", plan=sold) == [NOVEMBER]


def test_an_annual_item_is_paid_for_a_year() -> None:
    (year,) = periods(
        "subscription_item_active",
        plan_period="annual",
        period_end=int(day(11, 1).timestamp() + 365 * 86400) * 1000,
        amount={"amount": 20_000, "currency": "USD"},
    )
    assert (year.money, (year.lines[0].end - year.lines[0].start).days) == (20_000, 365)


def test_a_plan_that_is_left_out_is_known_by_its_id() -> None:
    (paid,) = periods("subscription_item_active", plan=None, plan_id="cplan_ScripPro")
    assert paid.lines[0].plan_names == ("cplan_ScripPro",)
    with pytest.raises(IgnoredError):
        translated("subscription_item_active", plan=None, plan_id=None)


def test_a_trial_is_a_period_that_costs_nothing() -> None:
    (trial,) = periods("subscription_item_trial")
    assert (trial.money, trial.lines[0].end) == (0, day(11, 8))
    (priced,) = periods("subscription_item_active", is_free_trial=True)
    assert priced.money == 0


def test_that_a_trial_will_end_grants_nothing() -> None:
    ending = examples.body(Provider.CLERK, "subscription_item_trial")
    ending |= {"type": "subscriptionItem.freeTrialEnding"}
    with pytest.raises(IgnoredError, match="announces"):
        examples.translated(Provider.CLERK, ending)


def test_an_item_that_has_not_started_is_ignored_and_needs_no_period() -> None:
    for status in ("upcoming", "incomplete", "abandoned"):
        for start in (day(12, 1).timestamp(), None):
            with pytest.raises(IgnoredError, match="costs money"):
                translated("subscription_item_upcoming", status=status, period_start=start)


def test_only_an_active_item_is_paid_for_and_needs_its_period() -> None:
    for name in ("past_due", "canceled", "ended"):
        assert periods(f"subscription_item_{name}") == []
        assert status_in(f"subscription_item_{name}", period_end=None).status == name
    unclear, status = translated("subscription_item_active", period_end=None)
    assert unclear == Unclear(reason="the active item csub_item_ScripPro01 has no period")
    assert isinstance(status, SubscriptionUpdated)


def test_an_item_that_ends_before_its_period_gives_the_rest_back() -> None:
    (rest,) = periods("subscription_item_replaced")
    (line,) = rest.lines
    assert (line.credited, line.start, line.end) == (True, day(11, 16), day(12, 1))
    assert (rest.subscription_id, rest.money) == (NOVEMBER.subscription_id, 0)
    assert rest.payment_id == f"{NOVEMBER.payment_id}:ended"
    # Without a time of its own it ended when the message was sent.
    (sent,) = periods("subscription_item_active", status="ended")
    assert sent.lines[0].start == day(11, 1, 4.321)
    for ended_at in (day(12, 1), day(12, 3)):
        assert not periods(
            "subscription_item_active", status="ended", ended_at=ended_at.timestamp()
        )


def test_an_unknown_status_of_an_item_is_kept_and_reported() -> None:
    status, unclear = translated("subscription_item_active", status="paused")
    assert isinstance(status, SubscriptionUpdated)
    assert (status.status, status.ended) == ("paused", False)
    assert unclear == Unclear(
        reason="the status of the item csub_item_ScripPro01 is paused, which Scrip does not know"
    )


def test_a_canceled_item_has_not_ended() -> None:
    for name, ended in (("past_due", False), ("canceled", False), ("ended", True)):
        fact = status_in(f"subscription_item_{name}")
        assert (fact.status, fact.ended) == (name, ended)


def test_a_payment_that_is_not_paid_is_ignored() -> None:
    for status in ("failed", "pending"):
        with pytest.raises(IgnoredError, match=f"the payment is {status}"):
            translated("payment_attempt_failed", status=status)
    (unclear,) = translated("payment_attempt_failed", status="disputed")
    assert isinstance(unclear, Unclear)


def test_a_payments_items_without_a_period_are_left_to_their_own_messages() -> None:
    paid = examples.body(Provider.CLERK, "payment_attempt_paid")
    for item in paid["data"]["subscription_items"]:
        del item["period_start"], item["period_end"]
    with pytest.raises(IgnoredError, match="has a period"):
        examples.translated(Provider.CLERK, paid)


def test_an_organization_is_named_so_that_it_can_be_linked() -> None:
    payer = {"id": "cpayer_1", "organization_id": "org_1"}
    assert status_in("subscription_item_active", payer=payer).names == Names(
        subscriptions=("clerk:csub_item_ScripPro01",),
        customers=("clerk:org_1", "clerk:cpayer_1"),
    )


def test_a_missing_field_is_named() -> None:
    with pytest.raises(PayloadError, match=r"data\.payer: Field required"):
        examples.translated(
            Provider.CLERK, {"type": "subscription.active", "timestamp": 1, "data": {"items": []}}
        )
