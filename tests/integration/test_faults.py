"""Faults in the real stack: no credit is lost or made, whatever happens to calls and processes.

A parameter of the stack injects faults into the calls of its table, and the test kills processes of
its functions. Meanwhile concurrent callers use a few accounts and retry until they get a response.
Then the ledger is compared with these responses, by sums that share no code with the product.
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
"""The probability of each per call of the table, including those of the stream's function."""

MESSAGE = "standard:"
"""The prefix of a purchase's reference; the rest is the ID of its message."""

RELEASE = "release:"
"""The prefix of an entry's ID when a hold ends without a request for it."""

AT_ONCE = {"consume": 3, "hold": 1, "capture": 1, "refund": 2, "add": 1, "deduct": 1, "buy": 1}
"""Concurrent requests of each kind. Each needs a process, which takes a second to start."""

UNKNOWN = {502, 503, 504}
"""The outcome is unknown, so the caller retries: the function died, or Scrip was busy."""


@dataclass
class Operation:
    """A request with a unique name, and its final responses."""

    account_id: str
    name: str
    ask: Callable[[], httpx.Response]
    credits: int
    kind: str
    of: str | None = None
    answers: list[httpx.Response] = field(default_factory=list)

    @property
    def change(self) -> int:
        """The change of the balance if the request succeeds."""
        if self.kind == "hold":
            return 0
        return -self.credits if self.kind in {"consume", "capture", "deduct"} else self.credits

    @property
    def body(self) -> dict[str, Any] | None:
        """The body of its successful responses, if there are any."""
        done = [answer.json() for answer in self.answers if answer.is_success]
        assert all(one == done[0] for one in done), (self.name, done)
        return done[0] if done else None


