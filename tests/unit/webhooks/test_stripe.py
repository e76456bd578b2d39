"""The facts in each of Stripe's events, in both shapes of its API."""

from typing import Any

import pytest

from scrip.domain.errors import PayloadError
from scrip.domain.naming import Names
from scrip.domain.payments import DisputeOutcome, RefundStatus
from scrip.webhooks.facts import (
    ChargeRefunded,
    CustomerLinked,
    Disputed,
    Fact,
    Linked,
    PaidLine,
    PaymentNamed,
    PeriodPaid,
    Purchased,
    Refunded,
    SubscriptionUpdated,
    Unclear,
)
from scrip.webhooks.messages import IgnoredError
from scrip.webhooks.providers import Provider, facts_of
from tests.unit.webhooks import examples
from tests.unit.webhooks.examples import ALICE, day, named

OLD = "_before_2025_03_31"
BOTH = ("", OLD)

ACCOUNT, CUSTOMER, SUBSCRIPTION, EMAIL = (
    f"account:{ALICE}",
    "stripe:cus_ScripAlice01",
    "stripe:sub_ScripPro01",
    "email:alice@example.com",
)
SUBSCRIBER = named(accounts=ACCOUNT, subscriptions=SUBSCRIPTION, customers=CUSTOMER, typed=EMAIL)
ITEM = "si_ScripPro01"
PRO = ("price_ScripPro", "prod_ScripPro")
BASIC = ("price_ScripBasic", "prod_ScripBasic")
PACK = ("stripe:pi_ScripPack01", "stripe:ch_ScripPack01")
OF_PACK: dict[str, Any] = {
    "payment_ids": PACK,
    "charge_id": "ch_ScripPack01",
    "currency": "usd",
}


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


def line(name: str, number: int = 0) -> Any:
    """Return a line of a sample, to be changed."""
    return examples.body(Provider.STRIPE, name)["data"]["object"]["lines"]["data"][number]


def lines(name: str, *changed: Any) -> tuple[PaidLine, ...]:
    """Return what a sample's invoice pays for, with other lines if some are given."""
    return period(name, **{"lines": {"data": changed}} if changed else {}).lines


