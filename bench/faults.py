"""Part `faults`: what each design charges when calls, functions and callers fail.

Each design runs in the simulated world of simulation/: DynamoDB in memory, processes that take
turns at every call, and the faults of docs/explanation/proof.md at their rates, from a seed. A
caller without an answer repeats the request with its key; in the end faults stop, and every caller
is answered. So every use must be charged exactly once. The uses of an account cost different powers
of a base; the digits of what was taken therefore show how often each was charged.

PostgreSQL is a real server behind the same simulated network: its statements take the place of
DynamoDB's calls, and waiting for a lock takes simulated time.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

import psycopg
from aws_lambda_powertools.utilities.idempotency import base as idempotency
from aws_lambda_powertools.utilities.idempotency.persistence import base as records
from aws_lambda_powertools.utilities.idempotency.persistence import datarecord
from aws_lambda_powertools.utilities.idempotency.persistence import dynamodb as record_table

from bench.designs import for_update, idempotency_decorator, read_then_write, scrip_path
from bench.ledgers import catalog_items
from bench.progress import report
from bench.requests import consume_event
from scrip.store.client import Table
from simulation import services
from simulation.dynamodb import EXCEPTIONS, SimulatedDynamoDB
from simulation.environment import ENVIRONMENT
from simulation.faults import Died, Fault, Faults
from simulation.processes import HANDLERS, NOW, Processes, SwitchingScheduler, at
from simulation.scheduler import current

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    from types_boto3_dynamodb import DynamoDBClient

    from simulation.processes import Process
    from simulation.scheduler import Scheduler
    from simulation.world import World

SEED = 20261122
MILLION = 1_000_000
START = datetime.fromisoformat("2026-11-22T12:00:00+00:00").timestamp()
TABLE = "scrip"

USES = 6
"""Uses of each account."""

BASE = 64
"""More than the number of times that any use is requested."""

CREDITS = BASE**USES
APART_SECONDS = 60.0
EACH_SECONDS = 1.0
"""An account's uses are a minute apart, and each account starts a second after the one before.

That keeps the number of a server's connections small."""

TRIES_MAX = 4
"""How often a caller tries before it gives up for a while."""

AGAIN_SECONDS = 600.0
"""How long it waits then before it tries as often again."""

OK, SERVER_ERROR = 200, 500

COMMIT = "COMMIT"
WAY_SECONDS = (0.001, 0.005)
WAIT_SECONDS = 0.005
"""How often a waiter checks whether a lock is free."""

DIES = (Fault.DIES_BEFORE, Fault.DIES_AFTER)
LOSES = (Fault.REQUEST_LOST, Fault.ANSWER_LOST, Fault.EFFECT_LATE, Fault.CALLER_LOST)
AT_ONCE = (Fault.SENT_TWICE, Fault.VERSION_RACE, Fault.CONFLICT)
MUCH_LATER = (Fault.SENT_AGAIN,)
REFUSES = (Fault.THROTTLE, Fault.IN_PROGRESS)

TO_A_STATEMENT = (Fault.REQUEST_LOST, Fault.ANSWER_LOST, *DIES)
TO_A_COMMIT = (*TO_A_STATEMENT, Fault.EFFECT_LATE)
"""Only a commit can take effect late; other statements are rolled back."""

ALL = (*DIES, *LOSES, *AT_ONCE, *MUCH_LATER, *REFUSES)
KINDS: dict[str, tuple[Fault, ...]] = {
    "dead_functions": DIES,
    "lost_answers": LOSES,
    "callers_at_once": AT_ONCE,
    "asking_hours_later": MUCH_LATER,
    "nothing": (),
}
"""Kinds of faults that also run alone. Any wrong charge without faults is the simulation's own."""

NOTES = (
    (
        "Wrongly charged per million: of the uses, under all faults at once. The columns after"
        " it are for each kind of fault alone; lost answers include lost requests."
    ),
    (
        "Fault rates are those of docs/explanation/proof.md. They are far higher than on any"
        " real network, so that there is something to compare; other rates give other figures."
    ),
    (
        "Callers at once: one use in ten is submitted twice at the same moment, and one in 25"
        " at the same moment as the account's previous use."
    ),
    (
        "Asking hours later: six uses in a hundred are submitted again 1 to 20 hours later, as"
        " by a queue or an app that was offline. The decorator's records live for one hour."
    ),
    (
        "Charged again: charges beyond the first of each use. Not charged: uses that were"
        " answered but whose charge is gone."
    ),
)


class Sizes(NamedTuple):
    """Numbers of accounts: under all faults, and under each kind alone."""

    all_faults: int
    one_kind: int


QUICK, WHOLE = Sizes(all_faults=60, one_kind=25), Sizes(all_faults=1_000, one_kind=150)


