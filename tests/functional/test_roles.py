"""Each role may do to the table what its function does, and nothing else.

No simulation of AWS checks the partitions that a role is limited to. So every request is recorded
here as IAM would see it, and compared with template.yaml.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase
from io import BytesIO
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from bench.ledgers import life, put
from bench.tampering import Tamperer
from functions.webhook import handler
from scrip.domain.commands import Consume
from scrip.domain.entries import Actor, ActorType
from scrip.ledger import ledger, opening
from scrip.settings import settings
from scrip.store.aliases import link_account
from scrip.store.keys import account_key, is_entry
from scrip.store.sweeps import move_watermark
from scrip.user_pool import PoolUser
from scrip.webhooks.providers import Provider
from scrip.webhooks.secrets import Secrets
from tests.functional.conftest import USER, event, invoke, query_fields, resources, send
from tests.functional.deliveries import deliver
from tests.functional.renewals import NOW
from tests.unit.webhooks.examples import ALICE, SECRETS, body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functional.outside import Outside
    from tests.functional.renewals import Renewals
    from tests.functional.rounds import Rounds

type Grant = tuple[str, str, str]
"""A permission: the action, the index (empty for the table), and a pattern of partitions.

A scan cannot be limited to partitions, so it has the attributes that it may read instead.
"""

IN_TRANSACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}


@dataclass
class Uses:
    """The requests of each function; one request for several partitions is one use."""

    by_function: dict[str, set[tuple[str, str, frozenset[str]]]] = field(default_factory=dict)
    function: str | None = None

    @contextmanager
    def of(self, function: str) -> Iterator[None]:
        """Record requests as those of a function, in a process of its own."""
        ledger.cache_clear()
        self.function = function
        yield
        self.function = None

    def record(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        """Record a request as IAM sees it."""
        if self.function is None:
            return
        uses = self.by_function.setdefault(self.function, set())
        if "TransactItems" in params:
            partitions: dict[str, set[str]] = {}
            for item in params["TransactItems"]:
                [[kind, request]] = item.items()
                keys = request["Item"] if kind == "Put" else request["Key"]
                partitions.setdefault(IN_TRANSACTIONS[kind], set()).add(keys["pk"]["S"])
            uses |= {(action, "", frozenset(keys)) for action, keys in partitions.items()}
            return
        match model.name:
            case "BatchGetItem":
                [request] = params["RequestItems"].values()
                keys = {key["pk"]["S"] for key in request["Keys"]}
            case "BatchWriteItem":
                [requests] = params["RequestItems"].values()
                keys = {request["PutRequest"]["Item"]["pk"]["S"] for request in requests}
            case "Query":
                assert "pk = :pk" in params["KeyConditionExpression"]
                keys = {params["ExpressionAttributeValues"][":pk"]["S"]}
            case "PutItem":
                keys = {params["Item"]["pk"]["S"]}
            case "Scan":
                # IAM sees the real names of the attributes.
                names = params.get("ExpressionAttributeNames", {})
                shown = params["ProjectionExpression"].split(", ")
                keys = {names.get(name, name) for name in shown}
            case _:
                keys = {params["Key"]["pk"]["S"]}
        uses.add((model.name, params.get("IndexName", ""), frozenset(keys)))


def statements(function: str) -> list[list[Grant]]:
    """Return the permissions of each of a function's statements about the table."""
    found = []
    [properties] = [
        resource["Properties"]
        for resource in resources().values()
        if resource.get("Properties", {}).get("CodeUri") == f"functions/{function}"
    ]
    for policy in properties["Policies"]:
        for statement in policy["Statement"]:
            service, action = statement["Action"].split(":")
            if service != "dynamodb":
                continue
            part, *_ = statement["Resource"].get("Fn::Sub", [""])
            _, _, index = part.partition("/index/")
            if action == "Scan":
                [[operator, condition]] = list(statement["Condition"].items())[:1]
                assert operator == "ForAllValues:StringEquals"
                patterns = condition["dynamodb:Attributes"]
            else:
                patterns = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
            found.append([(action, index, pattern) for pattern in patterns])
    return found


def covers(statement: list[Grant], action: str, index: str, partitions: frozenset[str]) -> bool:
    """Return whether one statement allows a request, with all of its partitions."""
    allowed = [pattern for *permission, pattern in statement if permission == [action, index]]
    return all(any(fnmatchcase(name, pattern) for pattern in allowed) for name in partitions)


@pytest.fixture
def uses(renewals: Renewals) -> Iterator[Uses]:
    """The requests of functions from now on."""
    uses = Uses()
    events = renewals.table.client.meta.events
    events.register("provide-client-params.dynamodb.*", uses.record)
    yield uses
    events.unregister("provide-client-params.dynamodb.*", uses.record)


