"""The admin API over HTTP, with a function that has only the permissions of its role."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from scrip.webhooks.providers import Provider
from scrip_cli.local import demo
from scrip_cli.local.deploy import outputs
from scrip_cli.local.stack import STACK_NAME, LocalStack
from scrip_cli.webhooks.signing import sign
from tests.functional.stripe_server import KEY, stripe_server
from tests.functional.test_admin_sync import subscription
from tests.integration.test_catalog import ask
from tests.integration.test_events import until
from tests.unit.webhooks.examples import body

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.integration.conftest import Api


def answered(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    content: dict[str, Any] = answer.json()
    return content


def all_of(admin: Api, path: str) -> list[dict[str, Any]]:
    """Return every page of a list as one."""
    found: list[dict[str, Any]] = []
    of, cursor = path.rsplit("/", maxsplit=1)[1], ""
    for _ in range(50):
        page = answered(ask(admin, "GET", f"{path}?limit=100{cursor}"))
        found += page[of]
        if page["cursor"] is None:
            return found
        cursor = f"&cursor={page['cursor']}"
    raise AssertionError("the last page never came")


def synced(admin: Api, request: dict[str, Any]) -> list[dict[str, Any]]:
    """Run every page of a sync; return the differences."""
    page = answered(ask(admin, "POST", "/v1/admin/sync", request))
    found: list[dict[str, Any]] = page["differences"]
    while not page["complete"]:
        again = {**request, "cursor": page["cursor"]}
        page = answered(ask(admin, "POST", "/v1/admin/sync", again))
        found += page["differences"]
    assert page["counts"]["failed"] == 0, page["failures"]
    return found


def test_support_finds_an_account_by_its_email_address_and_in_the_list(
    stack: LocalStack,
    admin: Api,
) -> None:
    email = f"{uuid4()}@example.com"
    account_id = demo.sign_up(stack, email)
    [found] = answered(ask(admin, "GET", f"/v1/admin/accounts?email={email.upper()}"))["accounts"]
    assert (found["account_id"], found["emails"], found["balance"]) == (
        account_id,
        [email],
        10_100,
    )
    # The stream lists it some seconds later.
    listed = until(
        lambda: [account["account_id"] for account in all_of(admin, "/v1/admin/accounts")],
        lambda found: account_id in found,
    )
    assert listed.count(account_id) == 1
    assert len(listed) == len(set(listed))


def test_a_message_that_arrives_before_its_account_can_be_replayed_afterwards(
    stack: LocalStack,
    admin: Api,
) -> None:
    account_id = f"auth0|{uuid4().hex}"
    payload = body(Provider.STRIPE, "checkout_payment")
    payload["id"] = f"evt_{uuid4().hex}"
    session = payload["data"]["object"]
    session |= {"client_reference_id": account_id, "payment_intent": f"pi_{uuid4().hex}"}
    session |= {
        "customer": f"cus_{uuid4().hex}",
        "customer_details": {},
        "metadata": {"credits": 500},
    }
    raw = json.dumps(payload).encode()
    secret = demo.details(stack).webhook_secrets["stripe"]
    headers = sign(Provider.STRIPE, raw, secret, message_id="", at=datetime.now(UTC))
    headers["Content-Type"] = "application/json"
    sent = answered(admin.http.post("/v1/webhooks/stripe", content=raw, headers=headers))
    assert sent["status"] == "unmatched"

    waiting = answered(ask(admin, "GET", "/v1/admin/webhooks?status=unmatched&limit=100"))
    assert sent["webhook_id"] in {message["webhook_id"] for message in waiting["webhooks"]}
    path = f"/v1/admin/webhooks/{sent['webhook_id']}"
    assert answered(ask(admin, "GET", path))["payload"] == payload
    assert answered(ask(admin, "POST", f"{path}/replay"))["status"] == "unmatched"
    email = f"{uuid4()}@example.com"
    account = {"account_id": account_id, "email": email}
    answered(ask(admin, "POST", "/v1/admin/accounts", account), 201)
    # By now the table's stream may have applied it; then the replay changes nothing.
    assert answered(ask(admin, "POST", f"{path}/replay"))["status"] == "applied"
    [found] = answered(ask(admin, "GET", f"/v1/admin/accounts?email={email}"))["accounts"]
    assert found["balance"] == 10_100 + 500


def test_a_sync_opens_accounts_for_users_whose_sign_up_was_missed(
    stack: LocalStack, admin: Api
) -> None:
    email = f"{uuid4()}@example.com"
    user = stack.client("cognito-idp").admin_create_user(
        UserPoolId=outputs(stack)["UserPoolId"],
        Username=email,
        UserAttributes=[
            {"Name": "email", "Value": email},
            {"Name": "email_verified", "Value": "true"},
        ],
    )["User"]
    [sub] = [item["Value"] for item in user["Attributes"] if item["Name"] == "sub"]
    expected = [
        {"account_id": sub, "field": "status", "before": None, "after": "active"},
        {"account_id": sub, "field": "emails", "before": [], "after": [email]},
    ]
    request = {"mode": "users", "credit_overrides": {}}

    def differences(request: dict[str, Any]) -> list[dict[str, Any]]:
        # Other tests may leave users without accounts, which a sync finds, too.
        return [one for one in synced(admin, request) if one["account_id"] == sub]

    assert differences({**request, "dry_run": True}) == expected
    assert admin.get(f"/{sub}").status_code == 404
    overridden = {"account_id": sub, "field": "balance", "before": 10_100, "after": 7}
    assert differences({**request, "credit_overrides": {sub: 7}}) == [*expected, overridden]
    assert admin.get(f"/{sub}").json()["balance"] == 7
    assert synced(admin, request) == []


@contextmanager
def stripe_at(stack: LocalStack, url: str) -> Iterator[None]:
    """Point the deployed function to another Stripe server, with an API key."""
    functions, manager = stack.client("lambda"), stack.client("secretsmanager")
    resource = stack.client("cloudformation").describe_stack_resource(
        StackName=STACK_NAME, LogicalResourceId="AdminFunction"
    )
    name = resource["StackResourceDetail"]["PhysicalResourceId"]
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    secret_id = outputs(stack)["WebhookSecretsArn"]
    secret = manager.get_secret_value(SecretId=secret_id)["SecretString"]
    with_key = json.dumps({**json.loads(secret), "stripe_api_key": KEY})
    manager.put_secret_value(SecretId=secret_id, SecretString=with_key)
    changed = {**before, "STRIPE_API_URL": url, "NO_PROXY": "127.0.0.1"}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": changed})
    try:
        yield
    finally:
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": before}
        )
        manager.put_secret_value(SecretId=secret_id, SecretString=secret)


def test_a_sync_finds_subscriptions_at_stripe_that_webhooks_missed(
    stack: LocalStack,
    user: Api,
    admin: Api,
) -> None:
    refused = ask(admin, "POST", "/v1/admin/sync", {"mode": "plans"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_configured")
    sub = f"sub_{uuid4().hex}"
    with stripe_server() as stripe, stripe_at(stack, stripe.url):
        stripe.subscriptions = [subscription(sub, user.account_id, "open", status="past_due")]
        request = {"mode": "plans"}
        differences = synced(admin, request)
        assert [(one["field"], one["after"]) for one in differences] == [
            ("subscription_status", "past_due"),
            ("names", [f"stripe:{sub}", f"stripe:cus_{sub}"]),
        ]
        assert synced(admin, request) == []
    assert user.get("/me").json()["subscription_status"] == "past_due"


def test_health_reads_the_table_the_catalog_and_every_queue(admin: Api, user: Api) -> None:
    health = answered(ask(admin, "GET", "/v1/admin/health"))
    # Other tests may have caused these problems; there must be no others.
    problems = {problem["code"] for problem in health["problems"]}
    assert problems <= {"dead_letters", "sweep_late", "audit_mismatches"}
    assert all(isinstance(depth, int) for depth in health["queues"].values())
    assert ask(user, "GET", "/v1/admin/health").status_code == 403
