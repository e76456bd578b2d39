"""`scrip local`: run the whole service on this machine, with no AWS account and no Docker."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from scrip_cli.errors import CommandError, NotRunningError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.interrupts import interrupt_on_signals
from scrip_cli.local import process
from scrip_cli.options import Json
from scrip_cli.report import note, show_json, step
from scrip_cli.session import LocalSession, with_session

if TYPE_CHECKING:
    import subprocess

    from scrip_cli.local.stack import LocalStack

app = typer.Typer(help="Run the whole service on this machine.", no_args_is_help=True)


@app.command(epilog="Example: scrip local up --detach")
@with_session
def up(
    *,
    detach: Annotated[bool, typer.Option(help="Leave it running in the background.")] = False,
    session: LocalSession,
) -> None:
    """Build, start and deploy the service, and run it until Ctrl-C. Data is kept for next time."""
    from scrip_cli.local import demo, deploy, printing
    from scrip_cli.local.build import source_hash
    from scrip_cli.local.lifecycle import running

    stack = session.stack
    # This and the server write keys that sign tokens and webhooks.
    os.umask(0o077)
    lock = process.claim(stack)
    if lock is None:
        process.running_pid(stack)  # raises if it runs on another port
        note(f"This stack is already running on port {stack.port}.")
        printing.show_details(stack, demo.details(stack))
        if not deploy.is_deployed(stack, source_hash(stack)):
            note(f"\nThe sources have changed since: {_down(stack)}, then up again.")
        return
    try:
        with interrupt_on_signals(), running(stack, lock) as server:
            details = demo.details(stack)
            if not detach:
                printing.show_details(stack, details)
                note("\nRunning until Ctrl-C.")
                _wait(stack, server)
    except KeyboardInterrupt:
        note("Stopped before it was ready.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if detach:
        printing.show_details(stack, details)
        note(f"\nRunning in the background; {_down(stack)} stops it.")


@app.command(epilog="Example: scrip local down")
@with_session
def down(*, session: LocalSession) -> None:
    """Stop the service and keep its data."""
    stack = session.stack
    pid = process.running_pid(stack)
    if pid is None:
        note(f"Nothing was running on port {stack.port} with its data in {stack.state_dir}.")
        return
    with step("Stopping"):
        process.stop(stack, pid)


@app.command(epilog="Example: scrip local status --json")
@with_session
def status(*, as_json: Json = False, session: LocalSession) -> None:
    """Show whether the service is running (exit code 0) or not (exit code 3)."""
    stack = session.stack
    pid = process.running_pid(stack)
    if as_json:
        fields = {"running": pid is not None, "port": stack.port, "state_dir": str(stack.state_dir)}
        if pid is not None:
            fields |= {"pid": pid, "api_url": _api_url(stack)}
        typer.echo(json.dumps(fields))
    if pid is None:
        raise NotRunningError(stack.port, process.running_ports(stack.root))
    if not as_json:
        from scrip_cli.local.printing import show_status

        show_status(stack, pid, _api_url(stack))


@app.command(epilog="Example: scrip local env --json")
@with_session
def env(*, as_json: Json = False, session: LocalSession) -> None:
    """Print environment variables for a terminal or a program, as shell exports or as JSON.

    They are the stack's addresses and names, the service client's credentials, the webhooks'
    secrets, and tokens that are valid for an hour. Every command reads `SCRIP_PORT`, so it works on
    this stack without `--port`.
    """
    from scrip_cli.local import demo, printing

    details = demo.details(session.running_stack)
    if as_json:
        show_json(details.variables)
    else:
        printing.show_exports(details)


def _down(stack: LocalStack) -> str:
    state = shlex.quote(str(stack.state_dir))
    return f"`scrip local down --port {stack.port} --state {state}`"


def _api_url(stack: LocalStack) -> str:
    from scrip_cli.local import deploy

    return stack.api_url(deploy.outputs(stack)["ApiId"])


def _wait(stack: LocalStack, server: subprocess.Popen[bytes]) -> None:
    """Wait for Ctrl-C and then stop the server, or for the server to end by itself."""
    try:
        exit_code = server.wait()
    except KeyboardInterrupt:
        process.stop(stack, server.pid)
        note("Stopped; the data is kept.")
        return
    if exit_code != 0:
        raise CommandError(f"ministack ended with exit code {exit_code}.", f"See {stack.log_file}.")
    note("Stopped by another command; the data is kept.")
