"""The operator's commands, run as an operator runs them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from scrip import __version__
from scrip_cli.exit_codes import ExitCode
from scrip_cli.local import demo
from scrip_cli.local.stack import REGION, STACK_NAME, LocalStack
from scrip_cli.main import app
from scrip_cli.seed.people import Person
from tests.conftest import SCRIP
from tests.integration.test_races import entries_of
from tests.unit.domain.test_invariants import hash_chain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import Api

USERS = 1_000
INTERRUPTED_AT = 300
SECONDS_MAX = 60


def operator(
    stack: LocalStack, *words: str, by_name: str | None = None, typed: str | None = None
) -> Result:
    """Run a command on the local stack, or as on AWS on the stack that `by_name` names."""
    where = ["--stack-name", by_name, "--region", REGION] if by_name else local(stack)
    environment = stack.aws_environment() if by_name else {}
    return CliRunner().invoke(app, [*words, *where], env=environment, input=typed)


def local(stack: LocalStack) -> list[str]:
    return ["--port", str(stack.port), "--state", str(stack.state_dir)]


def counts(report: str) -> dict[str, int]:
    """Return the counts in a backfill's report."""
    lines = [line.rsplit(maxsplit=1) for line in report.splitlines() if not line.startswith(" ")]
    return {name: int(number) for name, number in lines}


def items_below(stack: LocalStack, prefix: str) -> list[dict[str, Any]]:
    """Return the items whose partition key has a prefix, read directly from DynamoDB."""
    pages = (
        stack.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=demo.details(stack).table_name,
            FilterExpression="begins_with(pk, :prefix)",
            ExpressionAttributeValues={":prefix": {"S": prefix}},
        )
    )
    return [item for page in pages for item in page["Items"]]


def accounts_below(stack: LocalStack, prefix: str) -> list[dict[str, Any]]:
    """Return the items of accounts whose IDs have a prefix, without those of usage."""
    found = items_below(stack, f"ACCOUNT#{prefix}")
    return [item for item in found if item["sk"]["S"] == "ACCOUNT"]


def test_a_backfill_interrupted_and_repeated_opens_every_account_once(
    stack: LocalStack,
    tmp_path: Path,
) -> None:
    people = [f"{uuid4().hex[:8]}-{number}" for number in range(USERS)]
    people = [f"bulk-{person}" for person in people]
    users = tmp_path / "users.csv"
    users.write_text("\n".join(["account_id,email", *(f"{who},{who}@x.org" for who in people)]))
    words = [SCRIP, "backfill", "--csv", str(users), *local(stack)]
    first = subprocess.Popen(words, cwd=stack.root, stdout=-1, stderr=-1, text=True)
    deadline = time.monotonic() + SECONDS_MAX
    while len(accounts_below(stack, "bulk-")) < INTERRUPTED_AT:
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.3)
    first.send_signal(signal.SIGINT)
    stdout, stderr = first.communicate(timeout=SECONDS_MAX)
    opened = len(accounts_below(stack, "bulk-"))
    assert (first.returncode, opened < USERS) == (130, True), stderr
    assert counts(stdout)["created"] == opened
    assert f"Stopped after {opened} of {USERS}" in " ".join(stderr.split())

    again = operator(stack, "backfill", "--csv", str(users))
    assert again.exit_code == 0, again.stderr
    assert counts(again.stdout) == {
        "created": USERS - opened,
        "already open": opened,
        "not confirmed": 0,
        "failed": 0,
    }
    accounts = accounts_below(stack, "bulk-")
    assert {item["pk"]["S"] for item in accounts} == {f"ACCOUNT#{who}" for who in people}
    assert {item["balance"]["N"] for item in accounts} == {"10100"}
    linked = items_below(stack, "ALIAS#email:bulk-")
    assert {item["pk"]["S"]: item["account_id"]["S"] for item in linked} == {
        f"ALIAS#email:{who}@x.org": who for who in people
    }
    entries = items_below(stack, "LEDGER#bulk-")
    signups = [item for item in entries if item["sk"]["S"] == "ENTRY#signup:grant"]
    assert Counter(item["pk"]["S"] for item in signups) == Counter(
        f"LEDGER#{who}" for who in people
    )
    assert {item["reason"]["S"] for item in signups} == {
        "Welcome credits, added for an existing user"
    }
    assert len(entries) == 2 * USERS, "a sign-up grant and a plan grant each"


