"""Counts a client's round trips to DynamoDB, and the units that it writes and reads."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from simulation.dynamodb import item_size

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

OK = 200
IN_TRANSACTION = 2
"""Units for writing an item of 1 KB in a transaction."""

WRITE_BYTES = 1_024
"""Bytes that one unit writes."""

READ_BYTES = 4_096
"""Bytes that one unit reads."""


@dataclass
class Meter:
    """Round trips and capacity units of a client.

    DynamoDB's answers contain the units of successful writes. The units of reads are calculated,
    because the local DynamoDB reports the same for items of any size; so are those of failed
    conditions, which are not reported: they cost what success would have, for items within 1 KB.
    """

    round_trips: int = 0
    read_units: float = 0
    write_units: float = 0
    _calls: Any = field(default_factory=threading.local)
    """Parameters of each thread's last call."""

    _lock: threading.Lock = field(default_factory=threading.Lock)

    def subtract(self, other: Meter) -> None:
        """Subtract another meter's counts."""
        self.round_trips -= other.round_trips
        self.read_units -= other.read_units
        self.write_units -= other.write_units

    def hook(self, client: DynamoDBClient) -> None:
        """Start counting a client's calls."""
        events: Any = client.meta.events
        events.register("provide-client-params.dynamodb", _ask_capacity, unique_id="bench-ask")
        events.register("before-send.dynamodb", self._sent, unique_id="bench-sent")
        events.register("after-call.dynamodb", self._answered, unique_id="bench-answered")

    def unhook(self, client: DynamoDBClient) -> None:
        """Stop counting."""
        events = client.meta.events
        events.unregister("provide-client-params.dynamodb", unique_id="bench-ask")
        events.unregister("before-send.dynamodb", unique_id="bench-sent")
        events.unregister("after-call.dynamodb", unique_id="bench-answered")

    def _sent(self, request: Any, **_: Any) -> None:
        self._calls.params = json.loads(request.body)
        with self._lock:
            self.round_trips += 1

    def _answered(self, **answer: Any) -> None:
        with self._lock:
            self._add(**answer)

    def _add(self, model: Any, parsed: Any, http_response: Any, **_: Any) -> None:
        unit = 1 if self._calls.params.get("ConsistentRead") else 0.5
        match model.name:
            case "GetItem":
                self._read(unit, parsed.get("Item", {}))
            case "Query":
                self._read(unit, *parsed["Items"], together=True)
            case "BatchGetItem":
                for items in parsed["Responses"].values():
                    self._read(unit, *items)
            case "BatchWriteItem":
                for puts in self._calls.params["RequestItems"].values():
                    sizes = [item_size(put["PutRequest"]["Item"]) for put in puts]
                    self.write_units += sum(ceil(size / WRITE_BYTES) for size in sizes)
            case "Scan":
                pass  # what it reads is not what it returns
            case "DeleteItem" | "PutItem" | "TransactWriteItems" | "UpdateItem":
                self._wrote(parsed, has_failed=http_response.status_code != OK)
            case other:
                raise ValueError(f"the cost of {other} is unknown")

    def _wrote(self, parsed: Any, *, has_failed: bool) -> None:
        if has_failed:
            in_transaction = self._calls.params.get("TransactItems")
            self.write_units += IN_TRANSACTION * len(in_transaction) if in_transaction else 1
        else:
            consumed = parsed["ConsumedCapacity"]
            for used in consumed if isinstance(consumed, list) else [consumed]:
                self.write_units += used["CapacityUnits"]

    def _read(self, unit: float, *items: Any, together: bool = False) -> None:
        sizes = [item_size(item) for item in items]
        for size in [sum(sizes)] if together else sizes:
            self.read_units += unit * max(1, ceil(size / READ_BYTES))


def _ask_capacity(params: dict[str, Any], **_: Any) -> dict[str, Any]:
    return {**params, "ReturnConsumedCapacity": "INDEXES"}
