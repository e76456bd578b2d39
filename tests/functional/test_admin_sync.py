"""Sync: it repairs missed changes once, however often it is interrupted or repeated."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from functions.admin import handler
from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.domain.commands import CloseAccount
from scrip.domain.entries import CLOCK
from scrip.ledger import ledger, opening
from scrip.settings import settings
from scrip.store.aliases import link_account
from scrip.store.items import plan_item, to_wire
from scrip.user_pool import UserPool
from scrip.users import emails_of, open_account
from scrip.webhooks.apply import apply_waiting
from scrip.webhooks.providers import Provider
from tests.functional.conftest import Answer, items, send
from tests.functional.deliveries import Clock
from tests.functional.stripe_server import KEY, StripeServer, stripe_server
from tests.unit.webhooks.examples import ALICE, body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.store.client import Table

PAID_UNTIL = "2026-12-01T00:00:00.000Z"


class Cognito:
    """The users of a pool, two to a page, as Cognito lists them."""

    def __init__(self) -> None:
        self.users: list[dict[str, Any]] = []

    def add(self, sub: str, *, verified: bool = True, status: str = "CONFIRMED") -> None:
        values = {
            "sub": sub,
            "email": f"{sub}@Example.com",
            "email_verified": "true" if verified else "false",
        }
        attributes = [{"Name": name, "Value": value} for name, value in values.items()]
        self.users.append({"Username": sub, "Attributes": attributes, "UserStatus": status})

    def list_users(self, *, PaginationToken: str = "0", **_: Any) -> dict[str, Any]:  # noqa: N803 - Cognito's
        first = int(PaginationToken)
        more = {"PaginationToken": str(first + 2)} if first + 2 < len(self.users) else {}
        return {"Users": self.users[first : first + 2], **more}


@pytest.fixture
def clock(table: Table, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The ledger's clock, and a plan mapped to a price of Stripe's."""
    clock = Clock()
    monkeypatch.setattr("scrip.ledger.utc_now", clock)
    ledger.cache_clear()
    pro = replace(DEFAULT_CATALOG.plans["pro"], provider_ids=("price_ScripPro",))
    table.client.put_item(TableName=table.name, Item=to_wire(plan_item(pro)))
    return clock


