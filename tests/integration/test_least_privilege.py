"""No function can do its work without any one of the things that its role allows.

What is taken away is read from the deployed roles: one action on one resource at a time. The local
AWS checks every call of a function, and each action of a transaction by itself. It looks at no
partitions (`dynamodb:LeadingKeys`), which tests/functional/test_roles.py does. And it asks no role
when it reads a stream or a queue for a function, or sends on what failed, so those parts of a role,
which SAM makes, are not tried (`BY_LAMBDA`, and AWS's own policies).
"""

from __future__ import annotations

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
from scrip.domain.commands import OpenAccount, ResetAnchor
from scrip.domain.decide import SIGNUP_ENTRY_ID, decide
from scrip.domain.entries import CLOCK
from scrip.ledger import utc_now
from scrip.store.inbox import DONE
from scrip.store.items import account_item, entry_item, to_wire
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
"""The policies with which Lambda itself sends on what a function did not get done."""


def new_account() -> str:
    return f"role-{uuid4().hex}"


def tell(functions: Functions, account_id: str, messages: tuple[str, ...] = MESSAGES) -> list[str]:
    """Let the webhook's function hear the story of an account; return the ids of the messages."""
    secret, path = functions.signing_secrets["standard"], "/v1/webhooks/standard"
    webhook_ids = []
    for number, name in enumerate(messages):
        told = json.dumps(body(Provider.STANDARD, name)).replace(ALICE, account_id)
        told = re.sub("(alice|pay-1001)", rf"\1-{account_id}", told, flags=re.IGNORECASE)
        sent = event("webhook/request") | {"rawPath": path, "body": told}
        sent["pathParameters"]["provider"] = "standard"
        sent["requestContext"]["http"]["path"] = path
        # What waits is applied in the order of these ids.
        message_id, at = f"{account_id}-{number}", datetime.now(UTC)
        signed = sign(Provider.STANDARD, told.encode(), secret, message_id=message_id, at=at)
        sent["headers"] |= signed
        webhook_ids.append(functions.ask("webhook/request", account_id, **sent)["webhook_id"])
    return webhook_ids


def is_told(functions: Functions, account_id: str, webhook_ids: list[str]) -> None:
    """See that the story has come to its end, where the account is closed, and nothing waits."""
    account = functions.items(f"ACCOUNT#{account_id}")["ACCOUNT"]
    must(account.get("status") == {"S": "closed"}, "the account is not closed")
    for webhook_id in webhook_ids:
        message = functions.items(f"INBOX#{webhook_id.replace(':', '#', 1)}")["INBOX"]
        must(message["status"]["S"] in DONE, f"a message is {message}")
    for name in (f"account:{account_id}", f"standard:payment:pay-1001-{account_id}"):
        waiting = [sk for sk in functions.items(f"ALIAS#{name}") if sk.startswith("WAITING#")]
        must(not waiting, f"{waiting} are not told of {name}")


def must(done: bool, what: str) -> None:  # noqa: FBT001 - it reads as a sentence
    if not done:
        raise NotDoneError(what)


def sign_up(functions: Functions) -> None:
    """Confirm a sign-up, then the same user's with another address."""
    account_id = new_account()
    names = [f"ALIAS#email:{account_id}@{host}.example" for host in ("home", "work")]
    for name in names:
        confirmed = about(account_id, event("signup/confirmed"))
        confirmed["request"]["userAttributes"]["email"] = name.removeprefix("ALIAS#email:")
        assert functions.call("SignupFunction", confirmed) == confirmed, "nobody may be kept out"
    before, after = (functions.items(name) for name in names)
    must(bool(after) and not before, "the account is not where its address leads")


def consume(functions: Functions) -> None:
    """Spend, hold, and end a hold twice, which takes a look at how it has ended."""
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
    """Change an account, and close one whose address and messages are to be forgotten."""
    functions.first_call("adjust/add")
    account_id = new_account()
    functions.ask("account/me", account_id)
    tell(functions, account_id, ("user_created",))
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


