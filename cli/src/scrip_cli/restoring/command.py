"""`scrip accounts restore`: its options."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from scrip_cli import report
from scrip_cli.exit_codes import ExitCode
from scrip_cli.options import DryRun, Json, Yes, instant
from scrip_cli.session import Session, with_session
from scrip_cli.work import patiently

COLUMNS = ("item", "finding", "put_back", "fields")


@with_session
def restore(
    account_id: Annotated[
        str, typer.Argument(metavar="ID", help="The account's ID.", show_default=False)
    ],
    *,
    at: Annotated[
        datetime | None,
        typer.Option(
            parser=instant,
            metavar="TIME",
            help="Right before the damage. Restores the table to a new one, which takes minutes to "
            "hours, and deletes that.",
        ),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="A backup, instead of a time."),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="A table that you have already restored, instead of a time."
        ),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    session: Session,
) -> None:
    """Restore an account's items that are missing or were edited by hand, and audit it.

    Nothing that was recorded is undone or lost: later entries stay, and so does an account that is
    sound and has been used since. `missing` and `edited` items are put back; `changed` ones are
    left, because the account was used, and so are `new` ones.

    With --json, prints a line of JSON for each. Exit codes: 0 the account matches its entries, 6
    the audit still finds something.
    """
    from scrip.audit.accounts import audit_account
    from scrip.ledger import utc_now
    from scrip.store.client import Table
    from scrip_cli.restoring.comparison import compare
    from scrip_cli.restoring.putting_back import put_back
    from scrip_cli.restoring.source import from_folder, from_table, from_time

    if sum(source is not None for source in (at, from_, table)) != 1:
        raise typer.BadParameter("give --at, --from or --table", param_hint="--at")
    report.check_can_ask(yes=yes or dry_run)
    own = session.table()
    if at is not None:
        was = from_time(session, at, account_id)
    elif from_ is not None:
        was = from_folder(from_, account_id)
    else:
        was = from_table(Table(own.client, str(table)), account_id)
    found = compare(account_id, was, from_table(own, account_id))
    records = [difference.to_json() for difference in found.differences]
    if as_json:
        report.show_lines(records)
    else:
        report.show_table(records, COLUMNS)
    if found.booked_since:
        report.note(
            f"Entries booked since then: {found.booked_since}, with "
            f"{report.grouped(found.credits_since)} credits. They stay; to correct one, use "
            "`scrip accounts refund`, `grant` or `deduct`."
        )
    if dry_run:
        report.note_dry_run()
        return
    items = sum(difference.is_put_back for difference in found.differences)
    if items:
        report.note(f"Items to put back: {items}.")
        report.confirm(yes=yes)
        patiently(lambda: put_back(own, found))
    else:
        report.note("There is nothing to put back.")
    audited = audit_account(own, account_id, utc_now())
    findings = audited.findings if audited else ()
    for finding in findings:
        report.note(f"{finding.code}: {finding.sentence}")
    if findings:
        report.note("docs/reference/audit.md says what to do about each finding.")
        raise typer.Exit(ExitCode.FOUND)
    report.note("The account matches its entries.")
