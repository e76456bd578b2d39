"""No function can do its work without any one of the permissions of its role.

The permissions come from the deployed roles, and are removed one at a time: one action on one
resource. The local AWS checks every call of a function, and each action of a transaction by itself.
It ignores conditions on partitions (`dynamodb:LeadingKeys`), which tests/functional/test_roles.py
checks. It also checks no role when it reads a stream or a queue for a function or forwards a failed
event, so those parts of a role, which SAM generates, are not tested (`BY_LAMBDA`, and AWS's own
policies).
"""

from __future__ import annotations

import copy
import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from functions.audit.handler import MARGIN_MILLISECONDS
from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.audit_queue import DirectoryShard, parts_of
from scrip.domain.commands import OpenAccount, ResetAnchor
from scrip.domain.decide import SIGNUP_ENTRY_ID, decide
from scrip.domain.entries import CLOCK
from scrip.ledger import utc_now
from scrip.store.inbox import DONE
from scrip.store.items import account_item, entry_item, progress_of, to_wire
from scrip.webhooks.providers import Provider
from scrip_cli.webhooks.signing import sign
from tests.functional.conftest import event
from tests.functional.stripe_server import stripe_server
from tests.functional.test_roles import MESSAGES
from tests.integration.roles import Functions, NotDoneError, about
from tests.integration.test_admin import stripe_at
from tests.unit.webhooks.examples import ALICE, body

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrip_cli.local.stack import LocalStack

BY_LAMBDA = {
    "EventsFunction": "EventsFunctionStreamSQSPolicy",
    "MatchFunction": "MatchFunctionNamesSQSPolicy",
}
"""The policies with which Lambda itself forwards the events that a function failed on."""


def new_account() -> str:
    return f"role-{uuid4().hex}"


def deliver(
    functions: Functions, account_id: str, messages: tuple[str, ...] = MESSAGES
) -> list[str]:
    """Deliver an account's messages to the webhook function; return their IDs."""
    secret, path = functions.signing_secrets["standard"], "/v1/webhooks/standard"
    webhook_ids = []
    for number, name in enumerate(messages):
        text = json.dumps(body(Provider.STANDARD, name)).replace(ALICE, account_id)
        text = re.sub("(alice|pay-1001)", rf"\1-{account_id}", text, flags=re.IGNORECASE)
        sent = event("webhook/request") | {"rawPath": path, "body": text}
        sent["pathParameters"]["provider"] = "standard"
        sent["requestContext"]["http"]["path"] = path
        # Waiting messages are applied in the order of these IDs.
        message_id, at = f"{account_id}-{number}", datetime.now(UTC)
        signed = sign(Provider.STANDARD, text.encode(), secret, message_id=message_id, at=at)
        sent["headers"] |= signed
        webhook_ids.append(functions.ask("webhook/request", account_id, **sent)["webhook_id"])
    return webhook_ids


def must_be_applied(functions: Functions, account_id: str, webhook_ids: list[str]) -> None:
    """Check that the messages closed the account, as the last one does, and that none waits."""
    account = functions.items(f"ACCOUNT#{account_id}")["ACCOUNT"]
    must(account.get("status") == {"S": "closed"}, "the account is not closed")
    for webhook_id in webhook_ids:
        message = functions.items(f"INBOX#{webhook_id.replace(':', '#', 1)}")["INBOX"]
        must(message["status"]["S"] in DONE, f"a message is {message}")
    for name in (f"account:{account_id}", f"standard:payment:pay-1001-{account_id}"):
        waiting = [sk for sk in functions.items(f"ALIAS#{name}") if sk.startswith("WAITING#")]
        must(not waiting, f"{waiting} still wait for {name}")


def must(done: bool, what: str) -> None:  # noqa: FBT001 - it reads as a sentence
    if not done:
        raise NotDoneError(what)


def sign_up(functions: Functions) -> None:
    """Confirm a sign-up, then the same user with another email address."""
    account_id = new_account()
    names = [f"ALIAS#email:{account_id}@{host}.example" for host in ("home", "work")]
    for name in names:
        confirmed = about(account_id, event("signup/confirmed"))
        confirmed["request"]["userAttributes"]["email"] = name.removeprefix("ALIAS#email:")
        assert functions.call("SignupFunction", confirmed) == confirmed, (
            "no sign-up may be prevented"
        )
    before, after = (functions.items(name) for name in names)
    must(bool(after) and not before, "the new address does not lead to the account")


