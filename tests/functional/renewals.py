"""The sweep's queue on moto, delivered to its worker as SQS and Lambda do."""

from __future__ import annotations

import json
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from functions.renew.handler import lambda_handler as renew
from functions.reset.handler import lambda_handler as reset
from scrip.domain.decide import decide
from scrip.ledger import Ledger, opening
from scrip.store.items import account_item, entry_item, to_wire
from scrip.store.queries import read

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip.domain.account import Account
    from scrip.store.client import Table
    from scrip.work_queue import Queue

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ROUNDS_MAX = 100


class OneAfterTheOther(Executor):
    """Works without threads: moto's DynamoDB is not safe with several."""

    def submit(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do the work at once."""
        done: Future[Any] = Future()
        try:
            done.set_result(work(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001 - raised again by `result`
            done.set_exception(exc)
        return done


@dataclass
class Renewals:
    """The table, the queue and its dead letters, at noon. A failed message returns at once."""

    table: Table
    queue: Queue
    dead_letters_url: str
    context: Any

    def sweep(self) -> int:
        """Run the scheduled function; return how many messages it sent."""
        return reset({}, self.context)["messages"]

    def take(self) -> list[dict[str, Any]]:
        """Receive messages, as an event's records."""
        return received(self.queue, self.queue.url)

    def deliver(self, records: list[dict[str, Any]]) -> None:
        """Call the worker with messages, and delete those that did not fail."""
        delivered(self.queue, records, renew({"Records": records}, self.context))

    def drain(self) -> list[Any]:
        """Deliver until the queue is empty; return the bodies of the dead letters."""
        for _ in range(ROUNDS_MAX):
            records = self.take()
            if not records:
                dead = received(self.queue, self.dead_letters_url)
                return [json.loads(record["body"]) for record in dead]
            self.deliver(records)
        raise AssertionError("the queue is never empty")

    def open(self, opened_at: dict[str, datetime]) -> None:
        """Write accounts as if opened in the past, at the start of their first periods."""
        written = []
        for account_id, now in opened_at.items():
            posting = decide(None, opening(account_id), catalog=DEFAULT_CATALOG, now=now)
            written.append(account_item(posting.after))
            written += [entry_item(account_id, entry) for entry in posting.entries]
        puts: Any = [{"PutRequest": {"Item": to_wire(item)}} for item in written]
        self.table.client.batch_write_item(RequestItems={self.table.name: puts})

    def ledger_at(self, now: datetime) -> Ledger:
        """Return a ledger whose clock stands still."""
        return Ledger(self.table, lambda: now)

    def stored(self, account_id: str) -> Account:
        """Return an account from the table, without rolling it forward."""
        account = read(self.table, account_id).account
        assert account is not None
        return account

    def renewed(self) -> list[str]:
        """Return the IDs of the accounts with an entry that grants the plan for November."""
        answer = self.table.client.scan(
            TableName=self.table.name,
            FilterExpression="sk = :november",
            ExpressionAttributeValues={":november": {"S": f"ENTRY#period:{NOW:%Y-%m-%d}"}},
        )
        return sorted(item["pk"]["S"].removeprefix("LEDGER#") for item in answer["Items"])

    def before_the_next(self, operation: str, happens: Callable[[], object]) -> None:
        """Call `happens` just before the next call of an operation."""
        event = f"before-call.dynamodb.{operation}"

        def before_call(**_: Any) -> None:
            self.table.client.meta.events.unregister(event, before_call)
            happens()

        self.table.client.meta.events.register_first(event, before_call)


def received(queue: Queue, url: str) -> list[dict[str, Any]]:
    """Receive messages, as an event's records."""
    answer = queue.client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [
        {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
        }
        for message in answer.get("Messages", [])
    ]


def delivered(queue: Queue, records: list[dict[str, Any]], answer: dict[str, Any]) -> None:
    """Delete the messages that did not fail, as Lambda does."""
    failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    done = [record for record in records if record["messageId"] not in failed]
    if done:
        queue.client.delete_message_batch(
            QueueUrl=queue.url,
            Entries=[
                {"Id": record["messageId"], "ReceiptHandle": record["receiptHandle"]}
                for record in done
            ],
        )
