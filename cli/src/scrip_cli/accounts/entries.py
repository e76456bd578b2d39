"""`scrip entries`: the ledger of one account, newest first."""

from typing import Annotated

import typer

from scrip.domain.entries import EntryType
from scrip_cli.accounts.names import AccountName, account_named
from scrip_cli.accounts.paging import LIMIT, Page, paged
from scrip_cli.options import All, Json, Limit, Since, Until
from scrip_cli.report import Record, show_lines, show_table
from scrip_cli.session import Session, with_session

COLUMNS = (
    "seq",
    "recorded_at",
    "type",
    "amount",
    "balance_after",
    "feature",
    "used",
    "actor",
    "reason",
    "entry_id",
)


@with_session
def entries(
    account: AccountName,
    *,
    type_: Annotated[
        EntryType | None,
        typer.Option("--type", help="Only of this type, such as usage.", metavar="TYPE"),
    ] = None,
    feature: Annotated[str | None, typer.Option(help="Only uses of this feature.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = LIMIT,
    all_: All = False,
    as_json: Json = False,
    session: Session,
) -> None:
    """Show the ledger of an account, newest first: what happened, when (UTC), who did it and why.

    With --json, prints each entry in full as a line of JSON, as the API shows it to admins.
    """
    from scrip.store.queries import EntryFilter, read_entries

    table = session.table()
    query = EntryFilter(
        account_id=account_named(table, account),
        type=type_,
        feature=feature,
        from_=since,
        to=until,
    )

    def page(size: int, cursor: str | None) -> Page:
        found, after = read_entries(table, query, limit=size, cursor=cursor)
        return [entry.to_json() for entry in found], after

    found = paged(page, limit=None if all_ else limit)
    if as_json:
        show_lines(found)
    else:
        show_table(map(_row, found), COLUMNS)


def _row(entry: Record) -> Record:
    usage = entry["usage"]
    return {
        **entry,
        "used": ", ".join(f"{count} {meter}" for meter, count in usage.items())
        if usage
        else entry["quantity"],
        "actor": "{type} {id}".format(**entry["actor"]),
    }
