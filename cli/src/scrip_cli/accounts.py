"""`scrip accounts`: look at accounts, and change them as an admin does through the API."""

from functools import partial
from typing import Annotated, Any, Literal

import typer

from scrip.domain.account import Account
from scrip.domain.commands import Adjust, AdjustAction, ReleaseHold, SetFrozen
from scrip.domain.grants import GrantKind
from scrip.http.accounts import account_json, listed_account_json, listed_accounts
from scrip.http.admin_models import AdjustRequest, FreezeRequest, NewAccountRequest
from scrip.http.holds import hold_json
from scrip.http.models import ReleaseRequest
from scrip.ledger import Ledger, utc_now
from scrip.store.directory import list_account_ids
from scrip.store.queries import read
from scrip.users import add_account, emails_of
from scrip_cli.account_names import AccountName, account_named
from scrip_cli.changes import IdempotencyKey, change
from scrip_cli.local import report
from scrip_cli.local.commands import DEFAULT_PORT, Json, Port, State
from scrip_cli.paging import LIMIT, Page, paged
from scrip_cli.records import grouped, show_facts, show_json, show_lines, show_table
from scrip_cli.target import find_target
from scrip_cli.terminal import (
    All,
    Limit,
    Note,
    Reason,
    Region,
    StackName,
    Yes,
    ask,
    check_can_ask,
    plain_errors,
)
from scrip_cli.work import patiently

app = typer.Typer(help="Look at accounts, and change them.", no_args_is_help=True)

Amount = Annotated[int, typer.Argument(metavar="CREDITS", help="How many.", show_default=False)]

LISTED = ("account_id", "emails", "status", "plan_id", "balance", "available", "held", "debt")
HELD = ("hold_id", "opened_by", "amount", "left", "feature", "expires_at")
GRANTED = ("kind", "remaining", "amount", "expires_at", "granted_at", "source", "grant_id")