def edit_catalog(functions: Functions) -> None:
    """Create a plan, which is removed by hand."""
    plan_id = f"role-{uuid4().hex}"
    plan = {"plan_id": plan_id, "name": "For a test", "monthly_credits": 1}
    functions.ask("catalog/create_plan", "", body=json.dumps(plan))
    functions.dynamodb.delete_item(
        TableName=functions.outputs["TableName"],
        Key={"pk": {"S": "CATALOG"}, "sk": {"S": f"PLAN#{plan_id}"}},
    )


def hear(functions: Functions) -> None:
    account_id = new_account()
    is_told(functions, account_id, tell(functions, account_id))


def wake(functions: Functions) -> None:
    """Open an account that messages wait for, the last of which closes it."""
    account_id = new_account()
    webhook_ids = tell(functions, account_id, MESSAGES[1:])
    functions.ask("account/me", account_id)
    functions.call("MatchFunction", about(account_id, event("wake/account_opened")))
    is_told(functions, account_id, webhook_ids)


def administer(functions: Functions) -> None:
    """Look at all that is listed, ask for a sync, and replay what waits for a new account."""
    functions.ask("admin/accounts", "", queryStringParameters={"limit": "1"})
    problems = functions.ask("admin/health", "")["problems"]
    unreadable = [one["subject"] for one in problems if one["code"] == "queue_unreadable"]
    must(not unreadable, f"nobody knows of {unreadable}")
    now = utc_now()
    window = {"from": (now - timedelta(hours=1)).isoformat(), "to": now.isoformat()}
    assert functions.ask("admin/entries", "", queryStringParameters=window)["entries"]
    for mode in ("users", "plans"):
        functions.ask("admin/sync", "", body=json.dumps({"mode": mode, "dry_run": True}))
    account_id = new_account()
    webhook_ids = tell(functions, account_id, MESSAGES[1:])
    account = {"account_id": account_id, "email": f"{account_id}@example.com"}
    functions.ask("admin/add_account", "", body=json.dumps(account))
    for webhook_id in webhook_ids:
        path = f"/v1/admin/webhooks/{webhook_id}/replay"
        sent = event("admin/replay") | {"rawPath": path}
        sent["requestContext"]["http"]["path"] = path
        sent["pathParameters"]["webhook_id"] = webhook_id
        functions.ask("admin/replay", "", **sent)
    is_told(functions, account_id, webhook_ids)


def tell_events(functions: Functions) -> None:
    """Tell of the entries of an account as the table's stream does."""
    account_id = new_account()
    functions.ask("consume/feature", account_id)
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
    assert functions.call("EventsFunction", {"Records": records}) == {"batchItemFailures": []}


