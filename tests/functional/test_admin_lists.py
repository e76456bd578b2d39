"""The lists of accounts and messages, replays of a message, and the stack's health."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.domain.commands import CloseAccount
from scrip.domain.entries import CLOCK
from scrip.ledger import ledger, opening
from scrip.settings import settings
from scrip.store.erasure import erase
from scrip.store.items import feature_item, plan_item, to_wire
from scrip.store.keys import account_key
from scrip.store.listing import bring_up_to_date
from scrip.store.sweeps import move_watermark
from scrip.users import open_account
from scrip.webhooks import stripe
from scrip.webhooks.apply import accept
from scrip.webhooks.messages import Message
from scrip.webhooks.providers import Provider
from tests.functional.conftest import USER, event, invoke, items, send
from tests.functional.deliveries import Clock
from tests.functional.faults import THROTTLED, instead_of
from tests.unit.webhooks.examples import ALICE, body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.store.client import Table
    from tests.functional.outside import Outside
    from tests.functional.renewals import Renewals

NOON = datetime(2026, 11, 3, 12, tzinfo=UTC)


@pytest.fixture
def clock(table: Table, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The ledger's clock, and a directory of the smallest possible size."""
    clock = Clock()
    clock.now = NOON
    monkeypatch.setattr("scrip.ledger.utc_now", clock)
    ledger.cache_clear()
    for module in ("scrip.store.keys", "scrip.store.directory"):
        monkeypatch.setattr(f"{module}.DIRECTORY_SHARDS", 2)
    monkeypatch.setattr("scrip.store.directory.ANCHOR_DAYS", 2)
    monkeypatch.setattr("scrip.store.directory.INBOX_DAYS", 3)
    return clock


def pages(name: str, of: str, **query: str) -> Iterator[list[dict[str, Any]]]:
    cursor: dict[str, str] = {}
    for _ in range(20):
        answer = send(f"admin/{name}", query={**query, **cursor})
        assert answer.status == 200
        yield answer.body[of]
        if answer.body["cursor"] is None:
            return
        cursor = {"cursor": answer.body["cursor"]}
    raise AssertionError("the pages never end")


def message(name: str, **changes: Any) -> tuple[Message, bytes]:
    """Return one of Stripe's messages, with changes to its object."""
    payload = body(Provider.STRIPE, name)
    payload["data"]["object"] |= changes
    sent = Message(
        provider=Provider.STRIPE,
        message_id=payload["id"],
        type=payload["type"],
        payload=payload,
        sent_at=datetime.fromtimestamp(payload["created"], UTC),
    )
    return sent, json.dumps(payload).encode()


def received(clock: Clock, day: int, number: int, name: str = "checkout_payment") -> str:
    clock.now = datetime(2026, 11, day, 12, number, tzinfo=UTC)
    sent, raw = message(name)
    return accept(ledger(), replace(sent, message_id=f"evt_{day}_{number}"), raw).inbox_id


def inbox_item(table: Table) -> dict[str, Any]:
    [item] = [item for item in items(table) if item["sk"]["S"] == "INBOX"]
    return item


@pytest.mark.usefixtures("outside")
def test_every_account_is_listed_once_for_any_page_size(
    table: Table,
    clock: Clock,
    subtests: pytest.Subtests,
) -> None:
    opened = [f"user-{number}" for number in range(5)]
    for number, account_id in enumerate(opened):
        clock.now = datetime(2026, 11, 1 + number % 2, 12, tzinfo=UTC)
        open_account(ledger(), account_id, [f"{account_id}@Example.com"], at=ledger().clock())
        bring_up_to_date(table, account_id)
    clock.now = NOON
    close = CloseAccount(account_id="user-4", entry_id="close", actor=CLOCK)
    ledger().execute(close)
    erase(table, "user-4")
    table.client.update_item(
        TableName=table.name,
        Key=to_wire(account_key("user-3")),
        UpdateExpression="SET balance = :wrong",
        ExpressionAttributeValues={":wrong": {"N": "1"}},
    )
    for limit in ("1", "2", "100"):
        with subtests.test(limit=limit):
            found = [one for page in pages("accounts", "accounts", limit=limit) for one in page]
            assert sorted(one["account_id"] for one in found) == opened[:4]
    [corrupt] = [one for one in found if one["account_id"] == "user-3"]
    assert corrupt == {"account_id": "user-3", "error": "corrupt_account"}
    [shown] = [one for one in found if one["account_id"] == "user-1"]
    assert (shown["emails"], shown["balance"], shown["plan_id"]) == (
        ["user-1@example.com"],
        150,
        "free",
    )
    assert send("admin/accounts", query={"cursor": "e30"}).status == 400


