"""One world: a table, processes, people and providers, run from a seed to its end.

First with faults (safety), then without them until everybody has an answer (liveness). The model
looks at every write and every answer; at the end it looks at everything.
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
from simulation.leftovers import check_archive, check_events, check_usage
from simulation.model import Model
from simulation.plain import typed
from simulation.processes import NOW, Processes, SwitchingScheduler, at
from simulation.scheduler import current
from simulation.traffic import ADMIN, CATALOG, READS, START, Step, http_event

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from types_boto3_dynamodb import DynamoDBClient

TABLE = "scrip"
TRIES_MAX = 4
"""How often a caller asks before it gives up, as long as there are faults."""

TRIES_MAX_WITHOUT_FAULTS = 12
SEED_STRIDE = 100_000_000_007
"""How far apart the chances of two worlds are: farther than any number inside a world."""

LOG_LINES_MAX = 60
RIVALS = 10_000_000
"""The numbers of the steps that races add begin here."""


class ModelError(BaseException):
    """The model itself has failed: past the product, which would answer 500."""


@dataclass
class Asked:
    """A step and what came of it: when it was asked for, and the answers."""

    step: Step
    answers: list[tuple[int, str]] = field(default_factory=list)
    has_finished: bool = False


class World:
    """All of it, for one seed and some steps."""

    def __init__(self, seed: int, steps: Sequence[Step], without: Collection[Fault] = ()) -> None:
        """Set the world up; nothing has happened yet."""
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
        self.asked = [Asked(step) for step in steps]
        self.log: deque[str] = deque(maxlen=LOG_LINES_MAX)
        self._seen = 0
        self._last_message = -1
        """The number of the latest message that a provider has sent so far."""

        self._rivals = 0

    # ---- The two phases --------------------------------------------------------------------------

    def run(self) -> None:
        """Run it all.

        Raises:
            Wrong: something is not as it must be.
        """
        self._load_catalog()
        for asked in self.asked:
            after = asked.step.at - START
            self.scheduler.spawn(partial(self._ask, asked), self._chance_of(asked), after)
        self.scheduler.run()
        self.faults.over = True
        self._finish()
        self.scheduler.run()
        self._look_at_everything()

    def chance(self, number: int) -> Random:
        """Return one of this world's chances."""
        return Random(self.seed * SEED_STRIDE + number)

    def _chance_of(self, asked: Asked, part: int = 0) -> Random:
        """Return the chance of a step: its own, so that it stays when others are left out."""
        return self.chance(asked.step.number * 64 + part)

    def _load_catalog(self) -> None:
        for key, told in CATALOG:
            item = {"pk": "CATALOG", "sk": key, "version": 1, "active": True, **told}
            self.database.put_item(TableName=TABLE, Item=typed(item))
        self.written()

    def written(self) -> None:
        """Show the model what was written since it looked last, and wake who waits for it."""
        changes = self.database.stream[self._seen :]
        if changes:
            self._seen = len(self.database.stream)
            try:
                self.model.written(changes, self.scheduler.now)
            except Exception as error:
                raise ModelError from error
            self.deliveries.written()

    def _finish(self) -> None:
        """Let every caller ask until there is an answer, and everything be delivered."""
        for asked in self.asked:
            if not asked.has_finished:
                self.scheduler.spawn(partial(self._ask, asked), self._chance_of(asked, 9))
        self.scheduler.spawn(self.deliveries.wake_all, Random(self.seed))
        self.scheduler.run()
        # Nobody has a skewed clock from here on, and the clocks that were ahead are waited for.
        self.processes.idle.clear()
        self.scheduler.spawn(self._sweep_last, Random(self.seed), 3 * 3600)

    def _sweep_last(self) -> None:
        self.processes.invoke("reset", {})
        for account_id in list(self.model.books):
            self.deliveries.arrived(json.dumps({"account_id": account_id}))

    def digest(self) -> str:
        """Return a hash of the whole table as it is."""
        items = self.database.scan(TableName=TABLE)["Items"]
        return hashlib.sha256(b"".join(map(freeze, items))).hexdigest()

    # ---- Callers ---------------------------------------------------------------------------------

    def _ask(self, asked: Asked) -> None:
        """Ask for something, again if need be, as callers do."""
        step, random = asked.step, current().random
        faults, happens = self.faults, self.faults.happens
        if step.kind == "message" and not faults.over:
            self._disturb_delivery(asked, random)
        elif step.changes_something and step.may_be_repeated and not faults.over:
            if happens(Fault.SENT_TWICE, random):
                chance = self._chance_of(asked, 1)
                self.scheduler.spawn(partial(self._try, asked), chance, random.uniform(0, 0.05))
            if happens(Fault.SENT_AGAIN, random):
                after = random.uniform(3600, 20 * 3600)
                self.scheduler.spawn(partial(self._try, asked), self._chance_of(asked, 2), after)
        if step.kind == "sweep" and happens(Fault.SWEEP_TWICE, random):
            self.scheduler.spawn(partial(self._try, asked), self._chance_of(asked, 3))
        tries = TRIES_MAX_WITHOUT_FAULTS if faults.over else TRIES_MAX
        for _ in range(tries if step.may_be_repeated else 1):
            if self._try(asked):
                asked.has_finished = True
                return
            self.scheduler.pause(random.uniform(0.05, 2))
        if not step.may_be_repeated:
            asked.has_finished = True
        elif faults.over:
            wrong("violation", f"{step} gets no answer")

    def _disturb_delivery(self, asked: Asked, random: Random) -> None:
        happens = self.faults.happens
        if self.faults.drawn(Fault.WEBHOOK_SHUFFLED, random):
            self.scheduler.pause(random.uniform(1, 7200))
            if self._last_message > asked.step.number:
                self.faults.count(Fault.WEBHOOK_SHUFFLED)
        if happens(Fault.WEBHOOK_LATE, random):
            self.scheduler.pause(3 * 24 * 3600)
        if happens(Fault.WEBHOOK_TWICE, random):
            after = random.choice((0, 30, 3600, 3 * 24 * 3600))
            self.scheduler.spawn(partial(self._try, asked), self._chance_of(asked, 1), after)

    def _try(self, asked: Asked) -> bool:
        """Ask once; tell whether there was an answer that stands."""
        step, random = asked.step, current().random
        began = self.scheduler.now
        took_effect = step.reference in self.model.facts.effects
        self.scheduler.pause(random.uniform(0.001, 0.02))
        try:
            answer = self.processes.invoke(step.function, self._event(step))
        except Died:
            self.log.append(f"{at(self.scheduler.now):%d %H:%M:%S.%f} {step}: died")
            return False
        except Exception:
            # Nobody waits for an answer of the schedule's function; it is called again.
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
            wrong("violation", f"{step} is answered {status} {body}")
        self._compare(asked, status, body, since=began, has_taken_effect=took_effect)
        return True

    def _compare(
        self, asked: Asked, status: int, body: str, *, since: float, has_taken_effect: bool
    ) -> None:
        """Compare an answer with the ledger and with the answers before."""
        step, told = asked.step, json.loads(body)
        is_done = status < 300
        if step.account_id is None:
            return
        if step.kind in READS and is_done:
            self.model.read(step, step.account_id, told, since=since, now=self.scheduler.now)
        if step.kind in {"quota", "close"} or not (step.writes or step.kind == "extend"):
            return
        if is_done and step.kind == "extend":
            self.model.extended(step, step.account_id, told, since=since)
            return
        if is_done:
            self.model.answered(step, step.account_id, told)
            for other_status, other in asked.answers:
                if step.may_be_repeated and other_status < 300 and other != body:
                    wrong("violation", f"{step} is answered in two ways: {other} and {body}")
        else:
            self.model.refused(
                step,
                step.account_id,
                told,
                since=since,
                now=self.scheduler.now,
                has_taken_effect=has_taken_effect,
            )
        asked.answers.append((status, body))

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
        """Let somebody else change an item before a transaction on it; tell whether they did."""
        step = self._rival(partition_key, sort_key)
        if step is None:
            return False
        key = {"pk": {"S": partition_key}, "sk": {"S": sort_key}}
        random, before = current().random, self.database.get_item(TableName=TABLE, Key=key)
        self.scheduler.spawn(partial(self._try, Asked(step)), Random(random.getrandbits(64)))
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
            step.body = {**dict(CATALOG)[sort_key], "cost": self._rivals % 30 + 1}
        else:
            return None
        self.model.facts.know(step)
        return step

    # ---- At the end ------------------------------------------------------------------------------

    def _look_at_everything(self) -> None:
        """Compare what is left with the model."""
        self.model.all_delivered()
        check_archive(self.model, self.objects)
        check_events(self.model, self.sent)
        check_usage(self.model, self.database.scan(TableName=TABLE)["Items"])
        for account_id in self.model.books:
            look = partial(self._look_at_account, account_id)
            self.scheduler.spawn(look, Random(self.seed))
        self.scheduler.run()

    def _look_at_account(self, account_id: str) -> None:
        """An account is read as the model has it, and the product's own audit finds it sound."""
        books = self.model.books[account_id]
        if not books.is_closed:
            path = {"account_id": account_id}
            step = Step(0, self.scheduler.now, "account", account_id, claims=ADMIN, path=path)
            told = json.loads(self.processes.invoke("account", http_event(step))["body"])
            if told["balance"] != books.balance:
                kind = "made" if told["balance"] > books.balance else "lost"
                wrong(kind, f"{account_id} is {told['balance']}, not {books.balance}")
        table = ScripTable(cast("DynamoDBClient", self.database), TABLE)
        audited = audit_account(table, account_id, at(self.scheduler.now))
        if audited is None or audited.findings:
            wrong("violation", f"the audit of {account_id}: {audited}")