def test_a_backfill_of_a_pool_reads_every_page_and_skips_unconfirmed_users(
    stack: LocalStack,
) -> None:
    cognito = stack.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="older")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="app")
    for number in range(65):
        cognito.admin_create_user(UserPoolId=pool, Username=f"older-{number}")
    cognito.sign_up(
        ClientId=client["UserPoolClient"]["ClientId"], Username="nobody", Password=demo.PASSWORD
    )
    backfill = ["backfill", "--user-pool-id", pool]
    dry_run = operator(stack, *backfill, "--dry-run", by_name=STACK_NAME)
    assert counts(dry_run.stdout)["would be created"] == 65, dry_run.stderr
    done = operator(stack, *backfill, by_name=STACK_NAME)
    assert counts(done.stdout) == {
        "created": 65,
        "already open": 0,
        "not confirmed": 1,
        "failed": 0,
    }
    subs = [
        attribute["Value"]
        for page in cognito.get_paginator("list_users").paginate(UserPoolId=pool)
        for user in page["Users"]
        if user["Username"] != "nobody"
        for attribute in user["Attributes"]
        if attribute["Name"] == "sub"
    ]
    opened = {item["pk"]["S"] for item in items_below(stack, "ACCOUNT#")}
    assert {f"ACCOUNT#{sub}" for sub in subs} <= opened


def test_an_invalid_file_opens_no_account(stack: LocalStack, tmp_path: Path) -> None:
    users = tmp_path / "users.csv"
    users.write_text("account_id,email\ngood-1,\ngood-2,nobody\n")
    refused = operator(stack, "backfill", "--csv", str(users))
    assert (refused.exit_code, f"{users}:3: " in refused.stderr) == (1, True)
    assert "Traceback" not in refused.stderr
    assert items_below(stack, "ACCOUNT#good-") == []


def test_a_seeded_stack_has_three_months_of_consistent_entries_and_messages_of_every_status(
    stack: LocalStack, service: Api
) -> None:
    seeded = operator(stack, "seed", "--users", "16")
    assert seeded.exit_code == 0, seeded.stderr
    days = set()
    for person in (Person(seed=1, number=number) for number in range(1, 17)):
        entries = entries_of(person.account_id, service)
        hash_chain(entries)
        times = [entry["recorded_at"] for entry in entries]
        assert times == sorted(times)
        days |= {entry["recorded_at"][:10] for entry in entries if entry["type"] == "usage"}
    assert 80 <= len(days) <= 120, "three months, for some a little more"
    statuses = {
        item["pk"]["S"].rsplit("#demo-", 1)[-1][11:]: item["status"]["S"]
        for item in items_below(stack, "INBOX#standard#demo-")
    }
    assert statuses == {
        "purchase": "applied",
        "unknown-customer": "unmatched",
        "unknown-plan": "unmatched",
        "unreadable": "failed",
        "interrupted": "received",
    }
    [ignored] = items_below(stack, "INBOX#stripe#evt_demo_")
    assert ignored["status"]["S"] == "ignored"
    before = items_below(stack, "LEDGER#demo-")
    again = operator(stack, "seed", "--users", "16")
    assert "nothing to add" in again.stdout
    assert items_below(stack, "LEDGER#demo-") == before


def test_only_the_dev_stage_can_be_seeded(stack: LocalStack) -> None:
    template = {
        "Parameters": {"Stage": {"Type": "String", "Default": "prod"}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"TableName": {"Value": demo.details(stack).table_name}},
    }
    cloudformation = stack.client("cloudformation")
    cloudformation.create_stack(StackName="precious", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="precious")
    refused = operator(stack, "seed", by_name="precious")
    assert (refused.exit_code, "stage prod" in refused.stderr) == (1, True)


def test_a_missing_or_stopped_stack_is_reported_in_a_sentence(stack: LocalStack) -> None:
    absent = operator(stack, "seed", by_name="nothing-here")
    assert (absent.exit_code, "no stack nothing-here" in absent.stderr) == (1, True)
    assert f"Stacks of Scrip here: {STACK_NAME}" in " ".join(absent.stderr.split())
    stopped = CliRunner().invoke(app, ["seed", "--port", "1", "--state", "/nowhere"])
    assert (stopped.exit_code, "scrip local up" in stopped.stderr) == (3, True)


