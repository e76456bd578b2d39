"""What an operator may call an account: its ID, an email address, or a provider's name for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scrip.domain.errors import AccountNotFoundError
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from scrip.store.client import Table

AccountName = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT",
        help="Its ID, an email address, or a provider's name for it, such as stripe:cus_123.",
        show_default=False,
    ),
]


def account_named(table: Table, name: str) -> str:
    """Return the ID of the account that a name leads to. One round trip.

    IDs may look like addresses or like names, so all readings are tried. `account:<id>` always
    means that ID, as long as no ID begins this way.

    Raises:
        AccountNotFoundError: the name leads to no account.
        CommandError: the name leads to several.
    """
    from scrip.store.aliases import EMAIL, OWN, accounts_named

    lowered = name.lower()
    alias = lowered if lowered.startswith(EMAIL) else name
    found = set(accounts_named(table, [f"{OWN}{name}", f"{EMAIL}{lowered}", alias]).values())
    if not found:
        raise AccountNotFoundError(name)
    if len(found) > 1:
        choices = " or ".join(f"{OWN}{account_id}" for account_id in sorted(found))
        raise CommandError(
            f"{name} matches several accounts.", f"Name {choices}.", exit_code=ExitCode.USAGE
        )
    return found.pop()
