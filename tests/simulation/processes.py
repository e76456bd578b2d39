"""Processes: the functions as Lambda runs them, many of each, every one with a clock of its own.

All of them share one Python process here. So what the product keeps for a process (its ledger, its
clock) is looked up at the task that is running, and what Powertools keeps of a request in globals
is put aside at each switch.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "simulated",
    "AWS_SECRET_ACCESS_KEY": "simulated",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "TABLE_NAME": "scrip",
    "SIGNUP_CREDITS": "50",
    "WEBHOOK_SECRETS": "simulated",
    "RENEW_QUEUE_URL": "https://simulated/renew",
    "POWERTOOLS_SERVICE_NAME": "scrip",
    "POWERTOOLS_METRICS_DISABLED": "true",
    "POWERTOOLS_LOG_LEVEL": os.environ.get("POWERTOOLS_LOG_LEVEL", "CRITICAL"),
}
os.environ.update(ENVIRONMENT)

from aws_lambda_powertools.event_handler.api_gateway import BaseRouter
from aws_lambda_powertools.utilities import parameters
from ulid import ULID

import scrip.ledger
import scrip.observability
import scrip.store.keys
import scrip.sweep
from scrip.ledger import Ledger
from scrip.queues import Queue as RenewQueue
from scrip.store.archive import Archive
from scrip.store.bus import Bus as EventBus
from scrip.store.client import Table as ScripTable
from tests.simulation import services
from tests.simulation.faults import Died, Fault, Faults
from tests.simulation.scheduler import Scheduler, current

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

FUNCTIONS = (
    "account", "adjust", "admin", "catalog", "consume", "events", "match", "refund", "renew",
    "reset", "signup", "webhook",
)  # fmt: skip
SECRET = "whsec_c2ltdWxhdGVkLXNlY3JldC1vZi0zMi1ieXRlcy4uLi4="  # noqa: S105 - of nobody
SKEW_SECONDS = 20.0
"""How far a process's clock may be from the time, either way."""

DIRECTORY_SHARDS = 2
"""With all sixteen the sweep does the same, only in more messages."""

CLOCK_JUMP_SECONDS = 3_600.0
"""How far it may jump, either way."""


@dataclass(eq=False)
class Process:
    """One process of a function: what it keeps from one invocation to the next."""

    function: str
    skew: float
    ledger: Ledger
    queue: RenewQueue
    archive: Archive
    bus: EventBus
    is_dead: bool = False
    remaining_milliseconds: int = 29_000
    invocations: int = 0
    kept: dict[str, Any] = field(default_factory=dict)


class Processes:
    """All processes: makes them, and lets them work on events one at a time each."""

    def __init__(self, world: Any) -> None:
        """Know what they share: the world has scheduler, faults, database, wire and services."""
        self.world = world
        self.idle: dict[str, list[Process]] = defaultdict(list)
        self.invocations = 0

    def invoke(self, function: str, event: dict[str, Any], *, milliseconds: int = 29_000) -> Any:
        """Let a process work on an event and return what it answers.

        Raises:
            Died: it died over it.
        """
        task, outer = current(), current().process
        idle = self.idle[function]
        process = idle.pop() if idle else self._start(function, task.random)
        self.invocations += 1
        if self.world.faults.happens(Fault.CLOCK_JUMP, task.random):
            process.skew += task.random.uniform(-CLOCK_JUMP_SECONDS, CLOCK_JUMP_SECONDS)
        process.remaining_milliseconds = milliseconds
        handler = HANDLERS[function]
        if app := getattr(handler, "app", None):
            app.context = {}
        task.process = process
        try:
            answer = handler.lambda_handler(event, CONTEXT)
        except Died:
            process.is_dead = True
            raise
        finally:
            task.process = outer
        idle.append(process)
        return answer

    def _start(self, function: str, random: Random) -> Process:
        world = self.world
        skewed = world.faults.happens(Fault.SKEW, random)
        wire = world.wire
        process = Process(
            function=function,
            skew=random.uniform(-SKEW_SECONDS, SKEW_SECONDS) if skewed else 0.0,
            ledger=Ledger(
                ScripTable(services.Table(world.database, wire, world.written), "scrip"),
                lambda: at(world.scheduler.now + process.skew),
            ),
            queue=RenewQueue(services.Queue(wire, world.queue_arrived), "https://simulated/renew"),
            archive=Archive(services.Bucket(wire, world.objects), "archive"),
            bus=EventBus(services.Bus(wire, world.heard), "bus"),
        )
        return process


