"""The audit's queue on moto, delivered to its workers as SQS and Lambda do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.audit.handler import lambda_handler as audit
from tests.functional.renewals import delivered, received

if TYPE_CHECKING:
    from scrip.work_queue import Queue

DELIVERIES_MAX = 100


@dataclass
class Rounds:
    """The function that audits all accounts, and its queue. A failed message returns at once."""

    queue: Queue
    context: Any

    def schedule(self, *, restart: bool = False) -> dict[str, Any]:
        """Run the function as the schedule does, or with a new round; return the progress."""
        return audit({"restart": True} if restart else {}, self.context)

    def take(self) -> list[dict[str, Any]]:
        """Receive messages, as an event's records."""
        return received(self.queue, self.queue.url)

    def deliver(self, records: list[dict[str, Any]]) -> list[str]:
        """Call the worker with messages, delete those that did not fail, return those that did."""
        answer = audit({"Records": records}, self.context)
        delivered(self.queue, records, answer)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def work(self) -> dict[str, Any]:
        """Deliver until the queue is empty; return the progress after that."""
        for _ in range(DELIVERIES_MAX):
            records = self.take()
            if not records:
                return self.schedule()
            self.deliver(records)
        raise AssertionError("the queue is never empty")

    def whole(self, *, restart: bool = False) -> dict[str, Any]:
        """Begin a round if one is due, and end it; return the progress."""
        self.schedule(restart=restart)
        return self.work()