def measure(*, quick: bool, postgres: str | None = None) -> dict[str, Any]:
    """Run all designs under all faults, and under each kind alone."""
    return {"rows": measure_with(QUICK if quick else WHOLE, postgres), "notes": [*NOTES]}


def measure_with(sizes: Sizes, postgres: str | None) -> list[dict[str, Any]]:
    """Return a row for each design and kind of faults."""
    os.environ |= ENVIRONMENT
    _simulate_time()
    designs: list[ModuleType] = [scrip_path, read_then_write, idempotency_decorator]
    if postgres:
        for_update.use(postgres)
        designs.append(for_update)
    rows = []
    for design in designs:
        report(f"{design.NAME}: all faults")
        row = {"design": design.NAME}
        row |= FaultyWorld(design, ALL, postgres).run(sizes.all_faults)
        for kinds, faults in KINDS.items():
            report(f"{design.NAME}: {kinds.replace('_', ' ')}")
            alone = FaultyWorld(design, faults, postgres).run(sizes.one_kind)
            row[f"by_{kinds}_per_million"] = alone["wrongly_charged_per_million"]
        rows.append(row)
    return rows


@dataclass(frozen=True)
class Use:
    """A use, to be charged once."""

    account_id: str
    key: str
    amount: int

    def event(self) -> dict[str, Any]:
        """Return the request."""
        return consume_event(self.account_id, self.key, self.amount)


class FaultyWorld:
    """A simulated world with one design and its callers."""

    def __init__(self, design: ModuleType, kinds: tuple[Fault, ...], postgres: str | None) -> None:
        """Set up the world; `postgres` is the URL of the server."""
        self.design = design
        self.scheduler = NOW.scheduler = SwitchingScheduler(START)
        self.faults = Faults([fault for fault in Fault if fault not in kinds])
        self.database = SimulatedDynamoDB(TABLE)
        canceled = EXCEPTIONS["TransactionCanceledException"]
        self.wire = services.Wire(self.scheduler, self.faults, canceled, lambda *_: False)
        self.deliveries = SimpleNamespace(arrived=lambda _: None)
        self.objects: dict[str, bytes] = {}
        self.sent: list[services.Sent] = []
        self.processes = Processes(cast("World", self))
        self.unanswered: list[Use] = []
        self.requests = 0
        self.servers: dict[Process, Server] = {}
        self.postgres = postgres

    def written(self) -> None:
        """Ignore a write; the simulation's own tests check each one."""

    def run(self, accounts: int) -> dict[str, Any]:
        """Run the uses of a number of accounts, and return how often they were charged."""
        HANDLERS[self.design.__name__] = self.design
        table = Table(cast("DynamoDBClient", self.database), TABLE)
        for item in catalog_items():
            self.database.put_item(TableName=TABLE, Item=item)
        if self.design is for_update:
            for_update.connection().execute(for_update.TABLES)
        with self._servers():
            before = {}
            for number in range(accounts):
                account_id = f"account-{number}"
                self.design.open_account(table, account_id, CREDITS, at(START))
                before[account_id] = self.design.credits_left(table, account_id)
                self._plan(number, account_id)
            self.scheduler.run()
            self.faults.over = True
            for number, use in enumerate(self.unanswered):
                self.scheduler.spawn(partial(self._ask, use), Random(number), number * EACH_SECONDS)
            self.scheduler.run()
            charged = Counter[int]()
            for account_id, credits_ in before.items():
                charged.update(_digits(credits_ - self.design.credits_left(table, account_id)))
        return self._figures(accounts * USES, charged)

    def _figures(self, uses: int, charged: Counter[int]) -> dict[str, Any]:
        again = sum((times - 1) * count for times, count in charged.items() if times > 1)
        return {
            "uses": uses,
            "requests": self.requests,
            "faults_injected": self.faults.injected.total(),
            "charged_again": again,
            "not_charged": charged[0],
            "wrongly_charged_per_million": round((again + charged[0]) / uses * MILLION),
        }

    # ---- Callers ---------------------------------------------------------------------------------

    def _plan(self, number: int, account_id: str) -> None:
        """Schedule the uses of an account, one after the other, some at the same moment."""
        after = number * EACH_SECONDS
        for place in range(USES):
            random = Random(SEED * MILLION + number * USES + place)
            if not self.faults.happens(Fault.VERSION_RACE, random):
                after += APART_SECONDS
            use = Use(account_id, f"use-{place}", BASE**place)
            self.scheduler.spawn(partial(self._submit, use), random, after)

    def _submit(self, use: Use) -> None:
        """Request a use until it is answered; perhaps twice at once, or again hours later."""
        random = current().random
        if self.faults.happens(Fault.SENT_TWICE, random):
            chance = Random(random.getrandbits(64))
            self.scheduler.spawn(partial(self._try, use), chance, random.uniform(0, 0.05))
        if self.faults.happens(Fault.SENT_AGAIN, random):
            chance, after = Random(random.getrandbits(64)), random.uniform(3_600, 20 * 3_600)
            self.scheduler.spawn(partial(self._try, use), chance, after)
        self._ask(use)

    def _ask(self, use: Use) -> None:
        random = current().random
        for attempt in range(2 * TRIES_MAX):
            if self._try(use):
                return
            self.scheduler.pause(random.uniform(0.05, 2))
            if attempt == TRIES_MAX - 1:
                self.scheduler.pause(AGAIN_SECONDS)
        assert not self.faults.over, f"{use} is never answered"
        self.unanswered.append(use)

    def _try(self, use: Use) -> bool:
        """Send one request; return whether it was answered."""
        random = current().random
        self.requests += 1
        self.scheduler.pause(random.uniform(0.001, 0.02))
        try:
            answer = self.processes.invoke(self.design.__name__, use.event())
        except Died:
            return False
        if self.faults.happens(Fault.CALLER_LOST, random):
            return False
        status: int = answer["statusCode"]
        assert status == OK or status >= SERVER_ERROR, answer
        return status < SERVER_ERROR

    # ---- PostgreSQL ------------------------------------------------------------------------------

    @contextmanager
    def _servers(self) -> Iterator[None]:
        """Give each process its own connection, over the simulated network."""
        own = for_update.connection
        for_update.connection = self._server
        try:
            yield
        finally:
            for_update.connection = own
            for server in self.servers.values():
                server.close()

    def _server(self) -> Server:
        process = current().process
        assert process is not None, "no process is running"
        if process not in self.servers or self.servers[process].is_gone:
            assert self.postgres
            self.servers[process] = Server(self.postgres, self.scheduler, self.faults)
        return self.servers[process]


