"""The stack that a command is for: the local one, or one on AWS by the person's own credentials."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from scrip_cli.local import deploy, process
from scrip_cli.local.errors import NotRunningError
from scrip_cli.local.stack import LocalStack, find_stack


@dataclass(frozen=True)
class Target:
    """One stack: `stack_name` names it on AWS, `local` is the local one. Exactly one of them is."""

    stack_name: str | None
    local: LocalStack | None

    def client(self, service: str) -> Any:
        """Make a client of the AWS that the stack is on."""
        if self.local:
            return self.local.client(service)
        return boto3.client(service)  # type: ignore[call-overload]

    def outputs(self) -> dict[str, str]:
        """Read the stack's outputs. Raises NotReadyError if the local one is not deployed."""
        if self.local:
            return deploy.outputs(self.local)
        client = self.client("cloudformation")
        found = client.describe_stacks(StackName=self.stack_name)["Stacks"][0]
        return {item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])}


def find_target(stack_name: str | None, port: int, state: Path | None) -> Target:
    """Return the stack of that name on AWS or, without a name, the local one on a port.

    Raises NotRunningError if the local one does not run.
    """
    if stack_name:
        return Target(stack_name, None)
    stack = find_stack(port, state)
    if process.running_pid(stack) is None:
        raise NotRunningError(port)
    return Target(None, stack)
