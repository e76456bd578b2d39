"""The table and its client: short time-outs, and one translation of DynamoDB's errors."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from scrip.aws import client
from scrip.domain.errors import BusyError
from scrip.store.items import to_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from scrip.store.items import Item, Wire
    from scrip.store.keys import Key

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
        # A single write to an item that a transaction is writing.
        "TransactionConflictException",
        "TransactionInProgressException",
    },
)

CONDITION_REASON = "ConditionalCheckFailed"
RETRYABLE_REASONS = frozenset(
    {"ProvisionedThroughputExceeded", "ThrottlingError", "TransactionConflict"},
)
"""Why a transaction was canceled that may succeed when it is repeated."""

CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 2},
    connect_timeout=0.5,
    read_timeout=1,
    parameter_validation=False,
    user_agent="scrip",
)
"""The configuration of every client.

By default botocore waits for seconds when it is throttled, and never retries a conflict. Here it
retries once, for requests that are lost on the wire; callers decide about the rest. It neither
validates parameters, which the service does anyway, nor builds a user agent for each request:
together they take a quarter of the CPU of a call.
"""

BATCH_MAX = 100
"""How many keys one BatchGetItem takes."""

PUTS_MAX = 25
"""How many items one BatchWriteItem puts."""

# Hold if no item has the key, and if one has it.
IS_NEW = "attribute_not_exists(pk)"
EXISTS = "attribute_exists(pk)"

_NAME = re.compile(r"#(\w+)")

type Action = dict[str, dict[str, Any]]
"""One action of a transaction, such as {"Put": {...}}, without the table's name."""


@dataclass(eq=False)
class ConditionFailedError(Exception):
    """A condition failed, and nothing was written.

    `items` has an element for each action. It is the item as it was if the action asked for that
    and its own condition failed, and None otherwise.
    """

    items: Sequence[Wire | None]


@dataclass(frozen=True)
class Table:
    """The one table: its client and its name.

    Each method makes one request, except `query_all`, `get_batch` and `put_batch`. If the table
    does not answer, it raises BusyError; a write may have taken effect then. In expressions `#name`
    stands for the attribute `name`.
    """

    client: DynamoDBClient
    name: str

    def get(self, key: Key, *attributes: str) -> Wire | None:
        """Return an item, or only some attributes of it; None if there is none.

        Strongly consistent.
        """
        request = {"TableName": self.name, "Key": to_wire(key), "ConsistentRead": True}
        projection = _expressions(None, ProjectionExpression=_listed(attributes))
        answer = self.call(self.client.get_item, **request, **projection)
        item: Wire | None = answer.get("Item")
        return item

    def get_together(self, *keys: Key) -> list[Wire | None]:
        """Return items as they were at one moment, None for each that does not exist."""
        gets = [{"Get": {"TableName": self.name, "Key": to_wire(key)}} for key in keys]
        answer = self.call(self.client.transact_get_items, TransactItems=gets)
        return [found.get("Item") for found in answer["Responses"]]

    def get_batch(
        self, keys: Iterable[Key], *attributes: str, consistent: bool = False
    ) -> list[Wire]:
        """Return those of up to 100 different items that exist, in no particular order.

        DynamoDB can return only some of them, and is asked for the others again. That ends: a
        request of which it returns nothing fails.
        """
        projection = _expressions(None, ProjectionExpression=_listed(attributes))
        request = {"Keys": [to_wire(key) for key in keys], "ConsistentRead": consistent}
        wanted = {self.name: request | projection} if request["Keys"] else {}
        found: list[Wire] = []
        while wanted:
            answer = self.call(self.client.batch_get_item, RequestItems=wanted)
            found += answer["Responses"][self.name]
            wanted = answer["UnprocessedKeys"]
        return found

    def query(
        self,
        keys: str,
        values: Item,
        *attributes: str,
        where: str | None = None,
        after: Wire | None = None,
        **options: Any,
    ) -> tuple[list[Wire], Wire | None]:
        """Return a page of a partition, and the key to go on after; None at the end.

        `keys` is the key condition and `where` the filter. The options are those of DynamoDB's
        Query.
        """
        expressions = _expressions(
            values,
            KeyConditionExpression=keys,
            FilterExpression=where,
            ProjectionExpression=_listed(attributes),
        )
        return self._page(self.client.query, after, options | expressions)

    def query_all(
        self, keys: str, values: Item, *attributes: str, **options: Any
    ) -> Iterator[Wire]:
        """Yield all items of a query. Each page is requested when it is needed."""
        after = None
        while True:
            items, after = self.query(keys, values, *attributes, after=after, **options)
            yield from items
            if after is None:
                return

    def scan(
        self, *attributes: str, after: Wire | None, **options: Any
    ) -> tuple[list[Wire], Wire | None]:
        """Return a page of the table, and the key to go on after; None at the end.

        The options are those of DynamoDB's Scan.
        """
        expressions = _expressions(None, ProjectionExpression=_listed(attributes))
        return self._page(self.client.scan, after, options | expressions)

    def put(
        self,
        item: Item,
        condition: str | None = None,
        values: Item | None = None,
        *,
        return_old: bool = False,
    ) -> None:
        """Put an item.

        Raises:
            ConditionFailedError: nothing was written. It has the old item if `return_old` is set.
        """
        request = putting(item, condition, values, return_old=return_old)["Put"]
        self.call(self.client.put_item, TableName=self.name, **request)

    def put_batch(self, items: Iterable[Item]) -> None:
        """Put items, 25 with each request. DynamoDB can put only some, and is asked again."""
        for some in batched(items, PUTS_MAX, strict=False):
            left: Any = {self.name: [{"PutRequest": {"Item": to_wire(item)}} for item in some]}
            while left:
                left = self.call(self.client.batch_write_item, RequestItems=left)[
                    "UnprocessedItems"
                ]

    def update(self, key: Key, update: str, condition: str, values: Item | None = None) -> None:
        """Change attributes of an item.

        Raises:
            ConditionFailedError: nothing was changed.
        """
        request = updating(key, update, values, condition)["Update"]
        self.call(self.client.update_item, TableName=self.name, **request)

    def delete(self, key: Key, where: str | None = None, values: Item | None = None) -> None:
        """Delete an item if it exists.

        Raises:
            ConditionFailedError: the condition `where` does not hold; nothing was deleted.
        """
        expressions = _expressions(values, ConditionExpression=where)
        self.call(self.client.delete_item, TableName=self.name, Key=to_wire(key), **expressions)

    def count(self, keys: str, values: Item, **options: Any) -> tuple[int, bool]:
        """Return how many items a page of a query has, and whether there are more."""
        expressions = _expressions(values, KeyConditionExpression=keys)
        request = {"TableName": self.name, "Select": "COUNT", **options, **expressions}
        answer = self.call(self.client.query, **request)
        return answer["Count"], "LastEvaluatedKey" in answer

    def transact(self, *actions: Action) -> None:
        """Carry out all actions or none.

        Raises:
            ConditionFailedError: the condition of at least one action failed.
        """
        for action in actions:
            for request in action.values():
                request["TableName"] = self.name
        self.call(self.client.transact_write_items, TransactItems=list(actions))

    def call(self, operation: Callable[..., Any], **request: Any) -> Any:
        """Make a request.

        Raises:
            ConditionFailedError: nothing was written.
            BusyError: the table did not answer, or another transaction was faster.
        """
        try:
            with answered():
                return operation(**request)
        except ClientError as exc:
            answer: Any = exc.response
            reasons = answer.get("CancellationReasons", [])
            codes = {reason["Code"] for reason in reasons}
            if codes & RETRYABLE_REASONS:
                raise BusyError from exc
            if CONDITION_REASON in codes:
                raise ConditionFailedError([reason.get("Item") for reason in reasons]) from exc
            if answer["Error"]["Code"] == "ConditionalCheckFailedException":
                raise ConditionFailedError([answer.get("Item")]) from exc
            raise

    def _page(
        self, operation: Callable[..., Any], after: Wire | None, request: dict[str, Any]
    ) -> tuple[list[Wire], Wire | None]:
        if after is not None:
            request["ExclusiveStartKey"] = after
        answer = self.call(operation, TableName=self.name, **request)
        return answer["Items"], answer.get("LastEvaluatedKey")


