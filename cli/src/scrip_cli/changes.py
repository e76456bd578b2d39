"""Changing an account from the command line: told first, asked about, done once under its key."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer
from ulid import ULID

from scrip.domain.account import Account
from scrip.domain.commands import KEY_PATTERN, Command
from scrip.domain.decide import decide
from scrip.domain.errors import HoldNotFoundError
from scrip.http.answers import posted
from scrip.ledger import Ledger, Outcome, utc_now
from scrip.store.queries import read_entry
from scrip.users import emails_of
from scrip_cli.account_names import account_named
from scrip_cli.local import report
from scrip_cli.records import show_facts, show_json
from scrip_cli.target import Target
from scrip_cli.terminal import ask
from scrip_cli.work import patiently


def _key(text: str) -> str:
    if not re.fullmatch(KEY_PATTERN, text):
        raise typer.BadParameter("1 to 128 of A-Z a-z 0-9 . _ -")
    return text


IdempotencyKey = Annotated[
    str | None,
    typer.Option(
        parser=_key,
        metavar="KEY",
        help="Names the change: with its key it is made once, however often the command runs.",
        show_default="a new one, which is printed",
    ),
]


def change(
    target: Target,
    name: str,
    command_of: Callable[..., Command],
    *,
    shown: Callable[[Account], str],
    key: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Change the account that a name leads to, by the command that `command_of` makes of it.

    `shown` tells in a few words what of an account changes. It is decided beforehand, so that a
    refusal comes before the question, and the question says what will be.
    """
    ledger = Ledger(target.table(), utc_now)
    account_id = account_named(ledger.table, name)
    entry_id = key or str(ULID())
    command = command_of(account_id=account_id, entry_id=entry_id, actor=target.operator())
    # What has been done under its key is not done again, so there is nothing to ask.
    if key is None or read_entry(ledger.table, account_id, key) is None:
        before = ledger.account(account_id)
        # Of a hold that is not open the ledger knows how it ended; nothing will be changed.
        with suppress(HoldNotFoundError):
            after = decide(before, command, catalog=ledger.catalog(), now=ledger.clock()).after
            who = ", ".join([*emails_of(ledger, account_id), f"account {account_id}"])
            report.note(f"{who}: now {shown(before)}; after this {shown(after)}.")
            ask(yes=yes)
    if key is None:
        report.note(f"If this is interrupted, repeat it with --idempotency-key {entry_id}")
    _show(command, patiently(lambda: ledger.execute(command)), as_json=as_json)


def _show(command: Command, outcome: Outcome, *, as_json: bool) -> None:
    if outcome.replayed:
        report.note("This has been done before, and not again.")
    body = posted(command, outcome, 200).body
    assert body is not None
    if as_json:
        show_json(body)
    else:
        told = {"entry_id", "seq", "type", "amount", "recorded_at"}
        entry = {name: value for name, value in body["entry"].items() if name in told}
        show_facts({**body["account"], **entry})
