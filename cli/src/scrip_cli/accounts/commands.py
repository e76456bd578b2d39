"""`scrip accounts`: look at accounts, and change them as an admin does through the API."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from scrip.domain.catalog import CREDITS_MAX
from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    CloseAccount,
    Refund,
    ReleaseHold,
    ResetUsage,
    SetFrozen,
    SetQuota,
)
from scrip.domain.grants import GrantKind
from scrip.domain.upcoming import CHANGES_MAX, upcoming
from scrip_cli import report
from scrip_cli.accounts.changes import change
from scrip_cli.accounts.names import AccountName, account_named
from scrip_cli.accounts.paging import LIMIT, Page, paged
from scrip_cli.options import All, ChangeOptions, DryRun, Json, Limit, Note, Reason, Yes, instant
from scrip_cli.session import Session, with_session
from scrip_cli.work import patiently

if TYPE_CHECKING:
    from scrip.domain.account import Account
    from scrip.ledger import Ledger

app = typer.Typer(help="Look at accounts, and change them.", no_args_is_help=True)

Amount = Annotated[int, typer.Argument(metavar="CREDITS", help="How many.", show_default=False)]


class OwnLimit(NamedTuple):
    """A limit that replaces the plan's."""

    name: str
    number: int


def _limit(text: str) -> OwnLimit:
    name, _, number = text.partition("=")
    if not (name and number.isdecimal() and int(number) <= CREDITS_MAX):
        raise typer.BadParameter("a name and a number, such as storage_bytes=1000000")
    return OwnLimit(name, int(number))


LIST_COLUMNS = (
    "account_id",
    "emails",
    "status",
    "plan_id",
    "balance",
    "available",
    "held",
    "debt",
)
HOLD_COLUMNS = ("hold_id", "opened_by", "amount", "left", "feature", "expires_at")
UPCOMING_COLUMNS = (
    "at",
    "begins_period",
    "granted",
    "expired",
    "released",
    "balance",
    "plan_id",
)
GRANT_COLUMNS = (
    "kind",
    "remaining",
    "amount",
    "expires_at",
    "granted_at",
    "source",
    "grant_id",
)


@app.command("list", epilog="Example: scrip accounts list --limit 10")
@with_session
def list_(
    *,
    limit: Limit = LIMIT,
    all_: All = False,
    as_json: Json = False,
    session: Session,
) -> None:
    """List open accounts, newest first.

    With --json, prints a line of JSON for each.
    """
    from scrip.http.accounts import listed_accounts
    from scrip.store.listing import OPENED, is_complete, list_newest

    ledger = session.ledger()
    if not patiently(lambda: is_complete(ledger.table)):
        report.note("Accounts that a version before 0.3.0 opened are missing: run `scrip index`.")

    def accounts(size: int, cursor: str | None) -> Page:
        account_ids, after = list_newest(ledger.table, OPENED, limit=size, cursor=cursor)
        return listed_accounts(ledger, account_ids)[0], after

    found = paged(accounts, limit=None if all_ else limit)
    if as_json:
        report.show_lines(found)
    else:
        # One that cannot be read has nothing but an error.
        shown = ({"status": account.get("error"), **account} for account in found)
        report.show_table(shown, LIST_COLUMNS)


@app.command(epilog="Example: scrip accounts show alice@example.com")
@with_session
def show(
    account: AccountName,
    *,
    at: Annotated[
        datetime | None,
        typer.Option(
            parser=instant,
            metavar="TIME",
            help="As it was then, or as it will be if nothing else changes it.",
            show_default="now",
        ),
    ] = None,
    as_json: Json = False,
    session: Session,
) -> None:
    """Show an account: its balance, and the grants that make it up.

    For a time in the past it shows only the balance, which the newest entry of that time has.
    """
    from scrip.http.accounts import account_at
    from scrip.users import emails_of

    ledger = session.ledger()
    account_id = account_named(ledger.table, account)
    found = patiently(lambda: ledger.account(account_id))
    fields: dict[str, Any] = {
        **patiently(lambda: account_at(ledger, found, at)),
        "emails": emails_of(ledger, account_id),
    }
    if as_json:
        report.show_json(fields)
        return
    grants, period = fields.pop("grants", None), fields.pop("period", None)
    if period:
        fields |= {"period_start": period["start"], "period_end": period["end"]}
    report.show_facts(fields)
    if grants is not None:
        typer.echo()
        report.show_table(grants, GRANT_COLUMNS)


