"""Whose a payment is: which of its names decides, what waits, and what moves."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import boto3
import pytest

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from functions.webhook import handler
from scrip.audit.accounts import audit_account
from scrip.domain.account import Account
from scrip.domain.commands import CloseAccount
from scrip.domain.entries import CLOCK, Entry, EntryType
from scrip.ledger import ledger, opening
from scrip.settings import settings
from scrip.store.audit.books import account_pages, stray
from scrip.store.client import Table
from scrip.store.inbox import read_message
from scrip.store.items import plan_item, to_wire
from scrip.store.queries import EntryFilter, read_entries, read_payment
from scrip.users import open_account
from scrip.webhooks.providers import Provider
from scrip.webhooks.secrets import Secrets
from tests.functional.conftest import event, invoke, items
from tests.functional.deliveries import Clock, deliver
from tests.functional.faults import failing_at
from tests.unit.domain.examples import consume
from tests.unit.webhooks.examples import SECRETS, body

STRIPE = Provider.STRIPE
A_WHILE = timedelta(minutes=11)
PAID, PACK = 2_000, 500
"""What an invoice and a checkout bring."""

DEATHS = (1, 40, 5)
"""At which of a move's calls to the table its process dies; all of them would take a minute."""

numbers = count(1)


@pytest.fixture
def clock(table: Table, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The ledger's clock; providers sign with the real time."""
    clock = Clock()
    monkeypatch.setattr("scrip.ledger.utc_now", clock)
    ledger.cache_clear()
    return clock


@pytest.fixture(autouse=True)
def stack(table: Table, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stack's secret, the plan that Stripe knows by its price, and two accounts."""
    pro = replace(
        DEFAULT_CATALOG.plans["pro"], provider_ids=("price_ScripPro",), monthly_credits=PAID
    )
    table.client.put_item(TableName=table.name, Item=to_wire(plan_item(pro)))
    client = boto3.client("secretsmanager")
    made = client.create_secret(Name="webhooks", SecretString=json.dumps(SECRETS))
    monkeypatch.setenv("WEBHOOK_SECRETS", made["ARN"])
    settings.cache_clear()
    monkeypatch.setattr(handler, "secrets", Secrets())
    for account_id in ("alice", "bob"):
        ledger().execute(opening(account_id))
    yield
    client.delete_secret(SecretId="webhooks", ForceDeleteWithoutRecovery=True)
    settings.cache_clear()


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack that believes what payers type."""
    monkeypatch.setenv("MATCH_TYPED_NAMES", "yes")
    settings.cache_clear()


def message(name: str, **changes: Any) -> dict[str, Any]:
    """Return a message of a sample's type, sent after those before, about a changed object."""
    payload: dict[str, Any] = body(STRIPE, name)
    number = next(numbers)
    payload |= {"id": f"evt_{number}", "created": payload["created"] + number}
    payload["data"]["object"] |= changes
    return payload


def session(sub: str, account_id: str | None, customer: str = "cus_1") -> dict[str, Any]:
    """Return the end of a checkout for a subscription."""
    return message(
        "checkout_subscription",
        client_reference_id=account_id,
        customer=customer,
        subscription=sub,
        customer_details=None,
    )


def pack(name: str, customer: str | None = None, **changes: Any) -> dict[str, Any]:
    """Return the end of a checkout for credits."""
    changes = {"client_reference_id": None, "customer_details": None, **changes}
    metadata = {"credits": str(PACK)}
    return message(
        "checkout_payment", payment_intent=name, customer=customer, metadata=metadata, **changes
    )


def invoice(sub: str, account_id: str | None = None, customer: str = "cus_1") -> dict[str, Any]:
    """Return the paid invoice of a subscription's month."""
    metadata = {"account_id": account_id} if account_id else {}
    paid = message(
        "invoice_paid",
        id=f"in_{sub}",
        customer=customer,
        customer_email=None,
        parent={"subscription_details": {"metadata": metadata, "subscription": sub}},
    )
    [line] = paid["data"]["object"]["lines"]["data"]
    details = {"subscription": sub, "subscription_item": f"si_{sub}"}
    line["parent"]["subscription_item_details"] |= details
    return paid


def state(sub: str, account_id: str | None = None, customer: str = "cus_1") -> dict[str, Any]:
    """Return that a subscription is active."""
    metadata = {"account_id": account_id} if account_id else {}
    return message("subscription_updated", id=sub, customer=customer, metadata=metadata)


def customer(name: str, account_id: str | None) -> dict[str, Any]:
    """Return a customer, into which the merchant's server has put an account's ID."""
    metadata = {"account_id": account_id} if account_id else {}
    return message("customer_updated", id=name, metadata=metadata)


def send(payload: dict[str, Any]) -> str:
    """Deliver a message; return its status."""
    status: str = deliver(STRIPE, payload).body["status"]
    return status


def reason_of(payload: dict[str, Any]) -> str | None:
    record = read_message(ledger().table, f"stripe:{payload['id']}")
    assert record
    return record.reason


def run_the_schedule() -> None:
    invoke("wake", event("wake/schedule"))


def account(account_id: str) -> Account:
    return ledger().account(account_id)


def entries(account_id: str) -> list[Entry]:
    asked = EntryFilter(account_id=account_id)
    return read_entries(ledger().table, asked, limit=100, cursor=None)[0]


def owner(payment_id: str) -> str | None:
    payment = read_payment(ledger().table, f"stripe:{payment_id}")
    return payment.account_id if payment else None


def faults(*account_ids: str) -> list[str]:
    """Return what an audit finds wrong with accounts, and with what leads to any."""
    table = ledger().table
    found = (audit_account(table, one, ledger().clock()) for one in account_ids)
    of_accounts = [one.sentence for audited in found if audited for one in audited.findings]
    leads = [lead for page in account_pages(table) for lead in page.leads]
    return of_accounts + [lead.about for lead in stray(table, leads)]


def seen(account_id: str) -> tuple[Any, ...]:
    """Return what matters of an account: its credits, and its subscriptions."""
    one = account(account_id)
    return one.balance, one.debt, [known.subscription_id for known in one.subscriptions]


@pytest.mark.parametrize("late", [timedelta(0), A_WHILE])
@pytest.mark.parametrize("order", ["AaBb", "baBA", "AbaB", "bBaA"])
def test_two_workspaces_of_a_customer_each_have_their_own_in_every_order(
    clock: Clock, order: str, late: timedelta
) -> None:
    """However late each message is, though only the checkouts (A, B) name the accounts."""
    messages = {
        "A": session("sub_a", "alice"),
        "a": invoice("sub_a"),
        "B": session("sub_b", "bob"),
        "b": invoice("sub_b"),
    }
    for letter in order:
        send(messages[letter])
        clock.now += late
        run_the_schedule()
    assert (owner("in_sub_a"), owner("in_sub_b")) == ("alice", "bob")
    assert seen("alice") == (PAID + 50, 0, ["stripe:sub_a"])
    assert seen("bob") == (PAID + 50, 0, ["stripe:sub_b"])
    assert faults("alice", "bob") == []


def test_a_subscription_is_its_customers_only_accounts_after_10_minutes(clock: Clock) -> None:
    send(session("sub_1", "alice"))
    unnamed = invoice("sub_2")
    assert send(unnamed) == "unmatched"
    clock.now += timedelta(minutes=9)
    run_the_schedule()
    assert owner("in_sub_2") is None
    assert "10 minutes" in str(reason_of(unnamed))
    clock.now += timedelta(minutes=1)
    run_the_schedule()
    assert owner("in_sub_2") == "alice"
    # What follows of the same subscription need not wait again.
    assert send(state("sub_2")) == "applied"


def test_a_customer_with_two_accounts_says_nothing_about_a_third_subscription(
    clock: Clock,
) -> None:
    for sub, account_id in (("sub_1", "alice"), ("sub_2", "bob")):
        send(session(sub, account_id))
    unnamed = invoice("sub_3")
    assert send(unnamed) == "unmatched"
    clock.now += A_WHILE
    run_the_schedule()
    assert owner("in_sub_3") is None
    assert "several accounts" in str(reason_of(unnamed))
    send(customer("cus_1", "bob"))
    assert owner("in_sub_3") == "bob"


def test_a_customer_that_names_its_account_decides_at_once_and_not_for_good() -> None:
    assert send(customer("cus_1", None)) == "ignored"
    assert send(customer("cus_1", "alice")) == "applied"
    assert send(invoice("sub_1")) == "applied"
    assert owner("in_sub_1") == "alice"
    assert send(state("sub_1", "bob")) == "applied"
    assert owner("in_sub_1") == "bob"
    assert [seen(name)[2] for name in ("alice", "bob")] == [[], ["stripe:sub_1"]]


def test_what_moves_is_taken_back_from_one_account_and_granted_to_the_other_with_the_reason(
    clock: Clock,
) -> None:
    send(session("sub_1", "alice"))
    send(invoice("sub_2"))
    clock.now += A_WHILE
    run_the_schedule()
    spent = consume(PAID, "all-of-it")
    ledger().execute(replace(spent, account_id="alice"))
    assert owner("in_sub_2") == "alice"
    assert send(session("sub_2", "bob")) == "applied"
    assert owner("in_sub_2") == "bob"
    [taken] = [entry for entry in entries("alice") if entry.type is EntryType.CLAWBACK]
    [moved] = [entry for entry in entries("bob") if entry.entry_id == "stripe:in_sub_2:moved:1"]
    assert (taken.amount, taken.reason) == (-PAID, "it is another account's")
    assert moved.reason == "it was booked for another account first"
    # Alice has the base plan's month instead, and her welcome credits.
    assert (account("alice").debt, account("alice").balance) == (PAID - 100, 150 - PAID)
    assert account("bob").balance == PAID + 50
    # A refund finds it where it is now.
    refunded = {"payment_intent": None, "invoice": "in_sub_2", "amount_refunded": 2_000}
    send(message("charge_refunded_fully", id="ch_1", **refunded))
    assert account("bob").balance == 150
    assert faults("alice", "bob") == []


def test_what_was_refunded_before_a_purchase_moves_stays_refunded(typed: None) -> None:
    open_account(ledger(), "alice", ["alice@example.com"], at=ledger().clock())
    send(pack("pi_1", "cus_1", customer_email="alice@example.com"))
    assert owner("pi_1") == "alice"
    refund = message("refund_created", payment_intent="pi_1", charge="ch_1", amount=400)
    assert send(refund) == "applied"
    assert account("alice").balance == 150 + 300
    send(customer("cus_1", "bob"))
    assert owner("pi_1") == "bob"
    assert [account(name).balance for name in ("alice", "bob")] == [150, 150 + 300]
    assert faults("alice", "bob") == []


def test_a_move_survives_a_death_at_every_call(table: Table, clock: Clock) -> None:
    died = 0
    for number in range(*DEATHS):
        sub, cus = f"sub_x{number}", f"cus_x{number}"
        alice, bob = f"alice-x{number}", f"bob-x{number}"
        for account_id in (alice, bob):
            ledger().execute(opening(account_id))
        send(session(f"sub_y{number}", alice, cus))
        send(invoice(sub, customer=cus))
        clock.now += A_WHILE
        run_the_schedule()
        assert owner(f"in_{sub}") == alice
        named = session(sub, bob, cus)
        with failing_at(table, number):
            answer = deliver(STRIPE, named)
        died += answer.status != 200
        for _ in range(2):
            assert deliver(STRIPE, named).body["status"] == "applied"
        woken = event("wake/address_linked")
        key = f"ALIAS#stripe:{sub}"
        woken["Records"][0]["dynamodb"]["Keys"] = {"pk": {"S": key}, "sk": {"S": key}}
        invoke("wake", woken)
        assert owner(f"in_{sub}") == bob, number
        assert [account(name).balance for name in (alice, bob)] == [150, PAID + 50], number
    assert died > 3


def test_what_a_payer_types_names_nobody_unless_the_stack_says_so(typed: None) -> None:
    settings().match_typed_names = False
    open_account(ledger(), "alice", ["alice@example.com"], at=ledger().clock())
    by_address = pack("pi_1", customer_email="alice@example.com")
    by_link = pack("pi_2", client_reference_id="alice", payment_link="plink_1")
    assert [send(by_address), send(by_link)] == ["unmatched", "unmatched"]
    settings().match_typed_names = True
    for sent in (by_address, by_link):
        sent["id"] += "_again"
        assert send(sent) == "applied"
    assert account("alice").balance == 150 + 2 * PACK


def test_nobody_types_their_way_into_an_account_with_another_customers_subscription(
    typed: None,
) -> None:
    send(invoice("sub_1", "alice"))
    balance = account("alice").balance
    link = {"client_reference_id": "alice", "payment_link": "plink_1"}
    forged = session("sub_9", None, "cus_9")
    forged["data"]["object"] |= link
    sent = [forged, pack("pi_9", "cus_9", **link), invoice("sub_9", customer="cus_9")]
    assert [send(one) for one in sent] == ["unmatched"] * 3
    assert "another customer" in str(reason_of(forged))
    assert account("alice").balance == balance
    # The customer's own may be typed.
    assert send(pack("pi_1", "cus_1", **link)) == "applied"


def test_what_a_stranger_paid_for_leaves_no_debt(typed: None) -> None:
    send(pack("pi_1", "cus_9", client_reference_id="alice", payment_link="plink_1"))
    ledger().execute(replace(consume(400, "some"), account_id="alice"))
    send(message("dispute_closed_lost", payment_intent="pi_1", charge="ch_1", amount=1_000))
    assert (account("alice").balance, account("alice").debt) == (0, 0)


def test_an_id_that_no_account_has_yet_is_waited_for_whatever_the_customer_says() -> None:
    send(session("sub_1", "alice"))
    waiting = session("sub_2", "carl")
    assert [send(waiting), send(invoice("sub_2", "carl"))] == ["unmatched", "unmatched"]
    ledger().execute(opening("carl"))
    opened = event("wake/account_opened")
    opened["Records"][0]["dynamodb"]["Keys"]["pk"]["S"] = "ACCOUNT#carl"
    invoke("wake", opened)
    assert owner("in_sub_2") == "carl"


def test_what_a_closed_account_had_by_a_weak_name_moves_too(table: Table, clock: Clock) -> None:
    send(session("sub_1", "alice"))
    send(invoice("sub_2"))
    clock.now += A_WHILE
    run_the_schedule()
    ledger().execute(CloseAccount(account_id="alice", entry_id="close", actor=CLOCK))
    send(session("sub_2", "bob"))
    assert (owner("in_sub_2"), account("bob").balance) == ("bob", PAID + 50)


def test_nothing_waits_for_time_once_it_is_decided(table: Table, clock: Clock) -> None:
    send(session("sub_1", "alice"))
    send(invoice("sub_2"))
    clock.now += A_WHILE
    run_the_schedule()
    waiting = {item["pk"]["S"] for item in items(table) if item["sk"]["S"].startswith("WAITING#")}
    assert waiting == {"ALIAS#stripe:sub_2", "ALIAS#stripe:cus_1"}
