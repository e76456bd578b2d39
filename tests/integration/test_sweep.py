"""The monthly reset of 600 accounts: killed halfway, repeated, and run twice at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import batched
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from ulid import ULID

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.domain.commands import Adjust, AdjustAction, OpenAccount, ResetAnchor
from scrip.domain.decide import SIGNUP_ENTRY_ID, decide
from scrip.domain.entries import Actor, ActorType, Entry, EntryType
from scrip.domain.grants import GrantKind
from scrip.ledger import utc_now
from scrip.store.items import (
    account_item,
    account_of,
    audit_item,
    entry_item,
    entry_of,
    to_wire,
    watermark_item,
)
from scrip.store.keys import audit_key
from scrip_cli.local import process
from scrip_cli.local.deploy import outputs
from tests.conftest import SCRIP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrip.domain.account import Account
    from scrip_cli.local.stack import LocalStack

ACCOUNTS = 600
SAMPLE = 100
HOUR = timedelta(hours=1)
WAIT_SECONDS_MAX = 300
ADMIN = Actor(ActorType.ADMIN, "support")


@dataclass
class Due:
    """A stack with accounts whose new period began within the last five hours."""

    stack: LocalStack
    since: datetime
    due_at: dict[str, datetime]

    def __post_init__(self) -> None:
        """Make the clients and find the stack's parts."""
        self.outputs = outputs(self.stack)
        self.table = self.outputs["TableName"]
        self.queue = self.outputs["RenewQueueUrl"]
        self.dynamodb = self.stack.client("dynamodb")
        self.sqs = self.stack.client("sqs")

    def write(self) -> None:
        """Write the accounts to the table as they were on the day that they were opened."""
        items = [item for name in self.due_at for item in self._opened(name)]
        puts = [{"PutRequest": {"Item": to_wire(item)}} for item in items]
        with ThreadPoolExecutor(4) as pool:
            for answer in pool.map(self._put, batched(puts, 25, strict=False)):
                assert not answer["UnprocessedItems"]

    def set_balance(self, name: str, balance: int) -> Any:
        """Edit an account's item; return it."""
        return self.dynamodb.update_item(
            TableName=self.table,
            Key={"pk": {"S": f"ACCOUNT#{name}"}, "sk": {"S": "ACCOUNT"}},
            UpdateExpression="SET balance = :balance",
            ExpressionAttributeValues={":balance": {"N": str(balance)}},
            ReturnValues="ALL_NEW",
        )["Attributes"]

    def rewind_watermark(self) -> None:
        """Set the watermark back to before the sweep."""
        self.dynamodb.put_item(TableName=self.table, Item=to_wire(watermark_item(self.since)))

    def start(self) -> None:
        """Invoke the function as the schedule does."""
        answer = self.stack.client("lambda").invoke(FunctionName=self.outputs["ResetFunction"])
        assert "FunctionError" not in answer, answer["Payload"].read()

    def sweep_now(self) -> subprocess.Popen[str]:
        """Start `scrip sweep --now`, as an operator would, without waiting for it."""
        stack = ["--port", str(self.stack.port), "--state", str(self.stack.state_dir)]
        return subprocess.Popen(
            [SCRIP, "sweep", "--now", *stack],
            cwd=self.stack.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def retry_after(self, seconds: int) -> None:
        """Set how soon a message that failed is retried."""
        self.sqs.set_queue_attributes(
            QueueUrl=self.queue, Attributes={"VisibilityTimeout": str(seconds)}
        )

    def renewed_of_sample(self) -> int:
        """Count how many of a sample of the accounts are renewed."""
        keys = [
            {"pk": {"S": f"ACCOUNT#{name}"}, "sk": {"S": "ACCOUNT"}}
            for name in list(self.due_at)[:: ACCOUNTS // SAMPLE]
        ]
        answer = self.dynamodb.batch_get_item(RequestItems={self.table: {"Keys": keys}})
        accounts = answer["Responses"][self.table]
        return sum(int(account["period"]["N"]) > 0 for account in accounts)

    def kill_functions(self) -> int:
        """Kill every process that runs a function; return how many there were."""
        pid = process.running_pid(self.stack)
        found = subprocess.run(
            ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False
        )
        pids = [int(word) for word in found.stdout.split()]
        for worker in pids:
            os.kill(worker, signal.SIGKILL)
        return len(pids)

    def read_all(self) -> tuple[dict[str, Any], dict[str, list[Entry]]]:
        """Return the items of the accounts, and their entries in order."""
        accounts: dict[str, Any] = {}
        ledgers: dict[str, list[Entry]] = defaultdict(list)
        for page in self.dynamodb.get_paginator("scan").paginate(TableName=self.table):
            for item in page["Items"]:
                kind, _, name = item["pk"]["S"].partition("#")
                if name in self.due_at and item["sk"]["S"] == "ACCOUNT":
                    accounts[name] = item
                elif name in self.due_at and kind == "LEDGER":
                    ledgers[name].append(entry_of(item))
        for entries in ledgers.values():
            entries.sort(key=lambda entry: entry.seq)
        return accounts, ledgers

    def dead_letters(self) -> list[Any]:
        """Remove the messages of the dead-letter queue; return them."""
        url, found = self.outputs["DeadLetterQueueUrl"], []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def _opened(self, name: str) -> Iterator[dict[str, Any]]:
        # In January, which has every day that the current month has.
        due_at = self.due_at[name]
        opened_at = due_at.replace(month=1, year=due_at.year - (due_at.month == 1))
        opening = OpenAccount(
            account_id=name,
            entry_id=SIGNUP_ENTRY_ID,
            actor=ADMIN,
            plan_id="free",
            signup_credits=0,
            reset_anchor=ResetAnchor.SIGNUP,
            time_zone="UTC",
        )
        gift = Adjust(
            account_id=name,
            entry_id="gift",
            actor=ADMIN,
            action=AdjustAction.ADD,
            amount=30,
            kind=GrantKind.PROMO,
        )
        opened = decide(None, opening, catalog=DEFAULT_CATALOG, now=opened_at)
        given = decide(opened.after, gift, catalog=DEFAULT_CATALOG, now=opened_at)
        yield account_item(given.after)
        for entry in (*opened.entries, *given.entries):
            yield entry_item(name, entry)
        assert given.audit is not None
        yield audit_item(audit_key(name, str(ULID())), given.audit)

    def _put(self, puts: tuple[Any, ...]) -> Any:
        return self.dynamodb.batch_write_item(RequestItems={self.table: list(puts)})


@pytest.fixture
def due(stack: LocalStack) -> Iterator[Due]:
    now, run = utc_now(), uuid4().hex[:8]
    due_at = {f"sweep-{run}-{n}": now - n * 5 * HOUR / ACCOUNTS for n in range(ACCOUNTS)}
    due_at = {name: at.replace(microsecond=0) for name, at in due_at.items()}
    due = Due(stack, now - 6 * HOUR, due_at)
    due.write()
    due.rewind_watermark()
    yield due
    due.retry_after(90)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)


def check_renewal(account: Account, entries: list[Entry], due_at: datetime) -> None:
    """Check that the new period's credits were added once and nothing else has changed."""
    plan = [entry for entry in entries if entry.type is EntryType.PLAN]
    assert [entry.effective_at for entry in plan] == [account.anchor, due_at]
    assert {grant.kind: (grant.amount, grant.remaining) for grant in account.grants} == {
        GrantKind.PROMO: (30, 30),
        GrantKind.PLAN: (100, 100),
    }
    assert [entry.seq for entry in entries] == list(range(1, account.seq_last + 1))
    assert sum(entry.amount for entry in entries) == account.balance == 130
    assert entries[-1].hash == account.hash


def test_600_accounts_are_renewed_once_whatever_happens_to_the_sweep(due: Due) -> None:
    # The first one in its range of the directory; all others follow it.
    bad = list(due.due_at)[-1]
    tampered = due.set_balance(bad, 1_000_000)

    # All workers die halfway, with a watermark as if the sweep had died before moving it.
    due.retry_after(20)
    due.start()
    wait_until(lambda: due.renewed_of_sample() >= SAMPLE / 4)
    assert due.kill_functions() > 0
    assert due.renewed_of_sample() < SAMPLE, "the sweep was over before the workers died"
    due.rewind_watermark()

    # Again, twice at once. Failed messages are retried soon from then on, to save minutes.
    sweeps = [due.sweep_now(), due.sweep_now()]
    wait_until(lambda: due.renewed_of_sample() == SAMPLE)
    due.retry_after(2)
    for sweep in sweeps:
        output, _ = sweep.communicate(timeout=WAIT_SECONDS_MAX)
        assert sweep.returncode == 1, "there are dead letters now"
        assert "failed permanently" in output

    dead = due.dead_letters()
    assert dead
    assert all(letter == {"account_id": bad} for letter in dead)
    accounts, ledgers = due.read_all()
    assert accounts.pop(bad) == tampered
    for name, item in accounts.items():
        check_renewal(account_of(item), ledgers[name], due.due_at[name])

    # Once repaired, the account is renewed by the next sweep.
    due.set_balance(bad, 130)
    due.rewind_watermark()
    sweep = due.sweep_now()
    output, _ = sweep.communicate(timeout=WAIT_SECONDS_MAX)
    assert sweep.returncode == 0, output
    accounts, ledgers = due.read_all()
    assert len(accounts) == ACCOUNTS
    for name, item in accounts.items():
        check_renewal(account_of(item), ledgers[name], due.due_at[name])
