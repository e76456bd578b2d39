"""Webhooks on the local stack: over real HTTP, and in every order of a subscription's messages."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from functions.webhook import handler
from scrip.domain.settle import settled
from scrip.ledger import ledger, opening
from scrip.settings import settings as read_settings
from scrip.store.inbox import read_message
from scrip.store.queries import EntryFilter, read_entries
from scrip.webhooks.providers import Provider
from scrip.webhooks.secrets import Secrets
from scrip_cli.local import demo
from scrip_cli.local.deploy import outputs
from scrip_cli.webhooks.signing import sign
from tests.functional.deliveries import Clock, deliver
from tests.functional.faults import failing_at
from tests.integration.conftest import items_of
from tests.unit.webhooks.examples import body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    import httpx

    from scrip_cli.local.stack import LocalStack
    from tests.integration.conftest import Api

STRIPE = Provider.STRIPE
PRICE = "price_ScripPro"
DAY = timedelta(days=1)

SAMPLES_BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
BEGAN = datetime.now(UTC).replace(microsecond=0) - 3 * DAY
"""The beginning of the month in the messages.

The stack replays waiting messages by its own clock, which must still be in that month.
"""


@pytest.fixture(scope="module", autouse=True)
def plan(admin: Api) -> None:
    """Give the pro plan its price at Stripe."""
    [pro] = [
        plan
        for plan in admin.http.get("/v1/admin/plans", headers=admin.headers()).json()["plans"]
        if plan["plan_id"] == "pro"
    ]
    edited = {name: pro[name] for name in ("name", "monthly_credits", "rollover")}
    answer = admin.http.put(
        "/v1/admin/plans/pro",
        json={**edited, "provider_ids": [PRICE]},
        headers=admin.headers({"If-Match": f'"{pro["version"]}"'}),
    )
    assert answer.status_code == 200, answer.text


def of(account_id: str, name: str) -> Any:
    """Return a sample message about an account, with IDs, an email and times of its own."""
    own = account_id.replace("-", "")
    text = json.dumps(body(STRIPE, name)).replace("Scrip", own).replace(f"price_{own}Pro", PRICE)
    address = re.compile("alice@example.com", re.IGNORECASE)
    text = address.sub(f"{own}@example.com", text)
    later = int((BEGAN - SAMPLES_BEGIN).total_seconds())
    payload = json.loads(re.sub(r"\b1[78]\d{8}\b", lambda at: str(int(at[0]) + later), text))
    subject = payload["data"]["object"]
    if subject["object"] == "checkout.session":
        subject["client_reference_id"] = account_id
    if subject["object"] == "dispute":
        subject |= {"payment_intent": f"pi_{own}Pro01", "charge": f"ch_{own}Pro01", "amount": 2_000}
    return payload


@pytest.fixture
def post(stack: LocalStack, user: Api) -> Callable[..., httpx.Response]:
    """Return a function that posts a signed message, by default with the right key and time."""
    secret = demo.details(stack).webhook_secrets["stripe"]

    def post(payload: Any, key: str = secret, ago: timedelta = timedelta(0)) -> httpx.Response:
        raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        signed = sign(STRIPE, raw, key, message_id="", at=datetime.now(UTC) - ago)
        headers = {"Content-Type": "application/json", **signed}
        return user.http.post("/v1/webhooks/stripe", content=raw, headers=headers)

    return post


def test_a_message_with_a_wrong_signature_or_size_is_refused_and_stores_nothing(
    stack: LocalStack,
    user: Api,
    post: Callable[..., httpx.Response],
) -> None:
    checkout = of(user.account_id, "checkout_payment")
    before = items_of(stack, user.account_id)
    assert post(checkout, key="whsec_other").status_code == 401
    assert post(checkout, ago=timedelta(minutes=6)).status_code == 401
    assert post(json.dumps(checkout).encode().ljust(1_000_001)).status_code == 413
    assert items_of(stack, user.account_id) == before
    key = {"pk": {"S": f"INBOX#stripe#{checkout['id']}"}, "sk": {"S": "INBOX"}}
    table = demo.details(stack).table_name
    assert "Item" not in stack.client("dynamodb").get_item(TableName=table, Key=key)
    assert post(checkout).json()["status"] == "applied"
    assert user.get("/me").json()["balance"] == 10_100 + 500


def test_a_payment_before_the_account_is_credited_soon_after_it(
    admin: Api, post: Callable[..., httpx.Response]
) -> None:
    account_id = f"later-{time.monotonic_ns()}"
    assert post(of(account_id, "checkout_payment")).json()["status"] == "unmatched"
    opened = {"account_id": account_id}
    answer = admin.http.post("/v1/admin/accounts", json=opened, headers=admin.headers())
    assert answer.status_code == 201
    deadline = time.monotonic() + 240  # after the changes of all other tests
    while admin.get(f"/{account_id}").json()["balance"] != 10_600:
        assert time.monotonic() < deadline, admin.get(f"/{account_id}").json()
        time.sleep(0.2)


@pytest.fixture
def clock(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The clock of the webhook function's handler in this process, which uses the stack's table."""
    clock = Clock()
    for name, value in {
        **stack.aws_environment(),
        "TABLE_NAME": outputs(stack)["TableName"],
        "WEBHOOK_SECRETS": outputs(stack)["WebhookSecretsArn"],
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("scrip.ledger.utc_now", clock)
    monkeypatch.setattr(handler, "secrets", Secrets())
    read_settings.cache_clear()
    ledger.cache_clear()
    yield clock
    read_settings.cache_clear()
    ledger.cache_clear()


SUBSCRIBED = (
    "checkout_subscription",
    "invoice_paid",
    "invoice_payment_paid",
    "subscription_created",
    "subscription_updated",
    "subscription_deleted",
)
LIVES = {
    "refunded": (*SUBSCRIBED, "charge_refunded_of_invoice"),
    "disputed and won": (*SUBSCRIBED, "dispute_created", "dispute_closed_won"),
    "disputed and lost": (*SUBSCRIBED, "dispute_created", "dispute_closed_lost"),
}


def final_state(stack: LocalStack, clock: Clock, order: list[tuple[timedelta, str]]) -> object:
    """Deliver a new account's messages at their times; return its state and entries."""
    clock.now = BEGAN
    account_id = f"life-{time.monotonic_ns()}"
    ledger().execute(opening(account_id))
    secret = demo.details(stack).webhook_secrets["stripe"]
    for at, name in order:
        clock.now = BEGAN + at
        assert deliver(STRIPE, of(account_id, name), secret=secret).status == 200
    stored = EntryFilter(account_id=account_id)
    entries, _ = read_entries(ledger().table, stored, limit=100, cursor=None)
    account = settled(ledger().account(account_id), ledger().catalog(), BEGAN + 6 * DAY)
    return (
        (account.balance, account.held, account.debt, account.terms),
        Counter((entry.type, entry.amount) for entry in entries),
    )


@settings(
    max_examples=15,
    phases=[Phase.generate],  # to shrink a failure would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(name=st.sampled_from(sorted(LIVES)), chance=st.randoms(use_true_random=False))
def test_every_order_of_a_subscriptions_messages_leads_to_the_same_state(
    stack: LocalStack,
    clock: Clock,
    name: str,
    chance: Random,
) -> None:
    """Each message is delivered twice and up to three days late."""
    messages = [*LIVES[name], *LIVES[name]]
    usual = final_state(stack, clock, [(timedelta(0), message) for message in LIVES[name]])
    chance.shuffle(messages)
    late = sorted(chance.uniform(0, 3) * DAY for _ in messages)
    assert final_state(stack, clock, list(zip(late, messages, strict=True))) == usual


def test_whatever_call_fails_a_redelivery_of_the_message_completes_it(
    stack: LocalStack,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refund waits for its purchase; every call on the way fails once."""
    monkeypatch.setattr("scrip.ledger.PAUSE_SECONDS_MAX", 0.0001)
    secret = demo.details(stack).webhook_secrets["stripe"]
    failed = 0
    for number in range(1, 30):
        account_id = f"faults-{time.monotonic_ns()}"
        ledger().execute(opening(account_id))
        refund = of(account_id, "charge_refunded_partly")
        checkout = of(account_id, "checkout_payment")
        assert deliver(STRIPE, refund, secret=secret).body["status"] == "unmatched"
        with failing_at(ledger().table, number):
            answer = deliver(STRIPE, checkout, secret=secret)
        failed += answer.status == 503
        if answer.status == 503:
            assert deliver(STRIPE, checkout, secret=secret).body["status"] == "applied"
        account = ledger().account(account_id)
        assert (account.balance, account.debt) == (100 + 100 + 500 - 200, 0), number
        for message in (refund, checkout):
            record = read_message(ledger().table, f"stripe:{message['id']}")
            assert record, number
            assert (record.status, record.waits_for) == ("applied", ()), number
    assert failed > 10
