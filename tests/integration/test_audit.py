"""`scrip audit` on a stack in use, and after tampering with its table."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from bench.audit import measure, table_of
from bench.ledgers import write
from bench.tampering import KINDS, Tamperer
from scrip.ledger import utc_now
from scrip.store.audit.rounds import read_progress
from scrip.store.items import to_wire
from scrip.store.keys import alias_key, payment_key
from scrip_cli.local import demo
from scrip_cli.local.deploy import outputs
from scrip_cli.local.stack import STACK_NAME
from tests.integration.conftest import Api, items_of
from tests.integration.test_operators import operator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.store.client import Table
    from scrip_cli.local.stack import LocalStack

COUNTED_SECONDS_MAX = 30
AUDITED_SECONDS_MAX = 300
REPORTED_SECONDS_MAX = 30

WITHOUT_ENTRY = {"entry_without_seq", "audit_record_wrong"}
"""Findings about the account, because the entry's position is unknown."""


def spend(user: Api, times: int) -> None:
    for number in range(times):
        answer = user.post("/me/consume", {"feature": "chat"}, f"chat-{number}")
        assert answer.status_code == 200, answer.text


def audited(stack: LocalStack, *words: str, by_name: str | None = None) -> tuple[int, Any, Any]:
    """Audit with --json; return the exit code, the findings and the summary."""
    answer = operator(stack, "audit", "--json", *words, by_name=by_name)
    assert answer.exception is None or isinstance(answer.exception, SystemExit), answer.exception
    *findings, summary = [json.loads(line) for line in answer.stdout.splitlines()]
    return answer.exit_code, findings, summary


def items(stack: LocalStack, account_id: str) -> dict[str, dict[str, Any]]:
    """Return an account's items by sk, once the stream has counted all of its entries."""
    deadline = time.monotonic() + COUNTED_SECONDS_MAX
    while True:
        found = {item["sk"]["S"]: item for item in items_of(stack, account_id)}
        ranges = [
            part["L"]
            for sk in found
            if sk.startswith("USAGE#")
            for part in found[sk]["counted"]["L"]
        ]
        counted = sum(int(last["N"]) - int(first["N"]) + 1 for first, last in ranges)
        if counted == sum(sk.startswith("ENTRY#") for sk in found):
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def test_every_manual_edit_of_the_table_is_found_and_named(
    stack: LocalStack,
    user: Api,
    service: Api,
) -> None:
    spend(user, 3)
    refund = {"entry_id": "user:chat-0", "amount": 2, "reason": "failed"}
    assert service.post(f"/{user.account_id}/refunds", refund, "r").status_code == 201
    before = items(stack, user.account_id)
    code, findings, summary = audited(stack, "--account", user.account_id)
    assert (code, findings, summary["accounts"], summary["entries"]) == (0, [], 1, 6)

    client, name = stack.client("dynamodb"), demo.details(stack).table_name
    usage = next(sk for sk in before if sk.startswith("USAGE#"))
    edited: dict[str, dict[str, Any]] = {
        "ENTRY#user:chat-1": {"amount": {"N": "-1"}},
        "ACCOUNT": {"balance": {"N": "10000000"}},
        "REFUNDED#user:chat-0": {"refunded": {"N": "0"}},
        usage: {"uses": {"L": []}},
    }
    for sk, changed in edited.items():
        client.put_item(TableName=name, Item=before[sk] | changed)
    code, findings, summary = audited(stack, "--account", user.account_id)
    assert (code, summary["findings"]) == (6, len(findings))
    assert {one["account_id"] for one in findings} == {user.account_id}
    assert {
        ("entry_hash_wrong", "entry user:chat-1"),
        ("balance_wrong", "account"),
        ("refunded_total_wrong", "refunded total of user:chat-0"),
        ("usage_wrong", f"usage of {usage.removeprefix('USAGE#')}"),
    } <= {(one["code"], one["about"]) for one in findings}

    reported_by_the_stream(stack, user.account_id, "user:chat-1")
    for sk in edited:
        client.put_item(TableName=name, Item=before[sk])
    removed = before["ENTRY#user:chat-1"]
    client.delete_item(TableName=name, Key={"pk": removed["pk"], "sk": removed["sk"]})
    code, findings, _ = audited(stack, "--account", user.account_id)
    assert (code, [one["code"] for one in findings]) == (6, ["entry_missing"])
    assert findings[0]["about"] == f"seq {removed['seq']['N']}"
    client.put_item(TableName=name, Item=removed)
    assert audited(stack, "--account", user.account_id)[:2] == (0, [])


def findings_of_the_function(stack: LocalStack) -> set[tuple[str, str, str | None]]:
    """Have the function audit all accounts; return account, code and entry of its findings."""
    table, began = table_of(stack), utc_now()
    function = outputs(stack)["AuditFunction"]
    stack.client("lambda").invoke(
        FunctionName=function, InvocationType="Event", Payload=b'{"restart": true}'
    )
    deadline = time.monotonic() + AUDITED_SECONDS_MAX
    while True:
        progress = read_progress(table)
        # The schedule may start a round, too.
        if progress.last and not progress.current and progress.last.begun_at >= began:
            break
        assert time.monotonic() < deadline, progress
        time.sleep(0.5)
    assert progress.last.mismatches == progress.mismatches > 0
    return {
        (line["account_id"], line["code"], line.get("entry_id"))
        for line in logged(stack, function)
        if "code" in line
    }