def open_table(name: str, roots: str = "") -> Table:
    """Return the table by name; `roots` is a file with the root certificates to trust, if any."""
    return Table(client("dynamodb", CONFIG, roots), name)


def putting(
    item: Item,
    condition: str | None = None,
    values: Item | None = None,
    *,
    return_old: bool = False,
) -> Action:
    """Return the action of a transaction that puts an item."""
    request = {"Item": to_wire(item), **_expressions(values, ConditionExpression=condition)}
    if return_old:
        request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return {"Put": request}


def updating(key: Key, update: str, values: Item | None, condition: str | None = None) -> Action:
    """Return the action of a transaction that changes attributes of an item, new or not."""
    expressions = _expressions(values, UpdateExpression=update, ConditionExpression=condition)
    return {"Update": {"Key": to_wire(key), **expressions}}


def deleting(key: Key) -> Action:
    """Return the action of a transaction that deletes an item if it exists."""
    return {"Delete": {"Key": to_wire(key)}}


def checking(key: Key, condition: str, values: Item) -> Action:
    """Return the action of a transaction that changes nothing and has a condition."""
    expressions = _expressions(values, ConditionExpression=condition)
    return {"ConditionCheck": {"Key": to_wire(key), **expressions}}


def _listed(attributes: Iterable[str]) -> str:
    """Return the projection of some attributes; none means all of them."""
    return ", ".join(f"#{name}" for name in attributes)


def _expressions(values: Item | None, **texts: str | None) -> dict[str, Any]:
    """Return expressions with their values, and with the names that they use."""
    request: dict[str, Any] = {name: text for name, text in texts.items() if text}
    names = {f"#{name}": name for text in request.values() for name in _NAME.findall(text)}
    if names:
        request["ExpressionAttributeNames"] = names
    if values:
        request["ExpressionAttributeValues"] = to_wire(values)
    return request


@contextmanager
def answered() -> Iterator[None]:
    """Raise BusyError for each of the ways in which an AWS service fails to answer.

    The request may have taken effect or not.

    Raises:
        BusyError: the service throttled the request, failed or could not be reached.
    """
    try:
        yield
    except ClientError as exc:
        if exc.response["Error"]["Code"] in RETRYABLE_CODES:
            raise BusyError from exc
        raise
    except (HTTPClientError, BotoConnectionError) as exc:
        raise BusyError from exc
