"""The deployed functions and their roles: what each may do, and how it is without a part of it."""

from __future__ import annotations

import base64
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3

from scrip_cli.local.deploy import outputs
from scrip_cli.local.stack import REGION, STACK_NAME
from scrip_cli.local.webhook_secrets import webhook_secrets
from tests.functional.conftest import USER, event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from types_boto3_sqs import SQSClient

    from scrip_cli.local.stack import LocalStack


PATIENCE_SECONDS = 60
"""How long what a function does by itself may take."""

SOON_SECONDS = 3
"""How long it is waited for when it is expected to fail."""


TRIES_MAX = 3


class NotDoneError(Exception):
    """A function has not done its work, and that shows."""


@dataclass(frozen=True)
class Permission:
    """An action on a resource, and the statement of a role that allows it."""

    policy: str
    statement: int
    action: str
    resource: str


class Functions:
    """The functions of a stack, by their names in template.yaml."""

    def __init__(self, stack: LocalStack) -> None:
        """Find them."""
        self.patience_seconds = PATIENCE_SECONDS
        self.outputs, self.signing_secrets = outputs(stack), webhook_secrets(stack)
        self.console_url = f"{stack.api_url(self.outputs['ApiId'])}/console/"
        self.issuer = f"https://cognito-idp.{REGION}.amazonaws.com/{self.outputs['UserPoolId']}"
        self.dynamodb, self.s3 = stack.client("dynamodb"), stack.client("s3")
        self._logs, self._sts = stack.client("logs"), stack.client("sts")
        self._cognito = stack.client("cognito-idp")
        self._iam, self._lambda = stack.client("iam"), stack.client("lambda")
        described = stack.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)
        resources = described["StackResources"]
        self.ids = {found["LogicalResourceId"]: found["PhysicalResourceId"] for found in resources}
        self.all = [
            found["LogicalResourceId"]
            for found in resources
            if found["ResourceType"] == "AWS::Lambda::Function"
        ]

    def permissions(self, function: str) -> list[Permission]:
        """Return what else a function's role allows, one action on one resource each."""
        return [
            Permission(policy, number, action, resource)
            for policy, document in self._policies(function).items()
            for number, statement in enumerate(document["Statement"])
            for action in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
        ]

    @contextmanager
    def without(self, function: str, permission: Permission) -> Iterator[None]:
        """Take a permission away, and give it back."""
        whole = self._policies(function)[permission.policy]
        statement = whole["Statement"][permission.statement]
        actions, resources = _listed(statement["Action"]), _listed(statement["Resource"])
        other_actions = [action for action in actions if action != permission.action]
        other_resources = [resource for resource in resources if resource != permission.resource]
        rest = [
            {**statement, "Sid": f"Rest{number}", "Action": action, "Resource": resource}
            for number, (action, resource) in enumerate(
                [(other_actions, resources), (permission.action, other_resources)]
            )
            if action and resource
        ]
        others = [one for one in whole["Statement"] if one is not statement]
        where = {"RoleName": self.ids[f"{function}Role"], "PolicyName": permission.policy}
        if less := others + rest:
            document = json.dumps({**whole, "Statement": less})
            self._iam.put_role_policy(**where, PolicyDocument=document)
        else:
            self._iam.delete_role_policy(**where)
        self.patience_seconds = SOON_SECONDS
        try:
            yield
        finally:
            self.patience_seconds = PATIENCE_SECONDS
            self._iam.put_role_policy(**where, PolicyDocument=json.dumps(whole))

    def restart(self, function: str) -> None:
        """Have the next call begin in a new process, which has read nothing yet."""
        name = self.ids[function]
        told = self._lambda.get_function_configuration(FunctionName=name)
        variables = {**told["Environment"]["Variables"], "RESTARTED": uuid4().hex}
        self._lambda.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )

    def call(self, function: str, sent: Any) -> Any:
        """Hand an event to a function; return its answer.

        Raises:
            NotDoneError: it failed.
        """
        answer = self._lambda.invoke(
            FunctionName=self.ids[function],
            Payload=json.dumps(sent, default=lambda raw: base64.b64encode(raw).decode()),
        )
        told = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise NotDoneError(told)
        return told

    def queues(self, function: str) -> SQSClient:
        """Return a client that may do to queues what a function may."""
        role = self._iam.get_role(RoleName=self.ids[f"{function}Role"])["Role"]
        told = self._sts.assume_role(RoleArn=role["Arn"], RoleSessionName=function)
        # Two packages bring stubs of boto3, and which of them counts depends on their installation.
        client: Any = boto3.client(
            "sqs",
            endpoint_url=self._sts.meta.endpoint_url,
            region_name=REGION,
            aws_access_key_id=told["Credentials"]["AccessKeyId"],
            aws_secret_access_key=told["Credentials"]["SecretAccessKey"],
            aws_session_token=told["Credentials"]["SessionToken"],
        )
        queues: SQSClient = client
        return queues

    def begin(self, function: str, sent: Any) -> None:
        """Hand an event to a function and do not wait."""
        self._lambda.invoke(
            FunctionName=self.ids[function], InvocationType="Event", Payload=json.dumps(sent)
        )

    def ask(self, name: str, account_id: str, **changed: Any) -> Any:
        """Send the request `events/<name>.json` as, or about, another account; return the answer.

        An admin who asks has signed in to the stack's own console.

        Raises:
            NotDoneError: it is 5xx, and stays so if it is busy.
        """
        function = f"{name.partition('/')[0].capitalize()}Function"
        sent = about(account_id, event(name)) | changed
        claims = sent["requestContext"].get("authorizer", {}).get("jwt", {}).get("claims", {})
        if "cognito:groups" in claims:
            claims |= {"iss": self.issuer, "client_id": self.outputs["ConsoleClientId"]}
        for _ in range(TRIES_MAX):
            answer = self.call(function, sent)
            if answer["statusCode"] != 503:
                break
        told = json.loads(answer["body"])
        if answer["statusCode"] >= 500:
            raise NotDoneError(told)
        assert answer["statusCode"] < 300, (name, told)
        return told

    def first_call(self, name: str) -> None:
        """Send the request `events/<name>.json` as somebody of the pool, about their new account.

        They are an admin at that, so that any function lets them in.

        Raises:
            NotDoneError: it is 5xx.
        """
        email = f"{uuid4()}@example.com"
        told = {"email": email, "email_verified": "true"}
        made = self._cognito.admin_create_user(
            UserPoolId=self.outputs["UserPoolId"],
            Username=email,
            UserAttributes=[{"Name": key, "Value": value} for key, value in told.items()],
        )
        attributes = {one["Name"]: one["Value"] for one in made["User"]["Attributes"]}
        sent = about(attributes["sub"], event(name))
        sent["requestContext"]["authorizer"]["jwt"]["claims"] |= {
            "sub": attributes["sub"],
            "username": made["User"]["Username"],
            "iss": self.issuer,
            "scope": "scrip/admin",
        }
        answer = self.call(f"{name.partition('/')[0].capitalize()}Function", sent)
        if answer["statusCode"] >= 500:
            raise NotDoneError(answer["body"])

    def items(self, pk: str) -> dict[str, Any]:
        """Return what the table holds of a partition, by sk."""
        answer = self.dynamodb.query(
            TableName=self.outputs["TableName"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
        )
        return {item["sk"]["S"]: item for item in answer["Items"]}

    def is_denied(self, function: str, permission: Permission, since: datetime) -> bool:
        """Return whether a function logs, soon enough, what it was not allowed to do."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        denied = f"not authorized to perform: {permission.action}"
        while not self._logs.filter_log_events(
            logGroupName=self.ids["FunctionLogs"],
            startTime=int(since.timestamp() * 1000),
            filterPattern=f'"{self.ids[function]}" "{denied}"',
        )["events"]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    @contextmanager
    def timeout(self, function: str, seconds: int) -> Iterator[None]:
        """Give a function so much time meanwhile."""
        name = self.ids[function]
        before = self._lambda.get_function_configuration(FunctionName=name)["Timeout"]
        for given in (seconds, before):
            self._lambda.update_function_configuration(FunctionName=name, Timeout=given)
            if given is seconds:
                yield

    @contextmanager
    def no_sources(self) -> Iterator[None]:
        """Have no stream and no queue call functions meanwhile."""
        sources = self._lambda.list_event_source_mappings()["EventSourceMappings"]
        for enabled in (False, True):
            for source in sources:
                self._lambda.update_event_source_mapping(UUID=source["UUID"], Enabled=enabled)
            if not enabled:
                yield

    def _policies(self, function: str) -> dict[str, Any]:
        role = self.ids[f"{function}Role"]
        return {
            name: self._iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in self._iam.list_role_policies(RoleName=role)["PolicyNames"]
        }


def about(account_id: str, sample: dict[str, Any]) -> dict[str, Any]:
    """Return a sample event about another account."""
    text = json.dumps(sample).replace(USER, account_id)
    return json.loads(text)  # type: ignore[no-any-return]


def _listed(words: str | list[str]) -> list[str]:
    return [words] if isinstance(words, str) else words
