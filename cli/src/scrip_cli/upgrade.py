"""`scrip upgrade`: what this version changes about a stack, and if the stack is ready for it."""

from __future__ import annotations

from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING

import typer

from scrip import __version__
from scrip_cli import report
from scrip_cli.changelog import number, releases_between
from scrip_cli.exit_codes import ExitCode
from scrip_cli.health import examined
from scrip_cli.local.stack import project
from scrip_cli.options import Json
from scrip_cli.session import Session, with_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.health import Problem

WITHOUT_VERSION = "0.1.0"
"""The version of stacks that have no output `Version`."""

UPDATABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"}
"""The states in which CloudFormation updates a stack."""

FAILED_MAX = 100
"""How many failed messages are looked for."""


@with_session
def upgrade(*, as_json: Json = False, session: Session) -> None:
    """Show what this version changes for a stack, and check that the stack is ready for it.

    Changes nothing. The changes shown are those that CHANGELOG.md lists for the versions after the
    deployed one, without additions and fixes. docs/how-to/upgrade.md says what to do about each
    problem.

    Exit codes: 0 ready, 6 something needs attention first.
    """
    deployed = session.outputs().get("Version", WITHOUT_VERSION)
    releases = releases_between((project() / "CHANGELOG.md").read_text(), deployed, __version__)
    problems = list(
        chain(_versions(session, deployed), _health(session), _lists(session, deployed))
    )
    if as_json:
        report.show_json(
            {
                "deployed": deployed,
                "version": __version__,
                "releases": [asdict(release) for release in releases],
                "problems": [asdict(problem) for problem in problems],
            }
        )
    else:
        for release in releases:
            for section, points in release.sections.items():
                typer.echo(f"\n{release.version}: {section}\n")
                for point in points:
                    typer.echo("- " + point.replace("\n", "\n  "))
        typer.echo(f"\ndeployed  {deployed}\nversion   {__version__}")
        for problem in problems:
            typer.echo(f"{problem.code}  {problem.subject}")
    if problems:
        raise typer.Exit(ExitCode.FOUND)
    report.note("The stack is ready.")


def _versions(session: Session, deployed: str) -> Iterator[Problem]:
    """Yield what keeps the stack from being updated to this version."""
    import httpx

    from scrip.health import Problem

    if number(deployed) > number(__version__):
        yield Problem(code="deployed_is_newer", subject=deployed)
    if (status := session.status()) not in UPDATABLE:
        yield Problem(code="stack_not_updatable", subject=status)
    try:
        with session.http() as http:
            health = http.get("/v1/health").json()
    except (httpx.HTTPError, ValueError):
        yield Problem(code="api_down", subject=session.api_url())
    else:
        if health.get("version", deployed) != deployed:
            yield Problem(code="versions_mixed", subject=health["version"])


def _health(session: Session) -> Iterator[Problem]:
    """Yield what the stack's health says, and what an operator should have finished before."""
    from scrip.health import Problem
    from scrip.ledger import utc_now
    from scrip.store.directory import list_messages
    from scrip.store.inbox import InboxStatus
    from scrip.store.restores import read_restore_item

    yield from examined(session).problems
    table = session.table()
    failed, _ = list_messages(
        table,
        utc_now().date(),
        status=InboxStatus.FAILED,
        limit=FAILED_MAX,
        cursor=None,
    )
    for message in failed:
        yield Problem(code="webhook_failed", subject=message.inbox_id)
    if read_restore_item(table) is not None:
        yield Problem(code="restore_unfinished", subject=table.name)


def _lists(session: Session, deployed: str) -> Iterator[Problem]:
    """Yield what is left to do after an update to this version."""
    from scrip.health import Problem
    from scrip.store.listing import is_complete

    table = session.table()
    if deployed == __version__ and not is_complete(table):
        yield Problem(code="accounts_unlisted", subject=table.name)
