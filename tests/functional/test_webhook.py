"""Webhooks over HTTP: which messages are refused or kept, and what they do to accounts."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any

import boto3
import pytest

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from functions.webhook import handler
from scrip.domain.account import Account
from scrip.domain.entries import Entry, EntryType
from scrip.ledger import ledger, opening
from scrip.settings import settings
from scrip.store.aliases import link_account
from scrip.store.client import Table
from scrip.store.inbox import read_message
from scrip.store.items import plan_item, to_wire
from scrip.store.queries import EntryFilter, read_entries
from scrip.webhooks.providers import Provider
from scrip.webhooks.secrets import Secrets
from tests.functional.conftest import event, invoke, items
from tests.functional.deliveries import Clock, deliver, signed
from tests.functional.faults import THROTTLED, conflicting_at, counted, instead_of
from tests.unit.domain.examples import consume
from tests.unit.webhooks.examples import ALICE, SECRETS, body

STRIPE = Provider.STRIPE


@pytest.fixture
def clock(table: Table, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The ledger's clock; providers sign with the real time."""
    clock = Clock()
    monkeypatch.setattr("scrip.ledger.utc_now", clock)
    ledger.cache_clear()
    return clock


@pytest.fixture(autouse=True)
def plan(table: Table) -> None:
    """The plan that Stripe knows by its price."""
    pro = replace(DEFAULT_CATALOG.plans["pro"], provider_ids=("price_ScripPro",))
    table.client.put_item(TableName=table.name, Item=to_wire(plan_item(pro)))


