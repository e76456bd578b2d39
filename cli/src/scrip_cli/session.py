"""What a command works in: a session with one deployed stack, the local one or one on AWS."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, is_dataclass
from functools import cache, cached_property, wraps
from inspect import Signature, signature
from typing import TYPE_CHECKING, Any

import typer

from scrip_cli import report
from scrip_cli.errors import CommandError, NotRunningError, explained, faults_in
from scrip_cli.local import process
from scrip_cli.local.stack import ACCESS_KEY, SECRET_KEY, STACK_NAME, LocalStack, find_stack
from scrip_cli.options import DEFAULT_PORT, Port, Region, StackName, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import boto3
    import httpx
    from botocore.credentials import Credentials

    from scrip.domain.entries import Actor
    from scrip.ledger import Ledger
    from scrip.settings import Settings
    from scrip.store.client import Table

DEV = "dev"
"""The stage of stacks without anything to lose."""

OWN_OUTPUT = "SignupFunction"
"""An output by which a stack of Scrip is known."""

CONNECTIONS_MAX = 16
"""Per client, which the threads of a command share; each has one open call at a time."""

API_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class LocalSession:
    """A session with a local stack, running or not. The fields are options."""

    port: Port = DEFAULT_PORT
    state: State = None

    is_local = True

    @cached_property
    def stack(self) -> LocalStack:
        """The stack. Raises CommandError outside a project."""
        return find_stack(self.port, self.state)

    @cached_property
    def running_stack(self) -> LocalStack:
        """The stack. Raises NotRunningError if it is not running."""
        if process.running_pid(self.stack) is None:
            raise NotRunningError(self.port, process.running_ports(self.stack.root))
        return self.stack


@dataclass(frozen=True, kw_only=True)
class Session:
    """A session with one deployed stack. The fields are options.

    The stack is looked up when it is first needed, so wrong usage is reported before that. Every
    method then raises NotRunningError if the local stack is not running, and CommandError if there
    is no project, region or stack.
    """

    stack_name: StackName = None
    region: Region = None
    port: Port = DEFAULT_PORT
    state: State = None

    @property
    def is_local(self) -> bool:
        """Whether the stack is the local one."""
        return self.stack_name is None

    @property
    def name(self) -> str:
        """The stack's name."""
        return self.stack_name or STACK_NAME

    def client(self, service: str) -> Any:
        """Make a client of an AWS service where the stack is."""
        if self.is_local:
            return self._local.client(service)
        from botocore.config import Config

        return self._aws.client(  # type: ignore[call-overload]
            service, config=Config(max_pool_connections=CONNECTIONS_MAX)
        )

    def credentials(self) -> Credentials:
        """Return the person's credentials, which every client signs its requests with."""
        from botocore.credentials import Credentials
        from botocore.exceptions import NoCredentialsError

        if self.is_local:
            return Credentials(ACCESS_KEY, SECRET_KEY)
        credentials = self._aws.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        return credentials

    def outputs(self) -> dict[str, str]:
        """Read the stack's outputs."""
        if self.is_local:
            from scrip_cli.local import deploy

            return deploy.outputs(self._local)
        found = self.description().get("Outputs", [])
        return {item["OutputKey"]: item["OutputValue"] for item in found}

    def output(self, name: str) -> str:
        """Read one output. Raises CommandError if the stack is older than this output."""
        try:
            return self.outputs()[name]
        except KeyError as exc:
            raise CommandError(
                f"The stack {self.name} has no output {name}.",
                "Name another stack, or deploy the current template to this one.",
            ) from exc

    def description(self) -> dict[str, Any]:
        """Describe the stack, as CloudFormation does."""
        from botocore.exceptions import ClientError

        try:
            found = self.client("cloudformation").describe_stacks(StackName=self.name)
        except ClientError as exc:
            # CloudFormation's code for a stack that does not exist.
            if exc.response["Error"]["Code"] != "ValidationError":
                raise
            others = ", ".join(self._stacks()) or "none"
            raise CommandError(
                f"There is no stack {self.name} in this account and region.",
                f"Stacks of Scrip here: {others}. Name one with --stack-name and its region with "
                "--region, and check AWS_PROFILE.",
            ) from exc
        return dict(found["Stacks"][0])

    def _stacks(self) -> list[str]:
        """Return the names of Scrip's stacks in this account and region, if they may be listed."""
        from botocore.exceptions import ClientError

        pages = self.client("cloudformation").get_paginator("describe_stacks").paginate()
        with suppress(ClientError):
            return sorted(
                stack["StackName"]
                for page in pages
                for stack in page["Stacks"]
                if OWN_OUTPUT in {output["OutputKey"] for output in stack.get("Outputs", [])}
            )
        return []

    def resources(self) -> dict[str, dict[str, str]]:
        """List the stack's resources: for each type their names by logical ID."""
        found: dict[str, dict[str, str]] = {}
        pages = self.client("cloudformation").get_paginator("list_stack_resources")
        for page in pages.paginate(StackName=self.name):
            for item in page["StackResourceSummaries"]:
                named = found.setdefault(item["ResourceType"], {})
                named[item["LogicalResourceId"]] = item["PhysicalResourceId"]
        return found

    def parameters(self) -> dict[str, str]:
        """Read the parameters that the stack was deployed with."""
        found = self.description().get("Parameters", [])
        return {item["ParameterKey"]: item["ParameterValue"] for item in found}

    def stage(self) -> str:
        """Return the stage that the stack was deployed for: dev, staging or prod."""
        return self.parameters().get("Stage", "unknown")

    def status(self) -> str:
        """Return CloudFormation's status of the stack."""
        return str(self.description()["StackStatus"])

    def resource(self, logical_id: str) -> str | None:
        """Return AWS's ID of a resource; None if the stack is older than the resource."""
        all_types = self.resources().values()
        return next((names[logical_id] for names in all_types if logical_id in names), None)

    def check_is_dev(self, what: str) -> None:
        """Check that the stack was deployed for stage dev. Raises CommandError if not."""
        if (stage := self.stage()) != DEV:
            raise CommandError(
                f"The stack {self.name} has stage {stage}, and {what} for stage {DEV} only.",
                f"Name a stack that was deployed with Stage={DEV}.",
            )

    def settings(self) -> Settings:
        """Read the settings of the deployed sign-up function."""
        from scrip.settings import Settings

        function = self.client("lambda").get_function_configuration(
            FunctionName=self.output("SignupFunction")
        )
        values: dict[str, Any] = {
            name.lower(): value
            for name, value in function["Environment"]["Variables"].items()
            if name.lower() in Settings.model_fields
        }
        return Settings(**values)

    def table(self) -> Table:
        """Return the stack's table."""
        from scrip.store.client import Table

        return Table(self.client("dynamodb"), self.output("TableName"))

    def ledger(self) -> Ledger:
        """Return the stack's ledger. It hashes mailboxes with the stack's own key."""
        from scrip.ledger import Ledger, utc_now
        from scrip.store.mailbox_key import read_mailbox_key

        @cache
        def mailbox_key() -> bytes:
            return read_mailbox_key(self.client("ssm"), self.output("MailboxKeyName"))

        return Ledger(self.table(), utc_now, mailbox_key)

    def operator(self) -> Actor:
        """Return the person as an actor: an admin, named by the ARN of their credentials."""
        from scrip.domain.entries import Actor, ActorType

        return Actor(ActorType.ADMIN, self.client("sts").get_caller_identity()["Arn"])

    def api_url(self) -> str:
        """Return the address of the stack's API."""
        if self.is_local:
            return self._local.api_url(self.output("ApiId"))
        return self.output("ApiUrl")

    def token_url(self) -> str:
        """Return the address where a back end gets tokens from the stack's user pool."""
        return self._local.token_url if self.is_local else self.output("TokenUrl")

    def http(self) -> httpx.Client:
        """Make a client of the stack's API, which answers within API Gateway's 30 seconds.

        The person's proxy is not for what runs on this machine.
        """
        import httpx

        return httpx.Client(
            base_url=self.api_url(), timeout=API_SECONDS, trust_env=not self.is_local
        )

    @cached_property
    def _local(self) -> LocalStack:
        return LocalSession(port=self.port, state=self.state).running_stack

    @cached_property
    def _aws(self) -> boto3.Session:
        import boto3

        session = boto3.Session(region_name=self.region)
        if session.region_name is None:
            raise CommandError("No AWS region is set.", "Name it with --region.")
        return session


