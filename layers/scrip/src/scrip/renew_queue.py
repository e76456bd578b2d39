"""The queue between the sweep and its workers, and its messages."""

from functools import cache

from pydantic import BaseModel, TypeAdapter

from scrip.settings import settings
from scrip.work_queue import Queue, open_queue


class DirectoryRange(BaseModel, frozen=True, extra="forbid"):
    """Renew the accounts that the directory lists under an anchor day and shard.

    `first` is a time of day, `HH:MM`, or the place of the account to continue with, `HH:MM#<id>`;
    `last` is a time of day, inclusive. All in UTC.
    """

    day: int
    shard: int
    first: str
    last: str


class OneAccount(BaseModel, frozen=True, extra="forbid"):
    """Renew one account that has failed: by itself, so that the dead-letter queue names it."""

    account_id: str


type Message = DirectoryRange | OneAccount

_message: TypeAdapter[Message] = TypeAdapter(Message)


def message_of(body: str) -> Message:
    """Parse a message of the queue.

    Raises:
        ValidationError: Scrip did not send it.
    """
    return _message.validate_json(body)


@cache
def renew_queue() -> Queue:
    """Return the queue of accounts to renew."""
    return open_queue(settings().renew_queue_url)