@pytest.fixture(autouse=True)
def secrets(table: Table, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stack's secret, with one for each provider."""
    client = boto3.client("secretsmanager")
    made = client.create_secret(Name="webhooks", SecretString=json.dumps(SECRETS))
    monkeypatch.setenv("WEBHOOK_SECRETS", made["ARN"])
    settings.cache_clear()
    monkeypatch.setattr(handler, "secrets", Secrets())
    yield client
    client.delete_secret(SecretId="webhooks", ForceDeleteWithoutRecovery=True)
    settings.cache_clear()


def alice() -> Account:
    return ledger().account(ALICE)


def alices_entries() -> list[Entry]:
    return read_entries(ledger().table, EntryFilter(account_id=ALICE), limit=100, cursor=None)[0]


def spend(amount: int) -> None:
    ledger().execute(replace(consume(amount, f"spend-{amount}"), account_id=ALICE))


def test_bad_signatures_and_bodies_that_are_too_large_leave_nothing(table: Table) -> None:
    payload = body(STRIPE, "checkout_payment")
    raw = json.dumps(payload).encode()
    good = signed(STRIPE, raw, SECRETS[STRIPE])
    old = signed(STRIPE, raw, SECRETS[STRIPE], ago=timedelta(minutes=6))
    wrong = signed(STRIPE, raw, "whsec_other")
    malformed: list[dict[str, str]] = [
        {},
        {"stripe-signature": ""},
        {"stripe-signature": good["stripe-signature"].replace("v1", "v0")},
        {"stripe-signature": "t=soon,v1=00"},
        {"stripe-signature": "v1=00"},
        {"webhook-id": "1", "webhook-timestamp": "1", "webhook-signature": "v1,00"},
    ]
    for headers in (old, wrong, *malformed):
        answer = deliver(STRIPE, raw, headers=headers)
        assert (answer.status, answer.body["code"]) == (401, "bad_signature")
    changed = raw.replace(b'"500"', b'"501"')
    assert changed != raw
    assert deliver(STRIPE, changed, headers=good).status == 401
    noise = {**payload, "noise": os.urandom(450_000).hex()}  # half of it is left, compressed
    for too_large in (raw.ljust(1_000_001), noise):
        answer = deliver(STRIPE, too_large)
        assert (answer.status, answer.body["code"]) == (413, "body_too_large")
    assert items(table) == []


def test_a_purchase_counts_once_however_often_and_in_whatever_encoding_it_arrives(
    table: Table,
) -> None:
    ledger().execute(opening(ALICE))
    checkout = body(STRIPE, "checkout_payment")
    first = deliver(STRIPE, checkout, in_base64=True)
    assert (first.status, first.body) == (
        200,
        {"webhook_id": f"stripe:{checkout['id']}", "status": "applied"},
    )
    assert deliver(STRIPE, checkout).body == first.body
    checkout["id"] = "evt_sent_again"
    assert deliver(STRIPE, checkout).body["status"] == "applied"
    assert alice().balance == 150 + 500
    [entry] = [entry for entry in alices_entries() if entry.type is EntryType.PURCHASE]
    payment = f"stripe:{checkout['data']['object']['payment_intent']}"
    assert (entry.entry_id, entry.source, entry.actor.id) == (payment, payment, "stripe")


def test_a_payment_belongs_to_one_account_only(table: Table) -> None:
    ledger().execute(opening(ALICE))
    ledger().execute(opening("bob"))
    checkout = body(STRIPE, "checkout_payment")
    deliver(STRIPE, checkout)
    checkout["id"] = "evt_of_bob"
    checkout["data"]["object"] |= {"client_reference_id": "bob", "metadata": {"credits": "500"}}
    assert deliver(STRIPE, checkout).body["status"] == "ignored"
    assert ledger().account("bob").balance == 150
    assert read_message(table, "stripe:evt_of_bob").reason == "payment_taken"  # type: ignore[union-attr]


def test_messages_without_an_account_wait_for_the_sign_up(table: Table) -> None:
    checkout, invoice = body(STRIPE, "checkout_payment"), body(STRIPE, "invoice_paid")
    assert deliver(STRIPE, checkout).body["status"] == "unmatched"
    assert deliver(STRIPE, invoice).body["status"] == "unmatched"
    signup = event("signup/confirmed")
    signup["request"]["userAttributes"] |= {"sub": ALICE, "email": "alice@example.com"}
    invoke("signup", signup)
    invoke("wake", event("wake/account_opened"))
    assert alice().balance == 50 + 500 + 2_000
    assert {item["status"]["S"] for item in items(table) if item["sk"]["S"] == "INBOX"} == {
        "applied"
    }
    assert not [item for item in items(table) if item["sk"]["S"].startswith("WAITING#")]


def test_the_calls_for_waking_are_proportional_to_the_waiting_messages(
    table: Table,
) -> None:
    ledger().execute(opening(ALICE))
    counts = []
    for waiting in (1, 2, 4):
        for number in range(waiting):
            invoice = body(STRIPE, "invoice_paid")
            invoice["id"] = f"evt_{waiting}_{number}"
            paid = invoice["data"]["object"]
            paid |= {"id": f"in_{waiting}_{number}", "customer": f"cus_{waiting}"}
            paid["customer_email"] = None
            paid["lines"]["data"][0]["pricing"]["price_details"] |= {
                "price": "price_of_no_plan",
                "product": "prod_of_no_plan",
            }
            paid["parent"]["subscription_details"]["subscription"] = f"sub_{waiting}"
            assert deliver(STRIPE, invoice).body["status"] == "unmatched"
        checkout = body(STRIPE, "checkout_subscription")
        checkout["id"] = f"evt_{waiting}"
        checkout["data"]["object"] |= {
            "customer": f"cus_{waiting}",
            "subscription": f"sub_{waiting}",
        }
        with counted(table) as calls:
            assert deliver(STRIPE, checkout).body["status"] == "applied"
        counts.append(len(calls))
    assert counts[2] - counts[1] <= 2 * (counts[1] - counts[0]) + 5


def test_a_corrupt_message_does_not_keep_others_waiting(table: Table) -> None:
    for number in ("corrupt", "sound"):
        checkout = body(STRIPE, "checkout_payment")
        checkout["id"] = f"evt_{number}"
        checkout["data"]["object"]["payment_intent"] = f"pi_{number}"
        assert deliver(STRIPE, checkout).body["status"] == "unmatched"
    table.client.update_item(
        TableName=table.name,
        Key={"pk": {"S": "INBOX#stripe#evt_corrupt"}, "sk": {"S": "INBOX"}},
        UpdateExpression="SET sent_at = :never",
        ExpressionAttributeValues={":never": {"S": "never"}},
    )
    ledger().execute(opening(ALICE))
    invoke("wake", event("wake/account_opened"))
    assert alice().balance == 150 + 500


def test_a_price_that_was_just_mapped_is_known_at_once(table: Table) -> None:
    ledger().execute(opening(ALICE))
    invoice = body(STRIPE, "invoice_paid")
    invoice["data"]["object"]["lines"]["data"][0]["pricing"]["price_details"]["price"] = "price_new"
    deliver(STRIPE, body(STRIPE, "checkout_subscription"))
    ledger().catalog()
    pro = replace(DEFAULT_CATALOG.plans["pro"], provider_ids=("price_new",))
    table.client.put_item(TableName=table.name, Item=to_wire(plan_item(pro)))
    assert deliver(STRIPE, invoice).body["status"] == "applied"
    assert ledger().entitled(alice()).plan.plan_id == "pro"


def test_the_payload_of_a_message_about_a_closed_account_is_not_kept(table: Table) -> None:
    ledger().execute(opening(ALICE))
    deliver(STRIPE, body(STRIPE, "checkout_subscription"))
    assert "Alice@example.com" in str(bodies(table))
    invoke("adjust", event("adjust/close"))
    late = body(STRIPE, "checkout_payment")
    assert deliver(STRIPE, late).body["status"] == "ignored"
    assert bodies(table) == [b"", b""]
    assert deliver(STRIPE, late).status == 200


def bodies(table: Table) -> list[bytes]:
    records = [
        read_message(table, f"stripe:{item['pk']['S'].rpartition('#')[2]}")
        for item in items(table)
        if item["sk"]["S"] == "INBOX"
    ]
    return [record.payload for record in records if record]


def test_an_unverified_address_leads_to_no_account(table: Table) -> None:
    signup = event("signup/confirmed")
    signup["request"]["userAttributes"]["email_verified"] = "false"
    invoke("signup", signup)
    assert not [item for item in items(table) if item["pk"]["S"].startswith("ALIAS#")]


def test_refunded_credits_that_were_already_spent_become_a_debt_that_is_paid_first() -> None:
    ledger().execute(opening(ALICE))
    deliver(STRIPE, body(STRIPE, "checkout_payment"))
    spend(600)
    # 400 of 1 000 cents are refunded, then the rest; each refund comes by itself and in a total.
    deliver(STRIPE, body(STRIPE, "refund_created"))
    deliver(STRIPE, body(STRIPE, "charge_refunded_partly"))
    assert (alice().balance, alice().debt) == (50 - 200, 150)
    deliver(STRIPE, body(STRIPE, "charge_refunded_fully"))
    assert (alice().balance, alice().debt) == (50 - 500, 450)
    another = body(STRIPE, "checkout_payment")
    another["id"] = another["data"]["object"]["payment_intent"] = "pi_another"
    deliver(STRIPE, another)
    assert (alice().balance, alice().debt) == (50, 0)


@pytest.mark.parametrize("back", ["refund_created", "dispute_closed_lost"])
def test_money_back_of_a_card_that_paid_half_of_an_invoice_takes_half_of_the_credits(
    back: str,
) -> None:
    ledger().execute(opening(ALICE))
    invoice = body(STRIPE, "invoice_paid")
    invoice["data"]["object"] |= {"starting_balance": -1000, "amount_due": 1000}
    invoice["data"]["object"]["amount_paid"] = 1000
    deliver(STRIPE, invoice)
    deliver(STRIPE, body(STRIPE, "invoice_payment_paid"))
    paid = alice().balance
    returned = body(STRIPE, back)
    returned["data"]["object"] |= {"amount": 1000, "payment_intent": "pi_ScripPro01"}
    deliver(STRIPE, returned)
    assert paid - alice().balance == DEFAULT_CATALOG.plans["pro"].monthly_credits // 2


def test_a_disputed_purchase_is_set_aside_until_the_dispute_is_over() -> None:
    ledger().execute(opening(ALICE))
    deliver(STRIPE, body(STRIPE, "checkout_payment"))
    spend(250)
    deliver(STRIPE, body(STRIPE, "dispute_created"))
    assert (alice().balance, alice().held, alice().available) == (400, 400, 0)
    deliver(STRIPE, body(STRIPE, "dispute_closed_won"))
    assert (alice().balance, alice().held, alice().available) == (400, 0, 400)


def test_a_dispute_that_is_lost_takes_back_what_was_bought() -> None:
    ledger().execute(opening(ALICE))
    deliver(STRIPE, body(STRIPE, "checkout_payment"))
    spend(250)
    deliver(STRIPE, body(STRIPE, "dispute_closed_lost"))
    deliver(STRIPE, body(STRIPE, "dispute_created"))
    assert (alice().balance, alice().held, alice().debt) == (-100, 0, 100)


def test_a_message_that_fails_is_marked_and_applied_when_it_is_sent_again(table: Table) -> None:
    ledger().execute(opening(ALICE))
    checkout = body(STRIPE, "checkout_payment")
    with instead_of(table, "TransactWriteItems", THROTTLED, times=100):
        assert deliver(STRIPE, checkout).status == 503
    record = read_message(table, f"stripe:{checkout['id']}")
    assert record
    assert (record.status, record.attempts) == ("failed", 1)
    assert deliver(STRIPE, checkout).body["status"] == "applied"
    assert alice().balance == 650


def test_secrets_are_rotated_without_a_gap(
    secrets: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The old one is valid while it is listed, the new one half a minute after it is listed."""
    ledger().execute(opening(ALICE))
    checkout = body(STRIPE, "checkout_payment")
    assert deliver(STRIPE, checkout).status == 200
    listed = {"stripe": [SECRETS[STRIPE], "whsec_new"]}
    secrets.put_secret_value(SecretId="webhooks", SecretString=json.dumps(listed))
    assert deliver(STRIPE, checkout, secret="whsec_new").status == 401
    monkeypatch.setattr("scrip.webhooks.secrets.monotonic", lambda: monotonic() + 31)
    assert deliver(STRIPE, checkout, secret="whsec_new").status == 200
    assert deliver(STRIPE, checkout).status == 200


def test_an_identity_providers_user_has_an_account_until_they_are_deleted(table: Table) -> None:
    user = body(Provider.CLERK, "user_created")["data"]["id"]
    assert deliver(Provider.CLERK, body(Provider.CLERK, "user_created")).body["status"] == "applied"
    assert ledger().account(user).balance == 150
    assert any(item["pk"]["S"].startswith("ALIAS#email:") for item in items(table))
    deleted = body(Provider.CLERK, "user_deleted")
    assert deliver(Provider.CLERK, deleted, message_id="msg_2").body["status"] == "applied"
    assert (ledger().account(user).status, ledger().account(user).balance) == ("closed", 0)
    # No trace of the user remains.
    assert not any(item["pk"]["S"].startswith("ALIAS#") for item in items(table))
    assert "@example.com" not in str(items(table))
    assert deliver(Provider.CLERK, deleted, message_id="msg_3").body["status"] == "applied"


def test_a_provider_that_does_not_exist_is_not_found(table: Table) -> None:
    for provider in ("paddle", "Stripe", "stripe2"):
        sent = event("webhook/request")
        sent["pathParameters"]["provider"] = provider
        sent["rawPath"] = sent["requestContext"]["http"]["path"] = f"/v1/webhooks/{provider}"
        answer = invoke("webhook", sent)
        assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (404, "not_found")
    assert items(table) == []


UNUSABLE = ("x" * 3_000, "team/anna", "anna smith", "an\x00na", "me", "müller")


@pytest.mark.parametrize("account_id", UNUSABLE)
def test_a_message_with_an_unusable_reference_waits_with_the_reason_for_another_name(
    table: Table,
    account_id: str,
) -> None:
    checkout = body(STRIPE, "checkout_payment")
    session = checkout["data"]["object"]
    session |= {"client_reference_id": account_id, "metadata": {"credits": "500"}}
    session |= {"customer": "cus_1", "customer_email": None, "customer_details": None}
    answer = deliver(STRIPE, checkout)
    assert (answer.status, answer.body["status"]) == (200, "unmatched")
    record = read_message(table, f"stripe:{checkout['id']}")
    assert record
    assert f"no account can ever have the name account:{account_id[:50]}" in str(record.reason)
    assert len(str(record.reason)) < 600
    assert record.waits_for == ("stripe:cus_1",)
    ledger().execute(opening(ALICE))
    link_account(table, ALICE, "stripe:cus_1")
    assert deliver(STRIPE, checkout).body["status"] == "applied"
    assert alice().balance == 150 + 500
    assert {item["account_id"]["S"] for item in items(table) if "account_id" in item} == {ALICE}


def test_addresses_too_long_for_a_key_lead_to_no_account(table: Table) -> None:
    user = body(Provider.CLERK, "user_created")
    for address in user["data"]["email_addresses"]:
        address["email_address"] = f"{'x' * 3_000}@example.com"
    assert deliver(Provider.CLERK, user).body["status"] == "applied"
    assert ledger().account(user["data"]["id"]).balance == 150
    assert not [item for item in items(table) if item["pk"]["S"].startswith("ALIAS#")]


@pytest.mark.parametrize("name", ["user_created", "user_deleted"])
def test_a_user_whose_id_no_account_can_have_is_ignored_with_the_reason(
    table: Table,
    name: str,
) -> None:
    user = body(Provider.CLERK, name)
    user["data"]["id"] = "team/anna"
    assert deliver(Provider.CLERK, user).body["status"] == "ignored"
    record = read_message(table, "clerk:msg_1")
    assert record
    assert record.reason == "unusable_account_id"
    [left] = items(table)
    assert left["sk"]["S"] == "INBOX"


def test_a_lone_surrogate_in_a_payers_address_is_unreadable_and_not_busy(table: Table) -> None:
    checkout = body(STRIPE, "checkout_payment")
    checkout["data"]["object"]["customer_details"]["email"] = "ann\ud800@example.com"
    answer = deliver(STRIPE, checkout)
    assert (answer.status, answer.body["code"]) == (500, "unreadable_payload")
    record = read_message(table, f"stripe:{checkout['id']}")
    assert record
    assert (record.status, record.payload) == ("failed", json.dumps(checkout).encode())
    assert "half a character" in str(record.reason)


def test_a_write_that_conflicts_with_a_transaction_is_busy_and_succeeds_when_sent_again(
    table: Table,
) -> None:
    invoice = body(STRIPE, "invoice_paid")
    invoice["data"]["object"]["customer_email"] = None
    number, conflicts = 1, 0
    while True:
        invoice["id"] = f"evt_{number}"
        with conflicting_at(table, number) as writes:
            answer = deliver(STRIPE, invoice)
        if len(writes) < number:
            break
        conflicts += 1
        assert (answer.status, answer.body["code"]) == (503, "busy"), writes
        assert deliver(STRIPE, invoice).body["status"] == "unmatched"
        number += 1
    assert conflicts > 3
