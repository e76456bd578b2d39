"""A deployed stack that a command works on: the local one, or one on AWS."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from scrip.domain.entries import Actor, ActorType
from scrip.ledger import Ledger, utc_now
from scrip.settings import Settings
from scrip.store.client import Table
from scrip.store.mailbox_key import read_mailbox_key
from scrip_cli.local import deploy, process
from scrip_cli.local.errors import NotRunningError, StackError
from scrip_cli.local.stack import STACK_NAME, LocalStack, find_stack

CONNECTIONS_MAX = 16
"""Of one client, which the threads of a command share; each has one call open at a time."""


@dataclass(frozen=True)
class Target:
    """One deployed stack. `client` makes a client of an AWS service where the stack is.

    `local` is the local stack that it is, None for one on AWS.
    """

    stack_name: str
    client: Callable[[str], Any]
    local: LocalStack | None = None

    def outputs(self) -> dict[str, str]:
        """Read the stack's outputs. Raises StackError if it is not there."""
        if self.local:
            return deploy.outputs(self.local)
        found = self._described().get("Outputs", [])
        return {item["OutputKey"]: item["OutputValue"] for item in found}

    def output(self, name: str) -> str:
        """Read one output. Raises StackError if the stack was deployed before there was such."""
        try:
            return self.outputs()[name]
        except KeyError as exc:
            raise StackError(
                f"The stack {self.stack_name} has no output {name}.",
                "Name another stack, or deploy the current template to this one.",
            ) from exc

    def stage(self) -> str:
        """Tell the stage that the stack was deployed for: dev, staging or prod."""
        parameters = self._described().get("Parameters", [])
        stages = {item["ParameterKey"]: item["ParameterValue"] for item in parameters}
        return str(stages.get("Stage", "unknown"))

    def settings(self) -> Settings:
        """Read the settings that the deployed sign-up function has."""
        function = self.client("lambda").get_function_configuration(
            FunctionName=self.output("SignupFunction")
        )
        told: dict[str, Any] = {
            name.lower(): value
            for name, value in function["Environment"]["Variables"].items()
            if name.lower() in Settings.model_fields
        }
        return Settings(**told)

    def table(self) -> Table:
        """Return the stack's table."""
        return Table(self.client("dynamodb"), self.output("TableName"))

    def ledger(self) -> Ledger:
        """Return the stack's ledger, which can tell mailboxes as the stack does."""
        name = self.output("MailboxKeyName")
        return Ledger(
            self.table(),
            utc_now,
            cache(lambda: read_mailbox_key(self.client("ssm"), name)),
        )

    def operator(self) -> Actor:
        """Return who the person is on AWS: an admin, by the ARN that their credentials are of."""
        return Actor(ActorType.ADMIN, self.client("sts").get_caller_identity()["Arn"])

    def api_url(self) -> str:
        """Tell where the stack's API answers."""
        if self.local:
            return self.local.api_url(self.output("ApiId"))
        return self.output("ApiUrl")

    def _described(self) -> dict[str, Any]:
        try:
            found = self.client("cloudformation").describe_stacks(StackName=self.stack_name)
        except ClientError as exc:
            # What CloudFormation calls a stack that does not exist.
            if exc.response["Error"]["Code"] != "ValidationError":
                raise
            raise StackError(
                f"There is no stack {self.stack_name} in this account and region.",
                "Name it with --stack-name, its region with --region, and check AWS_PROFILE.",
            ) from exc
        return dict(found["Stacks"][0])


def find_target(
    stack_name: str | None, port: int, state: Path | None, region: str | None = None
) -> Target:
    """Find the local stack on a port, or one on AWS by its name and with the person's credentials.

    Raises NotRunningError if the local one does not run, StackError without a project or a region.
    """
    if stack_name is None:
        local = find_stack(port, state)
        if process.running_pid(local) is None:
            raise NotRunningError(port)
        return Target(STACK_NAME, local.client, local)
    session = boto3.Session(region_name=region)
    if session.region_name is None:
        raise StackError("No AWS region is set.", "Name it with --region.")
    config = Config(max_pool_connections=CONNECTIONS_MAX)

    def client(service: str) -> Any:
        return session.client(service, config=config)  # type: ignore[call-overload]

    return Target(stack_name, client)
