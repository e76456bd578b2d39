"""Faults in the real stack: no credit is lost or made, whatever happens to calls and processes.

The stack's own parameter lets the calls of its table go wrong, and somebody kills its functions'
processes. Meanwhile callers use a few accounts all at once and repeat what was not answered. Then
the ledger is compared with what they were told, by sums that share nothing with the product.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from scrip.webhooks.providers import Provider
from scrip_cli.local import demo
from scrip_cli.local.ministack_gaps import bring_console_home
from scrip_cli.local.process import running_pid
from scrip_cli.local.stack import STACK_NAME, LocalStack
from scrip_cli.webhooks.signing import sign
from tests.integration.test_audit import audited, items
from tests.integration.test_events import logged
from tests.integration.test_races import entries_of
from tests.unit.domain.test_invariants import hash_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.integration.conftest import Api

SEED = int(os.environ.get("SEED", time.time_ns() % 10**9))

CALLERS = 20
OPERATIONS = 10
ACCOUNTS = 4
KILLS_MAX = 4
TRIES_MAX = 40
DEPLOYED_SECONDS_MAX = 240

FAULTS = {
    "request_lost": 0.02,
    "answer_lost": 0.03,
    "late": 0.03,
    "throttled": 0.02,
    "conflict": 0.05,
    "in_progress": 0.02,
    "dies_before": 0.001,
    "dies_after": 0.003,
}
"""How often each happens to a call of the table, among them those of the stream's function."""

MESSAGE = "standard:"
"""What stands before the name of a purchase, which is its message's."""

RELEASE = "release:"
"""What the name of a hold's end begins with that no call about the hold has asked for."""

AT_ONCE = {"consume": 3, "hold": 1, "capture": 1, "refund": 2, "add": 1, "deduct": 1, "buy": 1}
"""How many callers do so at once. Each needs a process, and it takes a second to start one."""

UNKNOWN = {502, 503, 504}
"""After these a caller knows nothing, and asks again: its function died, or Scrip was busy."""


@dataclass
class Operation:
    """What somebody asks for under a name of its own, and what they were answered in the end."""

    account_id: str
    name: str
    ask: Callable[[], httpx.Response]
    credits: int
    kind: str
    of: str | None = None
    answers: list[httpx.Response] = field(default_factory=list)

    @property
    def change(self) -> int:
        """What becomes of the balance if it is done."""
        if self.kind == "hold":
            return 0
        return -self.credits if self.kind in {"consume", "capture", "deduct"} else self.credits

    @property
    def told(self) -> dict[str, Any] | None:
        """What somebody was told once it was done, if anybody was."""
        done = [answer.json() for answer in self.answers if answer.is_success]
        assert all(one == done[0] for one in done), (self.name, done)
        return done[0] if done else None


@dataclass
class Traffic:
    """Everybody who asks, on the accounts that they share."""

    service: Api
    admin: Api
    users: list[Api]
    webhook_secret: str
    operations: list[Operation] = field(default_factory=list)
    failures: Counter[int] = field(default_factory=Counter)
    is_over: threading.Event = field(default_factory=threading.Event)
    slots: dict[str, threading.Semaphore] = field(
        default_factory=lambda: {kind: threading.Semaphore(n) for kind, n in AT_ONCE.items()}
    )

    def caller(self, number: int) -> None:
        """Ask for one thing after the other, some of them twice at once."""
        dice = random.Random(f"{SEED} {number}")
        user = self.users[number % ACCOUNTS]
        spent: list[Operation] = []
        held: list[Operation] = []
        for n in range(OPERATIONS):
            kinds, often = ["consume", "hold", "refund", "add", "deduct", "buy"], [8, 3, 5, 2, 2, 3]
            [kind] = dice.choices(kinds, often) if spent else ["consume"]
            name, amount = f"{number}-{n}-{SEED}", dice.randint(1, 40)
            of = dice.choice(spent).name if kind == "refund" else None
            if held and dice.random() < 0.5:
                kind, of, amount = "capture", held[-1].name, held.pop().credits
            operation = Operation(
                user.account_id, name, self.asking(user, kind, name, amount, of), amount, kind, of
            )
            self.operations.append(operation)
            with ThreadPoolExecutor(2) as pool:
                at_once = 2 if dice.random() < 0.2 else 1
                list(pool.map(self.answered, [operation] * at_once))
            if kind in {"consume", "capture"} and operation.told:
                spent.append(operation)
            if kind == "hold" and operation.told:
                held.append(operation)

    def asking(
        self, user: Api, kind: str, name: str, amount: int, of: str | None
    ) -> Callable[[], httpx.Response]:
        """Return what asks for something, as who may."""
        account_id, told = user.account_id, {"reference": name, "reason": "to be tried"}
        change = {"action": kind, "amount": amount, **told}
        payload = {
            "type": "credits.purchased",
            "timestamp": "2026-11-10T00:00:00Z",
            "data": {"payment_id": name, "credits": amount, "account_id": account_id},
        }
        return {
            "consume": lambda: user.post("/me/consume", {"amount": amount, **told}, name),
            "hold": lambda: user.post(
                "/me/holds", {"amount": amount, "expires_in": 86_400, **told}, name
            ),
            "capture": lambda: user.post(f"/me/holds/user:{of}/capture", told, name),
            "refund": lambda: self.service.post(
                f"/{account_id}/refunds", {"entry_id": f"user:{of}", "amount": amount, **told}, name
            ),
            "add": lambda: self.admin.post(f"/{account_id}/adjustments", change, name),
            "deduct": lambda: self.admin.post(f"/{account_id}/adjustments", change, name),
            "buy": lambda: self.deliver(payload, name),
        }[kind]

    def deliver(self, payload: dict[str, Any], message_id: str) -> httpx.Response:
        """Send a signed message, as a billing system does."""
        raw, standard = json.dumps(payload).encode(), Provider.STANDARD
        signed = sign(
            standard, raw, self.webhook_secret, message_id=message_id, at=datetime.now(UTC)
        )
        headers = {"Content-Type": "application/json", **signed}
        return self.service.http.post("/v1/webhooks/standard", content=raw, headers=headers)

    def answered(self, operation: Operation) -> None:
        """Ask until there is an answer that stands."""
        for _ in range(TRIES_MAX):
            with self.slots[operation.kind]:
                answer = operation.ask()
            if answer.status_code not in UNKNOWN:
                assert answer.status_code in {200, 201, 402, 409}, answer.text
                operation.answers.append(answer)
                return
            self.failures[answer.status_code] += 1
            time.sleep(random.uniform(0, 0.3))
        raise AssertionError(f"{operation.name} was never answered")


