"""Counts what is asked of DynamoDB: round trips, and units of what is written and read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

from simulation.dynamodb import item_size

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

OK = 200
IN_TRANSACTION = 2
"""How many units a transaction takes to write an item of 1 KB."""

READ_BYTES = 4_096
"""How much one unit reads."""


@dataclass
class Meter:
    """What a client was used for. Capacity in units.

    What a write costs is as the answer tells it. Reads are reckoned from what was read: the local
    DynamoDB says the same of items of any size. So are writes whose condition failed, of which
    nothing is told: they cost what success would have, and their items are within 1 KB here.
    """

    round_trips: int = 0
    read_units: float = 0
    write_units: float = 0
    _asked: dict[str, Any] = field(default_factory=dict)
    """The last call."""

    def subtract(self, other: Meter) -> None:
        """Take off what something else was."""
        self.round_trips -= other.round_trips
        self.read_units -= other.read_units
        self.write_units -= other.write_units

    def hook(self, client: DynamoDBClient) -> None:
        """Count every call of a client from now on."""
        events: Any = client.meta.events
        events.register("provide-client-params.dynamodb", _ask, unique_id="bench-ask")
        events.register("before-send.dynamodb", self._sent, unique_id="bench-sent")
        events.register("after-call.dynamodb", self._told, unique_id="bench-told")

    def unhook(self, client: DynamoDBClient) -> None:
        """Count no more."""
        events = client.meta.events
        events.unregister("provide-client-params.dynamodb", unique_id="bench-ask")
        events.unregister("before-send.dynamodb", unique_id="bench-sent")
        events.unregister("after-call.dynamodb", unique_id="bench-told")

    def _sent(self, request: Any, **_: Any) -> None:
        self.round_trips += 1
        self._asked = json.loads(request.body)

    def _told(self, model: Any, parsed: Any, http_response: Any, **_: Any) -> None:
        unit = 1 if self._asked.get("ConsistentRead") else 0.5
        match model.name:
            case "GetItem":
                self._read(unit, parsed.get("Item", {}))
            case "Query":
                self._read(unit, *parsed["Items"], together=True)
            case "BatchGetItem":
                for items in parsed["Responses"].values():
                    self._read(unit, *items)
            case "DeleteItem" | "PutItem" | "TransactWriteItems" | "UpdateItem":
                self._wrote(parsed, has_failed=http_response.status_code != OK)
            case other:
                raise ValueError(f"nobody has said what {other} costs")

    def _wrote(self, parsed: Any, *, has_failed: bool) -> None:
        if has_failed:
            in_transaction = self._asked.get("TransactItems")
            self.write_units += IN_TRANSACTION * len(in_transaction) if in_transaction else 1
        else:
            consumed = parsed["ConsumedCapacity"]
            for used in consumed if isinstance(consumed, list) else [consumed]:
                self.write_units += used["CapacityUnits"]

    def _read(self, unit: float, *items: Any, together: bool = False) -> None:
        sizes = [item_size(item) for item in items]
        for size in [sum(sizes)] if together else sizes:
            self.read_units += unit * max(1, ceil(size / READ_BYTES))


def _ask(params: dict[str, Any], **_: Any) -> dict[str, Any]:
    return {**params, "ReturnConsumedCapacity": "INDEXES"}
