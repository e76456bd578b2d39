"""`scrip upgrade` on a stack: what it prints, and each problem that it finds."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from typer.testing import CliRunner

from scrip import __version__
from scrip.ledger import utc_now
from scrip.settings import Settings
from scrip.store.inbox import InboxRecord, InboxStatus, mark, receive
from scrip.store.items import to_wire
from scrip.store.keys import restore_key
from scrip.store.listing import note_complete
from scrip.store.sweeps import move_watermark
from scrip_cli.exit_codes import ExitCode
from scrip_cli.main import app
from scrip_cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.store.client import Table

pytestmark = pytest.mark.moto

QUEUES = ("RenewQueue", "RenewDeadLetters", "EventsDeadLetters")


class Deployed:
    """A deployed stack, its queues and its API, whose health answers a version."""

    def __init__(self) -> None:
        self.version = "0.2.0"
        self.api = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        self.cloudformation = boto3.client("cloudformation")
        self.sqs = boto3.client("sqs")

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        deployed = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"status": "ok", "version": deployed.version}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        return Handler

    def create(self, version: str) -> None:
        """Create the stack with an output `Version`."""
        self.version = version
        outputs = {
            "Version": version,
            "TableName": "scrip",
            "ApiUrl": f"http://127.0.0.1:{self.api.server_port}",
        }
        self.cloudformation.create_stack(
            StackName="scrip",
            TemplateBody=json.dumps(
                {
                    "Resources": {name: {"Type": "AWS::SQS::Queue"} for name in QUEUES},
                    "Outputs": {name: {"Value": value} for name, value in outputs.items()},
                }
            ),
        )

    def queue(self, name: str) -> str:
        """Return a queue's URL."""
        found = self.cloudformation.describe_stack_resource(
            StackName="scrip", LogicalResourceId=name
        )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])


@pytest.fixture
def deployed(table: Table, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """A healthy stack of the release before."""
    monkeypatch.setattr(Session, "settings", lambda _: Settings(table_name="scrip"))
    move_watermark(table, utc_now())
    deployed = Deployed()
    deployed.create("0.2.0")
    yield deployed
    deployed.cloudformation.delete_stack(StackName="scrip")
    deployed.api.shutdown()
    deployed.api.server_close()


def upgrade() -> tuple[int, list[tuple[str, str]]]:
    """Run the command; return its exit code and the problems."""
    ran = CliRunner().invoke(app, ["upgrade", "--stack-name", "scrip", "--json"])
    problems = json.loads(ran.stdout)["problems"]
    return ran.exit_code, [(one["code"], one["subject"]) for one in problems]


def test_a_healthy_stack_is_ready_and_what_changes_is_printed(deployed: Deployed) -> None:
    assert upgrade() == (ExitCode.DONE, [])
    printed = CliRunner().invoke(app, ["upgrade", "--stack-name", "scrip"]).stdout
    assert f"{__version__}: Before you update\n\n- " in printed
    assert printed.endswith(f"deployed  0.2.0\nversion   {__version__}\n")


def test_a_stack_of_this_version_has_nothing_to_read_about_once_its_accounts_are_listed(
    deployed: Deployed, table: Table
) -> None:
    deployed.cloudformation.delete_stack(StackName="scrip")
    deployed.create(__version__)
    assert upgrade() == (ExitCode.FOUND, [("accounts_unlisted", "scrip")])
    note_complete(table, utc_now())
    ran = CliRunner().invoke(app, ["upgrade", "--stack-name", "scrip", "--json"])
    assert (ran.exit_code, json.loads(ran.stdout)["releases"]) == (0, [])


def test_each_problem_is_found(deployed: Deployed, table: Table) -> None:
    for name in QUEUES:  # work to do is none
        deployed.sqs.send_message(QueueUrl=deployed.queue(name), MessageBody="{}")
    now = utc_now()
    record = InboxRecord(
        inbox_id="stripe:evt_1",
        type="t",
        payload=b"{}",
        sent_at=now,
        received_at=now,
        changed_at=now,
    )
    receive(table, record)
    mark(table, replace(record, status=InboxStatus.FAILED, attempts=1))
    table.client.put_item(TableName=table.name, Item=to_wire(restore_key()))
    deployed.version = "0.1.0"
    assert upgrade() == (
        ExitCode.FOUND,
        [
            ("versions_mixed", "0.1.0"),
            ("dead_letters", "renew_dead_letters"),
            ("dead_letters", "events_dead_letters"),
            ("webhook_failed", "stripe:evt_1"),
            ("restore_unfinished", "scrip"),
        ],
    )


def test_an_older_version_is_no_update(deployed: Deployed) -> None:
    deployed.cloudformation.delete_stack(StackName="scrip")
    deployed.create("99.0.0")
    assert upgrade() == (ExitCode.FOUND, [("deployed_is_newer", "99.0.0")])


def test_a_stack_whose_api_does_not_answer_is_not_ready(deployed: Deployed) -> None:
    deployed.api.shutdown()
    deployed.api.server_close()
    code, [(problem, _)] = upgrade()
    assert (code, problem) == (ExitCode.FOUND, "api_down")
