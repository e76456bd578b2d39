"""Processes: the functions as Lambda runs them, many of each, every process with its own clock.

All of them share one Python process here. So what the product keeps per process (its ledger, its
clock) is looked up from the running task, and what Powertools keeps of a request in globals is
saved and restored at each switch.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools.event_handler.api_gateway import BaseRouter
from ulid import ULID

import functions.renew.renewals
import functions.reset.sweep
import scrip.domain.holds
import scrip.observability
import scrip.store.keys
import scrip.store.sweeps
import scrip.webhooks.secrets
from functions.events.bus import Bus as EventBus
from scrip.ledger import Ledger, ledger, utc_now
from scrip.renew_queue import renew_queue
from scrip.store.archive import Archive
from scrip.store.client import Table as ScripTable
from scrip.user_pool import user_pool
from scrip.work_queue import Queue as RenewQueue
from simulation import services
from simulation.environment import DIRECTORY_PAGE, HOLD_CALLS_MAX, MAILBOX_KEY, QUEUE_URL, SECRET
from simulation.faults import Fault
from simulation.scheduler import Scheduler, current

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_events import EventBridgeClient
    from types_boto3_s3 import S3Client
    from types_boto3_sqs import SQSClient

    from simulation.world import World

FUNCTIONS = (
    "account", "adjust", "admin", "catalog", "consume", "events", "refund", "renew",
    "reset", "signup", "wake", "webhook",
)  # fmt: skip
SKEW_SECONDS = 20.0
"""How far off a process's clock may be, either way."""

DIRECTORY_SHARDS = 2
"""With all sixteen, the sweep would only send more messages."""

REQUESTS = "requests"
HANDED_OVER = {"renew": "messages", "events": "records", "wake": "records"}
"""What some functions receive in batches; others receive one request, sign-up or tick."""

CLOCK_JUMP_SECONDS = 3_600.0
"""How far a process's clock may jump, either way."""


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(eq=False)
class Process:
    """One process of a function, with what it keeps between invocations."""

    function: str
    skew: float
    ledger: Ledger
    pool: services.Pool
    queue: RenewQueue
    archive: Archive
    bus: EventBus
    milliseconds: int = 0
    """The time left of the invocation."""

    has_read_time: bool = False
    """Whether it has read that time."""


class Processes:
    """Starts processes and invokes them, each with one event at a time."""

    def __init__(self, world: World) -> None:
        """Start with no processes."""
        self.world = world
        self.idle: dict[str, list[Process]] = defaultdict(list)
        self.handed_over: Counter[str] = Counter()

    def invoke(self, function: str, event: dict[str, Any], *, milliseconds: int = 29_000) -> Any:
        """Invoke a process with an event and return its response.

        Raises:
            Died: the process died.
        """
        task, outer = current(), current().process
        idle = self.idle[function]
        process = idle.pop() if idle else self._start(function, task.random)
        self.handed_over[HANDED_OVER.get(function, REQUESTS)] += len(event.get("Records", "1"))
        if self.world.faults.happens(Fault.CLOCK_JUMP, task.random):
            process.skew = task.random.uniform(-CLOCK_JUMP_SECONDS, CLOCK_JUMP_SECONDS)
        process.milliseconds, process.has_read_time = milliseconds, False
        handler = HANDLERS[function]
        if app := getattr(handler, "app", None):
            app.context = {}
        task.process = process
        try:
            answer = handler.lambda_handler(event, CONTEXT)
        finally:
            task.process = outer
            if process.has_read_time and not milliseconds:
                self.world.faults.count(Fault.OUT_OF_TIME)
        idle.append(process)
        return answer

    def _start(self, function: str, random: Random) -> Process:
        world, wire = self.world, self.world.wire
        skewed = world.faults.happens(Fault.SKEW, random)
        table = services.Table(world.database, wire, world.written)
        queue = services.Queue(wire, world.deliveries.arrived)
        bucket = services.Bucket(wire, world.objects)
        bus = services.Bus(wire, world.sent)
        process = Process(
            function=function,
            skew=random.uniform(-SKEW_SECONDS, SKEW_SECONDS) if skewed else 0.0,
            ledger=Ledger(
                ScripTable(cast("DynamoDBClient", table), "scrip"),
                lambda: at(world.scheduler.now + process.skew),
                lambda: MAILBOX_KEY,
            ),
            pool=services.Pool(wire),
            queue=RenewQueue(cast("SQSClient", queue), QUEUE_URL),
            archive=Archive(cast("S3Client", bucket), "archive"),
            bus=EventBus(cast("EventBridgeClient", bus), "bus"),
        )
        return process


