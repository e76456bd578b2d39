"""The table and its client, with short time-outs and the code's own retries."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from scrip.aws import client
from scrip.domain.errors import BusyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_dynamodb import DynamoDBClient

RETRYABLE_CODES = frozenset(
    {
        "InternalError",
        "InternalException",
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottlingException",
        # A single write, while a transaction is at work on its item.
        "TransactionConflictException",
        "TransactionInProgressException",
    },
)

CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 2},
    connect_timeout=0.5,
    read_timeout=1,
    parameter_validation=False,
    user_agent="scrip",
)
"""Of every client. botocore's default waits seconds on a throttle and never retries a conflict.

So it only tries twice for what is lost on the wire; who calls owns the rest. And it neither checks
the shape of what our own code asks for, as the service does anyway, nor puts together anew for
each request what it says of itself: that is a quarter of the CPU of its calls.
"""


@dataclass(frozen=True)
class Table:
    """The one table: its client and its name."""

    client: DynamoDBClient
    name: str


def open_table(name: str) -> Table:
    """Return the table by name."""
    return Table(client("dynamodb", CONFIG), name)


@contextmanager
def answered() -> Iterator[None]:
    """Turn every way in which a service does not answer into one. What was asked may stand or not.

    Raises:
        BusyError: it throttled, failed or could not be reached.
    """
    try:
        yield
    except ClientError as exc:
        if exc.response["Error"]["Code"] in RETRYABLE_CODES:
            raise BusyError from exc
        raise
    except (HTTPClientError, BotoConnectionError) as exc:
        raise BusyError from exc
