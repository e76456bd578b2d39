"""The deployed functions and their roles, from which a test can remove one permission."""

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
"""How long to wait for a function's asynchronous work."""

SOON_SECONDS = 3
"""How long to wait for it when it is expected to fail."""


TRIES_MAX = 3


class NotDoneError(Exception):
    """A function failed, or the effect of its work is missing."""


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
        api_url = stack.api_url(self.outputs["ApiId"])
        self.console_url, self.user_page_url = f"{api_url}/console", f"{api_url}/me"
        self.issuer = f"https://cognito-idp.{REGION}.amazonaws.com/{self.outputs['UserPoolId']}"
        self.dynamodb, self.s3 = stack.client("dynamodb"), stack.client("s3")
        self._logs, self._sts = stack.client("logs"), stack.client("sts")
        self._cognito = stack.client("cognito-idp")
        self._iam, self._lambda = stack.client("iam"), stack.client("lambda")
        described = stack.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)
        resources = described["StackResources"]
        self.stack_id = resources[0]["StackId"]
        self.ids = {found["LogicalResourceId"]: found["PhysicalResourceId"] for found in resources}
        self.all = [
            found["LogicalResourceId"]
            for found in resources
            if found["ResourceType"] == "AWS::Lambda::Function"
        ]

    def permissions(self, function: str) -> list[Permission]:
        """Return what a function's role allows: one action on one resource each."""
        return [
            Permission(policy, number, action, resource)
            for policy, document in self._policies(function).items()
            for number, statement in enumerate(document["Statement"])
            for action in _listed(statement["Action"])
            for resource in _listed(statement["Resource"])
        ]

    @contextmanager
    def without(self, function: str, permission: Permission) -> Iterator[None]:
        """Remove a permission for the duration of a block."""
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
        """Make the next call start a new process, which has cached nothing."""
        name = self.ids[function]
        configuration = self._lambda.get_function_configuration(FunctionName=name)
        variables = {**configuration["Environment"]["Variables"], "RESTARTED": uuid4().hex}
        self._lambda.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )

    def call(self, function: str, sent: Any) -> Any:
        """Invoke a function with an event; return its response.

        Raises:
            NotDoneError: the function failed.
        """
        answer = self._lambda.invoke(
            FunctionName=self.ids[function],
            Payload=json.dumps(sent, default=lambda raw: base64.b64encode(raw).decode()),
        )
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise NotDoneError(payload)
        return payload

    def queues(self, function: str) -> SQSClient:
        """Return an SQS client with a function's permissions."""
        role = self._iam.get_role(RoleName=self.ids[f"{function}Role"])["Role"]
        assumed = self._sts.assume_role(RoleArn=role["Arn"], RoleSessionName=function)
        # Two packages have stubs of boto3, and the order of installation decides which one is used.
        client: Any = boto3.client(
            "sqs",
            endpoint_url=self._sts.meta.endpoint_url,
            region_name=REGION,
            aws_access_key_id=assumed["Credentials"]["AccessKeyId"],
            aws_secret_access_key=assumed["Credentials"]["SecretAccessKey"],
            aws_session_token=assumed["Credentials"]["SessionToken"],
        )
        queues: SQSClient = client
        return queues

    def begin(self, function: str, sent: Any) -> None:
        """Invoke a function with an event, without waiting for it."""
        self._lambda.invoke(
            FunctionName=self.ids[function], InvocationType="Event", Payload=json.dumps(sent)
        )

    def ask(self, name: str, account_id: str, **changed: Any) -> Any:
        """Send the request `events/<name>.json` as, or about, another account; return the body.

        An admin's token comes from the stack's own console.

        Raises:
            NotDoneError: the status is 5xx, after retries if it is 503.
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
        body = json.loads(answer["body"])
        if answer["statusCode"] >= 500:
            raise NotDoneError(body)
        assert answer["statusCode"] < 300, (name, body)
        return body

    def first_call(self, name: str) -> None:
        """Send the request `events/<name>.json` as a new user of the pool, about their account.

        The user is also an admin, so that every function accepts the request.

        Raises:
            NotDoneError: the status is 5xx.
        """
        email = f"{uuid4()}@example.com"
        given = {"email": email, "email_verified": "true"}
        made = self._cognito.admin_create_user(
            UserPoolId=self.outputs["UserPoolId"],
            Username=email,
            UserAttributes=[{"Name": key, "Value": value} for key, value in given.items()],
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
        """Return the items of a partition by sk."""
        answer = self.dynamodb.query(
            TableName=self.outputs["TableName"],
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": pk}},
        )
        return {item["sk"]["S"]: item for item in answer["Items"]}

    def is_denied(self, function: str, permission: Permission, since: datetime) -> bool:
        """Return whether a function logs, within a minute, that an action was denied."""
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
        """Set a function's timeout for the duration of a block."""
        name = self.ids[function]
        before = self._lambda.get_function_configuration(FunctionName=name)["Timeout"]
        for given in (seconds, before):
            self._lambda.update_function_configuration(FunctionName=name, Timeout=given)
            if given is seconds:
                yield

    @contextmanager
    def no_sources(self) -> Iterator[None]:
        """Stop streams and queues from calling functions for the duration of a block."""
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