def reported_by_the_stream(stack: LocalStack, account_id: str, entry_id: str) -> None:
    """Wait until the function behind the stream has reported that an entry was tampered with."""
    deadline = time.monotonic() + REPORTED_SECONDS_MAX
    expected = account_id, "entry_tampered", entry_id
    while not any(
        (line.get("account_id"), line.get("code"), line.get("entry_id")) == expected
        for line in logged(stack, "entry_tampered")
    ):
        assert time.monotonic() < deadline
        time.sleep(0.5)


def logged(stack: LocalStack, text: str) -> list[dict[str, Any]]:
    """Return the lines of the functions' logs that have a text, such as a function's name."""
    resources = stack.client("cloudformation").describe_stack_resource(
        StackName=STACK_NAME, LogicalResourceId="FunctionLogs"
    )
    group = resources["StackResourceDetail"]["PhysicalResourceId"]
    pages = (
        stack.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=group, filterPattern=f'"{text}"')
    )
    lines = [event["message"] for page in pages for event in page["events"]]
    return [json.loads(line) for line in lines if line.startswith("{")]


@pytest.fixture
def run(stack: LocalStack) -> Iterator[str]:
    """A prefix of account IDs, whose items are removed in the end because the stack is shared."""
    prefix = uuid4().hex[:8]
    yield prefix
    remove(table_of(stack), prefix)


def test_every_kind_of_tampering_is_named_by_the_command_and_by_the_function(
    stack: LocalStack,
    run: str,
    subtests: pytest.Subtests,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = table_of(stack)
    tampered = {f"{run}-{number}": kind for number, kind in enumerate(KINDS)}
    write(table, dict.fromkeys((*tampered, f"{run}-astray"), 12))
    for account_id, kind in tampered.items():
        kind.do(Tamperer(table, account_id))
    for key in (payment_key(f"forged:{run}"), alias_key(f"email:forged-{run}@example.com")):
        item = to_wire({**key, "account_id": f"{run}-astray"})
        table.client.put_item(TableName=table.name, Item=item)

    with monkeypatch.context() as patch:
        # The findings are permanent, so the command need not read them again as the function does.
        patch.setattr("scrip.audit.accounts.PAUSES_SECONDS", ())
        code, findings, _ = audited(stack)
    assert code == 6
    by_command = {(one["account_id"], one["code"], one["entry_id"]) for one in findings}
    by_function = findings_of_the_function(stack)
    for account_id, kind in tampered.items():
        with subtests.test(kind.name):
            [entry_id, *others] = {
                one["entry_id"]
                for one in findings
                if (one["account_id"], one["code"]) == (account_id, kind.code)
                and one["about"].startswith(kind.about)
            }
            assert not others
            assert (account_id, kind.code, entry_id) in by_function
            if kind.about.startswith("entry ") and kind.code not in WITHOUT_ENTRY:
                assert entry_id == kind.about.removeprefix("entry ")
    astray = {
        (f"{run}-astray", "payment_wrong", None),
        (f"{run}-astray", "alias_wrong", None),
    }
    assert astray <= by_command & by_function


def test_a_small_benchmark_measures_and_names_what_it_tampered_with(stack: LocalStack) -> None:
    """`make bench-audit` does the same with 10 000 accounts and all kinds."""
    try:
        result = measure(stack, 20, 300, KINDS[:2])
    finally:
        remove(table_of(stack), "bench-")
    assert (result["tampering_kinds"], result["tampering_named"]) == (2, 2)
    assert result["accounts"] >= 20
    assert result["entries"] >= 300
    assert result["peak_memory_mib"] > 0


def remove(table: Table, run: str) -> None:
    """Remove what is left of a test's accounts."""
    for page in table.client.get_paginator("scan").paginate(
        TableName=table.name, ProjectionExpression="pk, sk"
    ):
        for key in page["Items"]:
            if run in key["pk"]["S"]:
                table.client.delete_item(TableName=table.name, Key=key)


def test_an_account_in_use_has_no_findings_and_the_report_is_readable(
    stack: LocalStack,
    user: Api,
) -> None:
    spending = threading.Thread(target=spend, args=(user, 40))
    spending.start()
    found = [audited(stack, "--account", user.account_id)[:2]]
    while spending.is_alive():
        found.append(audited(stack, "--account", user.account_id)[:2])
    spending.join()
    assert found == [(0, [])] * len(found)
    report = operator(stack, "audit", "--account", user.account_id)
    assert report.stdout.split() == ["accounts", "1", "entries", "42", "findings", "0"]


def test_a_full_audit_finds_an_account_whose_item_is_gone(stack: LocalStack, user: Api) -> None:
    """The stack is shared, so findings about the accounts of other tests do not matter."""
    client, name = stack.client("dynamodb"), demo.details(stack).table_name
    item = items(stack, user.account_id)["ACCOUNT"]
    client.delete_item(TableName=name, Key={"pk": item["pk"], "sk": item["sk"]})
    code, findings, summary = audited(stack, "--segments", "2")
    mine = [one["code"] for one in findings if one["account_id"] == user.account_id]
    assert (code, mine) == (6, ["account_missing"])
    assert summary["accounts"] > 1
    client.put_item(TableName=name, Item=item)
    _, findings, summary = audited(stack, "--since", "2099-01-01")
    assert (findings, summary["accounts"]) == ([], 0)


def test_an_unknown_account_and_an_unknown_stack_are_errors(stack: LocalStack) -> None:
    answer = operator(stack, "audit", "--account", "nobody")
    assert (answer.exit_code, answer.stdout) == (5, "")
    assert "There is no account nobody" in answer.stderr
    answer = operator(stack, "audit", by_name="another")
    assert (answer.exit_code, answer.stdout) == (1, "")
