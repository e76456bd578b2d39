"""What the local commands print about a running stack."""

import shlex
import uuid
from dataclasses import asdict

import typer
from rich.console import Console

from scrip_cli.local.demo import ADMIN_EMAIL, PASSWORD, USER_EMAIL, Details
from scrip_cli.local.stack import LocalStack

_result = Console(highlight=False)


def show_details(found: Details) -> None:
    """Print the addresses, the tokens and calls to paste. None of these lines is wrapped."""
    _heading("API")
    typer.echo(found.api_url)
    _heading("Console", f"sign in as {ADMIN_EMAIL} with {PASSWORD}")
    typer.echo(found.console_url)
    _heading("User token", f"{USER_EMAIL}, account {found.accounts['user']}")
    typer.echo(found.user_token)
    _heading("Service token", "any account, scope scrip/service")
    typer.echo(found.service_token)
    _heading("Admin token", f"{ADMIN_EMAIL}, account {found.accounts['admin']}")
    typer.echo(found.admin_token)
    _heading("Try", "the balance, a use of it, and the ledger")
    for line in _curl_lines(found):
        typer.echo(line)


def show_status(stack: LocalStack, pid: int, api_url: str) -> None:
    """Print the addresses and files of a running stack."""
    typer.echo(f"running   pid {pid}, port {stack.port}")
    typer.echo(f"api       {api_url}")
    typer.echo(f"state     {stack.state_dir}")
    typer.echo(f"log       {stack.log_file}")


def show_exports(found: Details) -> None:
    """Print the details as shell lines for `eval`."""
    values = asdict(found)
    accounts = values.pop("accounts")
    values |= {f"account_{kind}": account_id for kind, account_id in accounts.items()}
    secrets = values.pop("webhook_secrets")
    values |= {f"webhook_secret_{provider}": secret for provider, secret in secrets.items()}
    for name, value in values.items():
        typer.echo(f"export SCRIP_{name.upper()}={shlex.quote(value)}")


def _heading(title: str, remark: str = "") -> None:
    _result.print(f"\n[bold]{title}[/bold]  [dim]{remark}[/dim]", soft_wrap=True)


def _curl_lines(found: Details) -> list[str]:
    me = f"{found.api_url}/v1/accounts/me"
    token = f"-H 'Authorization: Bearer {found.user_token}'"
    # A new key each time; otherwise a paste on another day would only replay the first.
    key = f"-H 'Idempotency-Key: demo-{uuid.uuid4().hex[:12]}'"
    json_body = """-H 'Content-Type: application/json' -d '{"feature":"chat"}'"""
    return [
        f"curl -sS '{me}' {token}",
        f"curl -sS '{me}/consume' {token} {key} {json_body}",
        f"curl -sS '{me}/entries' {token}",
    ]
