"""`scrip logs`: what all functions of a stack logged about one request."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Annotated, Any

import typer

from scrip_cli import report
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.options import Json, instant
from scrip_cli.session import Session, with_session

LAST = timedelta(hours=3)
POLL_SECONDS = 0.5
RUNNING = {"Scheduled", "Running"}

BEGIN_OR_END = re.compile(r"(START|END) RequestId: ")

type Identity = tuple[str, int, str]

COMMON = re.compile(
    "function_.*|cold_start|correlation_id|level|location|message|service|timestamp|xray_trace_id"
)
"""Fields that many lines have and that say nothing about one request."""


def _request_id(text: str) -> str:
    """Return an ID, also from a problem's `instance`."""
    found = text.removeprefix("urn:scrip:request:")
    if not re.fullmatch(r"[\w=:.+/-]{1,200}", found):
        raise typer.BadParameter("the X-Request-Id of a response, or a problem's instance")
    return found


@with_session
def logs(
    *,
    request_id: Annotated[
        str | None,
        typer.Option(
            parser=_request_id,
            metavar="ID",
            help="The X-Request-Id of a response, or the `instance` of a problem.",
        ),
    ] = None,
    query: Annotated[
        str | None,
        typer.Option(metavar="QUERY", help="A Logs Insights query, instead of an ID."),
    ] = None,
    of_api: Annotated[
        bool, typer.Option("--of-api", help="Query the API's log, not the functions' logs.")
    ] = False,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=instant,
            metavar="TIME",
            help="Lines from this time or later.",
            show_default="3 hours ago",
        ),
    ] = None,
    as_json: Json = False,
    session: Session,
) -> None:
    """Show what the API and all functions logged about a request, in order; or query the logs.

    These are the lines with the request's ID, including those of functions that ran because of it,
    and all other lines of the same invocations. A request that succeeds may leave only the API's
    line.

    With --json, prints a line of JSON for each. Exit code 5: there are none.
    """
    if (request_id is None) == (query is None):
        raise typer.BadParameter("give --request-id or --query", param_hint="--request-id")
    begin = since or datetime.now(UTC) - LAST
    if request_id is not None:
        records = _about(session, request_id, begin)
    else:
        group = "ApiLogs" if of_api else "FunctionLogs"
        records = _answers(session, group, str(query), begin)
    if as_json:
        report.show_lines(records)
    else:
        report.show_table(records, [*dict.fromkeys(chain.from_iterable(records))])


def _answers(session: Session, group: str, query: str, begin: datetime) -> list[dict[str, Any]]:
    """Return the rows that a query of Logs Insights finds."""
    client, name = session.client("logs"), session.resources()["AWS::Logs::LogGroup"][group]
    query_id = client.start_query(
        logGroupName=name,
        startTime=int(begin.timestamp()),
        endTime=int(datetime.now(UTC).timestamp()),
        queryString=query,
    )["queryId"]
    with report.stderr().status("Querying ..."):
        while (answer := client.get_query_results(queryId=query_id))["status"] in RUNNING:
            time.sleep(POLL_SECONDS)
    if answer["status"] != "Complete":
        raise CommandError(
            f"The query ended as {answer['status']}.", "Query a shorter time with --since."
        )
    rows = ({cell["field"]: cell["value"] for cell in row} for row in answer["results"])
    return [{name: one for name, one in row.items() if name != "@ptr"} for row in rows]


def _about(session: Session, request_id: str, begin: datetime) -> list[dict[str, Any]]:
    """Return the lines about a request, in order. Raises CommandError if there are none."""
    from scrip.domain.entries import iso

    resources = session.resources()
    groups, client = resources["AWS::Logs::LogGroup"], session.client("logs")

    def lines(group: str, text: str) -> dict[Identity, dict[str, Any]]:
        pages = client.get_paginator("filter_log_events").paginate(
            logGroupName=groups[group],
            startTime=int(begin.timestamp() * 1000),
            filterPattern=f'"{text}"',
        )
        return {_identity(event): event for page in pages for event in page["events"]}

    found = lines("ApiLogs", request_id) | lines("FunctionLogs", request_id)
    invocations = {
        invocation: fields["function_name"]
        for fields in map(_fields, found.values())
        if (invocation := _invocation(fields))
    }
    for invocation in invocations:
        found |= lines("FunctionLogs", invocation)
    if not found:
        local = " The local API keeps no log." if session.is_local else ""
        raise CommandError(
            f"No line since {begin:%Y-%m-%d %H:%M} UTC has the ID {request_id}.",
            f"Look further back with --since.{local}",
            exit_code=ExitCode.NOT_FOUND,
        )
    functions = {name: logical for logical, name in resources["AWS::Lambda::Function"].items()}

    def shown(event: dict[str, Any]) -> dict[str, Any]:
        fields = _fields(event)
        of = (name for one, name in invocations.items() if one in event["message"])
        function = fields.get("function_name") or next(of, _function(event["logStreamName"]))
        return {
            "logged_at": iso(datetime.fromtimestamp(event["timestamp"] / 1000, UTC)),
            "function": "API" if "route" in fields else functions.get(function, function),
            "level": fields.get("level"),
            "message": fields["message"] if "message" in fields else fields.get("route"),
            "details": {name: one for name, one in fields.items() if not COMMON.fullmatch(name)},
        }

    ordered = sorted(found.values(), key=lambda event: event["timestamp"])
    return [shown(event) for event in ordered if not BEGIN_OR_END.match(event["message"])]


def _fields(event: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a line: one of Lambda's own is its message."""
    try:
        fields = json.loads(event["message"])
    except ValueError:
        return {"message": event["message"].strip()}
    return fields if isinstance(fields, dict) else {"message": event["message"]}


def _invocation(fields: dict[str, Any]) -> str | None:
    # A line about a batch belongs to an invocation for other requests, too.
    return None if "correlation_ids" in fields else fields.get("function_request_id")


def _identity(event: dict[str, Any]) -> Identity:
    return event["logStreamName"], event["timestamp"], event["message"]


def _function(stream: str) -> str:
    """Return the function's name in a log stream's: 2026/11/21/NAME[1]7c0a..."""
    return stream.rpartition("/")[2].partition("[")[0]
