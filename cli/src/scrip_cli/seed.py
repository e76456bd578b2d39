"""`scrip seed`: demo accounts with a month of plausible use, to try a stack or to show it."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer

from scrip.domain.errors import RefusalError
from scrip.ledger import Ledger, opening, utc_now
from scrip.settings import Settings
from scrip.store.aliases import EMAIL, link_account
from scrip.store.queries import EntryFilter, read_entries
from scrip_cli.demo_life import Happening, account_ids, email, happenings, opened_at
from scrip_cli.local import report
from scrip_cli.local.commands import DEFAULT_PORT, Port, State
from scrip_cli.local.errors import StackError
from scrip_cli.target import find_target
from scrip_cli.terminal import INTERRUPTED, Region, StackName, plain_errors
from scrip_cli.work import patiently, progress_bar

DAYS = 30
STAGE = "dev"


class PastClock:
    """A clock that shows what it was set to."""

    def __init__(self) -> None:
        """Show the time of now, until it is set."""
        self.now = utc_now()

    def __call__(self) -> datetime:
        """Return what it shows."""
        return self.now


class Seeding:
    """Opens demo accounts in the past and lives their days, each account's in order.

    It goes on behind the newest entry of an account, so that nothing is ever written into the
    past of what is there, whoever wrote it.
    """

    def __init__(self, ledger: Ledger, clock: PastClock, settings: Settings, seed: int) -> None:
        """Know the ledger, the clock that it goes by, and which of all months to live."""
        self.ledger = ledger
        self.clock = clock
        self.settings = settings
        self.seed = seed
        self.entries_added = 0

    def open(self, account_id: str, day: date) -> None:
        """Open an account on a day, if there is none, to be found by its address."""
        self.clock.now = opened_at(self.seed, account_id, day)
        command = opening(account_id, stack=self.settings)
        if patiently(lambda: self.ledger.execute(command)).entry is not None:
            self.entries_added += 1
        patiently(
            lambda: link_account(self.ledger.table, account_id, f"{EMAIL}{email(account_id)}")
        )

    def newest(self, account_id: str) -> datetime:
        """Tell when the newest entry of an account was recorded."""
        asked = EntryFilter(account_id=account_id)
        entries, _ = patiently(lambda: read_entries(self.ledger.table, asked, limit=1, cursor=None))
        return entries[0].recorded_at if entries else datetime.min.replace(tzinfo=UTC)

    def live(self, happening: Happening) -> None:
        """Carry out what happened. What the rules refuse has been tried, as in real life."""
        self.clock.now = happening.at
        try:
            outcome = patiently(lambda: self.ledger.execute(happening.command))
        except RefusalError:
            return
        self.entries_added += not outcome.replayed


def seed(
    *,
    users: Annotated[int, typer.Option(min=1, max=999, help="How many accounts.")] = 20,
    seed_: Annotated[
        int, typer.Option("--seed", help="Another number gives other people another month.")
    ] = 1,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Open accounts demo-001, demo-002 ... and use them for the past 30 days. Stage dev only.

    Safe to repeat: what has been added is not added again, and on a later day it goes on from
    there. Exit codes: 0 done, 1 refused, 130 stopped by Ctrl-C; run it again to go on.
    """
    with plain_errors(local=stack_name is None):
        target = find_target(stack_name, port, state, region)
        if (stage := target.stage()) != STAGE:
            raise StackError(
                f"The stack {target.stack_name} is of stage {stage}, which demo data is not for.",
                f"Name a stack that was deployed with Stage={STAGE}.",
            )
        clock = PastClock()
        seeding = Seeding(Ledger(target.table(), clock), clock, target.settings(), seed_)
        accounts = account_ids(users)
        try:
            _live_a_month(seeding, accounts)
        except KeyboardInterrupt:
            report.note(f"Stopped; {seeding.entries_added} entries added. Run it again to go on.")
            raise typer.Exit(INTERRUPTED) from None
    told = f"{seeding.entries_added} entries added" if seeding.entries_added else "nothing to add"
    typer.echo(f"{accounts[0]} to {accounts[-1]}: {told}.")


def _live_a_month(seeding: Seeding, accounts: list[str]) -> None:
    """Live the past days with every account, one account after the other."""
    catalog, today = seeding.ledger.catalog(), utc_now().date()
    features = [feature.feature_id for feature in catalog.features.values() if feature.active]
    if not features:
        raise StackError("The catalog has no active feature.", "Create one first.")
    days = [today - timedelta(days=ago) for ago in range(DAYS, 0, -1)]
    with progress_bar() as progress:
        task = progress.add_task("Living a month", total=len(accounts) * DAYS)
        for account_id in accounts:
            seeding.open(account_id, days[0])
            newest = seeding.newest(account_id)
            for day in days:
                for happening in happenings(seeding.seed, account_id, day, features):
                    if happening.at > newest:
                        seeding.live(happening)
                progress.advance(task)
