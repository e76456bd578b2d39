"""A crowd of callers on one account, in virtual time: exact, and the same on every machine.

The ledger is the product's own, one per container, as in Lambda: a container serves one caller at a
time, and when all are busy, a new one starts. Below them is the simulation's DynamoDB, behind a
network:

- a call travels WAY_SECONDS there and as long back;
- a transaction occupies the account for INSIDE_SECONDS, even if its condition fails; another one
  meanwhile is cancelled with TransactionConflict, while reads go through;
- a transaction consumes its write units even if it writes nothing;
- one item takes ITEM_UNITS_PER_SECOND; past that DynamoDB throttles. (A hot partition is split
  between its items, such as entries, but a single item cannot be split.)

Computing and starting a container take no time.
"""

from __future__ import annotations

import random
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import scrip.admission
import scrip.ledger
import scrip.retrying
from bench.ledgers import catalog_items
from scrip.audit.accounts import audit_account
from scrip.domain.commands import OpenAccount, ResetAnchor
from scrip.domain.entries import CLOCK
from scrip.domain.errors import BusyError
from scrip.ledger import Ledger
from scrip.store.client import Table
from scrip.store.queries import read
from simulation.dynamodb import EXCEPTIONS, SimulatedDynamoDB, item_size
from simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from types_boto3_dynamodb import DynamoDBClient

    from scrip.domain.commands import Command

WAY_SECONDS = 0.005
INSIDE_SECONDS = 0.005
ITEM_UNITS_PER_SECOND = 1_000

PAUSE_SECONDS = 0.1
PAUSE_SECONDS_MAX = 2.0
"""A refused caller waits for Retry-After plus a random pause up to PAUSE * 2^n, like the client."""

UNIT_BYTES = 1_024
READ_UNIT_BYTES = 4_096
UNITS_IN_TRANSACTION = 2
"""A write costs twice as much in a transaction."""

TABLE = "scrip"
ACCOUNT_ID = "hot"
CREDITS = 10**12
START = datetime(2026, 11, 2, tzinfo=UTC)


class Answer(NamedTuple):
    """The answer to a caller's uses; `retry_after` is None if they were charged."""

    uses: int
    asked_at: float
    answered_at: float
    retry_after: int | None

    @property
    def is_done(self) -> bool:
        """Whether the uses were charged."""
        return self.retry_after is None


class Crowd:
    """A table with one account, and the containers in front of it. Seconds count from START."""

    def __init__(self, seed: int) -> None:
        """Open the account; there are no callers yet."""
        self.chance = random.Random(seed)
        self.scheduler = Scheduler(0.0)
        self.database = SimulatedDynamoDB(TABLE)
        self.units: Counter[str] = Counter()
        self.answers: list[Answer] = []
        self.containers: list[Ledger] = []
        self._idle: list[Ledger] = []
        for item in catalog_items():
            self.database.put_item(TableName=TABLE, Item=item)
        self.table = Table(cast("DynamoDBClient", self.database), TABLE)
        Ledger(self.table, self.clock).execute(OPENING)
        self.network = _Network(self)

    def clock(self) -> datetime:
        """Return the virtual time, in whole milliseconds as the product stores it."""
        return START + timedelta(milliseconds=int(self.scheduler.now * 1000))

    def spawn(self, run: Callable[[], Any], at: float) -> None:
        """Schedule a caller."""
        self.scheduler.spawn(run, self.chance, at)

    def run(self) -> None:
        """Run all callers until they have their answers."""
        with self._virtual_time():
            self.scheduler.run()

    def ask(self, command: Command, uses: int = 1) -> Answer:
        """Execute a command in a free container. Any error but a 503 is raised."""
        asked_at, retry_after = self.scheduler.now, None
        container = self._free()
        try:
            container.execute(command)
        except BusyError as busy:
            retry_after = busy.retry_after
        self._idle.append(container)
        answer = Answer(uses, asked_at, self.scheduler.now, retry_after)
        self.answers.append(answer)
        return answer

    def ask_until_done(self, command: Command, uses: int = 1) -> None:
        """Ask, and repeat the command after each refusal, with the client's pauses."""
        refused = 0
        while (answer := self.ask(command, uses)).retry_after is not None:
            pause = min(PAUSE_SECONDS * 2**refused, PAUSE_SECONDS_MAX)
            self.scheduler.pause(answer.retry_after + self.chance.uniform(0, pause))
            refused += 1

    def taken(self) -> int | None:
        """Return how many credits the ledger says were taken, None if the audit finds fault."""
        audited = audit_account(self.table, ACCOUNT_ID, self.clock())
        account = read(self.table, ACCOUNT_ID).account
        if audited is None or audited.findings or account is None:
            return None
        return account.granted_total - account.balance

    def _free(self) -> Ledger:
        if self._idle:
            # Which one Lambda picks is not documented.
            return self._idle.pop(self.chance.randrange(len(self._idle)))
        ledger = Ledger(Table(cast("DynamoDBClient", self.network), TABLE), self.clock)
        self.containers.append(ledger)
        return ledger

    @contextmanager
    def _virtual_time(self) -> Iterator[None]:
        """Replace the ledger's `time` and `random` with this object."""
        places = [
            (scrip.ledger, "time"),
            (scrip.admission, "time"),
            (scrip.retrying, "random"),
        ]
        real = [getattr(module, name) for module, name in places]
        for module, name in places:
            setattr(module, name, self)
        try:
            yield
        finally:
            for (module, name), was in zip(places, real, strict=True):
                setattr(module, name, was)

    def monotonic(self) -> float:
        """Replace `time.monotonic`."""
        return self.scheduler.now

    def sleep(self, seconds: float) -> None:
        """Replace `time.sleep`."""
        self.scheduler.pause(seconds)

    def uniform(self, low: float, high: float) -> float:
        """Replace `random.uniform`."""
        return self.chance.uniform(low, high)


