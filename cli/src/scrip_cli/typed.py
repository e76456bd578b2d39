"""What a person types, or a pipe passes on: secrets, which are never arguments."""

import sys

import typer

from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode


def typed_secret(what: str) -> str:
    """Return a secret: asked for without showing it on a terminal, else a line of standard input.

    Raises CommandError if there is none.
    """
    if sys.stdin.isatty():
        text = typer.prompt(what, hide_input=True, err=True, default="", show_default=False)
    else:
        text = sys.stdin.readline()
    secret = str(text).strip()
    if not secret:
        raise CommandError(
            f"There is no {what.lower()} in standard input.",
            "Type it when asked, or pass it on with a pipe.",
            exit_code=ExitCode.USAGE,
        )
    return secret
