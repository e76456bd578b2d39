"""What `scrip seed` does: open demo accounts in the past, and live their owners' lives."""

import threading
from datetime import date, datetime

import typer

from scrip.domain.commands import Command
from scrip.domain.entries import Entry
from scrip.domain.errors import IdempotencyKeyReusedError, RefusalError
from scrip.ledger import Ledger, opening, utc_now
from scrip.settings import Settings
from scrip.store.aliases import EMAIL, link_account
from scrip.store.client import Table
from scrip.store.inbox import receive
from scrip.store.queries import EntryFilter, read_entries
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.report import note, step
from scrip_cli.seed.life import life
from scrip_cli.seed.messages import interrupted, messages
from scrip_cli.seed.people import Person
from scrip_cli.seed.uses import is_used
from scrip_cli.session import Session
from scrip_cli.webhooks.commands import post_signed, signing_secret
from scrip_cli.work import patiently, work_through


class PastClock:
    """A clock that stands still at `now`, which can be set."""

    def __init__(self, now: datetime) -> None:
        """Begin at an instant (UTC)."""
        self.now = now

    def __call__(self) -> datetime:
        """Return the time it is set to."""
        return self.now


class Seeding:
    """Opens demo accounts in the past and executes their commands, in order for each account.

    It continues after the newest entry of an account, by whatever actor, so it never writes into
    the past of an existing ledger.
    """

    def __init__(self, table: Table, settings: Settings, today: date) -> None:
        """Take the table and settings, and the day (UTC) before which everything happens."""
        self.table = table
        self.settings = settings
        self.today = today
        self.entries_added = 0
        self._lock = threading.Lock()

    def live(self, person: Person) -> None:
        """Live a person's life up to today, from where it was left. Thread-safe."""
        clock = PastClock(person.signs_up(self.today))
        ledger = Ledger(self.table, clock)
        self._execute(ledger, opening(person.account_id, stack=self.settings))
        name = f"{EMAIL}{person.email}"
        patiently(lambda: link_account(self.table, person.account_id, name))
        signed_up = patiently(lambda: ledger.account(person.account_id)).anchor
        newest = self._newest(person)
        for timed in life(person, ledger.catalog(), signed_up, self.today):
            if newest is None or timed.at > newest.recorded_at:
                clock.now = timed.at
                self._execute(ledger, timed.command)

    def _execute(self, ledger: Ledger, command: Command) -> None:
        """Execute a command. As in real life, the rules may refuse it.

        An earlier run may have given another one with its key, if the catalog was another one then.
        """
        try:
            outcome = patiently(lambda: ledger.execute(command))
        except (RefusalError, IdempotencyKeyReusedError):
            return
        if outcome.account is not None:
            with self._lock:
                self.entries_added += len(outcome.others) + (outcome.entry is not None)

    def _newest(self, person: Person) -> Entry | None:
        query = EntryFilter(account_id=person.account_id)
        entries, _ = patiently(lambda: read_entries(self.table, query, limit=1, cursor=None))
        return entries[0] if entries else None


def add_demo_data(session: Session, users: int, seed: int) -> None:
    """Open accounts, live their lives up to today, and send messages; print what was added.

    Raises CommandError if the stack is not of stage dev or sells nothing, and typer.Exit after
    Ctrl-C.
    """
    session.check_is_dev("demo data is")
    now = utc_now()
    seeding = Seeding(session.table(), session.settings(), now.date())
    people = [Person(seed=seed, number=number) for number in range(1, users + 1)]
    features = session.ledger().catalog().features.values()
    if not any(is_used(feature) for feature in features):
        raise CommandError("The catalog has no active feature.", "Create one first.")
    try:
        work_through(people, seeding.live, doing="Adding three months of use", total=users)
    except KeyboardInterrupt:
        note(f"Stopped; {seeding.entries_added} entries added. Run it again to continue.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    with step("Sending messages of providers"):
        _send_messages(session, people[0].account_id, now)
    added = f"{seeding.entries_added} entries added" if seeding.entries_added else "nothing to add"
    typer.echo(f"{people[0].account_id} to {people[-1].account_id}: {added}.")


def _send_messages(session: Session, account_id: str, now: datetime) -> None:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    receive(session.table(), interrupted(account_id, midnight))
    for message in messages(account_id, midnight):
        secret = signing_secret(session, message.provider)
        address = f"{session.api_url()}/v1/webhooks/{message.provider}"
        post_signed(address, message.body, message.provider, secret, message_id=message.message_id)