class Server:
    """A process's connection to PostgreSQL: gone when the process dies, or when it breaks."""

    def __init__(self, url: str, scheduler: Scheduler, faults: Faults) -> None:
        """Connect."""
        self._connection = psycopg.connect(url, autocommit=True)
        self._scheduler = scheduler
        self._faults = faults
        self.is_gone = False

    def execute(self, text: str, values: Sequence[Any] = ()) -> Any:
        """Execute a statement, unless a fault hits the statement, the process or the answer."""
        random = current().random
        fault = self._faults.one_of(TO_A_COMMIT if text == COMMIT else TO_A_STATEMENT, random)
        if fault is not None:
            self._faults.count(fault)
        if fault is Fault.DIES_BEFORE:
            self._die()
        self._scheduler.pause(random.uniform(*WAY_SECONDS))
        if fault is Fault.EFFECT_LATE:
            self.is_gone = True
            self._scheduler.spawn(self._commit_late, random, random.uniform(1, 2))
            self._break()
        if fault is Fault.REQUEST_LOST:
            self.close()
            self._break()
        answer = self._execute(text, values)
        if fault is Fault.DIES_AFTER:
            self._die()
        self._scheduler.pause(random.uniform(*WAY_SECONDS))
        if fault is Fault.ANSWER_LOST:
            self.close()
            self._break()
        return answer

    def close(self) -> None:
        """Close the connection; the server rolls back an open transaction."""
        self._connection.close()
        self.is_gone = True

    def _execute(self, text: str, values: Sequence[Any]) -> Any:
        if text != for_update.LOCK:
            return self._connection.execute(text.encode(), values)
        while True:
            try:
                return self._connection.execute(f"{text} NOWAIT".encode(), values)
            except psycopg.errors.LockNotAvailable:
                self._connection.execute("ROLLBACK")
                self._scheduler.pause(WAIT_SECONDS)
                self._connection.execute("BEGIN")

    def _commit_late(self) -> None:
        self._connection.execute(COMMIT)
        self._connection.close()

    def _die(self) -> NoReturn:
        self.close()
        raise Died

    def _break(self) -> NoReturn:
        self._scheduler.pause(services.READ_TIMEOUT_SECONDS)
        raise psycopg.OperationalError("the connection is lost")


def _digits(taken: int) -> Iterator[int]:
    """Yield how often each use of an account was charged."""
    for _ in range(USES):
        taken, times = divmod(taken, BASE)
        yield times
    assert taken == 0, "more was taken than all uses cost"


def _simulate_time() -> None:
    """Let the decorator's records expire in simulated time."""
    now = SimpleNamespace(now=lambda: at(NOW.scheduler.now))
    simulated = SimpleNamespace(datetime=now, date=date, time=time, timedelta=timedelta)
    for module in (idempotency, records, datarecord, record_table):
        vars(module)["dt"] = simulated
