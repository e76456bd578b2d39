"""`scrip local`: run the whole service on this machine, with no AWS account and no Docker."""

import json
import os
import shlex
import signal
import subprocess
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from scrip_cli.exit_codes import ExitCode
from scrip_cli.local import demo, deploy, process, report
from scrip_cli.local.build import source_hash
from scrip_cli.local.errors import NotRunningError, StackError
from scrip_cli.local.lifecycle import brought_up
from scrip_cli.local.stack import LocalStack, find_stack
from scrip_cli.terminal import plain_errors

app = typer.Typer(help="Run the whole service on this machine.", no_args_is_help=True)

Port = Annotated[
    int,
    typer.Option(min=1, max=65535, help="Port of the local AWS; each port is a stack of its own."),
]
State = Annotated[
    Path | None,
    typer.Option(help="Folder of the stack's data.", show_default=".scrip/PORT in the project"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

DEFAULT_PORT = 4566


@app.command(epilog="Example: scrip local up --detach")
def up(
    port: Port = DEFAULT_PORT,
    state: State = None,
    *,
    detach: Annotated[bool, typer.Option(help="Leave it running and return.")] = False,
) -> None:
    """Build, start and deploy the service; stay until Ctrl-C. Data is kept for the next time."""
    with plain_errors(local=True):
        stack = find_stack(port, state)
        # Keys that sign tokens and webhooks are among what this and the server write.
        os.umask(0o077)
        lock = process.claim(stack)
        if lock is None:
            process.running_pid(stack)  # says so if it is on another port
            report.note(f"This stack is already running on port {port}.")
            report.show_details(demo.details(stack))
            if not deploy.is_deployed(stack, source_hash(stack)):
                report.note(f"\nThe sources have changed since: {_down(stack)}, then up again.")
            return
        _interrupt_on_signals()
        try:
            with brought_up(stack, lock) as server:
                found = demo.details(stack)
                if not detach:
                    report.show_details(found)
                    report.note("\nRunning until Ctrl-C.")
                    _stay(stack, server)
        except KeyboardInterrupt:
            report.note("Stopped before it was ready.")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        if detach:
            report.show_details(found)
            report.note(f"\nRunning in the background; {_down(stack)} stops it.")


@app.command(epilog="Example: scrip local down")
def down(port: Port = DEFAULT_PORT, state: State = None) -> None:
    """Stop the service and keep its data."""
    with plain_errors(local=True):
        stack = find_stack(port, state)
        pid = process.running_pid(stack)
        if pid is None:
            report.note(f"Nothing was running on port {port} with its data in {stack.state_dir}.")
            return
        with report.step("Stopping"):
            process.stop(stack, pid)


@app.command(epilog="Example: scrip local status --json")
def status(port: Port = DEFAULT_PORT, state: State = None, *, as_json: Json = False) -> None:
    """Tell whether the service is running (exit code 0) or not (exit code 3)."""
    with plain_errors(local=True):
        stack = find_stack(port, state)
        pid = process.running_pid(stack)
        if as_json:
            facts = {"running": pid is not None, "port": port, "state_dir": str(stack.state_dir)}
            if pid is not None:
                facts |= {"pid": pid, "api_url": _api_url(stack)}
            typer.echo(json.dumps(facts))
        if pid is None:
            raise NotRunningError(port)
        if not as_json:
            report.show_status(stack, pid, _api_url(stack))


@app.command(epilog="Example: scrip local env --json")
def env(port: Port = DEFAULT_PORT, state: State = None, *, as_json: Json = False) -> None:
    """Print addresses, names and fresh tokens, as shell exports or as JSON."""
    with plain_errors(local=True):
        stack = find_stack(port, state)
        if process.running_pid(stack) is None:
            raise NotRunningError(port)
        found = demo.details(stack)
        if as_json:
            typer.echo(json.dumps(asdict(found), indent=2))
        else:
            report.show_exports(found)


def _down(stack: LocalStack) -> str:
    state = shlex.quote(str(stack.state_dir))
    return f"`scrip local down --port {stack.port} --state {state}`"


def _api_url(stack: LocalStack) -> str:
    return stack.api_url(deploy.outputs(stack)["ApiId"])


def _stay(stack: LocalStack, server: subprocess.Popen[bytes]) -> None:
    """Wait for Ctrl-C and then stop the server, or for the server to end by itself."""
    try:
        exit_code = server.wait()
    except KeyboardInterrupt:
        process.stop(stack, server.pid)
        report.note("Stopped; the data is kept.")
        return
    if exit_code != 0:
        raise StackError(f"ministack ended with exit code {exit_code}.", f"See {stack.log_file}.")
    report.note("Stopped by another command; the data is kept.")


def _interrupt_on_signals() -> None:
    """Let a closed terminal and `kill` do what Ctrl-C does, so that state is always saved."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
