"""Failures that end a command: what happened, what to do about it, and the exit code.

- CommandError: the command cannot continue
  - NotRunningError: no local stack is running
  - NotReadyError: a local stack is running, but `scrip local up` has not finished
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING

from scrip.domain.entries import iso
from scrip.domain.errors import BusyError, NewerVersionError, ScripError
from scrip_cli.exit_codes import ExitCode, exit_code_of

if TYPE_CHECKING:
    from collections.abc import Collection

    import httpx
    from botocore.exceptions import BotoCoreError, ClientError
    from pydantic import ValidationError

type ServiceError = ScripError | ClientError | BotoCoreError | httpx.HTTPError | httpx.InvalidURL


class CommandError(Exception):
    """A failure that the person at the keyboard can act on.

    `problem` and `remedy` are sentences; `output` is what a failing tool printed, or a list of
    faults.
    """

    def __init__(
        self,
        problem: str,
        remedy: str,
        *,
        output: str = "",
        exit_code: ExitCode = ExitCode.FAILED,
    ) -> None:
        """Keep what to print, and the exit code."""
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.output = output
        self.exit_code = exit_code


class NotRunningError(CommandError):
    """No stack runs from this state folder."""

    def __init__(self, port: int, running: Collection[int] = ()) -> None:
        """Name the port, and those on which other stacks run."""
        others = " or ".join(f"--port {other}" for other in running)
        super().__init__(
            f"No local stack is running on port {port}.",
            f"Start one with `scrip local up --port {port}`"
            + (f", or name a running one: {others}." if others else "."),
            exit_code=ExitCode.NOT_RUNNING,
        )


class NotReadyError(CommandError):
    """A stack is starting, and nothing is deployed to it yet."""

    def __init__(self, port: int) -> None:
        """Name the port."""
        super().__init__(
            f"The local stack on port {port} is not deployed yet.",
            "Wait for `scrip local up` to finish.",
            exit_code=ExitCode.NOT_RUNNING,
        )


def explained(error: ServiceError, *, local: bool) -> CommandError:
    """Explain an error of Scrip, AWS or the network; `local` says that AWS is the local one."""
    if isinstance(error, ScripError):
        return _scrip_error(error)
    detail = str(error).rstrip(".")
    if local:
        return CommandError(
            f"The local AWS failed: {detail}.",
            "See ministack.log in the stack's folder. To start over, delete that folder.",
        )
    return CommandError(
        f"AWS refused the call or did not answer: {detail}.",
        "Check who you are with `aws sts get-caller-identity`, and what that identity may do.",
    )


def faults_in(error: ValidationError) -> str:
    """List what is wrong with a value, each fault after the name of its field."""
    return "; ".join(
        ": ".join(filter(None, [".".join(map(str, fault["loc"])), fault["msg"]]))
        for fault in error.errors()
    )


def _scrip_error(error: ScripError) -> CommandError:
    if isinstance(error, NewerVersionError):
        return CommandError(
            "A newer version of Scrip wrote some of this data.",
            "Run the `scrip` of that version.",
        )
    title, exit_code = (error.__doc__ or "").splitlines()[0], exit_code_of(error)
    values = {field.name: getattr(error, field.name) for field in fields(error)}
    details = ", ".join(
        f"{name}: {iso(value) if isinstance(value, datetime) else value}"
        for name, value in values.items()
    )
    if exit_code is not ExitCode.FAILED:
        return CommandError(f"Refused ({error.code}): {title}", details, exit_code=exit_code)
    problem = f"Scrip gave up ({error.code}): {title}"
    if not isinstance(error, BusyError):
        problem = f"{problem} {details}".rstrip()
    return CommandError(problem, "Running the command again is safe.", exit_code=exit_code)
