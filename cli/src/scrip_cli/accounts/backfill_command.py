"""`scrip backfill`: accounts for users who signed up before Scrip was deployed."""

from pathlib import Path
from typing import Annotated

import typer

from scrip_cli.session import Session, with_session


@with_session
def backfill(
    *,
    csv: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A CSV file with the columns account_id and, optionally, email.",
            show_default="the stack's user pool",
        ),
    ] = None,
    user_pool_id: Annotated[
        str | None,
        typer.Option(help="Another Cognito user pool.", show_default="the stack's user pool"),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Count, and write nothing.")] = False,
    session: Session,
) -> None:
    """Open accounts for existing users, each as their sign-up would have. Safe to repeat.

    The apostrophe that `scrip export` puts before some IDs in CSV is removed.

    Exit codes: 0 every user has an account, 1 some failed, 130 stopped by Ctrl-C; run it again to
    continue.
    """
    if csv is not None and user_pool_id is not None:
        raise typer.BadParameter("name a file or a pool, not both", param_hint="--csv")
    from scrip_cli.accounts.backfill import open_accounts

    open_accounts(session, csv, user_pool_id, dry_run=dry_run)
