"""Erasing whose an account is; its ledger stays, under an id that leads nowhere."""

from collections.abc import Iterable

from scrip.store.aliases import names_of, unlink, wait_no_more
from scrip.store.client import Table
from scrip.store.inbox import blank, messages_of


def erase(table: Table, account_id: str) -> None:
    """Take every outside name from an account, and the bodies out of the messages about it.

    It may be repeated: names go one by one, and what is gone is gone.
    """
    for name in names_of(table, account_id):
        unlink(table, account_id, name)
    for inbox_id in messages_of(table, account_id):
        blank(table, inbox_id)


def erase_message(table: Table, inbox_id: str, waits_for: Iterable[str]) -> None:
    """Take the body out of a message, and the names that it waits for."""
    wait_no_more(table, inbox_id, waits_for)
    blank(table, inbox_id)
