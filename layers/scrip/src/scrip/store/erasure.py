"""Erasing whose an account is; its ledger stays, under an id that leads nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrip.store.aliases import names_of, unlink, wait_no_more
from scrip.store.inbox import blank, messages_of, read_message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scrip.store.client import Table


def erase(table: Table, account_id: str) -> None:
    """Take every outside name from an account, and what says whose it was out of its messages.

    It may be repeated: names go one by one, and what is gone is gone.
    """
    for name in names_of(table, account_id):
        unlink(table, account_id, name)
    for inbox_id in messages_of(table, account_id):
        record = read_message(table, inbox_id)
        erase_message(table, inbox_id, record.waits_for if record else ())


def erase_message(table: Table, inbox_id: str, waits_for: Iterable[str]) -> None:
    """Take out of a message what may say whose it was. It waits for none of these names any more.

    The names go first: they are known from the message only.
    """
    wait_no_more(table, inbox_id, waits_for)
    blank(table, inbox_id)