def at(seconds: float) -> datetime:
    """Convert seconds since 1970 to the product's times: UTC, in whole milliseconds."""
    return EPOCH + timedelta(milliseconds=int(seconds * 1000))


class SwitchingScheduler(Scheduler):
    """A scheduler that gives each task its own copy of Powertools's globals."""

    def pause(self, seconds: float) -> None:
        """Let other tasks run for some virtual seconds."""
        process = current().process
        if process is None:
            super().pause(seconds)
            return
        app = getattr(HANDLERS[process.function], "app", None)
        router: Any = BaseRouter
        event, context = vars(router).get("current_event"), vars(router).get("lambda_context")
        kept = app.context if app else None
        super().pause(seconds)
        router.current_event, router.lambda_context = event, context
        if app:
            app.context = kept


class _Now:
    """Replaces `time`, and `random` where it sets the length of pauses or spreads writes."""

    scheduler: Scheduler
    """The scheduler of the running world."""

    def monotonic(self) -> float:
        return self.scheduler.now

    def sleep(self, seconds: float) -> None:
        self.scheduler.pause(seconds)

    def uniform(self, low: float, high: float) -> float:
        return current().random.uniform(low, high)

    def randrange(self, stop: int) -> int:
        return current().random.randrange(stop)


class _Inline:
    """Replaces a pool of threads: does the work when its result is read."""

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return SimpleNamespace(result=lambda **_: work(*arguments))


def _ulid() -> str:
    """Return a ULID of the virtual time and of seeded chance."""
    milliseconds = int(NOW.scheduler.now * 1000)
    chance = current().random.getrandbits(80)
    return str(ULID(milliseconds.to_bytes(6, "big") + chance.to_bytes(10, "big")))


def _utc_now() -> datetime:
    """Return the time by the clock of the running process."""
    return _process().ledger.clock()


def _remaining() -> int:
    """Return the time left to the running process. Being out of time is a fault only if read."""
    process = _process()
    process.has_read_time = True
    return process.milliseconds


def _process() -> Process:
    """Return the running process."""
    process = current().process
    assert process is not None, "no process is running"
    return process


NOW = _Now()
CONTEXT = SimpleNamespace(
    function_name="function",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:eu-central-1:123456789012:function:function",
    aws_request_id="b2f7c1de-1111-4c5e-9f0a-6d5e4c3b2a19",
    get_remaining_time_in_millis=_remaining,
)
HANDLERS: dict[str, Any] = {name: import_module(f"functions.{name}.handler") for name in FUNCTIONS}


def _patch_product() -> None:
    """Replace the product's time, chance and per-process objects."""
    replacements = {
        "ledger": (ledger, lambda: _process().ledger),
        "user_pool": (user_pool, lambda: _process().pool),
        "renew_queue": (renew_queue, lambda: _process().queue),
        "archive": (HANDLERS["events"].archive, lambda: _process().archive),
        "bus": (HANDLERS["events"].bus, lambda: _process().bus),
        "ULID": (ULID, _ulid),
        "utc_now": (utc_now, _utc_now),
        "time": (time, NOW),
        "random": (random, NOW),
    }
    for name, module in list(sys.modules.items()):
        # Signatures use the real time.
        if name.startswith(("scrip.", "functions.")) and name != "functions.webhook.signatures":
            for attribute, (real, simulated) in replacements.items():
                if vars(module).get(attribute) is real:
                    setattr(module, attribute, simulated)
    for module, attribute, simulated in (
        (HANDLERS["signup"], "THREAD", _Inline()),
        (functions.renew.renewals, "POOL", _Inline()),
        (scrip.store.sweeps, "BATCH_MAX", DIRECTORY_PAGE),
        (scrip.domain.holds, "HOLD_CALLS_MAX", HOLD_CALLS_MAX),
        (scrip.observability, "_emit", lambda *_: None),
        (functions.reset.sweep, "DIRECTORY_SHARDS", DIRECTORY_SHARDS),
        (scrip.store.keys, "DIRECTORY_SHARDS", DIRECTORY_SHARDS),
        (scrip.webhooks.secrets, "read_secrets", lambda: {"standard": [SECRET]}),
    ):
        setattr(module, attribute, simulated)


_patch_product()