def consume(functions: Functions) -> None:
    """Spend, hold, and end a hold twice; the second time reads how it ended."""
    functions.first_call("consume/feature")
    account_id = new_account()
    functions.ask("consume/feature", account_id)
    functions.ask("consume/hold", account_id)
    functions.ask("consume/capture", account_id)
    again = event("consume/capture")
    again["headers"]["idempotency-key"] = "again"
    functions.ask("consume/capture", account_id, headers=again["headers"])


def refund(functions: Functions) -> None:
    functions.first_call("refund/whole")
    account_id = new_account()
    functions.ask("consume/feature", account_id)
    functions.ask("refund/whole", account_id)


def adjust(functions: Functions) -> None:
    """Adjust an account, and close it, which removes its email address and messages."""
    functions.first_call("adjust/add")
    account_id = new_account()
    functions.ask("account/me", account_id)
    deliver(functions, account_id, ("user_created",))
    functions.ask("adjust/add", account_id)
    functions.ask("adjust/audit", account_id)
    functions.ask("adjust/close", account_id)


def read(functions: Functions) -> None:
    functions.first_call("account/me")
    account_id = new_account()
    functions.ask("account/me", account_id)
    functions.ask("consume/feature", account_id)
    for name in ("entry", "entries", "usage"):
        functions.ask(f"account/{name}", account_id)
    for query in ({"group_by": "reference"}, {"reference": "run-1"}):
        functions.ask("account/usage", account_id, queryStringParameters=query)


def edit_catalog(functions: Functions) -> None:
    """Create a plan, and delete its item."""
    plan_id = f"role-{uuid4().hex}"
    plan = {"plan_id": plan_id, "name": "For a test", "monthly_credits": 1}
    functions.ask("catalog/create_plan", "", body=json.dumps(plan))
    functions.dynamodb.delete_item(
        TableName=functions.outputs["TableName"],
        Key={"pk": {"S": "CATALOG"}, "sk": {"S": f"PLAN#{plan_id}"}},
    )


def receive_webhooks(functions: Functions) -> None:
    account_id = new_account()
    must_be_applied(functions, account_id, deliver(functions, account_id))


def apply_waiting(functions: Functions) -> None:
    """Open an account that messages wait for; the last one closes it."""
    account_id = new_account()
    webhook_ids = deliver(functions, account_id, MESSAGES[1:])
    functions.ask("account/me", account_id)
    functions.call("MatchFunction", about(account_id, event("wake/account_opened")))
    must_be_applied(functions, account_id, webhook_ids)


def administer(functions: Functions) -> None:
    """Read every list, run a sync, and replay the messages that wait for a new account."""
    functions.ask("admin/accounts", "", queryStringParameters={"limit": "1"})
    for name in ("totals", "ran_out"):
        functions.ask(f"admin/{name}", "")
    problems = functions.ask("admin/health", "")["problems"]
    unreadable = [one["subject"] for one in problems if one["code"] == "queue_unreadable"]
    must(not unreadable, f"{unreadable} could not be read")
    now = utc_now()
    window = {"from": (now - timedelta(hours=1)).isoformat(), "to": now.isoformat()}
    assert functions.ask("admin/entries", "", queryStringParameters=window)["entries"]
    for mode in ("users", "plans"):
        functions.ask("admin/sync", "", body=json.dumps({"mode": mode, "dry_run": True}))
    account_id = new_account()
    webhook_ids = deliver(functions, account_id, MESSAGES[1:])
    account = {"account_id": account_id, "email": f"{account_id}@example.com"}
    functions.ask("admin/add_account", "", body=json.dumps(account))
    for webhook_id in webhook_ids:
        path = f"/v1/admin/webhooks/{webhook_id}/replay"
        sent = event("admin/replay") | {"rawPath": path}
        sent["requestContext"]["http"]["path"] = path
        sent["pathParameters"]["webhook_id"] = webhook_id
        functions.ask("admin/replay", "", **sent)
    must_be_applied(functions, account_id, webhook_ids)


