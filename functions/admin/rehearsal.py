"""Rehearsing messages: what accepting them would do, without writing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, override

from scrip.ledger import Ledger
from scrip.webhooks.apply import Attempt, UnmatchedError, command_for_fact, new_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scrip.domain.account import Account
    from scrip.domain.commands import Command, OpenAccount
    from scrip.ledger import Outcome
    from scrip.store.inbox import InboxRecord
    from scrip.webhooks.facts import Fact
    from scrip.webhooks.messages import Message


class RehearsalLedger(Ledger):
    """A ledger whose rehearsals build on each other: it remembers the accounts that they left."""

    def __init__(self, ledger: Ledger) -> None:
        """Start with the accounts of another ledger."""
        super().__init__(ledger.table, ledger.clock, ledger.mailbox_key)
        self._accounts: dict[str, Account] = {}

    @override
    def rehearse(
        self,
        command: Command,
        opening: Callable[[], OpenAccount] | None = None,
        account: Account | None = None,
    ) -> Outcome:
        account = account or self._accounts.get(command.account_id)
        outcome = super().rehearse(command, opening, account)
        if outcome.account is not None:
            self._accounts[command.account_id] = outcome.account
        return outcome

    @override
    def account(
        self,
        account_id: str,
        opening: Callable[[], OpenAccount] | None = None,
    ) -> Account:
        known = self._accounts.get(account_id)
        return self.settled(known) if known else super().account(account_id, opening)


class _Rehearsal(Attempt):
    """An attempt for an account that is known to be the right one."""

    def __init__(self, ledger: Ledger, record: InboxRecord, account_id: str | None) -> None:
        super().__init__(ledger, record)
        self.account_id = account_id

    @override
    def apply(self, fact: Fact) -> None:
        if self.account_id is None:
            raise UnmatchedError("no account is linked to it yet")
        command = command_for_fact(self.ledger, self.record.inbox_id, fact, self.account_id)
        if command is not None:
            self.ledger.rehearse(command)

    @override
    def wait(self, names: Iterable[str]) -> None:
        pass


def rehearse(
    ledger: Ledger,
    message: Message,
    body: bytes,
    account_id: str | None,
) -> InboxRecord:
    """Return the record that `accept` would leave of a message about an account; write nothing.

    Raises:
        ScripError: it could not be applied.
    """
    attempt = _Rehearsal(ledger, new_record(ledger, message, body), account_id)
    attempt.run()
    return attempt.record
