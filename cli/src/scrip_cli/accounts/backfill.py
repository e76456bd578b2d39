"""What `scrip backfill` does: open accounts for users who signed up before Scrip was deployed."""

import threading
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import typer

from scrip.domain.commands import check_account_id
from scrip.domain.errors import CatalogUnsoundError, EmailTakenError, ScripError
from scrip.ledger import WELCOME, Ledger
from scrip.settings import Settings
from scrip.store.aliases import EMAIL, link_account
from scrip.store.commit import note_welcomed
from scrip.store.mailbox_key import hashed
from scrip.store.queries import read
from scrip.users import open_account
from scrip_cli.accounts.people import Person, people_in_csv, people_in_pool
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.report import note
from scrip_cli.session import Session
from scrip_cli.work import patiently, work_through

REASON = f"{WELCOME}, added for an existing user"
"""What the entry of the sign-up credits says."""


class Result(StrEnum):
    """What happened to one person."""

    CREATED = "created"
    ALREADY_OPEN = "already open"
    NOT_CONFIRMED = "not confirmed"
    FAILED = "failed"


class Backfill:
    """Opens accounts exactly as the stack's sign-up function does, and counts them.

    Verified addresses lead to the accounts, as after a sign-up.
    """

    def __init__(self, ledger: Ledger, settings: Settings, *, dry_run: bool = False) -> None:
        """Take where and how to open accounts; a dry run only counts."""
        self.ledger = ledger
        self.settings = settings
        self.dry_run = dry_run
        self.counts: Counter[Result] = Counter()
        self.failures: dict[str, str] = {}
        self._lock = threading.Lock()

    def open_one(self, person: Person) -> None:
        """Open a person's account if there is none. Thread-safe."""
        failure = ""
        try:
            result = patiently(lambda: self._open(person))
        except ScripError as error:
            result, failure = Result.FAILED, error.code
        with self._lock:
            self.counts[result] += 1
            if failure:
                self.failures[person.account_id] = failure

    def _open(self, person: Person) -> Result:
        if not person.confirmed:
            return Result.NOT_CONFIRMED
        account_id, table = person.account_id, self.ledger.table
        is_open = read(table, account_id).account is not None
        if not is_open:
            check_account_id(account_id)  # in a dry run, too
        if not self.dry_run:
            if not is_open:
                now = self.ledger.clock()
                open_account(
                    self.ledger,
                    account_id,
                    person.emails,
                    self.settings,
                    at=now,
                    owner=person.name,
                    reason=REASON,
                )
            else:
                # So that a returning user of an older account is recognized.
                note_welcomed(table, hashed(person.emails, self.ledger.mailbox_key))
            # An account that was opened without its address may lack it; it keeps what it has.
            for email in person.emails:
                if not link_account(table, account_id, f"{EMAIL}{email.lower()}"):
                    raise EmailTakenError
        return Result.ALREADY_OPEN if is_open else Result.CREATED


def open_accounts(
    session: Session, csv: Path | None, user_pool_id: str | None, *, dry_run: bool
) -> None:
    """Open accounts for the people in a CSV file or a pool, and count them.

    Raises typer.Exit if some failed, or after Ctrl-C.
    """
    people, total = _csv(csv) if csv is not None else _pool(session, user_pool_id)
    work = Backfill(session.ledger(), session.settings(), dry_run=dry_run)
    _check_plan(work)
    _run(work, people, total)


def _csv(path: Path) -> tuple[Iterable[Person], int]:
    people = people_in_csv(path)
    return people, len(people)


def _pool(session: Session, user_pool_id: str | None) -> tuple[Iterable[Person], int]:
    """Return the users of a pool, and how many Cognito estimates there are."""
    cognito = session.client("cognito-idp")
    pool = user_pool_id or session.output("UserPoolId")
    estimated = cognito.describe_user_pool(UserPoolId=pool)["UserPool"]["EstimatedNumberOfUsers"]
    return people_in_pool(cognito, pool), estimated


def _check_plan(work: Backfill) -> None:
    """Fail before the first account if every account would fail."""
    try:
        work.ledger.catalog().plan(work.settings.default_plan)
    except CatalogUnsoundError as exc:
        raise CommandError(
            f"The catalog lacks plan {exc.plan_id}, the plan for new accounts.",
            "Create it, or deploy the stack with another DefaultPlan.",
        ) from exc


def _run(work: Backfill, people: Iterable[Person], total: int) -> None:
    try:
        doing = "Counting accounts" if work.dry_run else "Opening accounts"
        work_through(people, work.open_one, doing=doing, total=total)
    except KeyboardInterrupt:
        _show_counts(work)
        note(
            f"Stopped after {work.counts.total()} of {total} users. Run the same command again to "
            "continue; open accounts are left alone."
        )
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    _show_counts(work)
    if work.failures:
        note("Some failed. Run the same command again to retry them.")
        raise typer.Exit(ExitCode.FAILED)


def _show_counts(work: Backfill) -> None:
    for result in Result:
        name = "would be created" if work.dry_run and result is Result.CREATED else result
        typer.echo(f"{name:<16} {work.counts[result]:>8}")
    for account_id, code in sorted(work.failures.items()):
        typer.echo(f"  {account_id}: {code}")