@pytest.fixture
def secrets(renewals: Renewals, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stack's secret, with one for each provider."""
    client = boto3.client("secretsmanager")
    made = client.create_secret(Name="webhooks", SecretString=json.dumps(SECRETS))
    monkeypatch.setenv("WEBHOOK_SECRETS", made["ARN"])
    settings.cache_clear()
    monkeypatch.setattr(handler, "secrets", Secrets())
    yield
    client.delete_secret(SecretId="webhooks", ForceDeleteWithoutRecovery=True)
    settings.cache_clear()


NOT_DONE_HERE: dict[str, set[Grant]] = {
    # A sync of plans stores messages, but would need Stripe.
    "admin": {("PutItem", "", "INBOX#*")},
    # The lists of a new table are complete, but this one has its catalog.
    "bootstrap": {("PutItem", "", "LISTING")},
}
"""What is allowed and not used here."""

MESSAGES = (
    "user_created",
    "payment_refunded_total",
    "credits_purchased",
    "user_deleted",
)
"""A story in the order of its messages: the refund arrives before the payment."""


def pool_user(sub: str) -> PoolUser:
    """Return a user of the pool."""
    return PoolUser(account_id=sub, email=f"{sub}@example.com", is_confirmed=True)


def deliver_story(account_id: str, messages: tuple[str, ...] = MESSAGES) -> list[str]:
    """Deliver the messages about an account; return their webhook IDs."""
    webhook_ids = []
    for number, name in enumerate(messages):
        payload = json.dumps(body(Provider.STANDARD, name)).replace(ALICE, account_id)
        for word in ("alice", "pay-1001"):
            payload = payload.replace(word, f"{word}-{account_id}")
        # Waiting messages are applied in the order of these IDs.
        answer = deliver(
            Provider.STANDARD,
            json.loads(payload),
            message_id=f"{account_id}-{number}",
        )
        webhook_ids.append(answer.body["webhook_id"])
    return webhook_ids


def replay(webhook_id: str) -> str:
    """Replay a message; return its new status."""
    sent = event("admin/replay")
    sent["pathParameters"]["webhook_id"] = webhook_id
    sent["rawPath"] = f"/v1/admin/webhooks/{webhook_id}/replay"
    sent["requestContext"]["http"]["path"] = sent["rawPath"]
    return str(json.loads(invoke("admin", sent)["body"])["status"])


def first_call(name: str, query: str = "dry_run=true") -> None:
    """Send the first call of an admin who has no account yet, as a dry run and for real."""
    function, _, _ = name.partition("/")
    sent = json.loads(json.dumps(event(name)).replace(USER, "me")) | query_fields(query)
    claims = sent["requestContext"]["authorizer"]["jwt"]["claims"]
    claims["sub"] = claims["username"] = f"newcomer-{function}"
    claims["scope"] = "scrip/admin"
    assert invoke(function, sent)["statusCode"] < 500
    if query:
        first_call(name, "")


def use_the_api(uses: Uses) -> None:
    """Use every route of an account from its sign-up to its end, except for payments."""
    with uses.of("signup"):
        invoke("signup", event("signup/confirmed"))
        moved = event("signup/confirmed")
        moved["request"]["userAttributes"]["email"] = "alice@work.example"
        invoke("signup", moved)
    with uses.of("consume"):
        for name in ("feature", "too_much", "quote"):
            send(f"consume/{name}")
        for name in ("hold", "extend", "capture", "batch", "holds"):
            assert send(f"consume/{name}").status < 300
        assert send("consume/capture", key="again").status == 200
        first_call("consume/feature")
    with uses.of("account"):
        for name in ("me", "entry", "entries", "usage", "statement", "upcoming"):
            assert send(f"account/{name}").status == 200
        for query in ({"group_by": "reference"}, {"reference": "run-1"}):
            assert send("account/usage", query=query).status == 200
        first_call("account/me", "")
    with uses.of("refund"):
        assert send("refund/by_admin").status == 201
        assert send("refund/whole").status == 201
        assert send("refund/whole", key="again").status == 409
        first_call("refund/whole")
    deliver_story(ALICE, ("credits_purchased",))
    with uses.of("adjust"):
        first_call("adjust/add")
        for name in ("add", "change_quota", "reset", "freeze", "clock", "audit"):
            assert send(f"adjust/{name}").status < 300, name
        too_much = {"action": "deduct", "amount": 1_000_000, "reason": "x"}
        assert send("adjust/deduct", body=too_much).status == 409
        assert send("adjust/close").status == 200


def removed_entry() -> dict[str, Any]:
    """Return the stream's record of an entry that somebody has removed."""
    records: list[dict[str, Any]] = event("events/depleted")["Records"]
    [removed] = [one for one in records if is_entry(one["dynamodb"]["Keys"]["pk"]["S"])]
    removed["dynamodb"]["OldImage"] = removed["dynamodb"].pop("NewImage")
    return removed


def audit_twice(
    uses: Uses, renewals: Renewals, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Audit the whole table, then an account that was used and one that was tampered with."""
    monkeypatch.setattr("bench.ledgers.utc_now", lambda: NOW - timedelta(days=9))
    for account_id in ("silent", "used"):
        put(renewals.table, life(account_id, 12))
    monkeypatch.setattr("scrip.domain.audit.rounds.WHOLE_MAX", 0)
    with uses.of("audit"):
        rounds.whole()
    Tamperer(renewals.table, "silent").edit(account_key("silent"), balance={"N": "1"})
    app = Actor(ActorType.SERVICE, "app")
    ledger().execute(Consume(account_id="used", entry_id="c1", actor=app, amount=1))
    monkeypatch.setattr("scrip.ledger.utc_now", lambda: NOW + timedelta(days=1))
    with uses.of("audit"):
        rounds.whole()
    monkeypatch.setattr("scrip.ledger.utc_now", lambda: NOW)


@pytest.mark.moto
def test_each_role_may_do_what_its_function_does_and_nothing_else(
    uses: Uses,
    renewals: Renewals,
    rounds: Rounds,
    secrets: None,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    subtests: pytest.Subtests,
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: BytesIO())
    with uses.of("bootstrap"):
        for name in ("create", "settings"):
            invoke("bootstrap", event(f"bootstrap/{name}"))
    monkeypatch.setenv("USER_POOL_ID", "eu-central-1_EXAMPLE01")
    settings.cache_clear()
    monkeypatch.setattr("scrip.users.user_pool", lambda: SimpleNamespace(user=pool_user))
    use_the_api(uses)
    with uses.of("catalog"):
        for name in ("public", "create_plan"):
            assert send(f"catalog/{name}").status < 300, name
    with uses.of("webhook"):
        deliver_story("bob")
        waiting = deliver_story("carl", MESSAGES[1:]), deliver_story("dora", MESSAGES[1:])
    assert ledger().account("bob").status == "closed"
    ledger().execute(opening("dora"))
    link_account(renewals.table, "dora", "email:dora@example.org")
    with uses.of("wake"):
        opened = event("wake/account_opened")
        opened["Records"][0]["dynamodb"]["Keys"]["pk"]["S"] = "ACCOUNT#dora"
        invoke("wake", opened)
    assert ledger().account("dora").status == "closed"
    for number in ("ANCHOR_DAYS", "DIRECTORY_SHARDS", "INBOX_DAYS"):
        monkeypatch.setattr(f"scrip.store.directory.{number}", 2)
    no_users = SimpleNamespace(page=lambda _: ([], None))
    monkeypatch.setattr("functions.admin.sync.user_pool", lambda: no_users)
    with uses.of("admin"):
        added = {"account_id": "carl", "email": "carl@example.org"}
        for query in ({"dry_run": "true"}, None):
            assert send("admin/add_account", body=added, query=query).status == 201
        names = ("account_by_email", "counts", "search", "webhooks", "totals", "ran_out", "health")
        for name in ("accounts", *names):
            assert send(f"admin/{name}").status == 200, name
        overrides = {"mode": "users", "credit_overrides": {"carl": 5}}
        assert send("admin/sync", body=overrides).status == 200
        assert [replay(webhook_id) for webhook_id in waiting[0]] == [
            "unmatched",
            "applied",
            "applied",
        ]
    assert ledger().account("carl").status == "closed"
    with uses.of("events"):
        invoke("events", {"Records": event("events/day")["Records"][:6]})
        invoke("events", event("events/depleted"))
        invoke("events", {"Records": [removed_entry()]})
    renewals.open({"due": NOW.replace(month=10)})
    move_watermark(renewals.table, NOW - timedelta(hours=1))
    link_account(renewals.table, "due", "email:due@example.org")
    audit_twice(uses, renewals, rounds, monkeypatch)
    with uses.of("reset"):
        renewals.sweep()
    with uses.of("renew"):
        assert renewals.drain() == []
        invoke("renew", event("renew/account"))
    for function, used in uses.by_function.items():
        with subtests.test(function):
            granted = statements(function)
            denied = [
                use for use in used if not any(covers(statement, *use) for statement in granted)
            ]
            unused = {grant for statement in granted for grant in statement} - {
                (action, index, pattern)
                for statement in granted
                for action, index, pattern in statement
                for use in used
                if use[:2] == (action, index)
                and any(fnmatchcase(partition, pattern) for partition in use[2])
            }
            assert (denied, unused - NOT_DONE_HERE.get(function, set())) == ([], set())
