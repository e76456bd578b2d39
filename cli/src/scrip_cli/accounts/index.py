"""What `scrip index` does: it puts accounts that an earlier version opened into the lists."""

import threading
from collections import Counter
from enum import StrEnum

import typer

from scrip.domain.errors import ScripError
from scrip.ledger import utc_now
from scrip.store.client import Table
from scrip.store.directory import account_ids
from scrip.store.listing import bring_up_to_date, is_complete, note_complete
from scrip_cli.exit_codes import ExitCode
from scrip_cli.report import note
from scrip_cli.session import Session
from scrip_cli.work import patiently, work_through


class Result(StrEnum):
    """What was done for one account."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"


class Indexing:
    """Brings accounts up to date in their lists, and counts them."""

    def __init__(self, table: Table) -> None:
        """Take the table."""
        self.table = table
        self.counts: Counter[Result] = Counter()
        self.failures: dict[str, str] = {}
        self._lock = threading.Lock()

    def do(self, account_id: str) -> None:
        """Bring one account up to date. Thread-safe."""
        failure = ""
        try:
            changes = patiently(lambda: bring_up_to_date(self.table, account_id))
            result = Result.CHANGED if changes else Result.UNCHANGED
        except ScripError as error:
            result, failure = Result.FAILED, error.code
        with self._lock:
            self.counts[result] += 1
            if failure:
                self.failures[account_id] = failure


def index_accounts(session: Session) -> None:
    """Bring every account up to date in its lists, in rounds until one changes nothing.

    Raises typer.Exit if some failed, or after Ctrl-C.
    """
    table = session.table()
    while True:
        # A round may miss an account that moves while it runs, so the last one changes nothing.
        work = Indexing(table)
        try:
            work_through(account_ids(table), work.do, doing="Listing accounts", total=None)
        except KeyboardInterrupt:
            _show(work)
            note("Stopped. Run the same command again to continue.")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        _show(work)
        if work.failures:
            note("Some failed: `scrip audit` says more. Run the same command again afterwards.")
            raise typer.Exit(ExitCode.FAILED)
        if not work.counts[Result.CHANGED]:
            break
    if not is_complete(table):
        patiently(lambda: note_complete(table, utc_now()))
    note("All accounts are listed.")


def _show(work: Indexing) -> None:
    typer.echo("  ".join(f"{result} {work.counts[result]}" for result in Result))
    for account_id, code in sorted(work.failures.items()):
        typer.echo(f"  {account_id}: {code}")
