"""`scrip alarms`: which alarms of a stack ring, and what the runbook says about each."""

from typing import Any

import typer

from scrip_cli import report
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.options import Json
from scrip_cli.session import Session, with_session

RINGS, QUIET = "ALARM", "OK"
COLUMNS = ("alarm", "state", "since", "runbook", "reason")


@with_session
def alarms(*, as_json: Json = False, session: Session) -> None:
    """List a stack's alarms, ringing ones first, and the runbook's section for each.

    `INSUFFICIENT_DATA` is the state of a new alarm, and of one whose metric has stopped.

    With --json, prints a line of JSON for each. Exit codes: 0 none rings, 6 some do.
    """
    found = sorted(map(_shown, _alarms(session)), key=_order)
    if as_json:
        report.show_lines(found)
    else:
        report.show_table(found, COLUMNS)
    if session.is_local:
        report.note("The local CloudWatch evaluates no alarms, and lacks those on several metrics.")
    if any(alarm["state"] == RINGS for alarm in found):
        raise typer.Exit(ExitCode.FOUND)


def _alarms(session: Session) -> list[tuple[str, dict[str, Any]]]:
    """Return CloudWatch's description of each alarm, with its name in the template."""
    names = session.resources().get("AWS::CloudWatch::Alarm")
    if not names:
        raise CommandError(
            f"The stack {session.name} has no alarms.",
            "Deploy it with AlarmEmail: without it, stage dev has no alarms.",
        )
    described = session.client("cloudwatch").describe_alarms(AlarmNames=[*names.values()])
    found = {alarm["AlarmName"]: alarm for alarm in described["MetricAlarms"]}
    return [(name, found[alarm]) for name, alarm in names.items() if alarm in found]


def _shown(alarm: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    from scrip.domain.entries import iso

    name, described = alarm
    return {
        "alarm": name,
        "state": described["StateValue"],
        "since": iso(described["StateUpdatedTimestamp"]),
        # The last word of each description in template.yaml.
        "runbook": described["AlarmDescription"].split()[-1],
        "reason": described.get("StateReason"),
    }


def _order(alarm: dict[str, Any]) -> tuple[bool, bool, str]:
    return alarm["state"] != RINGS, alarm["state"] == QUIET, alarm["alarm"]
