"""The ledger as a file, even if the process that writes it dies: `scrip export`."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import time
from collections import Counter
from itertools import batched
from typing import TYPE_CHECKING, Any

import pytest

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.domain.commands import Consume
from scrip.domain.decide import decide
from scrip.domain.entries import Actor, ActorType
from scrip.ledger import opening, utc_now
from scrip.settings import Settings
from scrip.store.items import account_item, entry_item, to_wire
from scrip_cli.local import demo
from tests.conftest import SCRIP
from tests.integration.test_operators import items_below, local, operator

if TYPE_CHECKING:
    from pathlib import Path

    from scrip_cli.local.stack import LocalStack

ACCOUNTS = 10
ENTRIES = 100
SECONDS_MAX = 60


@pytest.fixture(scope="module")
def ledger_of_many(stack: LocalStack) -> None:
    """Accounts with histories of several pages; a page is a megabyte."""
    settings, now = Settings(table_name="", signup_credits=10_000), utc_now()
    items: list[dict[str, Any]] = []
    for number in range(ACCOUNTS):
        account_id = f"export-{number}"
        posting = decide(
            None, opening(account_id, stack=settings), catalog=DEFAULT_CATALOG, now=now
        )
        items += [entry_item(account_id, entry) for entry in posting.entries]
        for use in range(ENTRIES - len(posting.entries)):
            command = Consume(
                account_id=account_id,
                entry_id=f"use-{use}",
                actor=Actor(ActorType.USER, account_id),
                amount=1,
                metadata={"note": 'a line,\n"another" ☃' * 300},
            )
            posting = decide(posting.after, command, catalog=DEFAULT_CATALOG, now=now)
            items += [entry_item(account_id, entry) for entry in posting.entries]
        items.append(account_item(posting.after))
    client, table = stack.client("dynamodb"), demo.details(stack).table_name
    for some in batched(items, 25, strict=False):
        puts = [{"PutRequest": {"Item": to_wire(item)}} for item in some]
        assert not client.batch_write_item(RequestItems={table: puts})["UnprocessedItems"]


def entries_in(stack: LocalStack) -> Counter[tuple[str, str, str]]:
    """Return account, ID and hash of every entry of these accounts in the table."""
    return Counter(
        (
            item["pk"]["S"].removeprefix("LEDGER#"),
            item["sk"]["S"].removeprefix("ENTRY#"),
            item["hash"]["B"].hex(),
        )
        for item in items_below(stack, "LEDGER#export-")
    )


def bytes_recorded(resume: Path) -> int:
    """Return the recorded length of the file; 0 without a record."""
    try:
        return int(json.loads(resume.read_text())["point"]["bytes"])
    except FileNotFoundError:
        return 0


@pytest.mark.usefixtures("ledger_of_many")
def test_an_export_that_was_killed_and_stopped_continues_without_losing_or_repeating_an_entry(
    stack: LocalStack, tmp_path: Path
) -> None:
    out = tmp_path / "ledger.ndjson"
    resume = tmp_path / "ledger.ndjson.resume"
    words = ["export", "--out", str(out)]
    for end, exit_code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)):
        before = bytes_recorded(resume)
        process = subprocess.Popen([SCRIP, *words, *local(stack)], cwd=stack.root, stderr=-1)
        deadline = time.monotonic() + SECONDS_MAX
        while bytes_recorded(resume) <= before:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(end)
        stderr = process.communicate(timeout=SECONDS_MAX)[1].decode()
        assert process.returncode == exit_code, stderr
        assert out.stat().st_size >= bytes_recorded(resume) > before
    done = operator(stack, *words)
    assert (done.exit_code, "Continuing after" in done.stderr) == (0, True)
    lines = map(json.loads, out.read_text().splitlines())
    exported = Counter(
        (line["account_id"], line["entry_id"], line["hash"])
        for line in lines
        if line["account_id"].startswith("export-")
    )
    assert exported == entries_in(stack)
    assert exported.total() == len(exported) == ACCOUNTS * ENTRIES
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.usefixtures("ledger_of_many")
def test_one_account_is_exported_in_order_as_csv(stack: LocalStack, tmp_path: Path) -> None:
    out = tmp_path / "ledger.csv"
    words = ["export", "--out", str(out), "--format", "csv", "--account", "export-3"]
    done = operator(stack, *words)
    assert (done.exit_code, f"{ENTRIES} entries, {out.stat().st_size} bytes" in done.stderr) == (
        0,
        True,
    )
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert [row["seq"] for row in rows] == [str(seq) for seq in range(1, ENTRIES + 1)]
    assert {row["account_id"] for row in rows} == {"export-3"}
    refused = operator(stack, *words)
    assert (refused.exit_code, "already exists" in refused.stderr) == (1, True)


@pytest.mark.usefixtures("ledger_of_many")
def test_standard_output_contains_only_entries(stack: LocalStack) -> None:
    words = ["export", "--out", "-", "--account", "export-3", "--since", "2020-01-01"]
    piped = operator(stack, *words)
    assert len([json.loads(line) for line in piped.stdout.splitlines()]) == ENTRIES
    assert operator(stack, *words[:-1], "2999-01-01").stdout == ""
