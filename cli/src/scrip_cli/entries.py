"""`scrip entries`: the ledger of one account, newest first."""

from typing import Annotated

import typer

from scrip.domain.entries import EntryType
from scrip.store.queries import EntryFilter, read_entries
from scrip_cli.account_names import AccountName, account_named
from scrip_cli.local.commands import DEFAULT_PORT, Json, Port, State
from scrip_cli.paging import LIMIT, Page, paged
from scrip_cli.records import show_lines, show_table
from scrip_cli.target import find_target
from scrip_cli.terminal import All, Limit, Region, Since, StackName, Until, plain_errors

COLUMNS = (
    "seq",
    "recorded_at",
    "type",
    "amount",
    "balance_after",
    "feature",
    "actor",
    "reason",
    "entry_id",
)


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
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Show the ledger of an account, newest first: what happened, when (UTC), who did it and why.

    With --json a line of JSON for each, whole, as the API shows it to admins.
    """
    with plain_errors(local=stack_name is None):
        table = find_target(stack_name, port, state, region).table()
        asked = EntryFilter(
            account_id=account_named(table, account),
            type=type_,
            feature=feature,
            from_=since,
            to=until,
        )

        def page(size: int, cursor: str | None) -> Page:
            found, behind = read_entries(table, asked, limit=size, cursor=cursor)
            return [entry.to_json() for entry in found], behind

        found = paged(page, limit=None if all_ else limit)
        if as_json:
            show_lines(found)
        else:
            by = ({**entry, "actor": "{type} {id}".format(**entry["actor"])} for entry in found)
            show_table(by, COLUMNS)