@contextmanager
def faults(stack: LocalStack, chances: str) -> Iterator[None]:
    """Deploy the stack with faults, and without them again."""
    deploy(stack, chances)
    try:
        yield
    finally:
        deploy(stack, "")


def deploy(stack: LocalStack, chances: str, **others: str) -> None:
    """Update the stack's parameters, as a deployment does."""
    cloudformation = stack.client("cloudformation")
    [found] = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"]
    given = {"Faults": chances, **others}
    # It answers when all processes of all functions are gone. A busy machine may need a while.
    with suppress(ReadTimeoutError):
        cloudformation.update_stack(
            StackName=STACK_NAME,
            UsePreviousTemplate=True,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[
                {"ParameterKey": name, "ParameterValue": given[name]}
                if name in given
                else {"ParameterKey": name, "UsePreviousValue": True}
                for name in (one["ParameterKey"] for one in found["Parameters"])
            ],
        )
    deadline = time.monotonic() + DEPLOYED_SECONDS_MAX
    while not is_deployed(stack, chances):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    bring_console_home(stack)


def logged_faults(stack: LocalStack) -> Counter[str]:
    """How often each fault is in the logs of the functions that callers set to work."""
    return Counter(
        line["fault"]
        for function in ("Consume", "Refund", "Adjust", "Webhook", "Events")
        for line in logged(stack, function, "fault")
        if line["message"] == "fault"
    )


def is_deployed(stack: LocalStack, chances: str) -> bool:
    """Tell whether the last update is through and was this one."""
    with suppress(ReadTimeoutError):
        [found] = stack.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
        given = {one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]}
        return bool(found["StackStatus"] == "UPDATE_COMPLETE" and given["Faults"] == chances)
    return False


def workers(stack: LocalStack) -> list[int]:
    """The processes of the stack's functions: the server has no other children."""
    said = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    server = str(running_pid(stack))
    lines = [line.split() for line in said.stdout.splitlines()]
    return [int(pid) for pid, parent in lines if parent == server]


def kill_some(stack: LocalStack, is_over: threading.Event) -> int:
    """Kill a function's process every now and then, whatever it is at; return how many."""
    dice, kills = random.Random(SEED), 0
    while kills < KILLS_MAX and not is_over.wait(dice.uniform(0.2, 1.0)):
        found = workers(stack)
        if found:
            os.kill(dice.choice(found), signal.SIGKILL)
            kills += 1
    return kills


def test_nothing_but_a_stage_for_tests_takes_faults(stack: LocalStack) -> None:
    for chances, others in (("late=0.1", {"Stage": "prod"}), ("late", {})):
        with pytest.raises(ClientError, match="Faults"):
            deploy(stack, chances, **others)


