"""Changing one account: show what would change, ask, and do it once under its idempotency key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrip_cli.accounts.names import account_named
from scrip_cli.report import check_can_ask, confirm, note, note_dry_run, show_facts, show_json
from scrip_cli.work import patiently

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from scrip.domain.account import Account
    from scrip.domain.commands import Command
    from scrip.ledger import Outcome
    from scrip.store.client import Table
    from scrip_cli.options import ChangeOptions
    from scrip_cli.report import Record
    from scrip_cli.session import Session

ENTRY_FIELDS = {"entry_id", "seq", "type", "amount", "recorded_at"}


def change[C: Command](
    kind: type[C],
    name: str,
    request: BaseModel,
    /,
    *,
    summary: Callable[[Account], str],
    shown: Callable[[Account], Record] | None = None,
    afterwards: Callable[[Table, str], None] | None = None,
    options: ChangeOptions,
    session: Session,
    **fields: Any,
) -> None:
    """Change the account that a name leads to, as the API does when it gets the request.

    The command, of this kind and with these fields besides the request's, is rehearsed before the
    question, so a refusal comes first and the question says what the command will do. A dry run
    ends there. `summary` describes in a few words the part of an account that changes. `shown` is
    what to print of the account; by default it is the entry and the balance. What is to be done
    once the account has changed, `afterwards`, is safe to repeat.
    """
    from ulid import ULID

    from scrip.http.principals import Caller
    from scrip.http.requests import command_of
    from scrip.users import emails_of

    check_can_ask(yes=options.yes or options.dry_run)
    ledger = session.ledger()
    account_id = account_named(ledger.table, name)
    caller = Caller(actor=session.operator(), account_id=account_id, is_owner=False)
    key = options.idempotency_key or str(ULID())
    command = command_of(kind, caller, request, key, **fields)
    print_record = show_json if options.as_json else show_facts

    def show(outcome: Outcome) -> None:
        if outcome.replayed:
            note("This change was made before; nothing was repeated.")
        if shown is None:
            _show_posted(command, outcome, as_json=options.as_json)
        else:
            print_record(shown(outcome.account or patiently(lambda: ledger.account(account_id))))

    rehearsed = patiently(lambda: ledger.rehearse(command))
    if rehearsed.account is not None:  # else it was done before, so there is nothing to ask
        before = patiently(lambda: ledger.account(account_id))
        owner = ", ".join([*emails_of(ledger, account_id), f"account {account_id}"])
        note(f"{owner}: now {summary(before)}; after this {summary(rehearsed.account)}.")
    if options.dry_run:
        show(rehearsed)
        note_dry_run()
        return
    if rehearsed.account is not None:
        confirm(yes=options.yes)
    if options.idempotency_key is None:
        note(f"If this is interrupted, repeat it with --idempotency-key {key}")
    done = patiently(lambda: ledger.execute(command))
    if afterwards is not None:
        patiently(lambda: afterwards(ledger.table, account_id))
    show(done)


def _show_posted(command: Command, outcome: Outcome, *, as_json: bool) -> None:
    from scrip.http.answers import posted

    body = posted(command, outcome, 200).body
    assert body is not None
    if as_json:
        show_json(body)
    else:
        entry = {name: value for name, value in body["entry"].items() if name in ENTRY_FIELDS}
        show_facts({**body["account"], **entry})