@pytest.mark.usefixtures("clock")
def test_accounts_can_be_searched_by_email_address_or_by_id() -> None:
    nothing: Any = {"accounts": [], "cursor": None, "complete": False}
    assert send("admin/account_by_email").body == nothing
    open_account(ledger(), ALICE, ["alice@example.com"], at=ledger().clock())
    answer = send("admin/account_by_email").body
    [found] = answer["accounts"]
    assert (found["account_id"], found["emails"]) == (ALICE, ["alice@example.com"])
    assert send("admin/account_by_email", query={"email": "alice"}).status == 422
    assert send("admin/account_by_email", query={"account_id": ALICE}).body == answer
    assert send("admin/account_by_email", query={"account_id": "unknown"}).body["accounts"] == []
    both = {"account_id": ALICE, "email": "alice@example.com"}
    assert send("admin/account_by_email", query=both).status == 422


@pytest.mark.usefixtures("clock")
def test_an_account_is_added_once_and_an_address_belongs_to_one_account(table: Table) -> None:
    added = send("admin/add_account")
    assert (added.status, added.body["balance"]) == (201, 150)
    before = items(table)
    again = send("admin/add_account")
    assert (again.status, again.body, items(table)) == (200, added.body, before)
    another = {"account_id": "google-oauth2|1", "email": "Alice@example.com"}
    refused = send("admin/add_account", body=another)
    assert (refused.status, refused.body["code"], items(table)) == (409, "email_taken", before)
    assert send("admin/add_account", body={"account_id": "samlp|acme|a@b.org"}).status == 201
    assert send("admin/add_account", body={"account_id": ""}).status == 422


def test_messages_are_listed_newest_first_by_status_without_payloads(
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    subtests: pytest.Subtests,
) -> None:
    ids = [received(clock, 1, 0), received(clock, 1, 1), received(clock, 3, 0)]
    ids.append(received(clock, 3, 1, "invoice_payment_paid"))
    for limit, queries_max in (("1", 60), ("2", 1), ("100", 60)):
        with subtests.test(limit=limit, queries_max=queries_max):
            monkeypatch.setattr("scrip.store.directory.INBOX_QUERIES_MAX", queries_max)
            found = [one for page in pages("webhooks", "webhooks", limit=limit) for one in page]
            assert [one["webhook_id"] for one in found] == ids[::-1]
    assert "payload" not in found[0]
    waiting = [one for page in pages("webhooks", "webhooks", status="unmatched") for one in page]
    assert [one["webhook_id"] for one in waiting] == ids[2::-1]
    assert f"account:{ALICE}" in waiting[0]["waits_for"]
    clock.now = NOON + timedelta(days=3)
    recent = [one for page in pages("webhooks", "webhooks") for one in page]
    assert [one["webhook_id"] for one in recent] == ids[:1:-1], "only the last INBOX_DAYS"
    cursor = send("admin/webhooks", query={"limit": "1"}).body["cursor"]
    other_query = {"status": "applied", "cursor": cursor}
    assert send("admin/webhooks", query=other_query).status == 400


def test_a_waiting_message_can_be_replayed_until_its_payload_is_erased(
    table: Table, clock: Clock
) -> None:
    assert send("admin/replay").body["code"] == "webhook_not_found"
    checkout, raw = message("checkout_payment")
    accept(ledger(), checkout, raw)
    assert send("admin/webhook").body["payload"] == checkout.payload
    assert send("admin/replay").body["status"] == "unmatched"
    ledger().execute(opening(ALICE))
    applied = send("admin/replay").body
    assert (applied["status"], applied["account_id"], applied["attempts"]) == ("applied", ALICE, 3)
    assert ledger().account(ALICE).balance == 150 + 500
    assert send("admin/replay").body["status"] == "applied"
    assert ledger().account(ALICE).balance == 150 + 500
    erase(table, ALICE)
    assert send("admin/webhook").body["payload"] is None
    assert send("admin/replay").body["code"] == "payload_erased"


