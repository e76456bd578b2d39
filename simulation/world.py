"""One world: a table, processes, callers and providers, run from a seed to its end.

It runs with faults first (safety), then without them until every caller has a response (liveness).
The model checks every write and every response, and the final state.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, cast

from scrip.audit.accounts import audit_account
from scrip.store.client import Table as ScripTable
from scrip.webhooks.providers import Provider
from scrip_cli.webhooks.signing import sign
from simulation import services
from simulation.deliveries import Deliveries
from simulation.dynamodb import EXCEPTIONS, SimulatedDynamoDB, freeze
from simulation.environment import SECRET, SIGNUP_CREDITS
from simulation.faults import Died, Fault, Faults
from simulation.findings import wrong
from simulation.leftovers import (
    check_archive,
    check_events,
    check_lists,
    check_totals,
    check_usage,
)
from simulation.model import Model
from simulation.plain import typed
from simulation.processes import NOW, Processes, SwitchingScheduler, at
from simulation.scheduler import current
from simulation.traffic import ADMIN, CATALOG, READS, START, Step, http_event, model

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from types_boto3_dynamodb import DynamoDBClient

TABLE = "scrip"
TRIES_MAX = 4
"""How many attempts a caller makes while there are faults."""

TRIES_MAX_WITHOUT_FAULTS = 12
SEED_STRIDE = 100_000_000_007
"""The distance between two worlds' random seeds: more than any number inside a world."""

LOG_LINES_MAX = 60
RIVALS = 10_000_000
"""The first number of the steps that races add."""


class ModelError(BaseException):
    """The model itself failed. The product cannot turn this into a 500."""


@dataclass
class Caller:
    """The caller of a step, with the responses so far: status and body of each."""

    step: Step
    responses: list[tuple[int, str]] = field(default_factory=list)
    has_finished: bool = False


