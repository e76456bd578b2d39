"""The `scrip` command: one Typer application that every command group is added to."""

import typer

from scrip_cli.audit import audit
from scrip_cli.backfill import backfill
from scrip_cli.local.commands import app as local
from scrip_cli.seed import seed
from scrip_cli.sweep import sweep
from scrip_cli.webhooks import app as webhooks

app = typer.Typer(
    name="scrip",
    no_args_is_help=True,
    # Local variables hold tokens.
    pretty_exceptions_show_locals=False,
)
app.add_typer(local, name="local")
app.add_typer(webhooks, name="webhooks")
app.command(epilog="Example: scrip seed --users 5")(seed)
app.command(epilog="Example: scrip backfill --csv users.csv --dry-run")(backfill)
app.command(epilog="Example: scrip sweep --now")(sweep)
app.command(epilog="Example: scrip audit --since 2026-11-01")(audit)


@app.callback()
def main() -> None:
    """Run, inspect and repair Scrip, the credits service."""
