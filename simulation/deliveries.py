"""Deliveries: SQS and the table's stream deliver everything at least once."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from simulation.faults import Died, Fault
from simulation.scheduler import current

if TYPE_CHECKING:
    from simulation.dynamodb import Change
    from simulation.world import World

RECEIVES_MAX = 5
"""After this many receives a message is a dead letter."""

BATCH_MAX = 10
STREAM_BATCHES = (1, 10, 40, 100)
"""The possible sizes of a batch of the stream."""

QUEUE = "queue"
STREAM = ("events", "wake")
"""The functions that read the stream."""


class Deliveries:
    """The queue's messages and the stream's records. Each reader has one delivery at a time."""

    def __init__(self, world: World) -> None:
        """Start with nothing to deliver."""
        self.world = world
        self._queue: deque[tuple[str, int]] = deque()
        self._working: set[str] = set()
        self._position = dict.fromkeys(STREAM, 0)

    def arrived(self, body: str) -> None:
        """Add a message to the queue and start its delivery."""
        self._queue.append((body, 0))
        self.wake(QUEUE)

    def written(self) -> None:
        """Start to deliver the stream's new records."""
        for function in STREAM:
            self.wake(function)

    def wake_all(self) -> None:
        """Start to deliver everything that waits."""
        for reader in (*STREAM, QUEUE):
            self.wake(reader)

    def wake(self, reader: str) -> None:
        """Start to deliver to a reader, unless a delivery is running."""
        if reader in self._working:
            return
        self._working.add(reader)
        work = self._work_on_queue if reader == QUEUE else partial(self._work_on_stream, reader)
        chance = self.world.chance(len(self.world.database.stream) * 4 + len(reader))
        self.world.scheduler.spawn(work, chance, chance.uniform(0.01, 3))

    # ---- SQS -------------------------------------------------------------------------------------

    def _work_on_queue(self) -> None:
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
            if self.world.faults.happens(Fault.QUEUE_TWICE, current().random):
                self._queue.append(batch[0])
            failed = self._receive([body for body, _ in batch])
            self._queue.extend(
                (body, received + 1)
                for n, (body, received) in enumerate(batch)
                if n in failed and received < RECEIVES_MAX
            )
            self.world.scheduler.pause(0.1)
        self._working.remove(QUEUE)

    def _receive(self, bodies: list[str]) -> set[int]:
        """Deliver a batch to the worker; return the numbers of the messages that failed."""
        in_time = not self.world.faults.drawn(Fault.OUT_OF_TIME, current().random)
        records = [{"messageId": str(n), "body": body} for n, body in enumerate(bodies)]
        try:
            answer = self.world.processes.invoke(
                "renew", {"Records": records}, milliseconds=60_000 if in_time else 0
            )
        except Died:
            return set(range(len(bodies)))
        return {int(one["itemIdentifier"]) for one in answer["batchItemFailures"]}

    # ---- The stream ------------------------------------------------------------------------------

    def _work_on_stream(self, function: str) -> None:
        world, random = self.world, current().random
        stream = world.database.stream
        waits = self._position[function] < len(stream)
        if waits and world.faults.happens(Fault.STREAM_LATE, random):
            world.scheduler.pause(random.uniform(60, 3 * 3600))
        while self._position[function] < len(stream):
            first = self._position[function]
            last = min(first + random.choice(STREAM_BATCHES), len(stream))
            if last - first > 1 and world.faults.happens(Fault.STREAM_SPLIT, random):
                last = first + (last - first + 1) // 2
            wanted = _has_event if function == "events" else _may_wake
            changes = list(filter(wanted, stream[first:last]))
            done = self._deliver(function, changes, first, last) if changes else last - first
            if changes and done and world.faults.happens(Fault.STREAM_REPEATED, random):
                done = 0
            self._position[function] += done
            if done == 0:
                world.scheduler.pause(random.uniform(0.1, 5))
        self._working.remove(function)

    def _deliver(self, function: str, changes: list[Change], first: int, last: int) -> int:
        """Deliver records that passed the filter; return how many records are done."""
        records = [change.record() for change in changes]
        try:
            answer = self.world.processes.invoke(function, {"Records": records})
        except Died:
            return 0
        except Exception:
            # Lambda delivers the same batch again.
            if self.world.faults.over:
                raise
            return 0
        failures = (answer or {}).get("batchItemFailures")
        if not failures:
            return last - first
        [failed] = [
            change for change in changes if str(change.number) == failures[0]["itemIdentifier"]
        ]
        return self.world.database.stream.index(failed) - first


def _has_event(change: Change) -> bool:
    """The event function's filter in template.yaml."""
    if change.pk.startswith("LEDGER#"):
        return change.before is None
    return change.sk == "ACCOUNT" and change.name != "REMOVE"


def _may_wake(change: Change) -> bool:
    """The wake function's filter in template.yaml."""
    if change.sk == "ACCOUNT":
        return change.before is None
    is_alias = change.pk.startswith("ALIAS#") and change.sk.startswith("ALIAS#")
    return is_alias and change.name != "REMOVE"