def bootstrap(functions: Functions) -> None:
    """Make the custom resources as CloudFormation does: the answer is put to a signed address.

    What fails is tried again every 6 seconds, since a role may be new.
    """
    began, bucket = time.monotonic(), functions.outputs["BucketName"]
    for name in ("create", "mailbox_key", "console_sign_in"):
        key = f"role-{uuid4().hex}"
        sent = event(f"bootstrap/{name}")
        sent["ResponseURL"] = functions.s3.generate_presigned_url(
            "put_object", {"Bucket": bucket, "Key": key, "ContentType": ""}
        )
        sent["ResourceProperties"] |= {
            "Name": functions.outputs["MailboxKeyName"],
            "UserPoolId": functions.ids["UserPool"],
            "ClientId": functions.ids["ConsoleClient"],
            "Url": functions.console_url,
        }
        functions.begin("BootstrapFunction", sent)
        while "Contents" not in functions.s3.list_objects_v2(Bucket=bucket, Prefix=key):
            waited = time.monotonic() - began
            must(waited < functions.patience_seconds, f"there is no answer to {name} yet")
            time.sleep(0.1)
        told = json.loads(functions.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        functions.s3.delete_object(Bucket=bucket, Key=key)
        assert told["Status"] == "SUCCESS", told


def sweep(functions: Functions) -> None:
    functions.call("ResetFunction", event("reset/schedule"))


def renew(functions: Functions) -> None:
    """Renew an account that is due, and put one aside that somebody has spoilt."""
    due, spoilt = new_account(), new_account()
    table = functions.outputs["TableName"]
    records = []
    for account_id, edited in ((due, {}), (spoilt, {"balance": {"N": "-1"}})):
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
        told = functions.call("RenewFunction", {"Records": records})
        must(not told["batchItemFailures"], "SQS is asked to send it again")
        renewed = functions.items(f"ACCOUNT#{due}")["ACCOUNT"]
        must(int(renewed["period"]["N"]) > 0, "it was not renewed")
    finally:
        # What is left is sound: other tests audit the whole table.
        functions.dynamodb.put_item(TableName=table, Item=account)


def audit(functions: Functions) -> None:
    """Audit a page of the table, in which others may have left what is wrong."""
    functions.ask("account/me", new_account())
    told = functions.call("AuditFunction", {"restart": True})
    must(told["accounts"] > 0, "no account was audited")


WORK: dict[str, Callable[[Functions], None]] = {
    "SignupFunction": sign_up,
    "ConsumeFunction": consume,
    "RefundFunction": refund,
    "AdjustFunction": adjust,
    "AccountFunction": read,
    "CatalogFunction": edit_catalog,
    "WebhookFunction": hear,
    "MatchFunction": wake,
    "AdminFunction": administer,
    "EventsFunction": tell_events,
    "BootstrapFunction": bootstrap,
    "ResetFunction": sweep,
    "RenewFunction": renew,
    "AuditFunction": audit,
}
"""What each function does; it takes all that the function's role allows."""


@pytest.fixture(scope="module")
def functions(stack: LocalStack) -> Iterator[Functions]:
    """The functions, which nothing but the tests calls; a Stripe and an archive for them to ask."""
    functions = Functions(stack)
    with (
        stripe_server() as stripe,
        stripe_at(stack, stripe.url),
        functions.no_sources(),
        # With less than its margin it takes one page of the table and no more.
        functions.timeout("AuditFunction", MARGIN_MILLISECONDS // 1000),
    ):
        tell_events(functions)
        yield functions
        stack.client("sqs").purge_queue(QueueUrl=functions.outputs["RenewQueueUrl"])


def test_every_function_that_is_allowed_something_is_tried(functions: Functions) -> None:
    allowed = {function for function in functions.all if functions.permissions(function)}
    assert allowed == WORK.keys()


def test_the_boundary_keeps_a_function_from_the_queues_of_others(
    functions: Functions,
    stack: LocalStack,
) -> None:
    # What SAM attaches lets the function read every queue of the account.
    others = stack.client("sqs").create_queue(QueueName="somebody-elses")["QueueUrl"]
    worker = functions.queues("RenewFunction")
    worker.receive_message(QueueUrl=functions.outputs["RenewQueueUrl"], VisibilityTimeout=0)
    with pytest.raises(ClientError, match="explicit deny"):
        worker.receive_message(QueueUrl=others)
    stack.client("sqs").delete_queue(QueueUrl=others)


@pytest.mark.parametrize("function", WORK)
def test_a_function_needs_all_that_its_role_allows(
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
        if permission in by_lambda:
            continue
        with subtests.test(permission.action, resource=permission.resource):
            began = utc_now()
            with functions.without(function, permission):
                try:
                    work(functions)
                except NotDoneError:
                    pass
                else:
                    # It may remember what it has read before.
                    functions.restart(function)
                    with pytest.raises(NotDoneError):
                        work(functions)
            assert functions.is_denied(function, permission, began)
    work(functions)
