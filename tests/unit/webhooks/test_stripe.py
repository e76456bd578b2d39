"""The facts in each of Stripe's events, in both shapes of its API."""

from typing import Any

import pytest

from scrip.domain.errors import PayloadError
from scrip.domain.payments import DisputeOutcome
from scrip.webhooks.facts import (
    Disputed,
    Fact,
    Linked,
    MoneyReturned,
    PaymentNamed,
    PeriodPaid,
    Purchased,
    SubscriptionUpdated,
)
from scrip.webhooks.messages import IgnoredError
from scrip.webhooks.providers import Provider, facts_of
from tests.unit.webhooks import examples
from tests.unit.webhooks.examples import ALICE, day

OLD = "_before_2025_03_31"
BOTH = ("", OLD)

ACCOUNT, CUSTOMER, SUBSCRIPTION, EMAIL = (
    f"account:{ALICE}",
    "stripe:cus_ScripAlice01",
    "stripe:sub_ScripPro01",
    "email:alice@example.com",
)
SUBSCRIBER = (ACCOUNT, SUBSCRIPTION, CUSTOMER, EMAIL)
PRO = ("price_ScripPro", "prod_ScripPro")
PACK = ("stripe:pi_ScripPack01", "stripe:ch_ScripPack01")


def translated(name: str, of: str = "data.object", **changes: Any) -> Fact:
    (fact,) = examples.sample(Provider.STRIPE, name, of=of, **changes)
    return fact


def purchased(**changes: Any) -> Purchased:
    fact = translated("checkout_payment", **changes)
    assert isinstance(fact, Purchased)
    return fact


def period(name: str, **changes: Any) -> PeriodPaid:
    fact = translated(name, **changes)
    assert isinstance(fact, PeriodPaid)
    return fact


PURCHASE = Purchased(
    names=(ACCOUNT, CUSTOMER, EMAIL),
    payment_id="stripe:pi_ScripPack01",
    credits=500,
    money=1000,
    currency="usd",
)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("invoice_paid", ("data", "object", "parent")),
        ("invoice_paid", ("data", "object", "parent", "subscription_details")),
        ("invoice_paid", ("data", "object", "lines", "data", 0, "parent")),
        ("invoice_paid", ("data", "object", "lines", "data", 0, "pricing")),
        ("checkout_payment", ("data", "object", "metadata")),
        ("invoice_payment_paid", ("data", "object", "payment")),
    ],
)
@pytest.mark.parametrize("broken", ["x", 5, [], True])
def test_a_part_that_is_no_object_makes_the_message_unreadable(
    name: str,
    path: tuple[str | int, ...],
    broken: object,
) -> None:
    payload = examples.body(Provider.STRIPE, name)
    *parents, last = path
    part: Any = payload
    for step in parents:
        part = part[step]
    part[last] = broken
    with pytest.raises(PayloadError):
        facts_of(examples.message(Provider.STRIPE, payload))


def test_a_paid_checkout_is_a_purchase() -> None:
    assert purchased() == PURCHASE
    assert purchased(payment_status="no_payment_required") == PURCHASE


def test_a_checkout_that_is_paid_later_is_a_purchase_then() -> None:
    with pytest.raises(IgnoredError, match="payment_status is unpaid"):
        translated("checkout_payment_unpaid")
    paid = translated("checkout_payment_async_succeeded")
    assert isinstance(paid, Purchased)
    assert paid.payment_id == "stripe:pi_ScripPack02"


def test_a_free_checkout_has_no_payment_and_goes_by_its_session() -> None:
    free = purchased(payment_intent=None, amount_total=0, payment_status="no_payment_required")
    assert (free.payment_id, free.money) == ("stripe:cs_test_ScripPack01", 0)


def test_the_account_is_named_by_reference_then_metadata_customer_and_email() -> None:
    assert purchased(metadata={"credits": "500", "account_id": ALICE}) == PURCHASE
    other = purchased(metadata={"credits": "500", "account_id": "other"})
    assert other.names == (ACCOUNT, "account:other", CUSTOMER, EMAIL)
    guest = purchased(
        client_reference_id=None,
        customer=None,
        customer_details=None,
        customer_email=" Bob@Example.com ",
    )
    assert guest.names == ("email:bob@example.com",)


def test_an_expanded_object_is_read_like_its_id() -> None:
    expanded = {"customer": {"id": "cus_ScripAlice01"}, "payment_intent": {"id": "pi_ScripPack01"}}
    assert purchased(**expanded) == PURCHASE


def test_a_purchase_without_credits_is_ignored() -> None:
    for metadata in ({}, None, {"colour": "blue"}):
        with pytest.raises(IgnoredError, match="names no credits"):
            purchased(metadata=metadata)