def publish_events(functions: Functions) -> None:
    """Deliver an account's entries as the table's stream does."""
    account_id = new_account()
    use = {"feature": "chat", "reference": "run-1"}
    functions.ask("consume/feature", account_id, body=json.dumps(use))
    [sample, *_] = event("events/day")["Records"]
    records = [
        sample
        | {
            "dynamodb": sample["dynamodb"]
            | {
                "Keys": {"pk": entry["pk"], "sk": entry["sk"]},
                "NewImage": entry,
                "SequenceNumber": f"{time.time_ns()}",
            }
        }
        for entry in functions.items(f"LEDGER#{account_id}").values()
    ]
    removed = copy.deepcopy(records[-1])
    removed["dynamodb"] |= {"OldImage": removed["dynamodb"].pop("NewImage"), "SequenceNumber": "9"}
    records.append(removed)
    assert functions.call("EventsFunction", {"Records": records}) == {"batchItemFailures": []}


def bootstrap(functions: Functions) -> None:
    """Update the custom resources as CloudFormation does, with a signed URL for the response.

    A failure is retried every 6 seconds, since a role may be new.
    """
    began, bucket = time.monotonic(), functions.outputs["BucketName"]
    for name in ("create", "mailbox_key", "settings", "console_sign_in"):
        key = f"role-{uuid4().hex}"
        sent = event(f"bootstrap/{name}")
        sent |= {"RequestType": "Update", "StackId": functions.stack_id}
        sent["ResponseURL"] = functions.s3.generate_presigned_url(
            "put_object", {"Bucket": bucket, "Key": key, "ContentType": ""}
        )
        sent["ResourceProperties"] |= {
            "Name": functions.outputs["MailboxKeyName"],
            "UserPoolId": functions.ids["UserPool"],
            "ClientId": functions.ids["ConsoleClient"],
            "Url": functions.console_url,
            "UserPageUrl": functions.user_page_url,
        }
        functions.begin("BootstrapFunction", sent)
        while "Contents" not in functions.s3.list_objects_v2(Bucket=bucket, Prefix=key):
            waited = time.monotonic() - began
            must(waited < functions.patience_seconds, f"there is no response to {name} yet")
            time.sleep(0.1)
        response = json.loads(functions.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        functions.s3.delete_object(Bucket=bucket, Key=key)
        assert response["Status"] == "SUCCESS", response


def sweep(functions: Functions) -> None:
    functions.call("ResetFunction", event("reset/schedule"))


def renew(functions: Functions) -> None:
    """Renew an account that is due, and set aside one that was tampered with."""
    due, tampered = new_account(), new_account()
    table = functions.outputs["TableName"]
    records = []
    for account_id, edited in ((due, {}), (tampered, {"balance": {"N": "-1"}})):
        opening = OpenAccount(
            account_id=account_id,
            entry_id=SIGNUP_ENTRY_ID,
            actor=CLOCK,
            plan_id="free",
            signup_credits=0,
            reset_anchor=ResetAnchor.SIGNUP,
            time_zone="UTC",
        )
        opened_at = utc_now() - timedelta(days=40)
        opened = decide(None, opening, catalog=DEFAULT_CATALOG, now=opened_at)
        account = to_wire(account_item(opened.after))
        entries = [to_wire(entry_item(account_id, one)) for one in opened.entries]
        for item in (account | edited, *entries):
            functions.dynamodb.put_item(TableName=table, Item=item)
        _, day, shard = account["directory_pk"]["S"].split("#")
        stretch = {"day": int(day), "shard": int(shard), "first": "00:00", "last": "23:59"}
        [sample] = event("renew/range")["Records"]
        records.append(sample | {"messageId": account_id, "body": json.dumps(stretch)})
    try:
        response = functions.call("RenewFunction", {"Records": records})
        must(not response["batchItemFailures"], "a message was not processed")
        renewed = functions.items(f"ACCOUNT#{due}")["ACCOUNT"]
        must(int(renewed["period"]["N"]) > 0, "it was not renewed")
    finally:
        # Leave a valid account behind, because other tests audit the whole table.
        functions.dynamodb.put_item(TableName=table, Item=account)


def audit(functions: Functions) -> None:
    """Begin a round, and audit a page of the table and what is new on an account.

    Other tests may have left findings.
    """
    account_id = new_account()
    functions.ask("account/me", account_id)
    functions.call("AuditFunction", {"restart": True})
    current = progress_of(functions.items("AUDIT")["PROGRESS"]).current
    must(current is not None, "no round has begun")
    assert current
    place = functions.items(f"ACCOUNT#{account_id}")["ACCOUNT"]["directory_pk"]["S"].split("#")
    shard = DirectoryShard(round_id=current.round_id, day=int(place[1]), shard=int(place[2]))
    [sample] = event("audit/segment")["Records"]
    records = [
        sample | {"messageId": part.name, "body": part.model_dump_json()}
        for part in (parts_of(current)[0], shard)
    ]
    response = functions.call("AuditFunction", {"Records": records})
    must(not response["batchItemFailures"], "a part was not audited")


WORK: dict[str, Callable[[Functions], None]] = {
    "SignupFunction": sign_up,
    "ConsumeFunction": consume,
    "RefundFunction": refund,
    "AdjustFunction": adjust,
    "AccountFunction": read,
    "CatalogFunction": edit_catalog,
    "WebhookFunction": receive_webhooks,
    "MatchFunction": apply_waiting,
    "AdminFunction": administer,
    "EventsFunction": publish_events,
    "BootstrapFunction": bootstrap,
    "ResetFunction": sweep,
    "RenewFunction": renew,
    "AuditFunction": audit,
}
"""The work of each function, which needs every permission of its role."""


@pytest.fixture(scope="module")
def functions(stack: LocalStack) -> Iterator[Functions]:
    """The functions, which only these tests call, with a Stripe and an archive to read."""
    functions = Functions(stack)
    with (
        stripe_server() as stripe,
        stripe_at(stack, stripe.url),
        functions.no_sources(),
        # With a timeout below its margin it reads only one page of the table.
        functions.timeout("AuditFunction", MARGIN_MILLISECONDS // 1000),
    ):
        publish_events(functions)
        yield functions
        stack.client("sqs").purge_queue(QueueUrl=functions.outputs["RenewQueueUrl"])


def test_every_function_with_permissions_is_tested(functions: Functions) -> None:
    allowed = {function for function in functions.all if functions.permissions(function)}
    assert allowed == WORK.keys()


def test_the_boundary_keeps_a_function_from_other_queues_of_the_aws_account(
    functions: Functions,
    stack: LocalStack,
) -> None:
    # The policy that SAM attaches lets the function read every queue of the AWS account.
    other = stack.client("sqs").create_queue(QueueName="another-apps")["QueueUrl"]
    worker = functions.queues("RenewFunction")
    worker.receive_message(QueueUrl=functions.outputs["RenewQueueUrl"], VisibilityTimeout=0)
    with pytest.raises(ClientError, match="explicit deny"):
        worker.receive_message(QueueUrl=other)
    stack.client("sqs").delete_queue(QueueUrl=other)


NOT_DONE_HERE = frozenset(
    {
        # It needs Stripe itself: to fetch the rest of a list that a waiting message has in part.
        ("MatchFunction", "secretsmanager:GetSecretValue", ""),
        # It needs a creation that fails: test_stacks.py.
        ("BootstrapFunction", "ssm:DeleteParameter", ""),
        # They need an account that has been silent for days: test_roles.py.
        ("AuditFunction", "dynamodb:Query", "/index/history"),
        ("AuditFunction", "dynamodb:BatchWriteItem", ""),
        ("AuditFunction", "dynamodb:UpdateItem", ""),
        # It needs an account that changes while it is renewed.
        ("RenewFunction", "dynamodb:GetItem", ""),
    }
)
"""Work that a deployed stack does not do: function, action, and the end of the resource."""


@pytest.mark.parametrize("function", WORK)
def test_a_function_needs_every_permission_of_its_role(
    function: str,
    functions: Functions,
    subtests: pytest.Subtests,
) -> None:
    work = WORK[function]
    work(functions)
    by_lambda = [
        permission
        for permission in functions.permissions(function)
        if permission.policy == BY_LAMBDA.get(function)
    ]
    assert all(permission.action == "sqs:SendMessage" for permission in by_lambda)
    for permission in functions.permissions(function):
        if permission in by_lambda or any(
            (function, permission.action) == (name, action) and permission.resource.endswith(end)
            for name, action, end in NOT_DONE_HERE
        ):
            continue
        with subtests.test(permission.action, resource=permission.resource):
            began = utc_now()
            with functions.without(function, permission):
                try:
                    work(functions)
                except NotDoneError:
                    pass
                else:
                    # The process may have cached what it read before.
                    functions.restart(function)
                    with pytest.raises(NotDoneError):
                        work(functions)
            assert functions.is_denied(function, permission, began)
    work(functions)
