"""What the local commands print about a running stack."""

import shlex
import sys
from pathlib import Path

import typer

from scrip_cli.local.demo import ADMIN_EMAIL, PASSWORD, USER_EMAIL, Details
from scrip_cli.local.stack import LocalStack
from scrip_cli.options import DEFAULT_PORT


def show_details(stack: LocalStack, found: Details) -> None:
    """Print where the stack is, who can sign in, and the line that prepares a terminal."""
    typer.echo(f"API       {found.api_url}")
    typer.echo(f"docs      {found.docs_url}")
    typer.echo(f"console   {found.console_url}")
    typer.echo(f"credits   {found.user_page_url}")
    typer.echo(f"admin     {ADMIN_EMAIL}")
    typer.echo(f"user      {USER_EMAIL}")
    typer.echo(f"password  {PASSWORD}")
    typer.echo(f'terminal  eval "$({_env(stack)})"')


def show_status(stack: LocalStack, pid: int, api_url: str) -> None:
    """Print the addresses and files of a running stack."""
    typer.echo(f"running   pid {pid}, port {stack.port}")
    typer.echo(f"api       {api_url}")
    typer.echo(f"state     {stack.state_dir}")
    typer.echo(f"log       {stack.log_file}")


def show_exports(found: Details) -> None:
    """Print the variables as shell lines for `eval`."""
    for name, value in found.variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _env(stack: LocalStack) -> str:
    """Return the command that prints the variables, for the project's folder."""
    command = Path(sys.executable).parent / "scrip"
    if command.is_relative_to(stack.root):
        command = command.relative_to(stack.root)
    words = [str(command), "local", "env"]
    if stack.port != DEFAULT_PORT:
        words += ["--port", str(stack.port)]
    if stack.has_own_folder:
        words += ["--state", str(stack.state_dir)]
    return shlex.join(words)
