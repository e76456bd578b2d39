"""`scrip clock`: the clock of one account, which on stage dev can be set forward."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from scrip.domain.commands import SetClock
from scrip.domain.entries import iso
from scrip_cli import report
from scrip_cli.accounts.names import AccountName, account_named
from scrip_cli.options import DryRun, Json, Yes, duration, instant
from scrip_cli.session import Session, with_session
from scrip_cli.work import patiently


@with_session
def clock(
    account: AccountName,
    *,
    set_: Annotated[
        datetime | None,
        typer.Option(
            "--set",
            parser=instant,
            metavar="TIME",
            help="Set the clock to this time: 2026-12-01 (in UTC) or 2026-12-01T08:00+01:00.",
        ),
    ] = None,
    advance: Annotated[
        timedelta | None,
        typer.Option(
            parser=duration,
            metavar="DURATION",
            help="Set the clock forward by this much: 31d, 12h, 5m.",
        ),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    session: Session,
) -> None:
    """Show an account's clock or, on stage dev, set it forward.

    Everything about the account then happens at that time, and the clock keeps running from there.
    Whatever is due by then is recorded at once, so you can see the end of a month today.
    """
    from ulid import ULID

    from scrip.ledger import renewal

    if set_ and advance:
        raise typer.BadParameter("give --set or --advance", param_hint="--advance")
    ledger = session.ledger()
    account_id = account_named(ledger.table, account)
    found = patiently(lambda: ledger.account(account_id))
    if set_ or advance:
        report.check_can_ask(yes=yes or dry_run)
        session.check_is_dev("accounts have clocks")
        command = SetClock(
            account_id=account_id,
            entry_id=str(ULID()),
            keyed=False,
            actor=session.operator(),
            now=set_ or ledger.time(found) + (advance or timedelta()),
        )
        rehearsed = patiently(lambda: ledger.rehearse(command))
        report.note(
            f"account {account_id}: now it is {iso(ledger.time(found))}; "
            f"after this {iso(command.now)}."
        )
        if dry_run:
            assert rehearsed.account is not None
            found = ledger.settled(rehearsed.account)
        else:
            report.confirm(yes=yes)
            patiently(lambda: ledger.execute(command))
            patiently(lambda: ledger.execute(renewal(account_id)))
            found = patiently(lambda: ledger.account(account_id))
    shown: dict[str, Any] = {
        "account_id": account_id,
        "now": iso(ledger.time(found)),
        "has_own_clock": found.clock is not None,
        "plan_id": ledger.entitled(found).plan.plan_id,
        "balance": found.balance,
    }
    show = report.show_json if as_json else report.show_facts
    show(shown)
    if dry_run:
        report.note_dry_run()