@pytest.fixture
def cognito(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Cognito:
    """The stack's user pool."""
    cognito = Cognito()
    monkeypatch.setattr("functions.admin.sync.user_pool", lambda: UserPool(cognito, "pool"))  # type: ignore[arg-type]
    return cognito


@pytest.fixture
def secret(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stack's secret, with the key for Stripe's API."""
    client = boto3.client("secretsmanager")
    secret = json.dumps({"stripe": ["whsec_1"], "stripe_api_key": KEY})
    made = client.create_secret(Name="webhooks", SecretString=secret)
    monkeypatch.setenv("WEBHOOK_SECRETS", made["ARN"])
    yield client
    client.delete_secret(SecretId="webhooks", ForceDeleteWithoutRecovery=True)


@pytest.fixture
def stripe(secret: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[StripeServer]:
    """A server that replaces Stripe."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with stripe_server() as server:
        monkeypatch.setenv("STRIPE_API_URL", server.url)
        settings.cache_clear()
        yield server
    settings.cache_clear()


def subscription(
    sub: str, account_id: str | None, invoice_status: str = "paid", **changes: Any
) -> dict[str, Any]:
    """Return a subscription with its newest invoice, as Stripe lists it."""
    listed = deepcopy(body(Provider.STRIPE, "subscription_updated")["data"]["object"])
    invoice = deepcopy(body(Provider.STRIPE, "invoice_paid")["data"]["object"])
    metadata = {"account_id": account_id} if account_id else {}
    invoice |= {"id": f"in_{sub}", "customer": f"cus_{sub}", "customer_email": f"{sub}@example.com"}
    invoice["parent"]["subscription_details"] = {"metadata": metadata, "subscription": sub}
    invoice["status"] = invoice_status
    payment = {"type": "payment_intent", "payment_intent": f"pi_{sub}"}
    invoice["payments"] = {"object": "list", "data": [{"id": "inpay_1", "payment": payment}]}
    listed |= {"id": sub, "customer": f"cus_{sub}", "metadata": metadata, "latest_invoice": invoice}
    return {**listed, **changes}


def sync(**options: Any) -> Answer:
    return send("admin/sync", body={"mode": "plans", **options})


def synced(**options: Any) -> list[dict[str, Any]]:
    """Call sync until it is complete; return the answers."""
    answers = [sync(**options).body]
    while not answers[-1]["complete"]:
        assert len(answers) < 20
        answers.append(sync(**options, cursor=answers[-1]["cursor"]).body)
    return answers


def counted(answers: list[dict[str, Any]]) -> dict[str, int]:
    """Return the sums of the answers' counts that are not 0."""
    names = answers[0]["counts"]
    sums = {name: sum(answer["counts"][name] for answer in answers) for name in names}
    return {name: number for name, number in sums.items() if number}


def out_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave every call enough time for one item only."""
    monkeypatch.setattr(handler, "SPARE_MILLISECONDS", 10**9)


def test_every_confirmed_user_gets_an_account_and_the_current_address(
    table: Table,
    cognito: Cognito,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for sub in ("anna", "bert", "carl"):
        cognito.add(sub)
    cognito.add("dora", verified=False)
    cognito.add("emil", status="UNCONFIRMED")
    open_account(ledger(), "bert", ["bert@example.com"], at=ledger().clock())
    open_account(ledger(), "carl", ["old@example.com"], at=ledger().clock())
    before = items(table)
    [tried] = synced(mode="users", dry_run=True)
    assert items(table) == before
    out_of_time(monkeypatch)
    done = synced(mode="users")
    assert len(done) == 6, "one user per call, and one call to find no more"
    differences = [difference for answer in done for difference in answer["differences"]]
    assert differences == tried["differences"]
    assert (
        counted(done)
        == counted([tried])
        == {
            "seen": 5,
            "unchanged": 1,
            "changed": 3,
            "skipped": 1,
        }
    )
    assert [
        (one["account_id"], one["field"], one["before"], one["after"]) for one in differences
    ] == [
        ("anna", "status", None, "active"),
        ("anna", "emails", [], ["anna@example.com"]),
        ("carl", "emails", ["old@example.com"], ["carl@example.com"]),
        ("dora", "status", None, "active"),
    ]
    assert (ledger().account("anna").balance, emails_of(ledger(), "dora")) == (150, [])
    assert counted(synced(mode="users")) == {"seen": 5, "unchanged": 4, "skipped": 1}


def test_a_dry_run_reports_what_the_real_run_then_does_and_writes_nothing(
    table: Table,
    cognito: Cognito,
    stripe: StripeServer,
) -> None:
    for sub in ("sub_new", "known", "team/anna"):
        cognito.add(sub)
    for account_id in (ALICE, "known", "gone"):
        ledger().execute(opening(account_id))
    ledger().execute(CloseAccount(account_id="gone", entry_id="close", actor=CLOCK))
    broken, unmapped = subscription("sub_broken", ALICE), subscription("sub_unmapped", ALICE)
    broken["latest_invoice"]["lines"] = None
    line = unmapped["latest_invoice"]["lines"]["data"][0]
    line["pricing"]["price_details"] = {"price": "price_x", "product": "prod_x"}
    stripe.subscriptions = [
        subscription("sub_new", "sub_new"),  # of the user whose account the sync opens
        subscription("sub_second", ALICE, created=0),
        subscription("sub_first", ALICE),
        broken,
        unmapped,
        subscription("sub_unknown", None),
        subscription("sub_gone", "gone"),
        subscription("sub_ended", "known", status="canceled"),
    ]
    overrides = {ALICE: 900, "sub_new": 2_050, "known": 150, "unknown": 1}
    before = items(table)
    [rehearsed] = synced(mode="all", credit_overrides=overrides, dry_run=True)
    assert items(table) == before
    [done] = synced(mode="all", credit_overrides=overrides)
    assert done == rehearsed
    assert {one["account_id"] for one in done["differences"]} == {ALICE, "known", "sub_new"}
    assert [one["code"] for one in done["failures"]] == [
        "unusable_account_id",
        "unreadable_payload",
        "unmatched",
        "unmatched",
        "account_not_found",
    ]


def test_a_dry_run_compares_with_accounts_as_they_are_now(
    table: Table,
    cognito: Cognito,
    clock: Clock,
) -> None:
    cognito.add("anna")
    open_account(ledger(), "anna", ["anna@example.com"], at=clock.now)
    clock.now += timedelta(days=40)
    balance = ledger().account("anna").balance
    for wanted, changed in ((balance, 0), (balance - 1, 1)):
        asked = {"mode": "users", "credit_overrides": {"anna": wanted}}
        [rehearsed], [done] = synced(**asked, dry_run=True), synced(**asked)
        assert done == rehearsed
        assert done["counts"]["changed"] == changed


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_user_with_an_unusable_id_is_reported_and_gets_no_account(
    table: Table,
    cognito: Cognito,
    dry_run: bool,  # noqa: FBT001 - a parameter
) -> None:
    cognito.add("team/anna")
    before = items(table)
    [report] = synced(mode="users", dry_run=dry_run)
    assert report["failures"] == [{"subject": "team/anna", "code": "unusable_account_id"}]
    assert counted([report]) == {"seen": 1, "failed": 1}
    assert items(table) == before


def test_missed_webhooks_go_through_the_inbox_like_real_messages(
    table: Table,
    stripe: StripeServer,
    clock: Clock,
) -> None:
    ledger().execute(opening(ALICE))
    stripe.subscriptions = [
        subscription("sub_alice", ALICE),
        subscription("sub_unknown", None),
        subscription("sub_gone", None, status="canceled"),
    ]
    before = items(table)
    [tried] = synced(dry_run=True)
    assert items(table) == before
    [done] = synced()
    assert done["differences"] == tried["differences"]
    assert (
        counted([done])
        == counted([tried])
        == {
            "seen": 3,
            "changed": 1,
            "skipped": 1,
            "unmatched": 1,
        }
    )
    assert done["failures"] == [{"subject": "stripe:sub_unknown", "code": "unmatched"}]
    differences = {one["field"]: (one["before"], one["after"]) for one in done["differences"]}
    assert differences == {
        "plan_id": ("free", "pro"),
        "subscription_status": (None, "active"),
        "paid_until": (None, PAID_UNTIL),
        "balance": (150, 2_050),
        "names": ([], ["stripe:sub_alice", "stripe:cus_sub_alice"]),
    }
    listed = send("admin/webhooks").body["webhooks"]
    assert {message["webhook_id"]: message["status"] for message in listed} == {
        "stripe:sync.sub_alice.active.0": "applied",
        "stripe:sync.in_sub_alice": "applied",
        "stripe:sync.sub_unknown.active.0": "unmatched",
        "stripe:sync.in_sub_unknown": "unmatched",
    }
    after = items(table)
    again = synced()
    assert counted(again) == {"seen": 3, "unchanged": 1, "skipped": 1, "unmatched": 1}
    assert len(items(table)) == len(after)
    # A refund can find the payment by its own name.
    assert any(item["pk"]["S"] == "ALIAS#stripe:pi_sub_alice" for item in after)
    # A subscription that nobody names gets its customer's only account, in its own time.
    ledger().execute(opening("carl"))
    link_account(table, "carl", "stripe:cus_sub_unknown")
    assert counted(synced()) == {"seen": 3, "unchanged": 1, "skipped": 1, "unmatched": 1}
    clock.now += timedelta(minutes=10)
    apply_waiting(ledger(), lambda: True)
    assert counted(synced()) == {"seen": 3, "unchanged": 2, "skipped": 1}


def test_an_account_follows_the_current_state_of_its_newest_subscription(
    stripe: StripeServer,
    clock: Clock,
) -> None:
    ledger().execute(opening(ALICE))
    older, newer = (subscription(sub, ALICE, "open") for sub in ("sub_1", "sub_2"))
    older["created"] -= 86_400
    stripe.subscriptions = [older]
    synced()
    for status in ("past_due", "active"):
        clock.now += timedelta(hours=1)
        older["status"] = status
        [report] = synced()
        assert [one["after"] for one in report["differences"]] == [status]
    newer["created"] = int(clock.now.timestamp()) + 60
    stripe.subscriptions = [newer, older]
    clock.now += timedelta(hours=1)
    followed = []
    for _ in range(2):
        synced()
        clock.now += timedelta(hours=1)
        known = ledger().account(ALICE).subscription
        followed.append(known.subscription_id if known else None)
    assert followed == ["stripe:sub_2"] * 2
    older["status"] = "canceled"
    assert counted(synced()) == {"seen": 2, "unchanged": 2}
    newer["status"] = "canceled"
    [report] = synced()
    assert [one["after"] for one in report["differences"]] == ["canceled"]


def test_a_sync_continues_after_running_out_of_time_or_a_failure_of_stripe(
    stripe: StripeServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    people = ("anna", "bert", "carl")
    for account_id in people:
        ledger().execute(opening(account_id))
    stripe.subscriptions = [subscription(f"sub_{who}", who, "open") for who in people]
    stripe.failing = {1, 3}
    refused = sync()
    assert (refused.status, refused.body["code"]) == (503, "provider_busy")
    first = sync().body
    assert (first["complete"], first["counts"]["changed"]) == (False, 1)
    out_of_time(monkeypatch)
    second = sync(cursor=first["cursor"]).body
    assert (second["complete"], second["counts"]["changed"]) == (False, 1)
    another = sync(cursor=second["cursor"], dry_run=True)
    assert (another.status, another.body["code"]) == (400, "invalid_cursor")
    monkeypatch.setattr(handler, "SPARE_MILLISECONDS", 0)
    third = sync(cursor=second["cursor"]).body
    assert (third["complete"], third["counts"]["changed"]) == (True, 1)
    assert counted(synced()) == {"seen": 3, "unchanged": 3}


def test_a_long_report_is_split_into_several_answers(
    stripe: StripeServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("functions.admin.sync.DIFFERENCES_MAX", 2)
    stripe.subscriptions = [subscription(f"sub_{number}", None) for number in range(5)]
    answers = synced(dry_run=True)
    assert [len(answer["failures"]) for answer in answers] == [2, 2, 1]


def test_a_failure_does_not_stop_the_sync_of_other_subscriptions(stripe: StripeServer) -> None:
    for account_id in (ALICE, "anna", "bob"):
        ledger().execute(opening(account_id))
    ledger().execute(CloseAccount(account_id=ALICE, entry_id="close", actor=CLOCK))
    unknown = subscription("sub_1", "bob")
    unknown["latest_invoice"]["lines"]["data"][0]["pricing"]["price_details"]["price"] = "price_x"
    broken = subscription("sub_2", "bob")
    broken["latest_invoice"]["lines"] = None
    closed, good = subscription("sub_3", ALICE), subscription("sub_4", "anna", "open")
    stripe.subscriptions = [broken, unknown, closed, good]
    [tried] = synced(dry_run=True)
    [done] = synced()
    assert (
        done["failures"]
        == tried["failures"]
        == [
            {"subject": "stripe:sub_2", "code": "unreadable_payload"},
            {"subject": "stripe:sub_1", "code": "unmatched"},
        ]
    )
    assert counted([done]) == {"seen": 4, "changed": 1, "failed": 1, "unmatched": 1, "skipped": 1}
    assert ledger().account("anna").subscription


@pytest.mark.usefixtures("cognito")
def test_a_sync_sets_balances_once_and_audits_the_admin(table: Table) -> None:
    for account_id in ("anna", "bert"):
        ledger().execute(opening(account_id))
    overrides = {"anna": 900, "bert": 150, "carl": 1}
    before = items(table)
    [tried] = synced(mode="users", credit_overrides=overrides, dry_run=True)
    assert items(table) == before
    [done] = synced(mode="users", credit_overrides=overrides)
    assert (
        done["differences"]
        == tried["differences"]
        == [
            {"account_id": "anna", "field": "balance", "before": 150, "after": 900},
        ]
    )
    assert done["failures"] == [{"subject": "carl", "code": "account_not_found"}]
    [audit] = [item for item in items(table) if item["sk"]["S"].startswith("AUDIT#")]
    assert (audit["reason"]["S"], audit["actor"]["M"]["type"]["S"]) == ("sync", "admin")
    again = synced(mode="users", credit_overrides=overrides)
    assert counted(again) == {"seen": 3, "unchanged": 2, "failed": 1}
    assert sync(credit_overrides={"anna": -1}).status == 422


def test_a_sync_without_a_valid_stripe_key_changes_nothing(
    stripe: StripeServer,
    secret: Any,
    cognito: Cognito,
    table: Table,
) -> None:
    for listed in ({}, {"stripe_api_key": "rk_wrong"}):
        secret.put_secret_value(SecretId="webhooks", SecretString=json.dumps(listed))
        answer = sync(mode="all")
        assert (answer.status, answer.body["code"]) == (409, "not_configured")
        assert answer.body["setting"] == "stripe_api_key"
    assert items(table) == []
