"""Queues between functions that find work and their workers, who re-queue what is left of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from scrip.aws import client
from scrip.domain.errors import BusyError
from scrip.retrying import retrying

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.literals import QueueAttributeNameType

BATCH_MAX = 10
"""The most messages in one call to SQS."""

TRIES_MAX = 3
BACKOFF_SECONDS = 0.05
"""How often, and after which pauses, a batch is sent, each time with what SQS has not accepted."""

DEPTH: tuple[QueueAttributeNameType, ...] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
)
"""Attributes of a queue that add up to its number of messages."""


@dataclass(frozen=True)
class Queue:
    """A queue: its client and its URL."""

    client: SQSClient
    url: str

    def send(self, messages: Iterable[BaseModel]) -> None:
        """Send messages. After an error some may have been sent; sending all again is safe.

        Raises:
            BusyError: SQS did not accept all of them.
        """
        for batch in batched(messages, BATCH_MAX, strict=False):
            left = {str(n): message.model_dump_json() for n, message in enumerate(batch)}
            retrying(partial(self._send, left), tries=TRIES_MAX, backoff=BACKOFF_SECONDS)

    def _send(self, left: dict[str, str]) -> None:
        """Send messages, named by their number in the batch, and drop those that SQS accepts."""
        answer = self.client.send_message_batch(
            QueueUrl=self.url,
            Entries=[{"Id": n, "MessageBody": body} for n, body in left.items()],
        )
        for sent in answer.get("Successful", []):
            del left[sent["Id"]]
        if left:
            raise BusyError

    def depth(self) -> int:
        """Return about how many messages there are, including those in flight.

        Raises:
            BusyError: SQS did not answer.
        """
        try:
            answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(DEPTH))
        except (ClientError, BotoCoreError) as exc:
            raise BusyError from exc
        return sum(int(answer["Attributes"][name]) for name in DEPTH)


def open_queue(url: str) -> Queue:
    """Return the queue with this URL."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 3},
        connect_timeout=0.5,
        read_timeout=2,
    )
    return Queue(client("sqs", config), url)
