"""Nothing is guessed from a part of a message: lists that go on, words that nobody knows."""

from __future__ import annotations

import json
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from functions.webhook import handler
from scrip.ledger import ledger, opening
from scrip.settings import settings
from scrip.store.inbox import read_message
from scrip.store.items import plan_item, to_wire
from scrip.webhooks.apply import replay
from scrip.webhooks.providers import Provider
from scrip.webhooks.secrets import Secrets
from tests.functional.conftest import send
from tests.functional.deliveries import Clock, deliver
from tests.functional.stripe_server import KEY, StripeServer, stripe_server
from tests.unit.webhooks.examples import ALICE, SECRETS, body, day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.domain.account import Account
    from scrip.store.client import Table

STRIPE = Provider.STRIPE
INVOICE, WEBHOOK = "in_ScripPro01", "stripe:evt_ScripPro02"


@pytest.fixture(autouse=True)
def clock(table: Table, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The ledger's clock, Alice's account, and the plan that Stripe knows by its price."""
    clock = Clock()
    monkeypatch.setattr("scrip.ledger.utc_now", clock)
    ledger.cache_clear()
    pro = replace(DEFAULT_CATALOG.plans["pro"], provider_ids=("price_ScripPro",))
    table.client.put_item(TableName=table.name, Item=to_wire(plan_item(pro)))
    ledger().execute(opening(ALICE))
    return clock


@pytest.fixture(autouse=True)
def stripe(monkeypatch: pytest.MonkeyPatch) -> Iterator[StripeServer]:
    """A server that replaces Stripe."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with stripe_server() as server:
        monkeypatch.setenv("STRIPE_API_URL", server.url)
        with secrets(monkeypatch, stripe_api_key=KEY):
            yield server


@contextmanager
def secrets(monkeypatch: pytest.MonkeyPatch, **more: str) -> Iterator[None]:
    """Have a secret of the stack, with one for each provider."""
    client = boto3.client("secretsmanager")
    name = f"webhooks-{len(more)}"
    made = client.create_secret(Name=name, SecretString=json.dumps({**SECRETS, **more}))
    with monkeypatch.context() as patched:
        patched.setenv("WEBHOOK_SECRETS", made["ARN"])
        patched.setattr(handler, "secrets", Secrets())
        settings.cache_clear()
        yield
    settings.cache_clear()
    client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


def alice() -> Account:
    return ledger().account(ALICE)


def cut_invoice(stripe: StripeServer) -> dict[str, Any]:
    """Return a paid invoice whose plan's line is not among the lines in the message."""
    whole = body(STRIPE, "invoice_paid")["data"]["object"]["lines"]["data"]
    unrelated = [
        {**whole[0], "id": f"il_{number}", "pricing": {"price_details": {"price": "price_other"}}}
        for number in range(3)
    ]
    stripe.lists[f"/v1/invoices/{INVOICE}/lines"] = [*unrelated, *whole]
    invoice = body(STRIPE, "invoice_paid")
    invoice["data"]["object"]["lines"] |= {"data": unrelated[:1], "has_more": True}
    return dict(invoice)


def test_a_list_that_goes_on_is_fetched_to_its_end(stripe: StripeServer) -> None:
    before = alice().balance
    assert deliver(STRIPE, cut_invoice(stripe)).body["status"] == "applied"
    assert len(stripe.asked) == 4  # one line a page
    assert alice().balance > before


def test_without_a_key_a_list_that_goes_on_fails_until_there_is_one(
    table: Table,
    stripe: StripeServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    invoice, before = cut_invoice(stripe), alice().balance
    with secrets(monkeypatch):
        answer = deliver(STRIPE, invoice)
    assert (answer.status, answer.body["code"]) == (500, "unreadable_payload")
    record = read_message(table, WEBHOOK)
    assert record is not None
    assert record.status == "failed"
    assert "without stripe_api_key" in str(record.reason)
    assert alice().balance == before
    assert replay(ledger(), WEBHOOK).status == "applied"
    assert alice().balance > before


def test_while_stripe_does_not_answer_the_message_is_to_be_sent_again(
    stripe: StripeServer,
) -> None:
    stripe.failing = {2}
    invoice = cut_invoice(stripe)
    assert deliver(STRIPE, invoice).status == 503
    assert deliver(STRIPE, invoice).body["status"] == "applied"


def test_a_list_that_has_nothing_to_do_with_a_subscription_is_not_fetched(
    stripe: StripeServer,
) -> None:
    invoice = cut_invoice(stripe)
    invoice["data"]["object"]["parent"] = None
    invoice["data"]["object"]["lines"]["data"][0]["parent"] = None
    assert deliver(STRIPE, invoice).body["status"] == "ignored"
    assert stripe.asked == []


def test_the_payments_of_an_invoice_are_fetched_too(stripe: StripeServer) -> None:
    payments = [
        {"id": f"inpay_{number}", "payment": {"payment_intent": f"pi_{number}"}}
        for number in range(2)
    ]
    stripe.lists["/v1/invoice_payments"] = payments
    invoice = body(STRIPE, "invoice_paid")
    invoice["data"]["object"]["payments"] = {"data": payments[:1], "has_more": True}
    assert deliver(STRIPE, invoice).body["status"] == "applied"
    assert stripe.asked[0]["invoice"] == [INVOICE]
    refund = body(STRIPE, "charge_refunded_fully")
    refund["data"]["object"] |= {"payment_intent": "pi_1", "id": "ch_1"}
    assert deliver(STRIPE, refund).body["status"] == "applied"


def test_each_line_that_a_plan_is_mapped_to_counts_and_the_others_are_passed_over(
    table: Table,
) -> None:
    addon = replace(
        DEFAULT_CATALOG.plans["pro"], plan_id="addon", monthly_credits=7, provider_ids=("p_addon",)
    )
    table.client.put_item(TableName=table.name, Item=to_wire(plan_item(addon)))
    before = alice().balance
    invoice = body(STRIPE, "invoice_paid")
    lines = invoice["data"]["object"]["lines"]["data"]
    for price, quantity in (("p_addon", 3), ("p_storage", 5)):
        line = deepcopy(lines[0]) | {"quantity": quantity}
        line["pricing"]["price_details"] = {"price": price, "product": f"prod_{price}"}
        line["parent"]["subscription_item_details"]["subscription_item"] = f"si_{price}"
        lines.append(line)
    assert deliver(STRIPE, invoice).body["status"] == "applied"
    pro = DEFAULT_CATALOG.plans["pro"].monthly_credits
    free = DEFAULT_CATALOG.plans["free"].monthly_credits
    assert alice().balance == before - free + pro + 3 * 7


PRO, MAX, ADDON, STORAGE = "price_ScripPro", "price_Max", "price_Addon", "price_Storage"


def change(*prorations: tuple[int, str, str | None]) -> dict[str, Any]:
    """Return the invoice of a change, from the amount, price and item of each of its lines."""
    invoice = body(STRIPE, "invoice_paid_upgrade") | {"id": "evt_ScripPack01"}
    lines = invoice["data"]["object"]["lines"]
    sample = lines["data"][0]
    lines["data"] = []
    for amount, price, item in prorations:
        line = deepcopy(sample) | {"amount": amount}
        line["pricing"]["price_details"] = {"price": price, "product": f"prod_{price}"}
        if item:  # as in flexible billing mode
            details = line["parent"].pop("invoice_item_details") | {"subscription_item": item}
            line["parent"]["subscription_item_details"] = details
        lines["data"].append(line)
    return dict(invoice)


def map_plan(table: Table, price: str, monthly_credits: int) -> None:
    plan = replace(
        DEFAULT_CATALOG.plans["pro"],
        plan_id=price.removeprefix("price_").lower(),
        monthly_credits=monthly_credits,
        provider_ids=(price,),
    )
    table.client.put_item(TableName=table.name, Item=to_wire(plan_item(plan)))


@pytest.mark.parametrize(
    "lines",
    [
        ((-1, PRO, None), (3, MAX, None)),
        ((-1, PRO, None), (3, MAX, "si_1")),
        ((-1, PRO, None), (3, MAX, None), (-1, ADDON, None), (2, ADDON, None)),
        ((-1, PRO, "si_1"), (3, MAX, "si_1"), (2, ADDON, "si_2")),
    ],
)
def test_a_change_to_a_price_of_no_plan_waits_as_a_whole_until_a_plan_has_it(
    table: Table,
    clock: Clock,
    lines: tuple[tuple[int, str, str | None], ...],
) -> None:
    map_plan(table, ADDON, 0)
    deliver(STRIPE, body(STRIPE, "invoice_paid"))
    clock.now, pro = day(11, 16), alice().balance
    assert deliver(STRIPE, change(*lines)).body["status"] == "unmatched"
    record = read_message(table, "stripe:evt_ScripPack01")
    assert record is not None
    assert record.reason == (
        "no plan has the provider ID price_Max that a plan was changed to: "
        "add it to a plan and replay this message"
    )
    assert alice().balance == pro
    map_plan(table, MAX, 10_000)
    assert send("admin/replay").body["status"] == "applied"
    assert ledger().entitled(alice()).plan.plan_id == "max"
    of_pro = DEFAULT_CATALOG.plans["pro"].monthly_credits
    assert alice().balance == pro - of_pro // 2 + 10_000 // 2


@pytest.mark.parametrize(
    "lines",
    [
        ((-1, STORAGE, None), (3, ADDON, None)),
        ((-1, PRO, None), (3, ADDON, None), (2, STORAGE, None)),
        ((-1, PRO, None), (-1, STORAGE, None), (2, STORAGE, None)),
        ((-1, PRO, "si_1"), (2, STORAGE, "si_2")),
    ],
)
def test_a_change_of_something_that_is_no_plan_keeps_nothing_waiting(
    table: Table,
    clock: Clock,
    lines: tuple[tuple[int, str, str | None], ...],
) -> None:
    map_plan(table, ADDON, 0)
    deliver(STRIPE, body(STRIPE, "invoice_paid"))
    clock.now = day(11, 16)
    assert deliver(STRIPE, change(*lines)).body["status"] == "applied"


@pytest.mark.parametrize(("count", "status"), [(50, "applied"), (51, "failed")])
def test_of_one_payment_50_lines_of_plans_are_booked_and_of_more_none(
    table: Table,
    count: int,
    status: str,
) -> None:
    invoice, before = body(STRIPE, "invoice_paid"), alice().balance
    lines = invoice["data"]["object"]["lines"]["data"]
    storage = deepcopy(lines[0])
    storage["pricing"]["price_details"] = {"price": STORAGE, "product": "prod_storage"}
    for number in range(1, count):
        line = deepcopy(lines[0])
        line["parent"]["subscription_item_details"]["subscription_item"] = f"si_{number}"
        lines.append(line)
    lines.append(storage)
    answer = deliver(STRIPE, invoice)
    assert (answer.status, answer.body["status"]) == (200, status)
    assert (alice().balance > before) is (status == "applied")
    record = read_message(table, WEBHOOK)
    assert record is not None
    if status == "failed":
        assert record.reason == "it pays for 51 lines of plans, and Scrip books at most 50"


def test_a_message_of_scrips_own_format_that_is_wrong_is_to_be_corrected() -> None:
    renewal = body(Provider.STANDARD, "subscription_renewed_lines")
    renewal["data"]["lines"] *= 26
    answer = deliver(Provider.STANDARD, renewal)
    assert (answer.status, answer.body["code"]) == (422, "invalid")
    assert "data.lines: " in answer.body["detail"]


def dispute(type_: str, status: str) -> dict[str, Any]:
    payload = body(STRIPE, "dispute_created")
    payload |= {"type": f"charge.dispute.{type_}", "id": f"evt_{type_}_{status}"}
    payload["data"]["object"]["status"] = status
    return dict(payload)


def test_an_unknown_word_fails_with_the_reason_and_freezes_nothing(
    table: Table,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deliver(STRIPE, body(STRIPE, "checkout_payment"))
    free = alice().available
    deliver(STRIPE, dispute("created", "needs_response"))
    assert alice().available < free
    answer = deliver(STRIPE, dispute("closed", "arbitrated"))
    assert (answer.status, answer.body["status"]) == (200, "failed")
    assert '"WebhookUnclear"' in capsys.readouterr().out
    record = read_message(table, "stripe:evt_closed_arbitrated")
    assert record is not None
    assert record.reason == "the dispute's status is arbitrated, which Scrip does not know"
    assert alice().available == free


def test_a_refund_that_fails_gives_the_credits_back() -> None:
    deliver(STRIPE, body(STRIPE, "checkout_payment"))
    before = alice().balance
    for number, status in enumerate(("pending", "succeeded", "failed")):
        refund = body(STRIPE, "refund_created") | {"id": f"evt_{number}"}
        refund["data"]["object"]["status"] = status
        assert deliver(STRIPE, refund).body["status"] == "applied"
        taken = 0 if status == "failed" else 200
        assert alice().balance == before - taken