def test_a_replay_applies_an_ignored_message_and_undoes_nothing(
    table: Table,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checkout, raw = message("checkout_payment")
    with monkeypatch.context() as older:
        older.delitem(stripe.EVENTS, checkout.type)
        assert accept(ledger(), checkout, raw).status == "ignored"
    kept_until = inbox_item(table)["purge_at"]["N"]
    assert send("admin/replay").body["status"] == "unmatched"
    assert inbox_item(table)["purge_at"]["N"] > kept_until, "a waiting message is kept for longer"
    with monkeypatch.context() as older:
        older.delitem(stripe.EVENTS, checkout.type)
        assert send("admin/replay").body["status"] == "ignored"
    ledger().execute(opening(ALICE))
    assert send("admin/replay").body["status"] == "applied"
    with monkeypatch.context() as broken:
        broken.setattr(stripe.Session, "facts", lambda *_: 1 / 0)
        assert send("admin/replay").body["status"] == "applied"
        broken.delitem(stripe.EVENTS, checkout.type)
        assert send("admin/replay").body["status"] == "applied"
    assert ledger().account(ALICE).balance == 150 + 500


def test_a_replay_that_fails_shows_the_reason(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout, raw = message("checkout_payment")
    accept(ledger(), checkout, raw)
    monkeypatch.setattr(stripe.Session, "facts", lambda *_: 1 / 0)
    failed = send("admin/replay").body
    assert (failed["status"], failed["reason"]) == (
        "failed",
        "ZeroDivisionError('division by zero')",
    )


def test_health_lists_every_problem_of_the_stack(
    renewals: Renewals, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, queue = renewals.table, renewals.queue
    for name in ("renew", "events"):
        monkeypatch.setenv(f"{name}_dead_letters_url".upper(), renewals.dead_letters_url)
    settings.cache_clear()
    healthy = send("admin/health").body
    assert healthy == {
        "status": "ok",
        "problems": [],
        "queues": {"renew": 0, "renew_dead_letters": 0, "events_dead_letters": 0},
        "watermark_age_seconds": None,
        "audit": None,
    }
    pro, team = (
        replace(DEFAULT_CATALOG.plans["pro"], plan_id=plan_id, provider_ids=("price_1",))
        for plan_id in ("pro", "team")
    )
    free = replace(DEFAULT_CATALOG.plans["free"], active=False)
    for plan in (pro, team, free):
        table.client.put_item(TableName=table.name, Item=to_wire(plan_item(plan)))
    corrupt = {**to_wire(plan_item(pro)), "sk": {"S": "PLAN#old"}, "monthly_credits": {"N": "-1"}}
    table.client.put_item(TableName=table.name, Item=corrupt)
    move_watermark(table, ledger().clock() - timedelta(hours=3))
    queue.client.send_message(QueueUrl=renewals.dead_letters_url, MessageBody="{}")
    monkeypatch.setenv("EVENTS_DEAD_LETTERS_URL", f"{queue.url}-gone")
    chat = replace(DEFAULT_CATALOG.features["chat"], active=False)
    table.client.put_item(TableName=table.name, Item=to_wire(feature_item(chat)))
    monkeypatch.setenv("REQUIRED_FEATURES", "chat,image-generation,summary")
    settings.cache_clear()
    degraded = send("admin/health").body
    assert (degraded["status"], degraded["watermark_age_seconds"]) == ("degraded", 3 * 60 * 60)
    assert degraded["queues"] == {"renew": 0, "renew_dead_letters": 1, "events_dead_letters": None}
    assert [(problem["code"], problem["subject"]) for problem in degraded["problems"]] == [
        ("unreadable_item", "PLAN#old"),
        ("default_plan_inactive", "free"),
        ("provider_id_on_two_plans", "price_1"),
        ("feature_inactive", "chat"),
        ("feature_missing", "summary"),
        ("sweep_late", "watermark"),
        ("dead_letters", "renew_dead_letters"),
        ("queue_unreadable", "events_dead_letters"),
    ]
    with instead_of(table, "Query", THROTTLED, times=10):
        assert send("admin/health").status == 503
    settings.cache_clear()


@pytest.mark.usefixtures("clock")
def test_every_admin_route_is_for_admins_only(outside: Outside) -> None:
    for name in ("accounts", "add_account", "webhooks", "webhook", "replay", "sync", "health"):
        sent = event(f"admin/{name}")
        sent["requestContext"]["authorizer"]["jwt"]["claims"] = {"sub": USER}
        assert invoke("admin", sent)["statusCode"] == 403, name
