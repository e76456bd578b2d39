"""The `scrip` command: one Typer application that every command group is added to."""

import sys
from logging import StreamHandler
from typing import Annotated

import typer

from scrip import __version__
from scrip.observability import logger
from scrip_cli.accounts.backfill_command import backfill
from scrip_cli.accounts.clock import clock
from scrip_cli.accounts.commands import app as accounts
from scrip_cli.accounts.entries import entries
from scrip_cli.accounts.index_command import index
from scrip_cli.alarms import alarms
from scrip_cli.audit.commands import audit
from scrip_cli.backup.commands import backup, restore
from scrip_cli.catalog.commands import app as catalog
from scrip_cli.export.commands import export
from scrip_cli.health import health
from scrip_cli.local.commands import app as local
from scrip_cli.logs import logs
from scrip_cli.prices.commands import app as prices
from scrip_cli.restoring.command import restore as restore_account
from scrip_cli.secrets.commands import app as secrets
from scrip_cli.seed.commands import seed
from scrip_cli.sign_in.commands import app as admin
from scrip_cli.sign_in.commands import token
from scrip_cli.smoke.commands import smoke
from scrip_cli.sweep import sweep
from scrip_cli.sync import sync
from scrip_cli.upgrade import upgrade
from scrip_cli.webhooks.commands import app as webhooks
from scrip_cli.what_if.command import what_if

HELP_WIDTH_MAX = 100

app = typer.Typer(
    name="scrip",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich would take half the time that help takes
    context_settings={"max_content_width": HELP_WIDTH_MAX},
    # Local variables may hold tokens.
    pretty_exceptions_show_locals=False,
)
app.add_typer(local, name="local")
app.add_typer(webhooks, name="webhooks")
accounts.command(
    "restore", epilog="Example: scrip accounts restore user-17 --at 2026-11-21T12:59Z"
)(restore_account)
app.add_typer(accounts, name="accounts")
app.add_typer(catalog, name="catalog")
app.add_typer(prices, name="prices")
app.add_typer(secrets, name="secrets")
app.add_typer(admin, name="admin")
app.command(epilog="Example: scrip entries alice@example.com --type usage")(entries)
app.command(epilog="Example: scrip clock alice@example.com --advance 31d --dry-run")(clock)
app.command(epilog="Example: scrip export --out ledger.ndjson")(export)
app.command(epilog="Example: scrip token")(token)
app.command(epilog="Example: scrip seed --users 2")(seed)
app.command(epilog="Example: scrip backfill --csv users.csv --dry-run")(backfill)
app.command(epilog="Example: scrip index")(index)
app.command(epilog="Example: scrip sweep --now")(sweep)
app.command(epilog="Example: scrip sync users --dry-run")(sync)
app.command(epilog="Example: scrip audit --since 2026-11-01")(audit)
app.command(epilog="Example: scrip health --features chat,image-generation")(health)
app.command(epilog="Example: scrip alarms")(alarms)
app.command(epilog="Example: scrip logs --request-id JKJaXmPLvHcESHA=")(logs)
app.command("what-if", epilog="Example: scrip what-if catalog.yaml --last 30d")(what_if)
app.command(epilog="Example: scrip upgrade --stack-name scrip-prod")(upgrade)
app.command(epilog="Example: scrip smoke --yes")(smoke)
app.command(epilog="Example: scrip backup backup-2026-11-21")(backup)
app.command(epilog="Example: scrip restore backup-2026-11-21")(restore)


def print_version(is_asked_for: bool) -> None:  # noqa: FBT001 - Typer passes the option's value
    """Print the version and exit, if asked for."""
    if is_asked_for:
        typer.echo(f"scrip {__version__}")
        raise typer.Exit


@app.callback()
def main(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True),
    ] = False,
) -> None:
    """Run, inspect and repair Scrip, the credits service."""


def run() -> None:
    """Run the command that this process was started with."""
    # A program reads stdout, where log lines do not belong.
    for handler in logger.handlers:
        if isinstance(handler, StreamHandler):
            handler.setStream(sys.stderr)
    app()