def test_credits_are_digits_from_1_to_10_to_the_12() -> None:
    for text, bought in (("1", 1), ("1000000000000", 10**12)):
        assert purchased(metadata={"credits": text}).credits == bought
    for text in ("0", "1000000000001", "-5", "5.0", "1e3", " 5", "five", "", "\u0665", "9" * 5000):
        with pytest.raises(PayloadError) as refused:
            purchased(metadata={"credits": text})
        assert refused.value.reason.startswith("data.object.metadata.credits: ")


def test_a_checkout_of_a_subscription_links_and_pays_nothing() -> None:
    assert translated("checkout_subscription") == Linked(names=SUBSCRIBER)
    setup = translated("checkout_subscription", mode="setup", subscription=None)
    assert setup == Linked(names=(ACCOUNT, CUSTOMER, EMAIL))


@pytest.mark.parametrize("shape", BOTH)
def test_a_paid_invoice_is_a_period_paid(shape: str) -> None:
    old = shape == OLD
    assert translated(f"invoice_paid{shape}") == PeriodPaid(
        names=SUBSCRIBER,
        payment_id="stripe:in_ScripPro01",
        also=("stripe:pi_ScripPro01", "stripe:ch_ScripPro01") if old else (),
        subscription_id=SUBSCRIPTION,
        plan_names=(*PRO, "pro_monthly") if old else PRO,
        start=day(11, 1),
        end=day(12, 1),
        money=2000,
        currency="usd",
    )


@pytest.mark.parametrize("shape", BOTH)
def test_the_period_is_the_lines_and_never_the_invoices(shape: str) -> None:
    december = period(f"invoice_paid_renewal{shape}")  # the invoice says 1 November to 1 December
    assert (december.start, december.end) == (day(12, 1), day(1, 1))


@pytest.mark.parametrize("shape", BOTH)
def test_an_upgrade_pays_what_is_left_of_the_period_on_the_new_plan(shape: str) -> None:
    upgrade = period(f"invoice_paid_upgrade{shape}")
    assert upgrade.plan_names[:2] == PRO
    assert (upgrade.start, upgrade.end) == (day(11, 16), day(12, 1))
    assert upgrade.money == 500


@pytest.mark.parametrize("shape", BOTH)
def test_prorations_of_the_period_before_do_not_hide_the_new_one(shape: str) -> None:
    renewal = period(f"invoice_paid_renewal_with_prorations{shape}")
    assert renewal.plan_names[:2] == PRO
    assert (renewal.start, renewal.end) == (day(12, 1), day(1, 1))


def test_all_items_of_a_subscription_may_name_the_plan() -> None:
    lines = examples.body(Provider.STRIPE, "invoice_paid")["data"]["object"]["lines"]["data"]
    price = {"id": "price_Seats", "product": "prod_Seats", "lookup_key": "seats"}
    seats = {
        **lines[0],
        "amount": 500,
        "pricing": {"price_details": {"price": price, "product": "prod_Seats"}},
    }
    both = period("invoice_paid", lines={"data": [seats, *lines]})
    assert both.plan_names == (*PRO, "price_Seats", "prod_Seats", "seats")


def test_a_trial_is_a_period_that_costs_nothing() -> None:
    lines = examples.body(Provider.STRIPE, "invoice_paid")["data"]["object"]["lines"]["data"]
    trial = period("invoice_paid", amount_paid=0, lines={"data": [{**lines[0], "amount": 0}]})
    assert (trial.money, trial.end) == (0, day(12, 1))


@pytest.mark.parametrize("shape", BOTH)
def test_a_fee_on_a_subscriptions_invoice_is_no_period(shape: str) -> None:
    lines = examples.body(Provider.STRIPE, f"invoice_paid_upgrade{shape}")
    fee = lines["data"]["object"]["lines"]["data"][1]
    if shape == OLD:
        fee["proration"] = False
    else:
        fee["parent"]["invoice_item_details"]["proration"] = False
    assert translated(f"invoice_paid{shape}", lines={"data": [fee]}) == Linked(names=SUBSCRIBER)


def test_an_invoice_without_a_subscription_is_ignored() -> None:
    with pytest.raises(IgnoredError, match="not for a subscription"):
        translated("invoice_paid", parent=None)
    with pytest.raises(IgnoredError, match="not for a subscription"):
        translated(f"invoice_paid{OLD}", subscription=None)


def test_an_invoice_names_its_payments_where_they_are_expanded() -> None:
    payment = {"type": "payment_intent", "payment_intent": {"id": "pi_ScripPro01"}}
    named = period("invoice_paid", payments={"object": "list", "data": [{"payment": payment}]})
    assert named.also == ("stripe:pi_ScripPro01",)


