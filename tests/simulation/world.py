"""One world: a table, processes, people and providers, run from a seed to its end.

First with faults (safety), then without them until everybody has an answer (liveness). The model
looks at every write and every answer; at the end it looks at everything.
"""

from __future__ import annotations

import gzip
import json
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

from scrip.audit import audit_account
from scrip.store.client import Table as ScripTable
from scrip.webhooks.messages import Provider
from scrip_cli.webhook_signing import sign
from tests.simulation import services
from tests.simulation.dynamodb import EXCEPTIONS, Change, SimulatedDynamoDB
from tests.simulation.faults import Died, Fault, Faults
from tests.simulation.findings import wrong
from tests.simulation.model import Model
from tests.simulation.processes import NOW, SECRET, Processes, SwitchingScheduler, at
from tests.simulation.scheduler import current
from tests.simulation.traffic import ADMIN, CATALOG, START, Step, http_event

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

SIGNUP_CREDITS = 50
TRIES_MAX = 4
"""How often a caller asks before it gives up, as long as there are faults."""

TRIES_MAX_WITHOUT_FAULTS = 12
RECEIVES_MAX = 5
BATCH_MAX = 10
MEMORABLE = 100_000_000_007


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
        self.database = SimulatedDynamoDB("scrip")
        self.wire = services.Wire(
            self.scheduler, self.faults, EXCEPTIONS["TransactionCanceledException"]
        )
        self.wire.rival = self._rival
        self.objects: dict[str, bytes] = {}
        self.heard: list[tuple[str, str]] = []
        self.processes = Processes(self)
        self.model = Model(steps, SIGNUP_CREDITS)
        self.steps = steps
        self.asked = [Asked(step) for step in steps]
        self.log: deque[str] = deque(maxlen=60)
        self._seen = 0
        self._queue: deque[tuple[str, int]] = deque()
        self._working = {"queue": False, "events": False, "match": False}
        self._position = {"events": 0, "match": 0}
        self._rivals = 0
        self._wound_up = False

    # ---- The two phases --------------------------------------------------------------------------

    def run(self) -> None:
        """Run it all.

        Raises:
            Wrong: something is not as it must be.
        """
        self._load_catalog()
        for asked in self.asked:
            after = asked.step.at - START
            self.scheduler.spawn(lambda asked=asked: self._ask(asked), self._chance(asked), after)
        self.scheduler.run()
        self.faults.over = True
        self._finish()
        self.scheduler.run()
        self._look_at_everything()

    def _chance(self, asked: Asked, more: int = 0) -> Random:
        """Return the chance of a step: its own, so that it stays when others are left out."""
        return Random(self.seed * MEMORABLE + asked.step.number * 64 + more)

    def _load_catalog(self) -> None:
        for key, told in CATALOG:
            item = {"pk": "CATALOG", "sk": key, "version": 1, "active": True, **told}
            self.database.put_item(TableName="scrip", Item=wire(item))
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
            for function in ("events", "match"):
                self._wake(function)

    def _finish(self) -> None:
        """Let every caller ask until there is an answer, and everything be delivered."""
        for asked in self.asked:
            if not asked.has_finished:
                self.scheduler.spawn(lambda asked=asked: self._ask(asked), self._chance(asked, 9))
        self.scheduler.spawn(self._wake_all, Random(self.seed))
        self.scheduler.run()
        # Nobody has a skewed clock from here on, and the clocks that were ahead are waited for.
        self.processes.idle.clear()
        self.scheduler.spawn(self._sweep_last, Random(self.seed), 3 * 3600)

    def _wake_all(self) -> None:
        for function in ("events", "match", "queue"):
            self._wake(function)

    def _sweep_last(self) -> None:
        self.processes.invoke("reset", {})
        for account_id in list(self.model.books):
            self.queue_arrived(json.dumps({"account_id": account_id}))

    # ---- Callers ---------------------------------------------------------------------------------

    def _ask(self, asked: Asked) -> None:
        """Ask for something, again if need be, as callers do."""
        step, random = asked.step, current().random
        faults, happens = self.faults, self.faults.happens
        if step.kind == "message" and not faults.over:
            self._disturb_delivery(asked, random)
        elif step.may_be_repeated and not faults.over:
            if happens(Fault.SENT_TWICE, random):
                chance = self._chance(asked, 1)
                self.scheduler.spawn(lambda: self._try(asked), chance, random.uniform(0, 0.05))
            if happens(Fault.SENT_AGAIN, random):
                after = random.uniform(3600, 20 * 3600)
                self.scheduler.spawn(lambda: self._try(asked), self._chance(asked, 2), after)
        if step.kind == "sweep" and happens(Fault.SWEEP_TWICE, random):
            self.scheduler.spawn(lambda: self._try(asked), self._chance(asked, 3))
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
        if happens(Fault.WEBHOOK_SHUFFLED, random):
            self.scheduler.pause(random.uniform(1, 7200))
        if happens(Fault.WEBHOOK_LATE, random):
            self.scheduler.pause(3 * 24 * 3600)
        if happens(Fault.WEBHOOK_TWICE, random):
            after = random.choice((0, 30, 3600, 3 * 24 * 3600))
            self.scheduler.spawn(lambda: self._try(asked), self._chance(asked, 1), after)

    def _try(self, asked: Asked) -> bool:
        """Ask once; tell whether there was an answer that stands."""
        step, random = asked.step, current().random
        began = self.scheduler.now
        took_effect = self.model.facts.effects.get(step.reference)
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
        self._compare(asked, status, body, began, took_effect is not None)
        return True

    def _compare(
        self, asked: Asked, status: int, body: str, began: float, has_taken_effect: bool
    ) -> None:
        """Compare an answer with the ledger and with the answers before."""
        step, told = asked.step, json.loads(body)
        is_done = status < 300
        if step.kind == "account" and is_done:
            self.model.read(step.account_id, told, since=began, now=self.scheduler.now)
        if not step.writes or step.kind in {"quota", "close"} or step.account_id is None:
            return
        if is_done:
            self.model.answered(step, step.account_id, told)
            for other_status, other in asked.answers:
                if step.key is not None and other_status < 300 and other != body:
                    wrong("violation", f"{step} is answered in two ways: {other} and {body}")
        elif has_taken_effect or (step.key is None and step.reference in self.model.facts.effects):
            wrong("violation", f"{step} took effect, and is then refused: {body}")
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

    def _rival(self, partition: str) -> None:
        """Let somebody else change an account, just before a transaction on it is carried out."""
        kind, _, account_id = partition.partition("#")
        if kind != "ACCOUNT":
            return
        self._rivals += 1
        number = 10_000_000 + self._rivals
        step = Step(number, self.scheduler.now, "adjustment", account_id, claims=ADMIN)
        step.body = {"action": "add", "amount": 1, "reason": "race", "reference": step.reference}
        step.path = {"account_id": account_id}
        self.model.facts.steps[step.reference] = step
        asked = Asked(step)
        self.scheduler.spawn(lambda: self._try(asked), Random(current().random.getrandbits(64)))

    # ---- Deliveries ------------------------------------------------------------------------------

    def queue_arrived(self, body: str) -> None:
        """Take a message into the queue, and have it delivered."""
        self._queue.append((body, 0))
        self._wake("queue")

    def _wake(self, worker: str) -> None:
        if not self._working[worker]:
            self._working[worker] = True
            work = self._work_on_queue if worker == "queue" else lambda: self._deliver(worker)
            chance = Random(self.seed * MEMORABLE + len(self.database.stream) * 4 + len(worker))
            self.scheduler.spawn(work, chance, chance.uniform(0.01, 3))

    def _work_on_queue(self) -> None:
        """Hand the queue's messages to the worker, until there are none."""
        random = current().random
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
            if self.faults.happens(Fault.QUEUE_TWICE, random):
                self._queue.append(batch[0])
            in_time = not self.faults.happens(Fault.OUT_OF_TIME, random)
            records = [{"messageId": str(n), "body": body} for n, (body, _) in enumerate(batch)]
            try:
                answer = self.processes.invoke(
                    "renew", {"Records": records}, milliseconds=60_000 if in_time else 0
                )
                failed = {int(one["itemIdentifier"]) for one in answer["batchItemFailures"]}
            except Died:
                failed = set(range(len(batch)))
            self._queue.extend(
                (body, received + 1)
                for n, (body, received) in enumerate(batch)
                if n in failed and received < RECEIVES_MAX
            )
            self.scheduler.pause(0.1)
        self._working["queue"] = False

    def _deliver(self, function: str) -> None:
        """Hand the stream's records to a function, in order, until there are none."""
        random = current().random
        if self.faults.happens(Fault.STREAM_LATE, random):
            self.scheduler.pause(random.uniform(60, 3 * 3600))
        while self._position[function] < len(self.database.stream):
            first = self._position[function]
            last = min(first + random.choice((1, 10, 40, 100)), len(self.database.stream))
            if self.faults.happens(Fault.STREAM_SPLIT, random):
                last = first + (last - first + 1) // 2
            changes = [
                change
                for change in self.database.stream[first:last]
                if (_is_told if function == "events" else _leads_somewhere)(change)
            ]
            done = last - first
            if changes:
                done = self._hand_over(function, changes, first, last)
            if self.faults.happens(Fault.STREAM_REPEATED, random):
                done = 0
            self._position[function] += done
            if done == 0:
                self.scheduler.pause(random.uniform(0.1, 5))
        self._working[function] = False

    def _hand_over(self, function: str, changes: list[Change], first: int, last: int) -> int:
        """Hand over some records; return how far the stream may go on."""
        try:
            answer = self.processes.invoke(
                function, {"Records": [change.record() for change in changes]}
            )
        except Died:
            return 0
        except Exception:
            if self.faults.over:
                raise
            return 0
        failures = (answer or {}).get("batchItemFailures")
        if not failures:
            return last - first
        [failed] = [
            change for change in changes if str(change.number) == failures[0]["itemIdentifier"]
        ]
        return self.database.stream.index(failed) - first

    # ---- At the end ------------------------------------------------------------------------------

    def _look_at_everything(self) -> None:
        """Compare what is left with the model: accounts, archive, events, usage."""
        entries = {
            (account_id, entry["seq"]): entry
            for account_id, books in self.model.books.items()
            for entry in books.entries
        }
        self.model.all_delivered()
        self._look_at_archive(entries)
        self._look_at_events()
        self._look_at_usage()
        for account_id in list(self.model.books):
            step = Step(0, 0, "account", account_id, claims=ADMIN, path={"account_id": account_id})
            self.scheduler.spawn(lambda step=step: self._look_at_account(step), Random(self.seed))
        self.scheduler.run()

    def _look_at_account(self, step: Step) -> None:
        assert step.account_id is not None
        books = self.model.books[step.account_id]
        closed = books.image is not None and books.image.get("status") == "closed"
        if not closed:
            told = json.loads(self.processes.invoke("account", http_event(step))["body"])
            if told["balance"] != books.balance:
                kind = "made" if told["balance"] > books.balance else "lost"
                wrong(kind, f"{step.account_id} is {told['balance']}, not {books.balance}")
        plain = ScripTable(self.database, "scrip")
        audited = audit_account(plain, step.account_id, at(self.scheduler.now))
        if audited is None or audited.findings:
            wrong("violation", f"the audit of {step.account_id}: {audited}")

    def _look_at_archive(self, entries: dict[tuple[str, int], dict[str, Any]]) -> None:
        archived = {}
        for body in self.objects.values():
            for line in map(json.loads, gzip.decompress(body).splitlines()):
                archived[line["account_id"], line["seq"]] = line["hash"]
        for place, entry in entries.items():
            if archived.get(place) != entry["hash"].hex():
                wrong("lost", f"{place} is not in the archive")
        if len(archived) > len(entries):
            wrong("made", "the archive has entries of its own")

    def _look_at_events(self) -> None:
        """Every entry was told of, those of an account in order; every crossing, once."""
        told: dict[str, list[int]] = {}
        crossed: dict[str, set[tuple[str, int]]] = {}
        for name, text in self.heard:
            detail = json.loads(text)
            who, seq = detail["account_id"], detail["seq"]
            if "entry_id" in detail:
                known = told.setdefault(who, [])
                if seq not in known[-50:] and seq != len(known) + 1 and seq > len(known):
                    wrong("violation", f"entry {seq} of {who} was told after {len(known)}")
                if seq == len(known) + 1:
                    known.append(seq)
            else:
                crossed.setdefault(who, set()).add((name, seq))
        for who, books in self.model.books.items():
            if len(told.get(who, ())) != len(books.entries):
                wrong("lost", f"not every entry of {who} was told of")
            if crossed.get(who, set()) != books.crossings:
                wrong("violation", f"{who} crossed {books.crossings}, told: {crossed.get(who)}")

    def _look_at_usage(self) -> None:
        counted: dict[tuple[str, str, str | None], list[int]] = {}
        for who, books in self.model.books.items():
            for entry in books.entries:
                if entry["type"] in {"usage", "refund"}:
                    day = f"{at(entry['recorded_at'] / 1000):%Y-%m-%d}"
                    use = counted.setdefault((who, day, entry.get("feature")), [0, 0, 0])
                    if entry["type"] == "usage":
                        use[0] += entry["cost"]
                        use[1] += 1
                    else:
                        use[2] += entry["cost"]
        stored = {}
        for item in self.database.scan(TableName="scrip")["Items"]:
            if item["sk"]["S"].startswith("USAGE#"):
                who, day = item["pk"]["S"][8:], item["sk"]["S"][6:]
                for use in item.get("uses", {"L": []})["L"]:
                    feature = use["M"].get("feature", {}).get("S")
                    numbers = [
                        int(use["M"].get(name, {"N": "0"})["N"])
                        for name in ("credits", "count", "refunded")
                    ]
                    stored[who, day, feature] = numbers
        if stored != counted:
            differing = {key for key in stored | counted if stored.get(key) != counted.get(key)}
            wrong("violation", f"usage is counted wrongly: {sorted(map(str, differing))}")


def _is_told(change: Change) -> bool:
    """The event function's filter, as template.yaml has it."""
    if change.pk.startswith("LEDGER#"):
        return change.before is None
    return change.sk == "ACCOUNT" and change.name == "MODIFY"


def _leads_somewhere(change: Change) -> bool:
    """The match function's filter, as template.yaml has it."""
    return change.before is None and (
        change.sk == "ACCOUNT"
        or (change.pk.startswith("ALIAS#") and change.sk.startswith("ALIAS#"))
    )


def wire(value: dict[str, Any]) -> dict[str, Any]:
    """Return an item as DynamoDB's API has it."""
    return {name: _wire(part) for name, part in value.items()}


def _wire(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case dict():
            return {"M": wire(value)}
        case list():
            return {"L": [_wire(part) for part in value]}
    raise TypeError(value)