class _Network:
    """The DynamoDB client of all containers, with delays, conflicts and throttling."""

    exceptions = SimulatedDynamoDB.exceptions

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.database = crowd.database
        self.pause = crowd.scheduler.pause
        self._is_occupied = False
        self._item_units, self._filled_at = float(ITEM_UNITS_PER_SECOND), 0.0

    def get_item(self, **params: Any) -> Any:
        return self._read(partial(self.database.get_item, **params))

    def query(self, **params: Any) -> Any:
        return self._read(partial(self.database.query, **params))

    def transact_write_items(self, **params: Any) -> Any:
        self.pause(WAY_SECONDS)
        actions = params["TransactItems"]
        account_units, *other_units = units = [self._units(action) for action in actions]
        if not self._item_gives(account_units * UNITS_IN_TRANSACTION):
            raise self._cancelled("ThrottlingError", len(actions))
        self.crowd.units["write"] += sum(units) * UNITS_IN_TRANSACTION
        self.crowd.units["tries"] += 1
        if self._is_occupied:
            raise self._cancelled("TransactionConflict", len(actions))
        self._is_occupied = True
        self.pause(INSIDE_SECONDS)
        self._is_occupied = False
        try:
            answer = self.database.transact_write_items(**params)
        finally:
            self.pause(WAY_SECONDS)
        # The index holds complete entries, and no other items.
        puts = ["Put" in action for action in actions[1:]]
        self.crowd.units["write"] += sum(compress(other_units, puts))
        return answer

    def _read(self, effect: Callable[[], Any]) -> Any:
        self.pause(WAY_SECONDS)
        answer = effect()
        self.pause(WAY_SECONDS)
        items = answer["Items"] if "Items" in answer else [answer.get("Item", {})]
        self.crowd.units["read"] += -(-sum(map(item_size, items)) // READ_UNIT_BYTES)
        return answer

    def _units(self, action: dict[str, Any]) -> int:
        """Return the units that a write takes outside a transaction."""
        [params] = action.values()
        item = params.get("Item")
        if item is None:
            item = self.database.get_item(TableName=TABLE, Key=params["Key"]).get("Item", {})
        return max(1, -(-item_size(item) // UNIT_BYTES))

    def _item_gives(self, units: int) -> bool:
        now = self.crowd.scheduler.now
        filled = self._item_units + ITEM_UNITS_PER_SECOND * (now - self._filled_at)
        self._item_units, self._filled_at = min(filled, ITEM_UNITS_PER_SECOND), now
        if self._item_units < units:
            return False
        self._item_units -= units
        return True

    def _cancelled(self, code: str, actions: int) -> Exception:
        self.pause(WAY_SECONDS)
        return EXCEPTIONS["TransactionCanceledException"](
            {
                "Error": {"Code": "TransactionCanceledException", "Message": "crowded"},
                "CancellationReasons": [
                    {"Code": code if n == 0 else "None"} for n in range(actions)
                ],
            },
            "TransactWriteItems",
        )


OPENING = OpenAccount(
    account_id=ACCOUNT_ID,
    entry_id="signup",
    keyed=False,
    actor=CLOCK,
    plan_id="free",
    signup_credits=CREDITS,
    reset_anchor=ResetAnchor.SIGNUP,
    time_zone="UTC",
)
