"""What commands share at the terminal: the options that name a stack, and errors in plain words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import httpx
import typer
from botocore.exceptions import BotoCoreError, ClientError

from scrip.domain.errors import ScripError
from scrip_cli.local import report
from scrip_cli.local.errors import StackError

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C stopped."""

StackName = Annotated[
    str | None,
    typer.Option(help="A stack on AWS, with your own credentials.", show_default="the local stack"),
]
Region = Annotated[
    str | None, typer.Option(help="Region of that stack.", show_default="your profile's")
]


@contextmanager
def plain_errors(*, local: bool) -> Iterator[None]:
    """Turn what can go wrong into a sentence and an exit code."""
    try:
        yield
    except StackError as error:
        report.trouble(error)
        raise typer.Exit(error.exit_code) from error
    except ScripError as error:
        remedy = "Running the command again does nothing twice."
        report.trouble(StackError(f"Scrip gave up ({error.code}): {error.__doc__}", remedy))
        raise typer.Exit(StackError.exit_code) from error
    except (ClientError, BotoCoreError, httpx.HTTPError, httpx.InvalidURL) as error:
        report.trouble(_failure(error, local=local))
        raise typer.Exit(StackError.exit_code) from error


def _failure(error: Exception, *, local: bool) -> StackError:
    told = str(error).rstrip(".")
    if local:
        remedy = "See ministack.log in the stack's folder; without that folder it starts afresh."
        return StackError(f"The local AWS failed: {told}.", remedy)
    if isinstance(error, httpx.HTTPError | httpx.InvalidURL):
        return StackError(f"There was no answer: {told}.", "Check the address.")
    remedy = "`aws sts get-caller-identity` tells who you are there; check what that may do."
    return StackError(f"AWS refused or did not answer: {told}.", remedy)