@app.command("upcoming", epilog="Example: scrip accounts upcoming alice@example.com --limit 3")
@with_session
def upcoming_(
    account: AccountName,
    *,
    limit: Annotated[
        int, typer.Option(min=1, max=CHANGES_MAX, help="How many to show at most.")
    ] = 12,
    as_json: Json = False,
    session: Session,
) -> None:
    """List an account's upcoming changes: renewals, expirations, ends of plans and holds.

    With --json, prints a line of JSON for each.
    """
    from scrip.http.upcoming import upcoming_json

    ledger = session.ledger()
    account_id = account_named(ledger.table, account)
    found = patiently(lambda: ledger.account(account_id))
    now = ledger.time(found)
    changes = ledger.with_catalog(
        lambda catalog: upcoming_json(upcoming(found, catalog, now, limit))
    )
    if as_json:
        report.show_lines(changes)
    else:
        report.show_table(changes, UPCOMING_COLUMNS)


@app.command("open", epilog="Example: scrip accounts open user-17 --email bob@example.com")
@with_session
def open_(
    account_id: Annotated[
        str,
        typer.Argument(
            metavar="ACCOUNT_ID",
            help="Its ID: the `sub` claim of its owner's tokens.",
            show_default=False,
        ),
    ],
    *,
    email: Annotated[
        str | None, typer.Option(help="An address known to belong to its owner.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    session: Session,
) -> None:
    """Open an account as its owner's sign-up would. Safe to repeat."""
    from scrip.http.accounts import listed_account_json
    from scrip.http.admin_models import NewAccountRequest
    from scrip.store.listing import read_listed
    from scrip.users import add_account, emails_of

    report.check_can_ask(yes=yes or dry_run)
    request = NewAccountRequest(account_id=account_id, email=email)
    ledger, settings = session.ledger(), session.settings()
    add = partial(add_account, ledger, account_id, request.email, settings)
    account, is_new = patiently(partial(add, dry_run=True))
    plan_id = ledger.entitled(account).plan.plan_id
    report.note(
        f"Opens account {account_id} on plan {plan_id} with {_credits(account)}."
        if is_new
        else f"The account {account_id} already exists and keeps what it has."
    )
    if not dry_run:
        report.confirm(yes=yes)
        account, _ = patiently(add)
    emails = {*emails_of(ledger, account_id), *([request.email.lower()] if request.email else [])}
    show = report.show_json if as_json else report.show_facts
    known, entitlement = read_listed(ledger.table, [account_id]), ledger.entitled(account)
    owner, opened_at = known.owners.get(account_id), known.opened_ats.get(account_id)
    show(listed_account_json(account, entitlement, sorted(emails), owner, opened_at))
    if dry_run:
        report.note_dry_run()


@app.command(epilog='Example: scrip accounts grant alice@example.com 50 --reason "a late answer"')
@with_session
def grant(
    account: AccountName,
    amount: Amount,
    *,
    reason: Reason,
    note: Note = None,
    kind: Annotated[
        Literal["admin", "promo", "referral"],
        typer.Option(help="Kind of the credits in the ledger."),
    ] = "admin",
    expires_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="When unused credits expire.", show_default="never"),
    ] = None,
    options: ChangeOptions,
    session: Session,
) -> None:
    """Add credits to an account. They pay off its debt first, if it has any."""
    from scrip.http.admin_models import AdjustRequest

    # Validated as the API validates it: exact types, from plain JSON values.
    request = AdjustRequest.model_validate(
        {
            "action": "add",
            "amount": amount,
            "reason": reason,
            "note": note,
            "kind": kind,
            "expires_at": expires_at,
        }
    )
    change(
        Adjust,
        account,
        request,
        action=AdjustAction.ADD,
        kind=GrantKind(kind),
        summary=_credits,
        options=options,
        session=session,
    )


