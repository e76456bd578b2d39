"""The facts in each of Clerk's events."""

from typing import Any

import pytest

from scrip.domain.errors import PayloadError
from scrip.webhooks.facts import Fact, PeriodPaid, SubscriptionUpdated, UserCreated, UserDeleted
from scrip.webhooks.messages import IgnoredError
from scrip.webhooks.providers import Provider
from tests.unit.webhooks import examples
from tests.unit.webhooks.examples import day

USER = "user_ScripAlice01"
ACCOUNT = f"account:{USER}"
NAMES = (ACCOUNT, "clerk:csub_item_ScripPro01", "clerk:cpayer_ScripAlice01")

NOVEMBER = PeriodPaid(
    names=NAMES,
    payment_id=f"clerk:csub_item_ScripPro01:{int(day(11, 1).timestamp())}",
    subscription_id="clerk:csub_item_ScripPro01",
    plan_names=("cplan_ScripPro", "pro"),
    start=day(11, 1),
    end=day(12, 1),
    money=2000,
    currency="usd",
)


def translated(name: str, of: str = "data", **changes: Any) -> tuple[Fact, ...]:
    return examples.sample(Provider.CLERK, name, of=of, **changes)


def periods(name: str, **changes: Any) -> list[Fact]:
    return [fact for fact in translated(name, **changes) if isinstance(fact, PeriodPaid)]


def status_in(name: str, **changes: Any) -> SubscriptionUpdated:
    (fact,) = (
        fact for fact in translated(name, **changes) if isinstance(fact, SubscriptionUpdated)
    )
    return fact


def test_a_user_is_an_account_with_the_addresses_that_are_verified() -> None:
    created = UserCreated(account_id=USER, emails=("alice@example.com",))
    assert translated("user_created") == (created,)
    updated = examples.body(Provider.CLERK, "user_created") | {"type": "user.updated"}
    assert examples.translated(Provider.CLERK, updated) == (created,)


def test_a_deleted_user_is_deleted() -> None:
    assert translated("user_deleted") == (UserDeleted(account_id=USER),)


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
    assert isinstance(december, PeriodPaid)
    assert (december.start, december.end) == (day(12, 1), day(1, 1))
    assert december.payment_id != NOVEMBER.payment_id
    assert december.subscription_id == NOVEMBER.subscription_id


def test_a_free_plan_is_ignored() -> None:
    for plan in ({"is_default": False}, {"is_default": True, "amount": 100}):
        with pytest.raises(IgnoredError, match="costs money"):
            translated("subscription_item_free", of="data.plan", **plan)
    with pytest.raises(IgnoredError):
        translated("subscription_item_free", plan=None)


def test_a_trial_is_a_period_that_costs_nothing() -> None:
    (trial,) = periods("subscription_item_trial")
    assert isinstance(trial, PeriodPaid)
    assert (trial.money, trial.end) == (0, day(11, 8))


def test_an_item_that_has_not_started_is_ignored() -> None:
    for status in ("upcoming", "incomplete", "abandoned"):
        with pytest.raises(IgnoredError, match="has started"):
            translated("subscription_item_upcoming", status=status)


def test_only_an_active_item_is_paid_for() -> None:
    for name in ("past_due", "canceled", "ended"):
        assert periods(f"subscription_item_{name}") == []


def test_a_canceled_item_has_not_ended() -> None:
    for name, ended in (("past_due", False), ("canceled", False), ("ended", True)):
        fact = status_in(f"subscription_item_{name}")
        assert (fact.status, fact.ended) == (name, ended)


def test_a_failed_payment_is_ignored() -> None:
    with pytest.raises(IgnoredError, match="the payment is failed"):
        translated("payment_attempt_failed")


def test_an_organization_is_named_so_that_it_can_be_linked() -> None:
    payer = {"id": "cpayer_1", "organization_id": "org_1"}
    assert status_in("subscription_item_active", payer=payer).names == (
        "clerk:csub_item_ScripPro01",
        "clerk:org_1",
        "clerk:cpayer_1",
    )


def test_a_missing_field_is_named() -> None:
    with pytest.raises(PayloadError, match="csub_item_ScripPro01 has no period_end"):
        translated("subscription_item_active", period_end=None)
    with pytest.raises(PayloadError, match=r"data\.payer: Field required"):
        examples.translated(
            Provider.CLERK, {"type": "subscription.active", "timestamp": 1, "data": {"items": []}}
        )