def with_session(command: Callable[..., None]) -> Callable[..., None]:
    """Run a command in a session, and turn failures into a sentence and an exit code.

    The parameter `session` becomes the options that name a stack: the fields of its type, Session
    or LocalSession. Every other parameter whose type is a dataclass becomes options in the same
    way.
    """
    parameters = signature(command, eval_str=True).parameters.values()
    groups = [item for item in parameters if is_dataclass(item.annotation)]
    options = {
        group.name: signature(group.annotation, eval_str=True).parameters for group in groups
    }

    @wraps(command)
    def run(**given: Any) -> None:
        for group in groups:
            fields = {option: given.pop(option) for option in options[group.name]}
            given[group.name] = group.annotation(**fields)
        with plain_errors(local=given["session"].is_local):
            command(**given)

    run.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            option
            for item in parameters
            for option in (options[item.name].values() if item.name in options else [item])
        ]
    )
    return run


@contextmanager
def plain_errors(*, local: bool) -> Iterator[None]:
    """Turn failures into a sentence and an exit code; `local` says that AWS is the local one."""
    import httpx
    from botocore.exceptions import BotoCoreError, ClientError
    from pydantic import ValidationError

    from scrip.domain.errors import ScripError

    try:
        yield
    except ValidationError as error:
        raise typer.BadParameter(faults_in(error)) from error
    except CommandError as error:
        report.trouble(error)
        raise typer.Exit(error.exit_code) from error
    except (ScripError, ClientError, BotoCoreError, httpx.HTTPError, httpx.InvalidURL) as error:
        explanation = explained(error, local=local)
        report.trouble(explanation)
        raise typer.Exit(explanation.exit_code) from error
