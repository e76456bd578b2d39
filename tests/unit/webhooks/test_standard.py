"""The facts in each type of Scrip's own payload."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from functions.webhook.signatures import verify
from scrip.domain.errors import PayloadError
from scrip.domain.payments import DisputeOutcome, RefundStatus
from scrip.webhooks.facts import (
    ChargeRefunded,
    CustomerLinked,
    Disputed,
    Fact,
    Linked,
    PaidLine,
    PeriodPaid,
    Purchased,
    Refunded,
    SubscriptionUpdated,
    UserCreated,
    UserDeleted,
)
from scrip.webhooks.providers import Provider, facts_of, read_message
from scrip.webhooks.standard import EVENTS
from tests import documentation
from tests.unit.webhooks import examples
from tests.unit.webhooks.examples import ALICE, SENT_AT, day, named

DOCUMENTATION = "docs/reference/webhooks.md"

ACCOUNT, EMAIL = f"account:{ALICE}", "email:alice@example.com"
CUSTOMER, SUBSCRIPTION = "standard:customer:alice-01", "standard:subscription:sub-01"
PAYMENT = ("standard:payment:pay-1001", "standard:invoice:pay-1001")


NOVEMBER = PaidLine(plan_names=("price_ScripPro",), start=day(11, 1), end=day(12, 1))
LINE = {
    "plan": "price_ScripPro",
    "period_start": "2026-11-01T00:00:00Z",
    "period_end": "2026-12-01T00:00:00Z",
}


def translated(name: str, of: str = "data", **changes: Any) -> Fact:
    (fact,) = examples.sample(Provider.STANDARD, name, of=of, **changes)
    return fact


def test_each_type_states_a_fact() -> None:
    assert translated("credits_purchased") == Purchased(
        names=named(accounts=ACCOUNT, customers=CUSTOMER, typed=EMAIL),
        payment_id="standard:payment:pay-1001",
        credits=500,
        money=1000,
        currency="usd",
    )
    assert translated("subscription_renewed") == PeriodPaid(
        names=named(subscriptions=SUBSCRIPTION, customers=CUSTOMER),
        payment_id="standard:invoice:inv-2001",
        also=("standard:payment:pay-1002",),
        subscription_id=SUBSCRIPTION,
        lines=(NOVEMBER,),
        money=2000,
        currency="usd",
    )
    total = ChargeRefunded(payment_ids=PAYMENT, total=400)
    assert translated("payment_refunded_total") == total
    assert translated("payment_refunded_once") == Refunded(
        payment_ids=PAYMENT,
        refund_id="standard:refund:ref-01",
        money=400,
        status=RefundStatus.SUCCEEDED,
    )
    created = UserCreated(account_id=ALICE, emails=("alice@example.com",))
    assert translated("user_created") == created
    assert translated("user_deleted") == UserDeleted(account_id=ALICE)
    assert translated("account_linked") == CustomerLinked(
        names=named(accounts=ACCOUNT, customers=CUSTOMER)
    )


def test_a_subscriptions_status_has_its_own_time_or_that_of_the_message() -> None:
    updated = SubscriptionUpdated(
        names=named(subscriptions=SUBSCRIPTION),
        subscription_id=SUBSCRIPTION,
        status="past_due",
        ended=False,
        at=day(11, 5),
    )
    assert translated("subscription_updated") == updated
    ended = translated("subscription_ended")  # sent 5 seconds after it happened
    assert isinstance(ended, SubscriptionUpdated)
    assert (ended.ended, ended.at) == (True, day(12, 1))
    attempted = translated("subscription_updated", of="", timestamp=None)
    assert isinstance(attempted, SubscriptionUpdated)
    assert attempted.at == SENT_AT


def test_a_dispute_is_open_won_or_lost() -> None:
    for outcome in DisputeOutcome:
        assert translated("payment_disputed", outcome=outcome) == Disputed(
            payment_ids=PAYMENT,
            dispute_id="standard:dispute:dis-01",
            outcome=outcome,
            money=1000,
        )


def renewed(of: str = "data", **changes: Any) -> PeriodPaid:
    fact = translated("subscription_renewed", of, **changes)
    assert isinstance(fact, PeriodPaid)
    return fact


def test_a_renewal_may_be_for_a_quantity_an_item_and_the_rest_of_a_period() -> None:
    changes: dict[str, Any] = {"quantity": 5, "item_id": "si-1", "prorated": True}
    assert renewed(**changes).lines == (replace(NOVEMBER, **changes),)
    nothing = translated("subscription_renewed", quantity=0)
    assert nothing == Linked(names=named(subscriptions=SUBSCRIPTION, customers=CUSTOMER))


def test_a_renewal_may_have_several_lines() -> None:
    rest: dict[str, Any] = {"item_id": "seats", "start": day(11, 16)}
    several = translated("subscription_renewed_lines")
    assert isinstance(several, PeriodPaid)
    assert several.lines == (
        replace(NOVEMBER, **rest, quantity=5, credited=True),
        replace(NOVEMBER, **rest, quantity=8, prorated=True),
    )


def test_lines_without_an_item_are_for_one_of_each_plan() -> None:
    payload = examples.body(Provider.STANDARD, "subscription_renewed_lines")
    for line, plan in zip(payload["data"]["lines"], ("basic", "pro"), strict=True):
        del line["item_id"]
        line["plan"] = plan
    (several,) = examples.translated(Provider.STANDARD, payload)
    assert isinstance(several, PeriodPaid)
    assert [line.item_id for line in several.lines] == ["plan:basic", "plan:pro"]


def test_a_refund_has_a_status() -> None:
    for status, meaning in (
        ("pending", RefundStatus.PENDING),
        ("succeeded", RefundStatus.SUCCEEDED),
        ("failed", RefundStatus.FAILED),
        ("canceled", RefundStatus.FAILED),
    ):
        refund = translated("payment_refunded_failed", status=status)
        assert isinstance(refund, Refunded)
        assert refund.status is meaning


def test_a_renewal_without_an_invoice_goes_by_its_payment() -> None:
    renewal = renewed(invoice_id=None)
    assert (renewal.payment_id, renewal.also) == ("standard:payment:pay-1002", ())


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("credits_purchased", {"credits": "500"}, "data.credits: "),
        ("credits_purchased", {"credits": 0}, "data.credits: "),
        ("credits_purchased", {"credits": 10**12 + 1}, "data.credits: "),
        ("credits_purchased", {"credits": True}, "data.credits: "),
        ("credits_purchased", {"money": -1}, "data.money: "),
        ("credits_purchased", {"currency": "USD"}, "data.currency: "),
        ("credits_purchased", {"acount_id": ALICE}, "data.acount_id: "),
        ("credits_purchased", {"payment_id": "two words"}, "data.payment_id: "),
        ("credits_purchased", {"email": "alice"}, "data.email: "),
        (
            "credits_purchased",
            {"account_id": None, "customer_id": None, "email": None},
            "data: Value error, name an account_id, a customer_id or an email",
        ),
        ("subscription_renewed", {"invoice_id": None, "payment_id": None}, "data: "),
        ("subscription_renewed", {"period_end": "2026-11-01T00:00:00Z"}, "a period's end: "),
        ("subscription_renewed", {"period_end": "2026-12-01T00:00:00"}, "data.period_end: "),
        ("subscription_renewed", {"period_start": "1999-12-31T23:59:59Z"}, "a period's start: "),
        ("subscription_renewed", {"period_end": "2037-01-01T00:00:00Z"}, "a period's end: "),
        ("subscription_renewed", {"plan": None}, "data.plan: "),
        ("subscription_renewed", {"quantity": -1}, "data.quantity: "),
        ("subscription_renewed", {"lines": []}, "data.lines: "),
        ("subscription_renewed", {"lines": [{}]}, "data.lines.0.plan: "),
        ("subscription_renewed_lines", {"lines": [LINE] * 51}, "data.lines: "),
        ("payment_refunded_total", {"refund_id": "ref-01", "money": 4}, "data: "),
        ("payment_refunded_total", {"status": "failed"}, "data: "),
        ("payment_refunded_once", {"status": "lost"}, "data.status: "),
        ("payment_refunded_total", {"total": None}, "data: "),
        ("payment_refunded_once", {"money": None}, "data: "),
        ("payment_disputed", {"outcome": "lost?"}, "data.outcome: "),
        ("account_linked", {"customer_id": None}, "data.customer_id: "),
    ],
)
def test_an_invalid_field_is_refused_with_its_path(
    name: str, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PayloadError) as refused:
        translated(name, **changes)
    assert refused.value.reason.startswith(reason)


def test_a_message_without_data_is_unreadable() -> None:
    with pytest.raises(PayloadError, match="data: missing"):
        examples.translated(Provider.STANDARD, {"type": "user.created"})


def test_the_documentation_has_an_example_of_each_type_that_can_be_read() -> None:
    types = set()
    for example in documentation.examples(DOCUMENTATION, "json"):
        message = examples.message(Provider.STANDARD, json.loads(example))
        assert facts_of(message)
        types.add(message.type)
    assert types == set(EVENTS)


def test_the_messages_of_the_documented_sender_are_accepted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [code] = documentation.examples(DOCUMENTATION, "python")
    secret = examples.SECRETS[Provider.STANDARD]
    monkeypatch.setenv("SCRIP_WEBHOOK_SECRET_STANDARD", secret)
    monkeypatch.setenv("SCRIP_API_URL", "https://api.example.com")
    posted: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        posted.append(request)
        return httpx.Response(200)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        monkeypatch.setattr("httpx.post", client.post)
        sender: dict[str, Any] = {}
        exec(code, sender)
        sender["send"]("msg-01", "user.deleted", account_id=ALICE)
    (request,) = posted
    assert request.url == "https://api.example.com/v1/webhooks/standard"
    verify(Provider.STANDARD.scheme, request.headers, request.content, [secret])
    read = read_message(Provider.STANDARD, request.headers, request.content)
    assert facts_of(read) == (UserDeleted(account_id=ALICE),)
