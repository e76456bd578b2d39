"""What `scrip audit` does: audit accounts in several threads, and print the findings."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from queue import Queue

import typer
from rich.progress import Progress

from scrip.audit.accounts import Audited, audit_account, audit_leads
from scrip.domain.audit.checkpoint import Checkpoint
from scrip.domain.audit.findings import Code, Finding
from scrip.domain.errors import NewerVersionError
from scrip.ledger import utc_now
from scrip.store.audit.books import account_pages, estimated_items, newest_entry_at
from scrip.store.audit.checkpoints import read_checkpoints
from scrip.store.audit.quick import read_quickly
from scrip.store.client import Table
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.report import note, progress_bar

WAITING_MAX = 100
"""How many results may wait to be printed; a faster thread waits, too."""


@dataclass
class Totals:
    """What has been audited so far, and how much was found.

    `newer` are accounts that are left out because a newer version wrote them.
    """

    accounts: int = 0
    entries: int = 0
    findings: int = 0
    newer: int = 0

    def add(self, audited: Audited) -> None:
        """Count an account."""
        self.accounts += 1
        self.entries += audited.entries
        self.findings += len(audited.findings)


@dataclass(frozen=True)
class Newer:
    """An account that is left out because a newer version wrote it."""

    account_id: str


class TableAudit:
    """The audit of all accounts of a table, with a thread for each segment of the table."""

    def __init__(self, table: Table, segments: int, since: datetime | None) -> None:
        """Take what to audit; with `since`, only accounts with an entry at that time or later."""
        self.table = table
        self.segments = segments
        self.since = since
        self.now = utc_now()
        read_quickly(table.client)
        self._stop = threading.Event()
        self._results: Queue[Audited | Newer | Finding | float | Exception | None] = Queue(
            WAITING_MAX
        )

    def results(self) -> Iterator[Audited | Newer | Finding | float]:
        """Yield each account and, in between, how many more items were read.

        A finding about an item that leads to an account is yielded by itself.

        Raises what a thread raised.
        """
        for segment in range(self.segments):
            # They only read, so the process can end without waiting for them.
            threading.Thread(target=self._walk, args=(segment,), daemon=True).start()
        running = self.segments
        try:
            while running:
                match self._results.get():
                    case None:
                        running -= 1
                    case Exception() as error:
                        raise error
                    case result:
                        yield result
        finally:
            self._stop.set()

    def _walk(self, segment: int) -> None:
        try:
            pages = account_pages(self.table, segment=segment, segments=self.segments)
            for page in pages:
                known = read_checkpoints(self.table, page.account_ids)
                for account_id in page.account_ids:
                    if self._stop.is_set():
                        return
                    if audited := self._audit(account_id, known.get(account_id)):
                        self._results.put(audited)
                    self._results.put(page.items / len(page.account_ids))
                if not page.account_ids:
                    self._results.put(page.items)
                for finding in audit_leads(self.table, page.leads):
                    self._results.put(finding)
        except Exception as error:  # noqa: BLE001 - raised where the results are read
            self._results.put(error)
        else:
            self._results.put(None)

    def _audit(self, account_id: str, known: Checkpoint | None) -> Audited | Newer | None:
        try:
            if self.since is not None:
                newest = newest_entry_at(self.table, account_id)
                if newest is not None and newest < self.since:
                    return None
            return audit_account(
                self.table, account_id, self.now, checkpoint=known, with_names=False
            )
        except NewerVersionError:
            return Newer(account_id)


def show_audit(
    table: Table, account: str | None, since: datetime | None, *, segments: int, as_json: bool
) -> None:
    """Print the findings of an audit of one account or of all, and what was audited.

    Raises typer.Exit if there are findings, and NewerVersionError if accounts were left out.
    """
    totals, started = Totals(), time.monotonic()
    line_of = _json_line if as_json else _line
    try:
        if account is not None:
            _audit_one(table, account, totals, line_of)
        else:
            _audit_all(TableAudit(table, segments, since), totals, line_of)
    except KeyboardInterrupt:
        note(f"Stopped after {totals.accounts} accounts; {totals.findings} findings.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if as_json:
        seconds = round(time.monotonic() - started, 1)
        typer.echo(json.dumps({**asdict(totals), "seconds": seconds}))
    else:
        for name, number in asdict(totals).items():
            if number or name != "newer":
                typer.echo(f"{name:<10}{number}")
    if totals.findings:
        raise typer.Exit(ExitCode.FOUND)
    if totals.newer:
        raise NewerVersionError


def _audit_one(
    table: Table, account_id: str, totals: Totals, line_of: Callable[[Finding], str]
) -> None:
    known = read_checkpoints(table, [account_id]).get(account_id)
    audited = audit_account(table, account_id, utc_now(), checkpoint=known)
    if audited is None:
        raise CommandError(
            f"There is no account {account_id}, and nothing remains of one.",
            "Name the account by its ID, not by an address.",
            exit_code=ExitCode.NOT_FOUND,
        )
    totals.add(audited)
    for finding in audited.findings:
        typer.echo(line_of(finding))


def _audit_all(audit: TableAudit, totals: Totals, line_of: Callable[[Finding], str]) -> None:
    missing: set[str] = set()
    with _echo_beside_bar() as (progress, echo):
        task = progress.add_task("Auditing", total=estimated_items(audit.table))
        for result in audit.results():
            if isinstance(result, int | float):
                progress.advance(task, result)
                continue
            if isinstance(result, Finding):
                totals.findings += 1
                echo(line_of(result))
                continue
            if isinstance(result, Newer):
                totals.newer += 1
                note(f"{result.account_id}: a newer version of Scrip wrote this account.")
                continue
            if any(finding.code is Code.ACCOUNT_MISSING for finding in result.findings):
                # Every page that has something of this account reports it.
                if result.account_id in missing:
                    continue
                missing.add(result.account_id)
            totals.add(result)
            for finding in result.findings:
                echo(line_of(finding))


@contextmanager
def _echo_beside_bar() -> Iterator[tuple[Progress, Callable[[str], None]]]:
    """Show a progress bar, and print lines to stdout, above the bar where they share a terminal."""
    stdout = sys.stdout  # the bar replaces it
    with progress_bar() as progress:
        if stdout.isatty():
            console = progress.console
            yield progress, partial(console.print, markup=False, highlight=False, soft_wrap=True)
        else:
            yield progress, partial(typer.echo, file=stdout)


def _line(finding: Finding) -> str:
    return f"{finding.code}  {finding.account_id}  {finding.about}: {finding.sentence}"


def _json_line(finding: Finding) -> str:
    return json.dumps(asdict(finding))