PURCHASE = Purchased(
    names=named(accounts=ACCOUNT, customers=CUSTOMER, typed=EMAIL),
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


def test_the_account_is_named_by_metadata_then_reference_customer_and_email() -> None:
    assert purchased(metadata={"credits": "500", "account_id": ALICE}) == PURCHASE
    other = purchased(metadata={"credits": "500", "account_id": "other"})
    assert other.names.accounts == ("account:other", ACCOUNT)
    guest = purchased(
        client_reference_id=None,
        customer=None,
        customer_details=None,
        customer_email=" Bob@Example.com ",
    )
    assert guest.names == named(typed="email:bob@example.com")


def test_the_reference_of_a_payment_link_is_the_visitors_word() -> None:
    linked = purchased(payment_link="plink_1")
    assert linked.names == Names(customers=(CUSTOMER,), typed=(ACCOUNT, EMAIL))
    by_merchant = {"credits": "500", "account_id": ALICE}
    assert purchased(payment_link="plink_1", metadata=by_merchant).names.accounts == (ACCOUNT,)


def test_a_customer_may_name_its_account() -> None:
    linked = CustomerLinked(names=named(accounts=ACCOUNT, customers=CUSTOMER))
    assert translated("customer_updated") == linked
    for metadata in ({"colour": "blue"}, None):
        with pytest.raises(IgnoredError, match="names no account"):
            translated("customer_updated", metadata=metadata)


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
    assert setup == Linked(names=named(accounts=ACCOUNT, customers=CUSTOMER, typed=EMAIL))


@pytest.mark.parametrize("shape", BOTH)
def test_a_paid_invoice_pays_for_each_of_its_lines(shape: str) -> None:
    old = shape == OLD
    assert translated(f"invoice_paid{shape}") == PeriodPaid(
        names=SUBSCRIBER,
        payment_id="stripe:in_ScripPro01",
        also=("stripe:pi_ScripPro01", "stripe:ch_ScripPro01") if old else (),
        subscription_id=SUBSCRIPTION,
        lines=(
            PaidLine(
                item_id=ITEM,
                plan_names=(*PRO, "pro_monthly") if old else PRO,
                start=day(11, 1),
                end=day(12, 1),
            ),
        ),
        money=2000,
        currency="usd",
    )


@pytest.mark.parametrize("shape", BOTH)
def test_the_period_is_the_lines_and_never_the_invoices(shape: str) -> None:
    (december,) = lines(f"invoice_paid_renewal{shape}")  # the invoice says 1 November to 1 December
    assert (december.start, december.end) == (day(12, 1), day(1, 1))


@pytest.mark.parametrize("shape", BOTH)
def test_an_upgrade_credits_the_rest_of_one_plan_and_pays_for_the_rest_of_another(
    shape: str,
) -> None:
    basic, pro = lines(f"invoice_paid_upgrade{shape}")
    assert (basic.plan_names[:2], basic.credited, basic.prorated) == (BASIC, True, True)
    assert (pro.plan_names[:2], pro.credited, pro.prorated) == (PRO, False, True)
    for rest in (basic, pro):
        assert (rest.start, rest.end) == (day(11, 16), day(12, 1))


@pytest.mark.parametrize("shape", BOTH)
def test_a_renewal_with_prorations_pays_for_both_periods(shape: str) -> None:
    *_, renewal = sorted(
        lines(f"invoice_paid_renewal_with_prorations{shape}"), key=lambda one: one.start
    )
    assert (renewal.plan_names[:2], renewal.prorated) == (PRO, False)
    assert (renewal.start, renewal.end) == (day(12, 1), day(1, 1))


def test_the_item_of_a_line_is_its_subscription_item_or_else_its_price() -> None:
    old = line(f"invoice_paid_upgrade{OLD}", 1)
    assert lines(f"invoice_paid{OLD}", old)[0].item_id == ITEM
    new = line("invoice_paid_upgrade", 1)
    assert lines("invoice_paid", new)[0].item_id == "price:price_ScripPro"
    flexible = line("invoice_paid")
    flexible["parent"]["subscription_item_details"]["proration"] = True
    (rest,) = lines("invoice_paid", flexible)
    assert (rest.item_id, rest.prorated) == (ITEM, True)


def test_seats_add_ons_and_mixed_intervals_are_lines_of_their_own() -> None:
    seats = line("invoice_paid") | {"quantity": 5, "amount": 10_000}
    year = line("invoice_paid") | {"period": {"start": 1793491200, "end": 1825027200}}
    year["parent"]["subscription_item_details"]["subscription_item"] = "si_Year"
    year["pricing"] = {"price_details": {"price": "price_Year", "product": "prod_Year"}}
    pro, add_on = lines("invoice_paid", seats, year)
    assert (pro.plan_names, pro.quantity, pro.end) == (PRO, 5, day(12, 1))
    assert (add_on.item_id, add_on.plan_names) == ("si_Year", ("price_Year", "prod_Year"))
    assert (add_on.quantity, (add_on.end - add_on.start).days) == (1, 365)


def test_more_seats_in_the_middle_of_a_period_credit_the_former_number() -> None:
    former, now = lines("invoice_paid_seats")
    assert (former.quantity, former.credited) == (5, True)
    assert (now.quantity, now.credited, now.prorated) == (8, False, True)
    assert former.plan_names == now.plan_names


def test_no_seats_no_time_or_no_price_give_nothing() -> None:
    nothing = line("invoice_paid")
    for changes in (
        {"quantity": 0},
        {"period": {"start": 1793491200, "end": 1793491200}},
        {"pricing": None},
        {"amount": -500},  # neither a charge nor a proration
    ):
        linked = translated("invoice_paid", lines={"data": [nothing | changes]})
        assert linked == Linked(names=SUBSCRIBER), changes
    assert lines("invoice_paid", nothing | {"quantity": None})[0].quantity == 1


def test_a_credit_for_time_that_cost_nothing_is_known_by_what_it_credits() -> None:
    trial = line("invoice_paid_upgrade", 1) | {"amount": 0}
    assert not lines("invoice_paid", trial)[0].credited
    details = trial["parent"]["invoice_item_details"]
    details["proration_details"] = {"credited_items": {"invoice": "in_1"}}
    assert lines("invoice_paid", trial)[0].credited


def test_a_trial_is_a_period_that_costs_nothing() -> None:
    free = {"data": [line("invoice_paid") | {"amount": 0}]}
    trial = period("invoice_paid", total=0, amount_paid=0, lines=free)
    assert (trial.money, trial.lines[0].end) == (0, day(12, 1))


@pytest.mark.parametrize("shape", BOTH)
@pytest.mark.parametrize(
    ("changes", "price"),
    [
        ({"starting_balance": -1500, "amount_due": 500, "amount_paid": 500}, 2000),
        ({"starting_balance": -2000, "amount_due": 0, "amount_paid": 0}, 2000),
        ({"starting_balance": 700, "amount_due": 2700, "amount_paid": 2700}, 2000),
        ({"pre_payment_credit_notes_amount": 400, "amount_paid": 1600}, 1600),
        ({"pre_payment_credit_notes_amount": None}, 2000),
        ({"total": -500, "amount_paid": 0}, 0),
        ({"total": None, "amount_paid": 500}, 500),
    ],
)
def test_the_price_of_an_invoice_is_what_was_owed_for_it_whoever_paid_which_part(
    shape: str,
    changes: dict[str, Any],
    price: int,
) -> None:
    assert period(f"invoice_paid{shape}", **changes).money == price


def test_the_price_that_the_payer_saw_is_that_of_all_of_an_invoice() -> None:
    seen = {"presentment_amount": 460, "presentment_currency": "EUR"}  # of the card's quarter
    assert period("invoice_paid", amount_paid=500, presentment_details=seen).presented_money == 1840
    assert period("invoice_paid", amount_paid=0, presentment_details=seen).presented_money == 0


def test_an_invoice_without_a_subscription_belongs_to_that_of_its_lines() -> None:
    assert period("invoice_paid", parent=None).subscription_id == SUBSCRIPTION
    other = line("invoice_paid")
    other["parent"]["subscription_item_details"]["subscription"] = "sub_2"
    changes = {"parent": None, "lines": {"data": [line("invoice_paid"), other]}}
    paid, unclear = examples.sample(Provider.STRIPE, "invoice_paid", of="data.object", **changes)
    assert isinstance(paid, PeriodPaid)
    assert (paid.subscription_id, len(paid.lines)) == (SUBSCRIPTION, 1)
    assert unclear == Unclear(reason="it has lines of other subscriptions, too: sub_2")


@pytest.mark.parametrize("shape", BOTH)
def test_a_fee_on_a_subscriptions_invoice_is_no_period(shape: str) -> None:
    fee = line(f"invoice_paid_upgrade{shape}", 1)
    if shape == OLD:
        fee["proration"] = False
    else:
        fee["parent"]["invoice_item_details"]["proration"] = False
    assert translated(f"invoice_paid{shape}", lines={"data": [fee]}) == Linked(names=SUBSCRIBER)


def test_an_invoice_without_a_subscription_is_ignored() -> None:
    nothing: dict[str, Any] = {"lines": {"data": []}, "parent": None, "subscription": None}
    for shape in BOTH:
        with pytest.raises(IgnoredError, match="not for a subscription"):
            translated(f"invoice_paid{shape}", **nothing)


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
        names=named(accounts=ACCOUNT, subscriptions=SUBSCRIPTION, customers=CUSTOMER),
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


def test_an_unknown_status_of_a_subscription_is_kept_and_reported() -> None:
    updated, unclear = examples.sample(
        Provider.STRIPE, "subscription_updated", of="data.object", status="suspended"
    )
    assert isinstance(updated, SubscriptionUpdated)
    assert (updated.status, updated.ended) == ("suspended", False)
    assert unclear == Unclear(
        reason="the subscription's status is suspended, which Scrip does not know"
    )


def test_an_unknown_type_of_a_line_is_reported_beside_what_is_known() -> None:
    new = line("invoice_paid") | {"parent": {"type": "license_fee_details"}}
    both = {"data": [line("invoice_paid"), new, new]}
    paid, unclear = examples.sample(Provider.STRIPE, "invoice_paid", of="data.object", lines=both)
    assert isinstance(paid, PeriodPaid)
    assert len(paid.lines) == 1
    assert unclear == Unclear(
        reason="the type of a line is license_fee_details, which Scrip does not know"
    )


def test_an_unknown_mode_of_a_checkout_links_and_is_reported() -> None:
    linked, unclear = examples.sample(
        Provider.STRIPE, "checkout_payment", of="data.object", mode="donation"
    )
    assert linked == Linked(names=named(accounts=ACCOUNT, customers=CUSTOMER, typed=EMAIL))
    assert isinstance(unclear, Unclear)
    assert isinstance(translated("checkout_payment", payment_status="escrowed"), Unclear)


def test_the_price_that_the_payer_saw_in_another_currency_is_kept() -> None:
    seen = {"presentment_amount": 920, "presentment_currency": "EUR"}
    bought = purchased(presentment_details=seen)
    assert (bought.presented_money, bought.presented_currency) == (920, "eur")


def test_a_refunded_charge_states_its_total_so_far() -> None:
    partly = ChargeRefunded(**OF_PACK, charged=1000, total=400)
    assert translated("charge_refunded_partly") == partly
    fully = ChargeRefunded(**OF_PACK, charged=1000, total=1000)
    assert translated("charge_refunded_fully") == fully


def test_two_charges_of_an_invoice_have_totals_of_their_own() -> None:
    totals = [
        translated("charge_refunded_fully", id=charge, payment_intent=intent)
        for charge, intent in (("ch_1", "pi_1"), ("ch_2", "pi_2"))
    ]
    assert [fact.charge_id for fact in totals if isinstance(fact, ChargeRefunded)] == [
        "ch_1",
        "ch_2",
    ]


@pytest.mark.parametrize("shape", BOTH)
def test_a_refunded_charge_names_its_invoice_where_it_can(shape: str) -> None:
    refunded = translated(f"charge_refunded_of_invoice{shape}")
    assert isinstance(refunded, ChargeRefunded)
    assert ("stripe:in_ScripPro01" in refunded.payment_ids) is (shape == OLD)
    assert refunded.payment_ids[0] == "stripe:pi_ScripPro01"


def test_a_refund_has_a_status_whichever_event_tells_it() -> None:
    for status, meaning in (
        ("pending", RefundStatus.PENDING),
        ("requires_action", RefundStatus.REQUIRES_ACTION),
        ("succeeded", RefundStatus.SUCCEEDED),
        (None, RefundStatus.SUCCEEDED),
        ("failed", RefundStatus.FAILED),
        ("canceled", RefundStatus.FAILED),
    ):
        refund = Refunded(**OF_PACK, refund_id="stripe:re_ScripPack01", money=400, status=meaning)
        payload = examples.body(Provider.STRIPE, "refund_created")
        payload["data"]["object"]["status"] = status
        for type_ in ("refund.created", "refund.updated", "refund.failed", "charge.refund.updated"):
            assert examples.translated(Provider.STRIPE, payload | {"type": type_}) == (refund,)
    assert isinstance(translated("refund_created", status="reversed"), Unclear)


def dispute(type_: str, status: str, **changes: Any) -> tuple[Fact, ...]:
    payload = examples.body(Provider.STRIPE, "dispute_created") | {
        "type": f"charge.dispute.{type_}"
    }
    payload["data"]["object"] |= {"status": status, **changes}
    return examples.translated(Provider.STRIPE, payload)


@pytest.mark.parametrize(
    ("type_", "status", "outcome"),
    [
        ("created", "needs_response", DisputeOutcome.OPEN),
        ("created", "prevented", DisputeOutcome.WON),
        ("updated", "under_review", DisputeOutcome.OPEN),
        ("funds_withdrawn", "needs_response", DisputeOutcome.OPEN),
        ("closed", "won", DisputeOutcome.WON),
        ("closed", "lost", DisputeOutcome.LOST),
        ("closed", "prevented", DisputeOutcome.WON),
        ("closed", "warning_closed", DisputeOutcome.WON),
        ("closed", "charge_refunded", DisputeOutcome.WON),
        ("updated", "appeal_under_review", DisputeOutcome.LOST),
        ("funds_reinstated", "won", DisputeOutcome.WON),
        ("funds_reinstated", "lost", DisputeOutcome.WON),
    ],
)
def test_a_dispute_is_open_won_or_lost(type_: str, status: str, outcome: DisputeOutcome) -> None:
    (fact,) = dispute(type_, status, amount=250)
    assert fact == Disputed(
        **OF_PACK, dispute_id="stripe:du_ScripPack01", outcome=outcome, money=250
    )


def test_an_inquiry_has_not_moved_any_money() -> None:
    for status in ("warning_needs_response", "warning_under_review"):
        with pytest.raises(IgnoredError, match="inquiry"):
            dispute("created", status)


def test_an_unknown_status_of_a_dispute_is_reported_and_freezes_nothing() -> None:
    (unclear,) = dispute("created", "arbitrated")
    assert unclear == Unclear(
        reason="the dispute's status is arbitrated, which Scrip does not know"
    )
    for status in ("arbitrated", "under_review"):  # the latter is no status of a closed one
        disputed, unclear = dispute("closed", status)
        assert isinstance(disputed, Disputed)
        assert (disputed.outcome, type(unclear)) == (DisputeOutcome.WON, Unclear)


def test_a_lost_dispute_of_which_some_money_came_back_is_lost() -> None:
    some = [{"amount": -1000}, {"amount": 400}]
    (fact,) = dispute("funds_reinstated", "lost", balance_transactions=some)
    assert isinstance(fact, Disputed)
    assert fact.outcome is DisputeOutcome.LOST


def test_a_disputes_whole_charge_names_its_invoice_and_its_amount() -> None:
    charge = {
        "id": "ch_ScripPack01",
        "invoice": "in_1",
        "payment_intent": "pi_ScripPack01",
        "amount": 1000,
        "currency": "usd",
    }
    disputed = translated("dispute_created", charge=charge)
    assert isinstance(disputed, Disputed)
    assert set(disputed.payment_ids) == {*PACK, "stripe:in_1"}
    assert disputed.charged == 1000


PROD = {"STAGE": "prod", "STRIPE_CONNECTED_ACCOUNTS": "acct_a,acct_own"}


@pytest.mark.parametrize("stage", [PROD], indirect=True)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"livemode": False}, "test mode"),
        ({"livemode": True, "account": "acct_other"}, "connected account acct_other"),
        ({"livemode": False, "account": "acct_own"}, "test mode"),
        ({"livemode": True, "account": "acct_own"}, None),
        ({"livemode": True}, None),
    ],
)
def test_outside_dev_only_the_stacks_own_business_counts(
    changes: dict[str, Any],
    reason: str | None,
) -> None:
    payload = examples.body(Provider.STRIPE, "checkout_payment") | changes
    if reason is None:
        assert examples.translated(Provider.STRIPE, payload) == (PURCHASE,)
    else:
        with pytest.raises(IgnoredError, match=reason):
            examples.translated(Provider.STRIPE, payload)


def test_on_dev_tests_and_connected_accounts_count() -> None:
    payload = examples.body(Provider.STRIPE, "checkout_payment")
    elsewhere = payload | {"livemode": False, "account": "acct_other"}
    assert examples.translated(Provider.STRIPE, elsewhere) == (PURCHASE,)


def test_a_missing_field_is_named_by_its_path() -> None:
    with pytest.raises(PayloadError) as refused:
        translated("invoice_paid", lines={"data": [{"amount": 1, "period": {"end": 2}}]})
    where = "data.object.lines.data.0.period.start"
    assert refused.value.reason == f"{where}: Field required"
    with pytest.raises(PayloadError) as refused:
        translated("invoice_paid", of="data", object=None)
    assert refused.value.reason.startswith("data.object: ")


def test_a_period_starts_in_this_century_and_ends_after_it_starts() -> None:
    period = "data.object.lines.data.0.period"
    with pytest.raises(PayloadError, match="a period's start"):
        translated("invoice_paid", of=period, start=0)
    with pytest.raises(PayloadError, match="a period's end"):
        translated("invoice_paid", of=period, start=1_600_000_001, end=1_600_000_000)
