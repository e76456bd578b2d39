"""What an operator may call an account: its id, an address, or any name that leads to it."""

from typing import Annotated

import typer

from scrip.domain.errors import AccountNotFoundError
from scrip.store.aliases import EMAIL, OWN, accounts_named
from scrip.store.client import Table
from scrip_cli.exit_codes import ExitCode
from scrip_cli.local.errors import StackError

AccountName = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT",
        help="Its id, an email address, or a name that a provider has for it: stripe:cus_123.",
        show_default=False,
    ),
]


class AmbiguousNameError(StackError):
    """A name that means several accounts."""

    exit_code = ExitCode.USAGE

    def __init__(self, name: str, account_ids: list[str]) -> None:
        """Tell how to name each of them."""
        names = " or ".join(f"{OWN}{account_id}" for account_id in account_ids)
        super().__init__(f"{name} leads to several accounts.", f"Say {names}.")


def account_named(table: Table, name: str) -> str:
    """Return the id of the account that a name leads to. One round trip.

    Ids may look like addresses or like names, so all readings are tried. `account:<id>` is always
    the account of that id, as long as no id begins so.

    Raises:
        AccountNotFoundError: it leads to none.
        AmbiguousNameError: it leads to several.
    """
    lowered = name.lower()
    alias = lowered if lowered.startswith(EMAIL) else name
    found = set(accounts_named(table, [f"{OWN}{name}", f"{EMAIL}{lowered}", alias]).values())
    if not found:
        raise AccountNotFoundError(name)
    if len(found) > 1:
        raise AmbiguousNameError(name, sorted(found))
    return found.pop()
