"""The facts in each of Polar's events."""

from typing import Any

import pytest

from scrip.domain.errors import PayloadError
from scrip.domain.payments import RefundStatus
from scrip.webhooks.facts import (
    ChargeRefunded,
    CustomerLinked,
    Fact,
    Linked,
    PaidLine,
    PeriodPaid,
    Purchased,
    Refunded,
    SubscriptionUpdated,
    Unclear,
)
from scrip.webhooks.messages import IgnoredError
from scrip.webhooks.providers import Provider
from tests.unit.webhooks import examples
from tests.unit.webhooks.examples import ALICE, day, named

UUID = "a1b2c3d4-0000-4000-8000-000000000"
ACCOUNT, EMAIL = f"account:{ALICE}", "email:alice@example.com"
CUSTOMER, SUBSCRIPTION = f"polar:{UUID}0c1", f"polar:{UUID}0f1"
ORDER = f"polar:{UUID}101"
PRO = (f"{UUID}0b1", f"{UUID}0e9")


def translated(name: str, of: str = "data", **changes: Any) -> Fact:
    (fact,) = examples.sample(Provider.POLAR, name, of=of, **changes)
    return fact


def bought(of: str, metadata: dict[str, Any]) -> int:
    fact = translated("order_paid", of=of, metadata=metadata)
    assert isinstance(fact, Purchased)
    return fact.credits


def test_a_paid_order_of_credits_is_a_purchase() -> None:
    assert translated("order_paid") == Purchased(
        names=named(accounts=ACCOUNT, customers=CUSTOMER, typed=EMAIL),
        payment_id=ORDER,
        credits=500,
        money=1000,  # without tax, as refunds are
        currency="usd",
    )


def test_metadata_that_visitors_write_sets_no_credits_and_names_an_account_like_an_address() -> (
    None
):
    assert bought("data.product", {"credits": "700"}) == 700
    assert bought("data", {"credits": 10**12}) == 500
    order = examples.body(Provider.POLAR, "order_paid")
    order["data"]["metadata"] = {"account_id": "bob", "credits": "many"}
    (fact,) = examples.translated(Provider.POLAR, order)
    assert isinstance(fact, Purchased)
    assert (fact.names.accounts, fact.names.typed) == ((ACCOUNT,), ("account:bob", EMAIL))
    order["data"]["product"] = None
    order["data"]["metadata"] = {"credits": "300"}
    with pytest.raises(IgnoredError, match="names no credits"):
        examples.translated(Provider.POLAR, order)


def test_an_order_without_credits_is_ignored() -> None:
    with pytest.raises(IgnoredError, match="names no credits"):
        translated("order_paid", of="data.product", metadata={})
    for worth in (0, 1.5, True, "many"):
        with pytest.raises(PayloadError, match=r"data\.product\.metadata\.credits"):
            translated("order_paid", of="data.product", metadata={"credits": worth})


def test_a_paid_order_of_a_subscription_is_a_period_paid() -> None:
    assert translated("order_paid_subscription") == PeriodPaid(
        names=named(accounts=ACCOUNT, subscriptions=SUBSCRIPTION, customers=CUSTOMER, typed=EMAIL),
        payment_id=f"polar:{UUID}201",
        subscription_id=SUBSCRIPTION,
        lines=(PaidLine(plan_names=PRO, start=day(11, 1), end=day(12, 1)),),
        money=2000,
        currency="usd",
    )
    with pytest.raises(PayloadError, match=r"data\.subscription: missing"):
        translated("order_paid_subscription", subscription=None)


def paid_line(**changes: Any) -> PaidLine:
    fact = translated("order_paid_subscription", **changes)
    assert isinstance(fact, PeriodPaid)
    (line,) = fact.lines
    return line


def test_seats_multiply_and_none_give_nothing() -> None:
    assert paid_line(seats=5).quantity == 5
    order = examples.body(Provider.POLAR, "order_paid_subscription")
    order["data"]["subscription"]["seats"] = 3
    (fact,) = examples.translated(Provider.POLAR, order)
    assert isinstance(fact, PeriodPaid)
    assert fact.lines[0].quantity == 3
    assert isinstance(translated("order_paid_subscription", seats=0), Linked)


def test_an_order_for_a_change_pays_for_the_rest_of_the_period() -> None:
    prorations = [
        {"amount": -500, "proration": True, "product_price_id": "price_basic"},
        {"amount": 1000, "proration": True, "product_price_id": "price_pro"},
    ]
    change = {"billing_reason": "subscription_update", "created_at": "2026-11-16T00:00:00Z"}
    rest = paid_line(**change, items=prorations)
    assert (rest.start, rest.end, rest.prorated) == (day(11, 16), day(12, 1), True)
    assert rest.plan_names == (PRO[0], "price_pro")
    # A renewal may bring prorations of the period before; only the new period has dates.
    renewal = [*prorations, {"amount": 2000, "product_price_id": "price_pro"}]
    for reason in ("subscription_cycle", "subscription_update"):
        whole = paid_line(**change | {"billing_reason": reason}, items=renewal)
        assert (whole.start, whole.prorated) == (day(11, 1), False)


def test_an_order_that_credits_more_than_it_charges_costs_nothing() -> None:
    prorations = [{"amount": -1000, "proration": True}, {"amount": 500, "proration": True}]
    change = {"billing_reason": "subscription_update", "created_at": "2026-11-16T00:00:00Z"}
    downgrade = translated("order_paid_subscription", net_amount=-500, items=prorations, **change)
    assert isinstance(downgrade, PeriodPaid)
    assert (downgrade.money, downgrade.lines[0].start) == (0, day(11, 16))


def test_a_refunded_order_states_the_total_and_a_refund_its_own_money() -> None:
    total = ChargeRefunded(payment_ids=(ORDER,), total=400)
    assert translated("order_refunded") == total
    for status, meaning in (
        ("pending", RefundStatus.PENDING),
        ("succeeded", RefundStatus.SUCCEEDED),
        ("failed", RefundStatus.FAILED),
        ("canceled", RefundStatus.FAILED),
    ):
        assert translated("refund_created", status=status) == Refunded(
            payment_ids=(ORDER,), refund_id=f"polar:{UUID}301", money=400, status=meaning
        )
    assert isinstance(translated("refund_created", status="reversed"), Unclear)


def test_a_subscription_has_ended_when_it_is_revoked() -> None:
    for name, status, ended, at in (
        ("active", "active", False, day(11, 1, 3)),
        ("canceled", "active", False, day(11, 20, 0.5)),  # for the period's end
        ("revoked", "canceled", True, day(12, 1, 1)),
    ):
        assert translated(f"subscription_{name}") == SubscriptionUpdated(
            names=named(
                accounts=ACCOUNT, subscriptions=SUBSCRIPTION, customers=CUSTOMER, typed=EMAIL
            ),
            subscription_id=SUBSCRIPTION,
            status=status,
            ended=ended,
            at=at,
        )
    revoked = translated("subscription_revoked", status="active")
    assert isinstance(revoked, SubscriptionUpdated)
    assert revoked.ended


def test_a_customer_is_linked_to_the_account_of_its_external_id() -> None:
    names = named(accounts=ACCOUNT, customers=CUSTOMER, typed=EMAIL)
    assert translated("customer_created") == CustomerLinked(names=names)
    with pytest.raises(IgnoredError, match="no external_id"):
        translated("customer_created", external_id=None)
