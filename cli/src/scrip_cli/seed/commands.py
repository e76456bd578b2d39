"""`scrip seed`: demo accounts with a month of plausible use, to try a stack or to show it."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer

from scrip.domain.errors import RefusalError
from scrip.ledger import Ledger, opening, utc_now
from scrip.settings import Settings
from scrip.store.aliases import EMAIL, link_account
from scrip.store.queries import EntryFilter, read_entries
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.report import note, progress_bar
from scrip_cli.seed.life import TimedCommand, account_ids, commands_on, email, is_used, opened_at
from scrip_cli.session import Session, with_session
from scrip_cli.work import patiently

DAYS = 30


class PastClock:
    """A clock that stands still at `now`, which can be set."""

    def __init__(self) -> None:
        """Begin at the present time."""
        self.now = utc_now()

    def __call__(self) -> datetime:
        """Return the time it is set to."""
        return self.now


class Seeding:
    """Opens demo accounts in the past and executes their commands, in order for each account.

    It continues after the newest entry of an account, by whatever actor, so it never writes into
    the past of an existing ledger.
    """

    def __init__(self, ledger: Ledger, clock: PastClock, settings: Settings, seed: int) -> None:
        """Take a ledger, the clock it reads, the stack's settings, and which month to make up."""
        self.ledger = ledger
        self.clock = clock
        self.settings = settings
        self.seed = seed
        self.entries_added = 0

    def open(self, account_id: str, day: date) -> None:
        """Open an account in the days before `day`, unless it exists, and link its address."""
        self.clock.now = opened_at(self.seed, account_id, day)
        command = opening(account_id, stack=self.settings)
        if patiently(lambda: self.ledger.execute(command)).entry is not None:
            self.entries_added += 1
        patiently(
            lambda: link_account(self.ledger.table, account_id, f"{EMAIL}{email(account_id)}")
        )

    def newest(self, account_id: str) -> datetime:
        """Return when the newest entry of an account was recorded."""
        query = EntryFilter(account_id=account_id)
        entries, _ = patiently(lambda: read_entries(self.ledger.table, query, limit=1, cursor=None))
        return entries[0].recorded_at if entries else datetime.min.replace(tzinfo=UTC)

    def execute(self, timed: TimedCommand) -> None:
        """Execute a command at its time. As in real life, the rules may refuse it."""
        self.clock.now = timed.at
        try:
            outcome = patiently(lambda: self.ledger.execute(timed.command))
        except RefusalError:
            return
        self.entries_added += not outcome.replayed


@with_session
def seed(
    *,
    users: Annotated[int, typer.Option(min=1, max=999, help="How many accounts.")] = 20,
    seed_: Annotated[
        int, typer.Option("--seed", help="A different number makes a different month.")
    ] = 1,
    session: Session,
) -> None:
    """Open accounts demo-001, demo-002 ... and use them for the past 30 days. Stage dev only.

    Safe to repeat: nothing is added twice, and on a later day it continues from there.

    Exit codes: 0 done, 1 refused, 130 stopped by Ctrl-C; run it again to continue.
    """
    session.check_is_dev("demo data is")
    clock = PastClock()
    seeding = Seeding(Ledger(session.table(), clock), clock, session.settings(), seed_)
    accounts = account_ids(users)
    try:
        _add_month(seeding, accounts)
    except KeyboardInterrupt:
        note(f"Stopped; {seeding.entries_added} entries added. Run it again to continue.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    added = f"{seeding.entries_added} entries added" if seeding.entries_added else "nothing to add"
    typer.echo(f"{accounts[0]} to {accounts[-1]}: {added}.")


def _add_month(seeding: Seeding, accounts: list[str]) -> None:
    """Add the past days of every account, one account after the other."""
    catalog, today = seeding.ledger.catalog(), utc_now().date()
    features = [feature for feature in catalog.features.values() if is_used(feature)]
    if not features:
        raise CommandError("The catalog has no active feature.", "Create one first.")
    days = [today - timedelta(days=ago) for ago in range(DAYS, 0, -1)]
    with progress_bar() as progress:
        task = progress.add_task("Adding a month of use", total=len(accounts) * DAYS)
        for account_id in accounts:
            seeding.open(account_id, days[0])
            newest = seeding.newest(account_id)
            for day in days:
                for timed in commands_on(seeding.seed, account_id, day, features):
                    if timed.at > newest:
                        seeding.execute(timed)
                progress.advance(task)