def test_an_invoices_payment_names_it() -> None:
    assert translated("invoice_payment_paid") == PaymentNamed(
        payment_id="stripe:in_ScripPro01",
        also=("stripe:pi_ScripPro01",),
    )
    with pytest.raises(IgnoredError, match="outside of Stripe"):
        translated("invoice_payment_paid", payment={"type": "payment_record"})


@pytest.mark.parametrize("shape", BOTH)
def test_a_subscription_has_a_status(shape: str) -> None:
    created = SubscriptionUpdated(
        names=(ACCOUNT, SUBSCRIPTION, CUSTOMER),
        subscription_id=SUBSCRIPTION,
        status="incomplete",
        ended=False,
        at=day(11, 1, 2),
    )
    assert translated(f"subscription_created{shape}") == created
    # Both have the same second; the update counts as later.
    updated = translated(f"subscription_updated{shape}")
    assert isinstance(updated, SubscriptionUpdated)
    assert (updated.status, updated.ended, updated.at > created.at) == ("active", False, True)
    deleted = translated(f"subscription_deleted{shape}")
    assert isinstance(deleted, SubscriptionUpdated)
    assert (deleted.status, deleted.ended) == ("canceled", True)


def test_a_subscription_has_ended_when_it_will_not_be_paid_again() -> None:
    for status, ended in {
        "trialing": False,
        "active": False,
        "past_due": False,
        "paused": False,
        "canceled": True,
        "unpaid": True,
        "incomplete_expired": True,
    }.items():
        fact = translated("subscription_updated", status=status)
        assert isinstance(fact, SubscriptionUpdated)
        assert fact.ended is ended, status


def test_a_refunded_charge_states_the_total_so_far() -> None:
    partly = MoneyReturned(payment_ids=PACK, total=400)
    assert translated("charge_refunded_partly") == partly
    assert translated("charge_refunded_fully") == MoneyReturned(payment_ids=PACK, total=1000)


@pytest.mark.parametrize("shape", BOTH)
def test_a_refunded_charge_names_its_invoice_where_it_can(shape: str) -> None:
    refunded = translated(f"charge_refunded_of_invoice{shape}")
    assert isinstance(refunded, MoneyReturned)
    assert ("stripe:in_ScripPro01" in refunded.payment_ids) is (shape == OLD)
    assert refunded.payment_ids[0] == "stripe:pi_ScripPro01"


def test_a_refund_states_its_own_money_unless_it_failed() -> None:
    refund = MoneyReturned(
        payment_ids=PACK,
        refund_id="stripe:re_ScripPack01",
        money=400,
    )
    assert translated("refund_created") == refund
    assert translated("refund_created", status="pending") == refund
    for status in ("failed", "canceled"):
        with pytest.raises(IgnoredError):
            translated("refund_failed", status=status)


def test_a_dispute_is_open_won_or_lost() -> None:
    for name, status, outcome in (
        ("dispute_created", "needs_response", DisputeOutcome.OPEN),
        ("dispute_created", "warning_needs_response", DisputeOutcome.OPEN),
        ("dispute_closed_won", "won", DisputeOutcome.WON),
        ("dispute_closed_won", "warning_closed", DisputeOutcome.WON),
        ("dispute_closed_lost", "lost", DisputeOutcome.LOST),
    ):
        assert translated(name, status=status) == Disputed(
            payment_ids=PACK,
            dispute_id="stripe:du_ScripPack01",
            outcome=outcome,
            money=1000,
        )
    with pytest.raises(PayloadError, match="status"):
        translated("dispute_closed_won", status="under_review")


def test_a_disputes_whole_charge_names_its_invoice() -> None:
    charge = {"id": "ch_ScripPack01", "invoice": "in_1", "payment_intent": "pi_ScripPack01"}
    disputed = translated("dispute_created", charge=charge)
    assert isinstance(disputed, Disputed)
    assert set(disputed.payment_ids) == {*PACK, "stripe:in_1"}


def test_a_missing_field_is_named_by_its_path() -> None:
    lines = [{"amount": 1, "period": {"end": 2}}]
    with pytest.raises(PayloadError) as refused:
        translated("invoice_paid", lines={"data": lines})
    where = "data.object.lines.data.0.period.start"
    assert refused.value.reason == f"{where}: Field required"
    with pytest.raises(PayloadError) as refused:
        translated("invoice_paid", of="data", object=None)
    assert refused.value.reason.startswith("data.object: ")


def test_a_period_starts_in_this_century_and_ends_after_it_starts() -> None:
    period = "data.object.lines.data.0.period"
    with pytest.raises(PayloadError, match="a period's start"):
        translated("invoice_paid", of=period, start=0)
    for end in (1_600_000_000, 1_600_000_001):
        with pytest.raises(PayloadError, match="a period's end"):
            translated("invoice_paid", of=period, start=1_600_000_001, end=end)