@app.command(epilog='Example: scrip accounts deduct alice@example.com 50 --reason "given twice"')
@with_session
def deduct(
    account: AccountName,
    amount: Amount,
    *,
    reason: Reason,
    note: Note = None,
    options: ChangeOptions,
    session: Session,
) -> None:
    """Deduct credits from an account. If it has too few, nothing is deducted."""
    from scrip.http.admin_models import AdjustRequest

    request = AdjustRequest(action="deduct", amount=amount, reason=reason, note=note)
    change(
        Adjust,
        account,
        request,
        action=AdjustAction.DEDUCT,
        kind=GrantKind.ADMIN,
        summary=_credits,
        options=options,
        session=session,
    )


@app.command(epilog='Example: scrip accounts freeze alice@example.com --reason "card reported"')
@with_session
def freeze(
    account: AccountName,
    *,
    reason: Reason,
    note: Note = None,
    options: ChangeOptions,
    session: Session,
) -> None:
    """Refuse every use of an account until it is unfrozen."""
    from scrip.http.admin_models import FreezeRequest

    request = FreezeRequest(reason=reason, note=note)
    change(
        SetFrozen,
        account,
        request,
        frozen=True,
        summary=_status,
        options=options,
        session=session,
    )


@app.command(epilog='Example: scrip accounts unfreeze alice@example.com --reason "card replaced"')
@with_session
def unfreeze(
    account: AccountName,
    *,
    reason: Reason,
    note: Note = None,
    options: ChangeOptions,
    session: Session,
) -> None:
    """Allow an account to be used again."""
    from scrip.http.admin_models import FreezeRequest

    request = FreezeRequest(reason=reason, note=note)
    change(
        SetFrozen,
        account,
        request,
        frozen=False,
        summary=_status,
        options=options,
        session=session,
    )


@app.command(epilog="Example: scrip accounts holds alice@example.com")
@with_session
def holds(account: AccountName, *, as_json: Json = False, session: Session) -> None:
    """List the open holds of an account, and when they expire.

    With --json, prints a line of JSON for each.
    """
    from scrip.http.holds import hold_json

    ledger = session.ledger()
    account_id = account_named(ledger.table, account)
    found = [hold_json(hold) for hold in patiently(lambda: ledger.account(account_id)).holds]
    if as_json:
        report.show_lines(found)
    else:
        report.show_table(found, HOLD_COLUMNS)


@app.command(epilog='Example: scrip accounts release alice@example.com job-17 --reason "job died"')
@with_session
def release(
    account: AccountName,
    hold_id: Annotated[
        str,
        typer.Argument(
            help="The hold's ID, as `scrip accounts holds` lists it.", show_default=False
        ),
    ],
    *,
    reason: Reason,
    options: ChangeOptions,
    session: Session,
) -> None:
    """Release a forgotten hold; its credits are available again."""
    from scrip.http.models import ReleaseRequest

    request = ReleaseRequest(reason=reason)
    change(
        ReleaseHold,
        account,
        request,
        hold_id=hold_id,
        summary=_credits,
        options=options,
        session=session,
    )


@app.command(
    epilog='Example: scrip accounts refund carol@example.com image-1 --reason "the model failed"'
)
@with_session
def refund(
    account: AccountName,
    entry_id: Annotated[
        str,
        typer.Argument(
            metavar="ENTRY_ID",
            help="The ID of a use, as `scrip entries` lists it.",
            show_default=False,
        ),
    ],
    *,
    amount: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="CREDITS", help="How many.", show_default="all that can be refunded"
        ),
    ] = None,
    reason: Reason,
    note: Note = None,
    options: ChangeOptions,
    session: Session,
) -> None:
    """Return the credits of a use to the grants that they came from."""
    from scrip.http.models import AdminRequest

    change(
        Refund,
        account,
        AdminRequest(reason=reason, note=note),
        refunds=entry_id,
        amount=amount,
        summary=_credits,
        options=options,
        session=session,
    )


@app.command(epilog='Example: scrip accounts plan carol@example.com pro --reason "a month on us"')
@with_session
def plan(
    account: AccountName,
    plan_id: Annotated[str, typer.Argument(metavar="PLAN", help="Its ID.", show_default=False)],
    *,
    reason: Reason,
    note: Note = None,
    options: ChangeOptions,
    session: Session,
) -> None:
    """Put an account on a plan, and drop any allowance or limits of its own.

    An increase takes effect at once, a decrease next period. Repeating it changes nothing.
    """
    from scrip.http.models import AdminRequest

    ledger = session.ledger()
    change(
        SetQuota,
        account,
        AdminRequest(reason=reason, note=note),
        plan_id=plan_id,
        summary=lambda found: _plan(ledger, found),
        shown=lambda found: _quota(ledger, found),
        options=options,
        session=session,
    )