def at(seconds: float) -> datetime:
    """Return a time as the product keeps it: UTC, in whole milliseconds."""
    return EPOCH + timedelta(milliseconds=int(seconds * 1000))


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SwitchingScheduler(Scheduler):
    """A scheduler that keeps apart what Powertools keeps of a request in globals."""

    def pause(self, seconds: float) -> None:
        """Let others run for some virtual seconds."""
        process = current().process
        if process is None:
            super().pause(seconds)
            return
        app = getattr(HANDLERS[process.function], "app", None)
        router = BaseRouter.__dict__
        event, context = router.get("current_event"), router.get("lambda_context")
        kept = app.context if app else None
        super().pause(seconds)
        BaseRouter.current_event, BaseRouter.lambda_context = event, context
        if app:
            app.context = kept


class _Now:
    """Stands in for `time`, and for `random` where it only makes pauses."""

    def __init__(self) -> None:
        self.scheduler: Scheduler | None = None

    def monotonic(self) -> float:
        return self.scheduler.now

    def sleep(self, seconds: float) -> None:
        self.scheduler.pause(seconds)

    def uniform(self, low: float, high: float) -> float:
        return current().random.uniform(low, high)


class _Inline:
    """Stands in for a pool of one thread: does what it is asked for at once."""

    def submit(self, work: Callable[..., Any], *told: Any) -> Any:
        try:
            work(*told)
        except Exception as error:
            raised = error

            def result(**_: Any) -> Any:
                raise raised

            return SimpleNamespace(result=result)
        return SimpleNamespace(result=lambda **_: None)


def _ulid() -> str:
    """Return a ULID of the virtual time and of seeded chance."""
    random = current().random
    milliseconds = int(NOW.scheduler.now * 1000)
    return str(ULID(milliseconds.to_bytes(6, "big") + random.getrandbits(80).to_bytes(10, "big")))


NOW = _Now()
CONTEXT = SimpleNamespace(
    function_name="function",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:eu-central-1:123456789012:function:function",
    aws_request_id="b2f7c1de-1111-4c5e-9f0a-6d5e4c3b2a19",
    get_remaining_time_in_millis=lambda: current().process.remaining_milliseconds,
)
HANDLERS = {name: import_module(f"functions.{name}.handler") for name in FUNCTIONS}


def _set_up() -> None:
    """Let the product take time, chance and its process's own things from here."""
    kept = {
        "ledger": (scrip.ledger.ledger, lambda: current().process.ledger),
        "renew_queue": (sys.modules["scrip.queues"].renew_queue, lambda: current().process.queue),
        "archive": (HANDLERS["events"].archive, lambda: current().process.archive),
        "bus": (HANDLERS["events"].bus, lambda: current().process.bus),
        "ULID": (ULID, _ulid),
        "utc_now": (scrip.ledger.utc_now, lambda: current().process.ledger.clock()),
        "time": (sys.modules["time"], NOW),
        "random": (sys.modules["random"], NOW),
    }
    for name, module in list(sys.modules.items()):
        if name.startswith(("scrip.", "functions.")) and name != "scrip.webhooks.signatures":
            for attribute, (real, simulated) in kept.items():
                if module.__dict__.get(attribute) is real:
                    setattr(module, attribute, simulated)
    HANDLERS["signup"].THREAD = _Inline()
    scrip.observability.single_metric = lambda **_: nullcontext()
    for module in (scrip.sweep, scrip.store.keys):
        module.DIRECTORY_SHARDS = DIRECTORY_SHARDS
    parameters.get_secret = lambda *_, **__: {"standard": [SECRET]}


_set_up()
