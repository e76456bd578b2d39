"""Users: opening their accounts, to be found by the addresses that are verified as theirs."""

from collections.abc import Iterable

from scrip.ledger import Ledger, opening
from scrip.store.aliases import EMAIL, link_account, names_of, unlink


def open_account(ledger: Ledger, account_id: str, emails: Iterable[str]) -> list[str]:
    """Open the account of a user and link it to their addresses; return those that are linked now.

    An address is of one account only, and the first keeps it. One that the user has no longer
    leads nowhere. Repeated, it changes nothing.

    Raises:
        BusyError: it may be half done; doing it again is safe.
    """
    ledger.execute(opening(account_id))
    wanted = {f"{EMAIL}{email.lower()}" for email in emails}
    for name in names_of(ledger.table, account_id):
        if name.startswith(EMAIL) and name not in wanted:
            unlink(ledger.table, account_id, name)
    return [name for name in sorted(wanted) if link_account(ledger.table, account_id, name)]