@dataclass
class Findings:
    """What is wrong with the ledger, in sentences."""

    lost: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def compare(
        self,
        entries: list[dict[str, Any]],
        operations: list[Operation],
        begun: dict[str, Any],
        ended: dict[str, Any],
    ) -> None:
        """Compare an account's new entries with what was asked for, and its balance with both."""
        by_name: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for entry in entries:
            # A deduction may end what the user holds: that moves credits within the account.
            if not entry["entry_id"].startswith(RELEASE):
                by_name[str(entry["reference"]).removeprefix(MESSAGE)].append(entry)
        for name in by_name.keys() - {operation.name for operation in operations}:
            self.made.append(f"nobody asked for {by_name[name]}")
        for operation in operations:
            self._compare_one(operation, by_name[operation.name])
        for first in operations:
            # Refunds of what was taken, or the capture of what was held.
            later = [one for one in operations if one.of == first.name and one.told]
            if sum(one.credits for one in later) > first.credits:
                self.violations.append(f"more than {first.name} took or held: {later}")
        expected = begun["balance"] + sum(one.change for one in operations if one.told)
        if ended["balance"] != expected:
            kind = self.made if ended["balance"] > expected else self.lost
            kind.append(f"{ended['account_id']} has {ended['balance']}, not {expected}")

    def _compare_one(self, asked: Operation, found: list[dict[str, Any]]) -> None:
        told = asked.told
        if len(found) > 1:
            self.double.append(f"{asked.name} took effect {len(found)} times")
        if told and not found:
            self.lost.append(f"{asked.name} was answered {told} and is not there")
        if found and not told:
            self.made.append(f"{asked.name} was refused, and there is {found}")
        for entry in found:
            if entry["amount"] != asked.change:
                self.violations.append(f"{asked} made {entry}")
            # A user is told less of the actor than the service that reads the entries.
            if told and {**told.get("entry", entry), "actor": entry["actor"]} != entry:
                self.violations.append(f"{asked.name} was told {told['entry']}, it is {entry}")

    def __str__(self) -> str:
        counted = {name: len(found) for name, found in vars(self).items()}
        return " ".join(f"{name}={number}" for name, number in counted.items())


def test_no_credit_is_lost_or_made_while_calls_fail_and_processes_die(
    stack: LocalStack,
    caller: Callable[..., Api],
    service: Api,
    admin: Api,
    heard: Callable[[], list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    emails = [f"{uuid4()}@example.com" for _ in range(ACCOUNTS)]
    ids = [demo.sign_up(stack, email) for email in emails]
    users = [
        caller(demo.user_token(stack, email), account_id)
        for email, account_id in zip(emails, ids, strict=True)
    ]
    # One of them will often have too little.
    poor = {"action": "set", "amount": 100, "reason": "to be tried"}
    assert admin.post(f"/{ids[0]}/adjustments", poor).status_code == 201
    begun = {user.account_id: user.get("/me").json() for user in users}
    before = {user.account_id: entries_of(user.account_id, service) for user in users}
    known = logged_faults(stack)
    traffic = Traffic(service, admin, users, demo.details(stack).webhook_secrets["standard"])

    with faults(stack, ",".join(f"{name}={chance}" for name, chance in FAULTS.items())):
        with ThreadPoolExecutor(CALLERS + 1) as pool:
            kills = pool.submit(kill_some, stack, traffic.is_over)
            asking = [pool.submit(traffic.caller, number) for number in range(CALLERS)]
            for one in asking:
                one.exception()
            traffic.is_over.set()
        for one in asking:
            one.result()
        # Whatever was done says so again, and nothing happens a second time.
        done = [operation for operation in traffic.operations if operation.told]
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(traffic.answered, done))
    for operation in done:
        replayed = "Idempotency-Replayed" in operation.answers[-1].headers
        assert replayed or operation.kind == "buy"

    findings = Findings()
    for user in users:
        account_id = user.account_id
        items(stack, account_id)  # once the stream is through
        entries, ended = entries_of(account_id, service), user.get("/me").json()
        assert entries[: len(before[account_id])] == before[account_id]
        assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
        hash_chain(entries)
        own = [one for one in traffic.operations if one.account_id == account_id]
        findings.compare(entries[len(before[account_id]) :], own, begun[account_id], ended)
        code, found, _ = audited(stack, "--account", account_id)
        findings.violations += [str(one) for one in found]
        assert (code == 0) == (not found)
        findings.violations += told_otherwise(entries, account_id, heard)

    injected = logged_faults(stack) - known
    closing = (
        f"operations={len(traffic.operations)} faults={injected.total()} kills={kills.result()} "
        f"{findings} seed={SEED}"
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{closing}\n{dict(injected)}, callers saw {dict(traffic.failures)}\n")
    assert not any(vars(findings).values()), f"{closing}\n{findings!r}"
    assert len(traffic.operations) == CALLERS * OPERATIONS
    # Of deaths there are few, because each costs a second; there are kills besides.
    assert injected.keys() >= FAULTS.keys() - {"dies_before", "dies_after"}
    assert injected.total() >= CALLERS * OPERATIONS / 10
    assert traffic.failures.total() > 0
    assert kills.result() >= 3


def told_otherwise(
    entries: list[dict[str, Any]],
    account_id: str,
    heard: Callable[[], list[dict[str, Any]]],
) -> list[str]:
    """Say of which entries no event or another one was told, once all could have been."""
    expected = {(entry["seq"], entry["entry_id"]) for entry in entries}
    deadline = time.monotonic() + 30
    while True:
        told = {
            (event["detail"]["seq"], event["detail"]["entry_id"])
            for event in heard()
            if event["detail"]["account_id"] == account_id and "entry_id" in event["detail"]
        }
        if told == expected or time.monotonic() > deadline:
            return [f"{one} was not told as it is" for one in expected ^ told]
        time.sleep(0.02)