@app.command(
    epilog='Example: scrip accounts quota carol@example.com --credits 500 --reason "as agreed"'
)
@with_session
def quota(
    account: AccountName,
    *,
    credits_: Annotated[
        int | None,
        typer.Option(
            "--credits",
            min=0,
            max=CREDITS_MAX,
            help="Its credits a month.",
            show_default="unchanged",
        ),
    ] = None,
    limits: Annotated[
        list[OwnLimit] | None,
        typer.Option(
            "--limit",
            parser=_limit,
            metavar="NAME=NUMBER",
            help="A limit in place of the plan's. May be repeated; others of its own are dropped.",
            show_default="unchanged",
        ),
    ] = None,
    reason: Reason,
    note: Note = None,
    options: ChangeOptions,
    session: Session,
) -> None:
    """Give an account an allowance or limits of its own, in place of its plan's.

    An increase takes effect at once, a decrease next period. `scrip accounts plan` removes both.
    Repeating it changes nothing.
    """
    from scrip.http.models import AdminRequest

    if credits_ is None and not limits:
        raise typer.BadParameter("give --credits or --limit", param_hint="--credits")
    ledger = session.ledger()
    change(
        SetQuota,
        account,
        AdminRequest(reason=reason, note=note),
        monthly_credits=credits_,
        limits=dict(limits) if limits else None,
        summary=lambda found: _plan(ledger, found),
        shown=lambda found: _quota(ledger, found),
        options=options,
        session=session,
    )


@app.command(epilog='Example: scrip accounts reset carol@example.com --reason "a bug of ours"')
@with_session
def reset(
    account: AccountName,
    *,
    reason: Reason,
    note: Note = None,
    options: ChangeOptions,
    session: Session,
) -> None:
    """Reset this period's usage to 0, and refill the plan's allowance."""
    from scrip.http.models import AdminRequest

    change(
        ResetUsage,
        account,
        AdminRequest(reason=reason, note=note),
        summary=_credits,
        options=options,
        session=session,
    )


@app.command(epilog='Example: scrip accounts close dave@example.com --reason "he asked for it"')
@with_session
def close(
    account: AccountName,
    *,
    reason: Reason,
    note: Note = None,
    options: ChangeOptions,
    session: Session,
) -> None:
    """Close an account permanently and erase its owner's personal data. Its credits are lost.

    Its ledger stays, but names no one. If interrupted, run it again with the account's ID.
    """
    from scrip.http.models import AdminRequest
    from scrip.store.erasure import erase

    change(
        CloseAccount,
        account,
        AdminRequest(reason=reason, note=note),
        summary=lambda found: f"{_status(found)} with {_credits(found)}",
        shown=lambda found: {"account_id": found.account_id, "status": found.status},
        afterwards=erase,
        options=options,
        session=session,
    )


def _credits(account: Account) -> str:
    """Describe a balance, and the part of it that cannot be spent."""
    parts = {
        "credits": account.balance,
        "held": account.held,
        "owed": account.debt,
    }
    return ", ".join(
        f"{report.grouped(n)} {what}" for what, n in parts.items() if n or what == "credits"
    )


def _status(account: Account) -> str:
    return account.status


def _plan(ledger: Ledger, account: Account) -> str:
    """Describe what an account is entitled to each month."""
    entitled = ledger.entitled(account)
    later = f", then plan {account.next_plan_id}" if account.next_plan_id else ""
    return (
        f"plan {entitled.plan.plan_id} with {report.grouped(entitled.monthly_credits)} credits a "
        f"month{later}"
    )


def _quota(ledger: Ledger, account: Account) -> report.Record:
    """Return what an account is entitled to, under the API's names."""
    entitled = ledger.entitled(account)
    return {
        "account_id": account.account_id,
        "plan_id": entitled.plan.plan_id,
        "next_plan_id": account.next_plan_id,
        "monthly_credits": entitled.monthly_credits,
        "limits": dict(entitled.limits),
        "used": account.used,
        "balance": account.balance,
    }
