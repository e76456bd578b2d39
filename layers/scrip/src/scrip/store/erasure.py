"""Erasing whose an account is. Its ledger stays, under an ID that leads to no one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrip.store.aliases import unlink, wait_no_more
from scrip.store.inbox import blank, read_message
from scrip.store.keys import addresses_key, names_partition

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scrip.store.client import Table


def erase(table: Table, account_id: str) -> None:
    """Remove all outside names of an account, and personal data from the messages about it.

    The account leaves all lists, too. It is safe to repeat, and continues where it was interrupted.
    """
    partition = names_partition(account_id)
    found = table.query_all("pk = :pk", {":pk": partition}, "sk", ConsistentRead=True)
    for place in [item["sk"]["S"] for item in found]:
        match place.partition("#"):
            case "ALIAS", _, name:
                unlink(table, account_id, name)
            case "INBOX", _, inbox_id:
                record = read_message(table, inbox_id)
                erase_message(table, inbox_id, record.waits_for if record else ())
            case _:
                table.delete({"pk": partition, "sk": place})
    # Again: `scrip index` may have put it back while there were names.
    table.delete(addresses_key(account_id))


def erase_message(table: Table, inbox_id: str, waits_for: Iterable[str]) -> None:
    """Erase personal data from a message, which stops waiting for these names.

    The names go first, because only the message knows them.
    """
    wait_no_more(table, inbox_id, waits_for)
    blank(table, inbox_id)