@contextmanager
def receiver(status: int) -> Iterator[tuple[str, list[tuple[str, Any, bytes]]]]:
    """Run a server; yield its URL, and path, headers and body of each request."""
    arrived: list[tuple[str, Any, bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            arrived.append((self.path, self.headers, body))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b'{"status": "received"}')

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", arrived
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("provider", "prefix"), [("stripe", ""), ("clerk", "svix"), ("polar", "webhook")]
)
def test_a_webhook_is_sent_signed_with_the_stacks_secret(
    stack: LocalStack,
    tmp_path: Path,
    provider: str,
    prefix: str,
) -> None:
    fixture = tmp_path / "paid.json"
    fixture.write_text('{"type": "paid", "data": {"name": "Zoë"}}')
    words = ["webhooks", "send", str(fixture), "--provider", provider]
    with receiver(200) as (url, arrived):
        sent = operator(stack, *words, "--url", url, "--set", "data.account_id=a-1")
    assert (sent.exit_code, sent.stdout) == (0, '200 OK\n{"status": "received"}\n'), sent.stderr
    [(path, headers, body)] = arrived
    assert path == f"/v1/webhooks/{provider}"
    assert json.loads(body) == {"type": "paid", "data": {"name": "Zoë", "account_id": "a-1"}}
    secret = demo.details(stack).webhook_secrets[provider]
    if provider == "stripe":
        fields = dict(part.split("=") for part in headers["stripe-signature"].split(","))
        signed = f"{fields['t']}.".encode() + body
        assert fields["v1"] == hmac.digest(secret.encode(), signed, hashlib.sha256).hex()
        assert abs(int(fields["t"]) - time.time()) < SECONDS_MAX
    else:
        key = secret.encode() if provider == "polar" else base64.b64decode(secret[6:])
        parts = f"{headers[prefix + '-id']}.{headers[prefix + '-timestamp']}."
        digest = hmac.digest(key, parts.encode() + body, hashlib.sha256)
        assert headers[f"{prefix}-signature"] == f"v1,{base64.b64encode(digest).decode()}"


def test_sending_a_webhook_fails_if_it_is_not_accepted(stack: LocalStack, tmp_path: Path) -> None:
    fixture = tmp_path / "paid.json"
    fixture.write_text("{}")
    secret = tmp_path / "secret"
    secret.write_text("whsec_x\n")
    words = ["webhooks", "send", str(fixture), "--provider", "stripe", "--secret-file", str(secret)]
    with receiver(401) as (url, arrived):
        sent = operator(stack, *words, "--url", url)
    assert (sent.exit_code, sent.stdout.splitlines()[0]) == (1, "401 Unauthorized")
    [(_, headers, body)] = arrived
    fields = dict(part.split("=") for part in headers["stripe-signature"].split(","))
    assert (
        fields["v1"] == hmac.digest(b"whsec_x", f"{fields['t']}.".encode() + body, "sha256").hex()
    )
    unreachable = operator(stack, *words, "--url", url)
    assert (unreachable.exit_code, "no answer" in unreachable.stderr) == (1, True)


def test_health_misses_a_feature_and_counts_what_waits_in_queues(stack: LocalStack) -> None:
    ran = operator(stack, "health", "--features", "chat,summary", "--json")
    found = json.loads(ran.stdout)
    missing = [one["subject"] for one in found["problems"] if one["code"] == "feature_missing"]
    assert (ran.exit_code, missing) == (ExitCode.FOUND, ["summary"])
    assert None not in found["queues"].values()


def test_upgrade_finds_this_version_deployed_and_answering(stack: LocalStack) -> None:
    """What else it finds, other tests have done to the stack."""
    found = json.loads(operator(stack, "upgrade", "--json").stdout)
    assert (found["deployed"], found["version"], found["releases"]) == (
        __version__,
        __version__,
        [],
    )
    about_updates = {"deployed_is_newer", "stack_not_updatable", "api_down", "versions_mixed"}
    assert not about_updates & {one["code"] for one in found["problems"]}