@dataclass
class Traffic:
    """All callers, and the accounts that they share."""

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
        """Send one request after another, some of them twice at once."""
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
            if kind in {"consume", "capture"} and operation.body:
                spent.append(operation)
            if kind == "hold" and operation.body:
                held.append(operation)

    def asking(
        self, user: Api, kind: str, name: str, amount: int, of: str | None
    ) -> Callable[[], httpx.Response]:
        """Return a function that sends a request as a caller who may."""
        account_id, fields = user.account_id, {"reference": name, "reason": "a test"}
        change = {"action": kind, "amount": amount, **fields}
        payload = {
            "type": "credits.purchased",
            "timestamp": "2026-11-10T00:00:00Z",
            "data": {"payment_id": name, "credits": amount, "account_id": account_id},
        }
        return {
            "consume": lambda: user.post("/me/consume", {"amount": amount, **fields}, name),
            "hold": lambda: user.post(
                "/me/holds", {"amount": amount, "expires_in": 86_400, **fields}, name
            ),
            "capture": lambda: user.post(f"/me/holds/user:{of}/capture", fields, name),
            "refund": lambda: self.service.post(
                f"/{account_id}/refunds",
                {"entry_id": f"user:{of}", "amount": amount, **fields},
                name,
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
        """Retry a request until its response is final."""
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
    """Deploy the stack with faults for the duration of a block."""
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
    # It responds once all processes of all functions are gone, which can take a while.
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
    """Return how often each fault is in the logs of the functions that the callers use."""
    return Counter(
        line["fault"]
        for function in ("Consume", "Refund", "Adjust", "Webhook", "Events")
        for line in logged(stack, function, "fault")
        if line["message"] == "fault"
    )


def is_deployed(stack: LocalStack, chances: str) -> bool:
    """Return whether the last update is complete and was this one."""
    with suppress(ReadTimeoutError):
        [found] = stack.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
        given = {one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]}
        return bool(found["StackStatus"] == "UPDATE_COMPLETE" and given["Faults"] == chances)
    return False


def workers(stack: LocalStack) -> list[int]:
    """Return the processes of the stack's functions: the server has no other children."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    server = str(running_pid(stack))
    lines = [line.split() for line in listed.stdout.splitlines()]
    return [int(pid) for pid, parent in lines if parent == server]


def kill_some(stack: LocalStack, is_over: threading.Event) -> int:
    """Kill a function's process now and then, whatever it is doing; return how many."""
    dice, kills = random.Random(SEED), 0
    while kills < KILLS_MAX and not is_over.wait(dice.uniform(0.2, 1.0)):
        found = workers(stack)
        if found:
            os.kill(dice.choice(found), signal.SIGKILL)
            kills += 1
    return kills


def test_only_a_stage_for_tests_accepts_faults(stack: LocalStack) -> None:
    for chances, others in (("late=0.1", {"Stage": "prod"}), ("late", {})):
        with pytest.raises(ClientError, match="Faults"):
            deploy(stack, chances, **others)


@dataclass
class Findings:
    """The problems of the ledger, in sentences."""

    lost: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def compare(
        self,
        entries: list[dict[str, Any]],
        operations: list[Operation],
        at_start: dict[str, Any],
        at_end: dict[str, Any],
    ) -> None:
        """Compare an account's new entries with its requests, and its balance with both."""
        by_name: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for entry in entries:
            # A deduction may end a user's hold, which moves credits within the account.
            if not entry["entry_id"].startswith(RELEASE):
                by_name[str(entry["reference"]).removeprefix(MESSAGE)].append(entry)
        for name in by_name.keys() - {operation.name for operation in operations}:
            self.made.append(f"no request explains {by_name[name]}")
        for operation in operations:
            self._compare_one(operation, by_name[operation.name])
        for first in operations:
            # The refunds of a charge, or the capture of a hold.
            later = [one for one in operations if one.of == first.name and one.body]
            if sum(one.credits for one in later) > first.credits:
                self.violations.append(f"more than {first.name} took or held: {later}")
        expected = at_start["balance"] + sum(one.change for one in operations if one.body)
        if at_end["balance"] != expected:
            kind = self.made if at_end["balance"] > expected else self.lost
            kind.append(f"{at_end['account_id']} has {at_end['balance']}, not {expected}")

    def _compare_one(self, asked: Operation, found: list[dict[str, Any]]) -> None:
        body = asked.body
        if len(found) > 1:
            self.double.append(f"{asked.name} took effect {len(found)} times")
        if body and not found:
            self.lost.append(f"{asked.name} got {body}, but has no entry")
        if found and not body:
            self.made.append(f"{asked.name} was refused, but has {found}")
        for entry in found:
            if entry["amount"] != asked.change:
                self.violations.append(f"{asked} made {entry}")
            # A user sees less of the actor than the service that reads the entries.
            if body and {**body.get("entry", entry), "actor": entry["actor"]} != entry:
                self.violations.append(f"{asked.name} got {body['entry']}, not {entry}")

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
    # One of them often has too little.
    poor = {"action": "set", "amount": 100, "reason": "a test"}
    assert admin.post(f"/{ids[0]}/adjustments", poor).status_code == 201
    at_start = {user.account_id: user.get("/me").json() for user in users}
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
        # Each request that succeeded gets the same response again, without another effect.
        done = [operation for operation in traffic.operations if operation.body]
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(traffic.answered, done))
    for operation in done:
        replayed = "Idempotency-Replayed" in operation.answers[-1].headers
        assert replayed or operation.kind == "buy"

    findings = Findings()
    for user in users:
        account_id = user.account_id
        items(stack, account_id)  # wait for the stream
        entries, at_end = entries_of(account_id, service), user.get("/me").json()
        assert entries[: len(before[account_id])] == before[account_id]
        assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
        hash_chain(entries)
        own = [one for one in traffic.operations if one.account_id == account_id]
        findings.compare(entries[len(before[account_id]) :], own, at_start[account_id], at_end)
        code, found, _ = audited(stack, "--account", account_id)
        findings.violations += [str(one) for one in found]
        assert (code == 0) == (not found)
        findings.violations += events_missing_or_wrong(entries, account_id, heard)

    injected = logged_faults(stack) - known
    closing = (
        f"operations={len(traffic.operations)} faults={injected.total()} kills={kills.result()} "
        f"{findings} seed={SEED}"
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{closing}\n{dict(injected)}, callers saw {dict(traffic.failures)}\n")
    assert not any(vars(findings).values()), f"{closing}\n{findings!r}"
    assert len(traffic.operations) == CALLERS * OPERATIONS
    # Deaths are rare, because each takes a second; the kills make up for it.
    assert injected.keys() >= FAULTS.keys() - {"dies_before", "dies_after"}
    assert injected.total() >= CALLERS * OPERATIONS / 10
    assert traffic.failures.total() > 0
    assert kills.result() >= 3


def events_missing_or_wrong(
    entries: list[dict[str, Any]],
    account_id: str,
    heard: Callable[[], list[dict[str, Any]]],
) -> list[str]:
    """Return entries without an event, and events without an entry, after a wait for the stream."""
    expected = {(entry["seq"], entry["entry_id"]) for entry in entries}
    deadline = time.monotonic() + 30
    while True:
        published = {
            (event["detail"]["seq"], event["detail"]["entry_id"])
            for event in heard()
            if event["detail"]["account_id"] == account_id and "entry_id" in event["detail"]
        }
        if published == expected or time.monotonic() > deadline:
            return [f"{one} is only in the ledger or an event" for one in expected ^ published]
        time.sleep(0.02)
