"""What commands share at the terminal: the option that names a stack, and errors in plain words."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from scrip_cli.local import report
from scrip_cli.local.errors import StackError

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C stopped."""

StackName = Annotated[
    str | None,
    typer.Option(help="A stack on AWS, with your own credentials.", show_default="the local stack"),
]


@contextmanager
def plain_errors(*, local: bool) -> Iterator[None]:
    """Turn what can go wrong into a sentence and an exit code."""
    try:
        yield
    except StackError as error:
        report.trouble(error)
        raise typer.Exit(error.exit_code) from error
    except (ClientError, BotoCoreError) as error:
        where = "The local AWS failed" if local else "AWS refused or did not answer"
        remedy = "See ministack.log in the stack's folder." if local else "Check your credentials."
        report.trouble(StackError(f"{where}: {error}", remedy))
        raise typer.Exit(StackError.exit_code) from error
