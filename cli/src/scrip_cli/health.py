"""`scrip health`: what an operator should know before users notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from scrip_cli import report
from scrip_cli.exit_codes import ExitCode
from scrip_cli.options import Json
from scrip_cli.session import Session, with_session

if TYPE_CHECKING:
    from scrip.health import Health


@with_session
def health(
    *,
    features: Annotated[
        str | None,
        typer.Option(
            metavar="IDS",
            help="Features that must exist and be active, separated by commas.",
            show_default="the stack's parameter RequiredFeatures",
        ),
    ] = None,
    as_json: Json = False,
    session: Session,
) -> None:
    """Check the health of a stack, as `GET /v1/admin/health` does.

    docs/reference/health.md says what to do about each problem. Before you deploy an app, let its
    pipeline check the features that the app uses.

    Exit codes: 0 healthy, 6 something needs attention.
    """
    from scrip.http.health import health_json

    found = examined(session, features)
    if as_json:
        report.show_json(health_json(found))
    else:
        for problem in found.problems:
            typer.echo(f"{problem.code}  {problem.subject}")
    if found.problems:
        raise typer.Exit(ExitCode.FOUND)
    report.note("The stack is healthy.")


def examined(session: Session, features: str | None = None) -> Health:
    """Return the health of a stack; by default its parameter says which features it should have."""
    from scrip.health import examine
    from scrip.work_queue import Queue

    if features is None:
        features = session.parameters().get("RequiredFeatures", "")
    sqs = session.client("sqs")
    queues = {
        name: Queue(sqs, url)
        for name, resource in (
            ("renew", "RenewQueue"),
            ("renew_dead_letters", "RenewDeadLetters"),
            ("events_dead_letters", "EventsDeadLetters"),
        )
        if (url := session.resource(resource))
    }
    return examine(
        session.ledger(),
        session.settings().default_plan,
        [feature_id for one in features.split(",") if (feature_id := one.strip())],
        queues,
    )
