"""Faults of the network and of DynamoDB, injected into botocore's calls without a mock."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrip.store.client import Table


@contextmanager
def instead_of(table: Table, operation: str, error: dict[str, Any], times: int) -> Iterator[None]:
    """Answer the next calls of an operation with an error, without sending them."""
    left = [times]

    def before_call(**_: Any) -> Any:
        if left[0]:
            left[0] -= 1
            return AWSResponse("http://dynamodb", 400, HTTPHeaders(), None), error
        return None

    with _handled(table, f"before-call.dynamodb.{operation}", before_call):
        yield


@contextmanager
def answer_lost(table: Table, operation: str, times: int) -> Iterator[None]:
    """Let the next calls of an operation take effect and lose their answers."""
    left = [times]

    def after_call(**_: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise ReadTimeoutError(endpoint_url="http://dynamodb")

    with _handled(table, f"after-call.dynamodb.{operation}", after_call):
        yield


@contextmanager
def before_each(table: Table, operation: str, act: Callable[[], object]) -> Iterator[None]:
    """Do something else just before each call of an operation, as another process would."""
    event = f"before-call.dynamodb.{operation}"

    def before_call(**_: Any) -> None:
        table.client.meta.events.unregister(event, before_call)  # not before its own calls
        act()
        table.client.meta.events.register_first(event, before_call)

    with _handled(table, event, before_call):
        yield


@contextmanager
def failing_at(table: Table, number: int) -> Iterator[None]:
    """Throttle the call with that number, whatever its operation."""
    left = [number]

    def before_call(**_: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            return AWSResponse("http://dynamodb", 400, HTTPHeaders(), None), THROTTLED
        return None

    with _handled(table, "before-call.dynamodb", before_call):
        yield


@contextmanager
def conflicting_at(table: Table, number: int) -> Iterator[list[str]]:
    """Let the single write with that number conflict with a transaction; yield the writes."""
    calls: list[str] = []

    def before_call(model: Any, **_: Any) -> Any:
        if model.name in SINGLE_WRITES:
            calls.append(model.name)
            if len(calls) == number:
                return AWSResponse("http://dynamodb", 400, HTTPHeaders(), None), WRITE_CONFLICT
        return None

    with _handled(table, "before-call.dynamodb", before_call):
        yield calls


@contextmanager
def counted(table: Table) -> Iterator[list[str]]:
    """Yield the list of the calls that are made."""
    calls: list[str] = []

    def before_call(model: Any, **_: Any) -> None:
        calls.append(model.name)

    table.client.meta.events.register("before-call.dynamodb", before_call)
    try:
        yield calls
    finally:
        table.client.meta.events.unregister("before-call.dynamodb", before_call)


@contextmanager
def _handled(table: Table, event: str, handler: Callable[..., Any]) -> Iterator[None]:
    """Let a handler see an event of the client before all others do."""
    table.client.meta.events.register_first(event, handler)
    try:
        yield
    finally:
        table.client.meta.events.unregister(event, handler)


CONFLICT = {
    "Error": {"Code": "TransactionCanceledException", "Message": "Transaction cancelled"},
    "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
}
"""DynamoDB's error while another transaction writes the account."""

SINGLE_WRITES = {"PutItem", "UpdateItem", "DeleteItem"}

WRITE_CONFLICT = {
    "Error": {"Code": "TransactionConflictException", "Message": "Transaction is ongoing"},
}
"""DynamoDB's error for a single write while a transaction writes its item."""

THROTTLED = {
    "Error": {"Code": "ProvisionedThroughputExceededException", "Message": "Slow down"},
}
"""DynamoDB's error when a partition is over its limit."""
