"""`scrip sync`: repair what sign-ups and webhooks missed."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

import typer

from scrip_cli import report
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.options import DryRun, Json, Yes
from scrip_cli.session import Session, with_session

DIFFERENCE_COLUMNS = ("account_id", "field", "before", "after")
FAILURE_COLUMNS = ("subject", "code")


@with_session
def sync(
    what: Annotated[
        Literal["users", "plans", "all"],
        typer.Argument(
            metavar="WHAT",
            help="users: accounts of the user pool's users. plans: subscriptions at Stripe. all.",
            show_default=False,
        ),
    ],
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    session: Session,
) -> None:
    """Open accounts that sign-ups missed, and apply subscriptions whose webhooks never came.

    Safe to repeat. It does not look for missed purchases: have Stripe resend their events.

    Exit codes: 0 done, 1 some could not be repaired; run it again.
    """
    report.check_can_ask(yes=yes or dry_run)
    if not dry_run:
        report.note(f"Repairs {what} of the stack {session.name}; --dry-run shows what.")
        report.confirm(yes=yes)
    found = _whole(session, {"mode": what, "dry_run": dry_run})
    if as_json:
        report.show_json(found)
    else:
        report.show_table(found["differences"], DIFFERENCE_COLUMNS)
        if found["failures"]:
            typer.echo()
            report.show_table(found["failures"], FAILURE_COLUMNS)
        report.note(", ".join(f"{number} {name}" for name, number in found["counts"].items()))
    if dry_run:
        report.note_dry_run()
    if found["failures"]:
        raise typer.Exit(ExitCode.FAILED)


def _whole(session: Session, request: dict[str, Any]) -> dict[str, Any]:
    """Sync to the end, which may take several calls; return what all of them did."""
    from scrip_cli.admin_api import AdminApi

    api, counts = AdminApi(session), Counter[str]()
    differences: list[Any] = []
    failures: list[Any] = []
    cursor = None
    with report.stderr().status("Syncing ..."):
        while True:
            answer = api.post("sync", request | ({"cursor": cursor} if cursor else {}))
            counts.update(answer["counts"])
            differences += answer["differences"]
            failures += answer["failures"]
            if answer["complete"]:
                return {"counts": counts, "differences": differences, "failures": failures}
            if answer["cursor"] == cursor:
                raise CommandError(
                    f"After {counts['seen']} users and subscriptions Cognito or Stripe did not "
                    "respond.",
                    "Run the command again in a minute.",
                )
            cursor = answer["cursor"]