class World:
    """Everything that one seed and its steps need."""

    def __init__(self, seed: int, steps: Sequence[Step], without: Collection[Fault] = ()) -> None:
        """Set up the world without running it."""
        self.seed = seed
        self.scheduler = SwitchingScheduler(START)
        NOW.scheduler = self.scheduler
        self.faults = Faults(without)
        self.database = SimulatedDynamoDB(TABLE)
        canceled = EXCEPTIONS["TransactionCanceledException"]
        self.wire = services.Wire(self.scheduler, self.faults, canceled, self._race)
        self.objects: dict[str, bytes] = {}
        self.sent: list[services.Sent] = []
        self.processes = Processes(self)
        self.model = Model(steps, SIGNUP_CREDITS)
        self.deliveries = Deliveries(self)
        self.callers = [Caller(step) for step in steps]
        self.log: deque[str] = deque(maxlen=LOG_LINES_MAX)
        self._seen = 0
        self._last_message = -1
        """The number of the latest message that a provider has sent so far."""

        self._rivals = 0
        self._swept_at = START

    # ---- The two phases --------------------------------------------------------------------------

    def run(self) -> None:
        """Run both phases and check the result.

        Raises:
            Wrong: a rule is broken.
        """
        self._load_catalog()
        for caller in self.callers:
            after = caller.step.at - START
            self.scheduler.spawn(partial(self._request, caller), self._chance_of(caller), after)
        self.scheduler.run()
        self.faults.over = True
        self._finish()
        self.scheduler.run()
        self._check_final_state()

    def chance(self, number: int) -> Random:
        """Return one of this world's random generators."""
        return Random(self.seed * SEED_STRIDE + number)

    def _chance_of(self, caller: Caller, part: int = 0) -> Random:
        """Return a step's own generator, which does not depend on the other steps."""
        return self.chance(caller.step.number * 64 + part)

    def _load_catalog(self) -> None:
        for key, attributes in CATALOG:
            item = {"pk": "CATALOG", "sk": key, "version": 1, "active": True, **attributes}
            self.database.put_item(TableName=TABLE, Item=typed(item))
        self.written()

    def written(self) -> None:
        """Pass new writes to the model, and start their deliveries."""
        changes = self.database.stream[self._seen :]
        if changes:
            self._seen = len(self.database.stream)
            try:
                self.model.written(changes, self.scheduler.now)
            except Exception as error:
                raise ModelError from error
            self.deliveries.written()

    def _finish(self) -> None:
        """Let every caller get a response, and deliver everything."""
        for caller in self.callers:
            if not caller.has_finished:
                self.scheduler.spawn(partial(self._request, caller), self._chance_of(caller, 9))
        self.scheduler.spawn(self.deliveries.wake_all, Random(self.seed))
        self.scheduler.run()
        # No clock is skewed from here on; three hours let the time pass those that were fast.
        self.processes.idle.clear()
        self.scheduler.spawn(self._sweep_last, Random(self.seed), 3 * 3600)

    def _sweep_last(self) -> None:
        self._swept_at = self.scheduler.now
        self.processes.invoke("reset", {})
        for account_id in list(self.model.books):
            self.deliveries.arrived(json.dumps({"account_id": account_id}))

    def digest(self) -> str:
        """Return a hash of the whole table."""
        items = self.database.scan(TableName=TABLE)["Items"]
        return hashlib.sha256(b"".join(map(freeze, items))).hexdigest()

    # ---- Callers ---------------------------------------------------------------------------------

    def _request(self, caller: Caller) -> None:
        """Make a step's request, and retry it as callers do."""
        step, random = caller.step, current().random
        faults, happens = self.faults, self.faults.happens
        if step.kind == "message" and not faults.over:
            self._disturb_delivery(caller, random)
        elif step.changes_something and step.may_be_repeated and not faults.over:
            if happens(Fault.SENT_TWICE, random):
                chance = self._chance_of(caller, 1)
                self.scheduler.spawn(
                    partial(self._attempt, caller), chance, random.uniform(0, 0.05)
                )
            if happens(Fault.SENT_AGAIN, random):
                after = random.uniform(3600, 20 * 3600)
                self.scheduler.spawn(
                    partial(self._attempt, caller), self._chance_of(caller, 2), after
                )
        if step.kind == "sweep" and happens(Fault.SWEEP_TWICE, random):
            self.scheduler.spawn(partial(self._attempt, caller), self._chance_of(caller, 3))
        tries = TRIES_MAX_WITHOUT_FAULTS if faults.over else TRIES_MAX
        for _ in range(tries if step.may_be_repeated else 1):
            if self._attempt(caller):
                caller.has_finished = True
                return
            self.scheduler.pause(random.uniform(0.05, 2))
        if not step.may_be_repeated:
            caller.has_finished = True
        elif faults.over:
            wrong("violation", f"{step} gets no response")

    def _disturb_delivery(self, caller: Caller, random: Random) -> None:
        happens = self.faults.happens
        if self.faults.drawn(Fault.WEBHOOK_SHUFFLED, random):
            self.scheduler.pause(random.uniform(1, 7200))
            if self._last_message > caller.step.number:
                self.faults.count(Fault.WEBHOOK_SHUFFLED)
        if happens(Fault.WEBHOOK_LATE, random):
            self.scheduler.pause(3 * 24 * 3600)
        if happens(Fault.WEBHOOK_TWICE, random):
            after = random.choice((0, 30, 3600, 3 * 24 * 3600))
            self.scheduler.spawn(partial(self._attempt, caller), self._chance_of(caller, 1), after)

    def _attempt(self, caller: Caller) -> bool:
        """Make one attempt; return whether there was a final response."""
        step, random = caller.step, current().random
        began = self.scheduler.now
        took_effect = step.reference in self.model.facts.effects
        self.scheduler.pause(random.uniform(0.001, 0.02))
        try:
            answer = self.processes.invoke(step.function, self._event(step))
        except Died:
            self.log.append(f"{at(self.scheduler.now):%d %H:%M:%S.%f} {step}: died")
            return False
        except Exception:
            # The schedule needs no response; the function runs again.
            if self.faults.over or step.kind != "sweep":
                raise
            return False
        if self.faults.happens(Fault.CALLER_LOST, random):
            return False
        if step.kind in {"sign_up", "sweep"}:
            return True
        status, body = answer["statusCode"], answer["body"]
        self.log.append(f"{at(self.scheduler.now):%d %H:%M:%S.%f} {step}: {status} {body[:150]}")
        if status == 503:
            return False
        if status >= 500:
            wrong("violation", f"the response to {step} is {status} {body}")
        self._compare(caller, status, body, since=began, has_taken_effect=took_effect)
        return True

    def _compare(
        self, caller: Caller, status: int, body: str, *, since: float, has_taken_effect: bool
    ) -> None:
        """Compare a response with the ledger and with earlier responses."""
        step, shown = caller.step, json.loads(body)
        is_done = status < 300
        if step.account_id is None:
            return
        if step.kind in READS and is_done:
            self.model.check_read(step, step.account_id, shown, since=since, now=self.scheduler.now)
        if step.kind in {"quota", "close"} or not (step.writes or step.kind == "extend"):
            return
        if is_done and step.kind == "extend":
            self.model.check_extension(step, step.account_id, shown, since=since)
            return
        if is_done:
            self.model.check_answer(step, step.account_id, shown)
            for other_status, other in caller.responses:
                if step.may_be_repeated and other_status < 300 and other != body:
                    wrong("violation", f"{step} has two responses: {other} and {body}")
        else:
            self.model.check_refusal(
                step,
                step.account_id,
                shown,
                since=since,
                now=self.scheduler.now,
                has_taken_effect=has_taken_effect,
            )
        caller.responses.append((status, body))

    def _event(self, step: Step) -> dict[str, Any]:
        if step.kind == "sweep":
            return {}
        if step.kind == "sign_up":
            return {
                "triggerSource": "PostConfirmation_ConfirmSignUp",
                "request": {
                    "userAttributes": {
                        "sub": step.account_id,
                        "email": step.body["email"],
                        "email_verified": "true",
                    },
                },
                "response": {},
            }
        if step.kind == "message":
            self._last_message = max(self._last_message, step.number)
            raw = json.dumps(step.body).encode()
            message_id = step.reference.partition(":")[2]
            now = datetime.fromtimestamp(time.time(), UTC)
            return http_event(
                step, sign(Provider.STANDARD, raw, SECRET, message_id=message_id, at=now)
            )
        if step.kind == "price":
            [*_, (_, known)] = self.model.facts.catalog[f"FEATURE#{step.path['feature_id']}"]
            return http_event(step, {"if-match": str(known["version"])})
        return http_event(step)

    def _race(self, partition_key: str, sort_key: str) -> bool:
        """Let a rival change an item before a transaction on it; return whether it changed."""
        step = self._rival(partition_key, sort_key)
        if step is None:
            return False
        key = {"pk": {"S": partition_key}, "sk": {"S": sort_key}}
        random, before = current().random, self.database.get_item(TableName=TABLE, Key=key)
        self.scheduler.spawn(partial(self._attempt, Caller(step)), Random(random.getrandbits(64)))
        self.scheduler.pause(random.uniform(0.02, 0.2))
        return before != self.database.get_item(TableName=TABLE, Key=key)

    def _rival(self, partition_key: str, sort_key: str) -> Step | None:
        """Return a step that changes an account or a feature."""
        self._rivals += 1
        number, now = RIVALS + self._rivals, self.scheduler.now
        kind, _, name = (partition_key if sort_key == "ACCOUNT" else sort_key).partition("#")
        if kind == "ACCOUNT":
            step = Step(number, now, "adjustment", name, path={"account_id": name})
            step.body = {"action": "add", "amount": 1, "reason": "race"}
            step.body["reference"] = step.reference
        elif kind == "FEATURE":
            step = Step(number, now, "price", None, path={"feature_id": name})
            cost = self._rivals % 30 + 1
            feature = dict(CATALOG)[sort_key]
            step.body = model(cost) if "meters" in feature else {**feature, "cost": cost}
        else:
            return None
        self.model.facts.know(step)
        return step

    # ---- At the end ------------------------------------------------------------------------------

    def _check_final_state(self) -> None:
        """Compare the final state with the model."""
        self.model.all_delivered(self._swept_at)
        check_archive(self.model, self.objects)
        check_events(self.model, self.sent)
        items = self.database.scan(TableName=TABLE)["Items"]
        check_usage(self.model, items)
        check_lists(self.model, items)
        check_totals(self.model, items)
        for account_id in self.model.books:
            check = partial(self._check_account, account_id)
            self.scheduler.spawn(check, Random(self.seed))
        self.scheduler.run()

    def _check_account(self, account_id: str) -> None:
        """Check that reading an account agrees with the model, and that its audit finds nothing."""
        books = self.model.books[account_id]
        if not books.is_closed:
            path = {"account_id": account_id}
            step = Step(0, self.scheduler.now, "account", account_id, claims=ADMIN, path=path)
            shown = json.loads(self.processes.invoke("account", http_event(step))["body"])
            if "balance" not in shown:
                wrong("lost", f"{account_id} is refused: {shown}")
            if shown["balance"] != books.balance:
                kind = "made" if shown["balance"] > books.balance else "lost"
                wrong(
                    kind, f"the balance of {account_id} is {shown['balance']}, not {books.balance}"
                )
        table = ScripTable(cast("DynamoDBClient", self.database), TABLE)
        audit = audit_account(table, account_id, at(self.scheduler.now))
        if audit is None or audit.findings:
            wrong("violation", f"the audit of {account_id}: {audit}")
