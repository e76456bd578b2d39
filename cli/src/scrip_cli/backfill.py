"""`scrip backfill`: accounts for users who are older than Scrip."""

import threading
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from scrip.domain.commands import check_account_id
from scrip.domain.errors import CatalogUnsoundError, EmailTakenError, ScripError
from scrip.ledger import Ledger
from scrip.settings import Settings
from scrip.store.aliases import EMAIL, link_account
from scrip.store.commit import note_welcomed
from scrip.store.mailbox_key import hashed
from scrip.store.queries import read
from scrip.users import open_account
from scrip_cli.local import report
from scrip_cli.local.commands import DEFAULT_PORT, Port, State
from scrip_cli.local.errors import StackError
from scrip_cli.people import Person, people_of_csv, people_of_pool
from scrip_cli.target import Target, find_target
from scrip_cli.terminal import INTERRUPTED, Region, StackName, plain_errors
from scrip_cli.work import patiently, work_through


class Result(StrEnum):
    """What became of somebody."""

    CREATED = "created"
    ALREADY_THERE = "already there"
    NOT_CONFIRMED = "not confirmed"
    FAILED = "failed"


class Backfill:
    """Opens accounts exactly as the sign-up function of the same stack does, and counts them.

    Their verified addresses lead to them, as after a sign-up.
    """

    def __init__(self, ledger: Ledger, settings: Settings, *, dry_run: bool = False) -> None:
        """Know where and how to open accounts; a dry run only counts."""
        self.ledger = ledger
        self.settings = settings
        self.dry_run = dry_run
        self.counts: Counter[Result] = Counter()
        self.failures: dict[str, str] = {}
        self._lock = threading.Lock()

    def open_one(self, person: Person) -> None:
        """Open somebody's account if there is none. For any number of threads."""
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
        is_there = read(table, account_id).account is not None
        if not is_there:
            check_account_id(account_id)  # also where nothing is to be opened
        if not self.dry_run:
            if not is_there:
                now = self.ledger.clock()
                open_account(self.ledger, account_id, person.emails, self.settings, at=now)
            else:
                # So that a returning user of an older account is recognized.
                note_welcomed(table, hashed(person.emails, self.ledger.mailbox_key))
            # An account older than this may lack its address, and keeps what it has.
            for email in person.emails:
                if not link_account(table, account_id, f"{EMAIL}{email.lower()}"):
                    raise EmailTakenError
        return Result.ALREADY_THERE if is_there else Result.CREATED


def backfill(
    *,
    csv: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A CSV file with the columns account_id and, if you like, email.",
            show_default="the stack's user pool",
        ),
    ] = None,
    user_pool_id: Annotated[
        str | None,
        typer.Option(help="Another Cognito user pool.", show_default="the stack's user pool"),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Count, and write nothing.")] = False,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Open accounts for existing users, each as their sign-up would have. Safe to repeat.

    An account_id that `scrip export` wrote as CSV is read without the apostrophe before it.

    Exit codes: 0 all have one, 1 some failed, 130 stopped by Ctrl-C; run it again to go on.
    """
    if csv is not None and user_pool_id is not None:
        raise typer.BadParameter("name a file or a pool, not both", param_hint="--csv")
    with plain_errors(local=stack_name is None):
        listed = people_of_csv(csv) if csv is not None else None
        target = find_target(stack_name, port, state, region)
        people, total = (listed, len(listed)) if listed is not None else _pool(target, user_pool_id)
        work = Backfill(target.ledger(), target.settings(), dry_run=dry_run)
        _check_plan(work)
        _run(work, people, total)


def _pool(target: Target, user_pool_id: str | None) -> tuple[Iterable[Person], int]:
    """Return the users of a pool, and how many they are as far as Cognito knows."""
    cognito = target.client("cognito-idp")
    pool = user_pool_id or target.output("UserPoolId")
    estimated = cognito.describe_user_pool(UserPoolId=pool)["UserPool"]["EstimatedNumberOfUsers"]
    return people_of_pool(cognito, pool), estimated


def _check_plan(work: Backfill) -> None:
    """Find out before the first account what would fail for every one."""
    try:
        work.ledger.catalog().plan(work.settings.default_plan)
    except CatalogUnsoundError as exc:
        raise StackError(
            f"The catalog has no plan {exc.plan_id}, which new accounts are to get.",
            "Create it, or deploy the stack with another DefaultPlan.",
        ) from exc


def _run(work: Backfill, people: Iterable[Person], total: int) -> None:
    try:
        doing = "Counting accounts" if work.dry_run else "Opening accounts"
        work_through(people, work.open_one, doing=doing, total=total)
    except KeyboardInterrupt:
        _tell(work)
        report.note(
            f"Stopped after {work.counts.total()} of {total} users. Run the same command again to "
            "go on; accounts that exist are left alone."
        )
        raise typer.Exit(INTERRUPTED) from None
    _tell(work)
    if work.failures:
        report.note("Some failed. Run the same command again to try those again.")
        raise typer.Exit(1)


def _tell(work: Backfill) -> None:
    for result in Result:
        name = "would be created" if work.dry_run and result is Result.CREATED else result
        typer.echo(f"{name:<16} {work.counts[result]:>8}")
    for account_id, code in sorted(work.failures.items()):
        typer.echo(f"  {account_id}: {code}")
