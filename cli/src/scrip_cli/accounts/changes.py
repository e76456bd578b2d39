"""Changing one account: show what would change, ask, and do it once under its idempotency key."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from ulid import ULID

from scrip.domain.account import Account
from scrip.domain.commands import Command
from scrip.domain.decide import decide
from scrip.domain.errors import HoldNotFoundError
from scrip.http.answers import posted
from scrip.ledger import Ledger, Outcome, utc_now
from scrip.store.queries import read_entry
from scrip.users import emails_of
from scrip_cli.accounts.names import account_named
from scrip_cli.options import IdempotencyKey, Json, Yes
from scrip_cli.report import check_can_ask, confirm, note, show_facts, show_json
from scrip_cli.session import Session
from scrip_cli.work import patiently

ENTRY_FIELDS = {"entry_id", "seq", "type", "amount", "recorded_at"}


@dataclass(frozen=True, kw_only=True)
class ChangeOptions:
    """How to make a change. The fields are options."""

    idempotency_key: IdempotencyKey = None
    yes: Yes = False
    as_json: Json = False


def change(
    session: Session,
    name: str,
    command_of: Callable[..., Command],
    *,
    summary: Callable[[Account], str],
    options: ChangeOptions,
) -> None:
    """Execute the command that `command_of` makes on the account that a name leads to.

    The change is decided before the question, so a refusal comes first and the question says what
    the change will do. `summary` describes in a few words the part of an account that changes.
    """
    check_can_ask(yes=options.yes)
    ledger, key = Ledger(session.table(), utc_now), options.idempotency_key
    account_id = account_named(ledger.table, name)
    entry_id = key or str(ULID())
    command = command_of(account_id=account_id, entry_id=entry_id, actor=session.operator())
    # A change whose key has an entry is not made again, so there is nothing to ask.
    if key is None or read_entry(ledger.table, account_id, key) is None:
        before = ledger.account(account_id)
        # Only the ledger knows how a hold ended that is not open; nothing will change.
        with suppress(HoldNotFoundError):
            after = decide(before, command, catalog=ledger.catalog(), now=ledger.clock()).after
            owner = ", ".join([*emails_of(ledger, account_id), f"account {account_id}"])
            note(f"{owner}: now {summary(before)}; after this {summary(after)}.")
            confirm(yes=options.yes)
    if key is None:
        note(f"If this is interrupted, repeat it with --idempotency-key {entry_id}")
    _show(command, patiently(lambda: ledger.execute(command)), as_json=options.as_json)


def _show(command: Command, outcome: Outcome, *, as_json: bool) -> None:
    if outcome.replayed:
        note("This was done before and was not done again.")
    body = posted(command, outcome, 200).body
    assert body is not None
    if as_json:
        show_json(body)
    else:
        entry = {name: value for name, value in body["entry"].items() if name in ENTRY_FIELDS}
        show_facts({**body["account"], **entry})