@app.command("list", epilog="Example: scrip accounts list --limit 10")
def list_(
    *,
    limit: Limit = LIMIT,
    all_: All = False,
    as_json: Json = False,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """List open accounts, by the day and time that their periods began.

    With --json a line of JSON for each.
    """
    with plain_errors(local=stack_name is None):
        ledger = Ledger(find_target(stack_name, port, state, region).table(), utc_now)

        def accounts(size: int, cursor: str | None) -> Page:
            account_ids, behind = list_account_ids(ledger.table, limit=size, cursor=cursor)
            return listed_accounts(ledger, account_ids), behind

        found = paged(accounts, limit=None if all_ else limit)
        if as_json:
            show_lines(found)
        else:
            show_table(found, LISTED)


@app.command(epilog="Example: scrip accounts show alice@example.com")
def show(
    account: AccountName,
    *,
    as_json: Json = False,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Show an account as it is now: its balance, and the grants that make it up."""
    with plain_errors(local=stack_name is None):
        ledger = Ledger(find_target(stack_name, port, state, region).table(), utc_now)
        account_id = account_named(ledger.table, account)
        found = patiently(lambda: ledger.account(account_id))
        told: dict[str, Any] = {
            **account_json(found, ledger.catalog()),
            "emails": emails_of(ledger, account_id),
        }
    if as_json:
        show_json(told)
        return
    grants, period = told.pop("grants"), told.pop("period")
    show_facts({**told, "period_start": period["start"], "period_end": period["end"]})
    typer.echo()
    show_table(grants, GRANTED)


@app.command("open", epilog="Example: scrip accounts open user-17 --email bob@example.com")
def open_(
    account_id: Annotated[
        str,
        typer.Argument(
            metavar="ACCOUNT_ID",
            help="Its id: the `sub` of its owner's tokens.",
            show_default=False,
        ),
    ],
    *,
    email: Annotated[str | None, typer.Option(help="An address known to be its owner's.")] = None,
    yes: Yes = False,
    as_json: Json = False,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Open an account as its owner's sign-up would. Safe to repeat."""
    with plain_errors(local=stack_name is None):
        check_can_ask(yes=yes)
        asked = NewAccountRequest(account_id=account_id, email=email)
        target = find_target(stack_name, port, state, region)
        ledger, settings = target.ledger(), target.settings()
        if read(ledger.table, account_id).account is not None:
            report.note(f"The account {account_id} is there already, and keeps what it has.")
        else:
            granted = grouped(settings.signup_credits)
            plan = f"plan {settings.default_plan}"
            unless = ", unless their mailbox has had such" if asked.email else ""
            report.note(
                f"Opens account {account_id} on {plan} with {granted} sign-up credits{unless}."
            )
        ask(yes=yes)
        patiently(lambda: add_account(ledger, account_id, asked.email, settings))
        opened = ledger.account(account_id)
        told = listed_account_json(opened, emails_of(ledger, account_id))
    (show_json if as_json else show_facts)(told)


@app.command(epilog='Example: scrip accounts grant alice@example.com 50 --reason "a late answer"')
def grant(
    account: AccountName,
    amount: Amount,
    *,
    reason: Reason,
    note: Note = None,
    kind: Annotated[
        Literal["admin", "promo", "referral"], typer.Option(help="What the ledger calls them.")
    ] = "admin",
    expires_at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="When what is left of them is gone.", show_default="never"
        ),
    ] = None,
    idempotency_key: IdempotencyKey = None,
    yes: Yes = False,
    as_json: Json = False,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Add credits to an account. They pay its debt first, if it has any."""
    with plain_errors(local=stack_name is None):
        check_can_ask(yes=yes)
        # Validated as the API validates it: exact types, from plain JSON values.
        asked = AdjustRequest.model_validate(
            {
                "action": "add",
                "amount": amount,
                "reason": reason,
                "note": note,
                "kind": kind,
                "expires_at": expires_at,
            }
        )
        target = find_target(stack_name, port, state, region)
        command_of = partial(
            Adjust,
            action=AdjustAction.ADD,
            amount=asked.amount,
            reason=asked.reason,
            note=asked.note,
            kind=GrantKind(kind),
            expires_at=asked.expires_at,
        )
        change(
            target,
            account,
            command_of,
            shown=_credits,
            key=idempotency_key,
            yes=yes,
            as_json=as_json,
        )


@app.command(epilog='Example: scrip accounts deduct alice@example.com 50 --reason "given twice"')
def deduct(
    account: AccountName,
    amount: Amount,
    *,
    reason: Reason,
    note: Note = None,
    idempotency_key: IdempotencyKey = None,
    yes: Yes = False,
    as_json: Json = False,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Take credits from an account: all of them, or none if it has fewer."""
    with plain_errors(local=stack_name is None):
        check_can_ask(yes=yes)
        asked = AdjustRequest(action="deduct", amount=amount, reason=reason, note=note)
        target = find_target(stack_name, port, state, region)
        command_of = partial(
            Adjust,
            action=AdjustAction.DEDUCT,
            amount=asked.amount,
            reason=asked.reason,
            note=asked.note,
        )
        change(
            target,
            account,
            command_of,
            shown=_credits,
            key=idempotency_key,
            yes=yes,
            as_json=as_json,
        )


@app.command(epilog='Example: scrip accounts freeze alice@example.com --reason "card reported"')
def freeze(
    account: AccountName,
    *,
    reason: Reason,
    note: Note = None,
    idempotency_key: IdempotencyKey = None,
    yes: Yes = False,
    as_json: Json = False,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Refuse every consume of an account until it is unfrozen."""
    with plain_errors(local=stack_name is None):
        check_can_ask(yes=yes)
        asked = FreezeRequest(reason=reason, note=note)
        target = find_target(stack_name, port, state, region)
        change(
            target,
            account,
            partial(SetFrozen, frozen=True, reason=asked.reason, note=asked.note),
            shown=_status,
            key=idempotency_key,
            yes=yes,
            as_json=as_json,
        )


@app.command(epilog='Example: scrip accounts unfreeze alice@example.com --reason "card replaced"')
def unfreeze(
    account: AccountName,
    *,
    reason: Reason,
    note: Note = None,
    idempotency_key: IdempotencyKey = None,
    yes: Yes = False,
    as_json: Json = False,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Let an account consume again."""
    with plain_errors(local=stack_name is None):
        check_can_ask(yes=yes)
        asked = FreezeRequest(reason=reason, note=note)
        target = find_target(stack_name, port, state, region)
        change(
            target,
            account,
            partial(SetFrozen, frozen=False, reason=asked.reason, note=asked.note),
            shown=_status,
            key=idempotency_key,
            yes=yes,
            as_json=as_json,
        )


@app.command(epilog="Example: scrip accounts holds alice@example.com")
def holds(
    account: AccountName,
    *,
    as_json: Json = False,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """List what is set aside on an account now, and until when.

    With --json a line of JSON for each.
    """
    with plain_errors(local=stack_name is None):
        ledger = Ledger(find_target(stack_name, port, state, region).table(), utc_now)
        account_id = account_named(ledger.table, account)
        found = [hold_json(hold) for hold in patiently(lambda: ledger.account(account_id)).holds]
    if as_json:
        show_lines(found)
    else:
        show_table(found, HELD)


@app.command(epilog='Example: scrip accounts release alice@example.com job-17 --reason "job died"')
def release(
    account: AccountName,
    hold_id: Annotated[
        str,
        typer.Argument(help="As `scrip accounts holds` lists it.", show_default=False),
    ],
    *,
    reason: Reason,
    idempotency_key: IdempotencyKey = None,
    yes: Yes = False,
    as_json: Json = False,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """End a hold that was forgotten: what it has set aside is available again."""
    with plain_errors(local=stack_name is None):
        check_can_ask(yes=yes)
        asked = ReleaseRequest(reason=reason)
        target = find_target(stack_name, port, state, region)
        change(
            target,
            account,
            partial(ReleaseHold, hold_id=hold_id, reason=asked.reason),
            shown=_credits,
            key=idempotency_key,
            yes=yes,
            as_json=as_json,
        )


def _credits(account: Account) -> str:
    """Tell a balance, and what of it cannot be spent."""
    parts = {
        "credits": account.balance,
        "held": account.held,
        "owed": account.debt,
    }
    return ", ".join(f"{grouped(n)} {what}" for what, n in parts.items() if n or what == "credits")


def _status(account: Account) -> str:
    return account.status
