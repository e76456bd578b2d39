"""The local stack's API as each kind of caller sees it, over real HTTP."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest

from scrip_cli.local import demo
from scrip_cli.local.deploy import outputs
from scrip_client import ClientCredentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrip_cli.local.stack import LocalStack


@dataclass
class Api:
    """The API as one caller sees it. `account_id` is the caller's own, if they have one."""

    http: httpx.Client
    token: str | None
    account_id: str = ""

    def get(self, path: str, **query: Any) -> httpx.Response:
        """GET a path below /v1/accounts."""
        return self.http.get(f"/v1/accounts{path}", params=query, headers=self.headers())

    def post(self, path: str, body: Any, key: str | None = None) -> httpx.Response:
        """POST JSON, or text unchanged, to a path below /v1/accounts."""
        return self.http.post(
            f"/v1/accounts{path}",
            content=body if isinstance(body, str) else json.dumps(body),
            headers=self.headers({"Idempotency-Key": key} if key is not None else {}),
        )

    def headers(self, more: dict[str, str] | None = None) -> dict[str, str]:
        token = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {"Content-Type": "application/json", **token, **(more or {})}


@pytest.fixture(scope="session")
def caller(stack: LocalStack) -> Iterator[Callable[..., Api]]:
    """Return a function that gives the API as the bearer of a token sees it."""
    limits = httpx.Limits(max_connections=100)
    url = demo.details(stack).api_url
    with httpx.Client(base_url=url, timeout=60, trust_env=False, limits=limits) as http:
        yield partial(Api, http)


@pytest.fixture
def user(stack: LocalStack, caller: Callable[..., Api]) -> Api:
    """A user who has just signed up."""
    email = f"{uuid4()}@example.com"
    account_id = demo.sign_up(stack, email)
    return caller(demo.user_token(stack, email), account_id)


@pytest.fixture(scope="session")
def service(stack: LocalStack, caller: Callable[..., Api]) -> Api:
    """An app's back end."""
    return caller(demo.details(stack).service_token)


@pytest.fixture(scope="session")
def admin(stack: LocalStack, caller: Callable[..., Api]) -> Api:
    """An admin."""
    return caller(demo.details(stack).admin_token)


@pytest.fixture(scope="session")
def credentials(stack: LocalStack) -> ClientCredentials:
    """The credentials with which an app's back end gets tokens from the local user pool."""
    found = demo.details(stack)
    return ClientCredentials(
        token_url=found.token_url,
        client_id=found.service_client_id,
        client_secret=found.service_client_secret,
    )


@pytest.fixture(scope="session")
def assume(stack: LocalStack) -> Callable[..., dict[str, str]]:
    """Return a function that makes a role with a policy, and returns its program's environment."""
    anyone = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [anyone]})

    def assume(name: str, policy_arn: str) -> dict[str, str]:
        iam = stack.client("iam")
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
        iam.attach_role_policy(RoleName=name, PolicyArn=policy_arn)
        session = stack.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="task-1")
        return stack.aws_environment() | {
            "AWS_ACCESS_KEY_ID": session["Credentials"]["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": session["Credentials"]["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["Credentials"]["SessionToken"],
        }

    return assume


@pytest.fixture(scope="session")
def back_end(stack: LocalStack, assume: Callable[..., dict[str, str]]) -> dict[str, str]:
    """The environment of a back end on AWS, whose role has the stack's policy."""
    return assume("back-end", outputs(stack)["BackEndPolicyArn"])


@pytest.fixture
def heard(stack: LocalStack) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return a function that returns every event since the test began."""
    sqs, eventbridge = stack.client("sqs"), stack.client("events")
    bus, everything = outputs(stack)["EventBusName"], json.dumps({"source": ["scrip"]})
    url = sqs.create_queue(QueueName="heard")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    eventbridge.put_rule(Name="all", EventBusName=bus, EventPattern=everything)
    target = {"Id": "heard", "Arn": arn["QueueArn"]}
    eventbridge.put_targets(Rule="all", EventBusName=bus, Targets=[target])
    events: list[dict[str, Any]] = []

    def listen() -> list[dict[str, Any]]:
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        events.extend(json.loads(message["Body"]) for message in received.get("Messages", []))
        return events

    yield listen
    eventbridge.remove_targets(Rule="all", EventBusName=bus, Ids=["heard"])
    eventbridge.delete_rule(Name="all", EventBusName=bus)
    sqs.delete_queue(QueueUrl=url)


def items_of(stack: LocalStack, account_id: str) -> list[dict[str, Any]]:
    """Return an account's items, read directly from DynamoDB."""
    client, table = stack.client("dynamodb"), demo.details(stack).table_name
    found = []
    for pk in (f"ACCOUNT#{account_id}", f"LEDGER#{account_id}"):
        answer = client.query(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
        )
        assert "LastEvaluatedKey" not in answer
        found += answer["Items"]
    return found
