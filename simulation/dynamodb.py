"""A fast in-memory DynamoDB: the part of boto3's client that Scrip uses, for one table.

It has the schema of template.yaml, and accepts and refuses requests as DynamoDB does. An unknown
argument or expression raises a TypeError or an AssertionError; it never gets a response. Every
method is one atomic step. Missing are time to live, capacity, reserved names, and the 16 MB limit
of responses.
"""

from __future__ import annotations

import base64
import marshal
import zlib
from bisect import bisect_left, bisect_right, insort
from collections import Counter, deque
from decimal import Decimal
from functools import partial, wraps
from operator import itemgetter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from botocore.exceptions import ClientError

from simulation import expressions
from simulation.expressions import TYPES, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from simulation.expressions import (
        Attribute,
        Condition,
        Expression,
        Item,
        KeyCondition,
        Update,
    )

KEYS = {"pk": "S", "sk": "S"}
INDEX_KEYS = {
    "history": {"pk": "S", "seq": "N"},
    "directory": {"directory_pk": "S", "directory_sk": "S"},
}
KEYS_ONLY = frozenset({"directory"})
"""The indexes that contain only keys."""

KEY_TYPES = KEYS | INDEX_KEYS["history"] | INDEX_KEYS["directory"]
INDEX_ONLY_KEYS = ("seq", "directory_pk", "directory_sk")
KEY_BYTES_MAX = {"pk": 2048, "sk": 1024, "directory_pk": 2048, "directory_sk": 1024}

ITEM_BYTES_MAX = 400 * 1024
PAGE_BYTES_MAX = 1024 * 1024
TRANSACTION_MAX = 100
BATCH_GET_MAX = 100
BATCH_WRITE_MAX = 25

UNSHARED = 2
"""The version of marshal that writes repeated objects in full."""

ARN = "arn:aws:dynamodb:eu-central-1:123456789012:table/scrip"
FIRST_NUMBER = 100_000_000_000_000_000_000
"""Sequence numbers have at least 21 digits."""

WRITTEN_AT = 1_793_491_200
"""When every write is said to have been made, in epoch seconds: the table has no clock."""


EXCEPTIONS: dict[str, type[ClientError]] = {
    name: type(name, (ClientError,), {})
    for name in (
        "ConditionalCheckFailedException",
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ResourceNotFoundException",
        "TransactionCanceledException",
        "TransactionConflictException",
        "TransactionInProgressException",
    )
}
"""The error classes of boto3's client that this module raises."""


def client_error(operation: str, code: str, message: str, **more: Any) -> ClientError:
    """Return the error that boto3 would raise for a code."""
    response: Any = {"Error": {"Code": code, "Message": message}, **more}
    return EXCEPTIONS.get(code, ClientError)(response, operation)


type Stored = bytes
"""A stored item: serialized, so that it cannot change and is quick to copy."""


def freeze(item: Item) -> Stored:
    """Serialize an item for storage.

    Raises:
        InvalidRequestError: the item is too large.
    """
    stored = marshal.dumps(item, UNSHARED)
    # That is never less than DynamoDB counts.
    if len(stored) > ITEM_BYTES_MAX and item_size(item) > ITEM_BYTES_MAX:
        raise InvalidRequestError("Item size has exceeded the maximum allowed size")
    return stored


def thaw(stored: Stored) -> Item:
    """Return a new copy of a stored item."""
    return marshal.loads(stored)  # type: ignore[no-any-return]


class Change(NamedTuple):
    """A record of the stream: an item before and after a write, None if it did not exist."""

    number: int
    pk: str
    sk: str
    before: Stored | None
    after: Stored | None

    @property
    def name(self) -> str:
        """What happened to the item."""
        if self.before is None:
            return "INSERT"
        return "REMOVE" if self.after is None else "MODIFY"

    def record(self) -> dict[str, Any]:
        """Return the record as Lambda receives it."""
        images = {"OldImage": self.before, "NewImage": self.after}
        shown = {name: as_json(thaw(image)) for name, image in images.items() if image is not None}
        return {
            "eventID": f"{self.number:032x}",
            "eventName": self.name,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "eu-central-1",
            "dynamodb": {
                "ApproximateCreationDateTime": WRITTEN_AT,
                "Keys": {"pk": {"S": self.pk}, "sk": {"S": self.sk}},
                **shown,
                "SequenceNumber": str(self.number),
                "SizeBytes": sum(item_size(thaw(image)) for image in images.values() if image),
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventSourceARN": f"{ARN}/stream/2026-11-01T00:00:00.000",
        }


def as_json(value: Any) -> Any:
    """Return an image as Lambda receives it, with binary values in base64."""
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {name: as_json(part) for name, part in value.items()}
        case list():
            return [as_json(part) for part in value]
    return value


type _Place = tuple[Any, ...]
"""The position of an item in its partition: its sort key, in an index also its own key."""


class _Partition:
    """The sorted items of a partition."""

    __slots__ = ("items", "places")

    def __init__(self) -> None:
        self.places: list[_Place] = []
        self.items: dict[_Place, Stored] = {}


class _Sorted:
    """The table or an index: its items by partition, in order."""

    def __init__(self, keys: tuple[str, ...], *, keys_only: bool = False) -> None:
        self.keys = keys
        self.keys_only = keys_only
        self.partitions: dict[str, _Partition] = {}
        self.in_order: list[str] | None = None

    def address(self, item: Item) -> tuple[str, _Place] | None:
        """Return an item's partition and position, None if it lacks a key of the index."""
        partition, sort = self.keys[:2]
        if sort not in item or partition not in item:
            return None
        return item[partition]["S"], tuple([sort_value(item[name]) for name in self.keys[1:]])

    def put(self, address: tuple[str, _Place], stored: Stored) -> None:
        name, place = address
        partition = self.partitions.get(name)
        if partition is None:
            partition = self.partitions[name] = _Partition()
            self.in_order = None
        if place not in partition.items:
            insort(partition.places, place)
        partition.items[place] = stored

    def drop(self, address: tuple[str, _Place]) -> None:
        name, place = address
        partition = self.partitions[name]
        del partition.items[place]
        del partition.places[bisect_left(partition.places, place)]
        if not partition.places:
            del self.partitions[name]
            self.in_order = None

    def get(self, name: str, place: _Place) -> Stored | None:
        partition = self.partitions.get(name)
        return None if partition is None else partition.items.get(place)

    def count(self) -> int:
        return sum(len(partition.places) for partition in self.partitions.values())

    def start(self, key: Item | None) -> tuple[str, _Place] | None:
        """Return the position where a page begins.

        Raises:
            InvalidRequestError: the key does not fit these items.
        """
        if key is None:
            return None
        _refuse_keys(key, dict.fromkeys(self.keys).keys())
        return self.address(key)

    def span(
        self,
        asked: KeyCondition,
        values: Item,
        start: tuple[str, _Place] | None,
        *,
        forward: bool,
    ) -> Iterator[Stored]:
        """Yield the items of a partition that match a query, in order, after its start."""
        name = values[asked.partition[1]]["S"]
        partition = self.partitions.get(name, _Partition())
        places, low, high = partition.places, 0, len(partition.places)
        if asked.prefix is not None:
            prefix = sort_value(values[asked.prefix])

            def beginning(place: _Place) -> Any:
                return place[0][: len(prefix)]

            low = bisect_left(places, prefix, key=beginning)
            high = bisect_right(places, prefix, key=beginning)
        if asked.low is not None:
            bound, included = asked.low
            find = bisect_left if included else bisect_right
            low = find(places, sort_value(values[bound]), key=FIRST)
        if asked.high is not None:
            bound, included = asked.high
            find = bisect_right if included else bisect_left
            high = find(places, sort_value(values[bound]), key=FIRST)
        if start is not None:
            if start[0] != name:
                raise InvalidRequestError("The provided starting key is invalid")
            if forward:
                low = max(low, bisect_right(places, start[1]))
            else:
                high = min(high, bisect_left(places, start[1]))
        found = places[low:high]
        return (partition.items[place] for place in (found if forward else reversed(found)))

    def segment(
        self,
        number: int,
        segments: int,
        start: tuple[str, _Place] | None,
    ) -> Iterator[Stored]:
        """Yield the items of a segment after a start, with partitions in hash order."""
        if self.in_order is None:
            self.in_order = sorted(self.partitions, key=hashed)
        first = bisect_left(self.in_order, hashed(start[0]), key=hashed) if start else 0
        for name in self.in_order[first:]:
            if hashed(name)[0] * segments >> 32 != number:
                continue
            partition = self.partitions[name]
            behind = 0
            if start is not None and start[0] == name:
                behind = bisect_right(partition.places, start[1])
            for place in partition.places[behind:]:
                yield partition.items[place]


FIRST = itemgetter(0)


def hashed(name: str) -> tuple[int, str]:
    """Return a partition's position in a scan."""
    return zlib.crc32(name.encode()), name


def sort_value(attribute: Attribute) -> Any:
    """Return the value by which a key is sorted."""
    return attribute["S"] if "S" in attribute else Decimal(attribute["N"])


class _Write(NamedTuple):
    """A requested write: the item's key, the condition, and the new item."""

    place: tuple[str, str]
    becomes: Callable[[Item | None, Item], Item | None]
    condition: Condition | None
    values: Item
    returns_item: bool


class _Decided(NamedTuple):
    """A possible write: its item before and after, plain and stored."""

    place: tuple[str, str]
    before: Item | None
    after: Item | None
    stored_before: Stored | None
    stored_after: Stored | None


class _NotFoundError(Exception):
    """The table does not exist."""


class _ConditionError(Exception):
    """The condition of a write does not hold. `details` has the item if it was requested."""

    def __init__(self, details: dict[str, Item]) -> None:
        self.details = details
        super().__init__("The conditional request failed")


def _operation[Method: Callable[..., Any]](method: Method) -> Method:
    """Count a method's calls, and raise boto3's errors for refused requests."""
    name = method.__name__.title().replace("_", "")

    @wraps(method)
    def call(client: SimulatedDynamoDB, **asked: Any) -> Any:
        client.calls[name] += 1
        try:
            return method(client, **asked)
        except InvalidRequestError as exc:
            raise client_error(name, "ValidationException", str(exc)) from exc
        except _NotFoundError as exc:
            message = "Requested resource not found"
            raise client_error(name, "ResourceNotFoundException", message) from exc
        except _ConditionError as exc:
            code = "ConditionalCheckFailedException"
            raise client_error(name, code, str(exc), **exc.details) from exc

    return cast("Method", call)


class SimulatedDynamoDB:
    """boto3's client of one table.

    `stream` has every change in order. Queries do not yet see the last `index_lag` changes of
    the indexes. `calls` counts the requests by operation.
    """

    exceptions = SimpleNamespace(**EXCEPTIONS)

    def __init__(self, table_name: str, index_lag: int = 0) -> None:
        self.table_name = table_name
        self.index_lag = index_lag
        self.stream: list[Change] = []
        self.calls: Counter[str] = Counter()
        self._number = FIRST_NUMBER
        self._table = _Sorted(tuple(KEYS))
        self._indexes = {
            name: _Sorted(tuple({**keys, **KEYS}), keys_only=name in KEYS_ONLY)
            for name, keys in INDEX_KEYS.items()
        }
        self._unseen: deque[Callable[[], None]] = deque()

    @_operation
    def describe_table(self, *, TableName: str) -> dict[str, Any]:
        """Describe the table, with counts that are always current."""
        self._find(TableName)
        indexes = [
            {"IndexName": name, "IndexStatus": "ACTIVE", "ItemCount": index.count()}
            for name, index in self._indexes.items()
        ]
        return {
            "Table": {
                "TableName": self.table_name,
                "TableArn": ARN,
                "TableStatus": "ACTIVE",
                "ItemCount": self._table.count(),
                "GlobalSecondaryIndexes": indexes,
            },
        }

    # Reading

    @_operation
    def get_item(self, **get: Any) -> dict[str, Any]:
        """Return an item. Every read is strongly consistent."""
        return self._get(**get)

    @_operation
    def batch_get_item(self, *, RequestItems: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """Return those of several items that exist."""
        responses = {}
        for name, wanted in RequestItems.items():
            how = dict(wanted)
            keys = how.pop("Keys")
            _refuse_count(keys, BATCH_GET_MAX)
            answers = [self._get(TableName=name, Key=key, **how) for key in keys]
            _refuse_repetition(_place(key) for key in keys)
            responses[name] = [answer["Item"] for answer in answers if answer]
        return {"Responses": responses, "UnprocessedKeys": {}}

    @_operation
    def transact_get_items(self, *, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:
        """Return several items as of one moment."""
        _refuse_count(TransactItems, TRANSACTION_MAX)
        gets = [action["Get"] for action in TransactItems]
        answers = [self._get(**get) for get in gets]
        _refuse_repetition(_place(get["Key"]) for get in gets)
        return {"Responses": answers}

    @_operation
    def query(
        self,
        *,
        TableName: str,
        KeyConditionExpression: str,
        IndexName: str | None = None,
        ConsistentRead: bool = False,
        ScanIndexForward: bool = True,
        ExclusiveStartKey: Item | None = None,
        ExpressionAttributeNames: dict[str, str] | None = None,
        ExpressionAttributeValues: Item | None = None,
        FilterExpression: str | None = None,
        ProjectionExpression: str | None = None,
        Limit: int | None = None,
    ) -> dict[str, Any]:
        """Return a page of a partition of the table or an index."""
        source = self._source(TableName, IndexName, consistent=ConsistentRead)
        names = tuple((ExpressionAttributeNames or {}).items())
        asked = expressions.key_condition(KeyConditionExpression, names)
        page = _Page(source, names, FilterExpression, ProjectionExpression, Limit)
        used = (asked, *page.expressions)
        values = _bound(ExpressionAttributeNames, ExpressionAttributeValues, *used)
        _refuse_key_condition(asked, values, source.keys)
        page.refuse_keys()
        start = source.start(ExclusiveStartKey)
        return page.of(source.span(asked, values, start, forward=ScanIndexForward), values)

    @_operation
    def scan(
        self,
        *,
        TableName: str,
        IndexName: str | None = None,
        ConsistentRead: bool = False,
        Segment: int = 0,
        TotalSegments: int = 1,
        ExclusiveStartKey: Item | None = None,
        ExpressionAttributeNames: dict[str, str] | None = None,
        ExpressionAttributeValues: Item | None = None,
        FilterExpression: str | None = None,
        ProjectionExpression: str | None = None,
        Limit: int | None = None,
    ) -> dict[str, Any]:
        """Return a page of the table, an index or a segment, in no meaningful order."""
        source = self._source(TableName, IndexName, consistent=ConsistentRead)
        names = tuple((ExpressionAttributeNames or {}).items())
        page = _Page(source, names, FilterExpression, ProjectionExpression, Limit)
        values = _bound(ExpressionAttributeNames, ExpressionAttributeValues, *page.expressions)
        if not 0 <= Segment < TotalSegments:
            raise InvalidRequestError(
                "The Segment parameter is zero-based and must be less than parameter TotalSegments"
            )
        start = source.start(ExclusiveStartKey)
        return page.of(source.segment(Segment, TotalSegments, start), values)

    # Writing

    @_operation
    def put_item(self, *, ReturnValues: str = "NONE", **put: Any) -> dict[str, Any]:
        """Put an item, and replace an existing one."""
        return self._write(self._put(**put), ReturnValues)

    @_operation
    def update_item(self, *, ReturnValues: str = "NONE", **update: Any) -> dict[str, Any]:
        """Change attributes of an item, or create one that has them."""
        return self._write(self._update(**update), ReturnValues)

    @_operation
    def delete_item(self, *, ReturnValues: str = "NONE", **delete: Any) -> dict[str, Any]:
        """Delete an item if it exists."""
        return self._write(self._delete(**delete), ReturnValues)

    @_operation
    def batch_write_item(self, *, RequestItems: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
        """Put and delete several items; the simulation writes all of them at once."""
        writes = []
        for name, requests in RequestItems.items():
            for request in requests:
                [(kind, asked)] = request.items()
                make = getattr(self, ACTIONS[kind.removesuffix("Request")])
                writes.append(make(TableName=name, **asked))
        _refuse_count(writes, BATCH_WRITE_MAX)
        _refuse_repetition(write.place for write in writes)
        for write in writes:
            self._apply(self._decide(write))
        return {"UnprocessedItems": {}}

    @_operation
    def transact_write_items(self, *, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:
        """Execute all writes, or none of them."""
        _refuse_count(TransactItems, TRANSACTION_MAX)
        writes = []
        for action in TransactItems:
            [(kind, asked)] = action.items()
            writes.append(getattr(self, ACTIONS[kind])(**asked))
        _refuse_repetition(write.place for write in writes)
        decided, reasons = [], []
        for write in writes:
            reason: dict[str, Any] = {"Code": "None"}
            try:
                decided.append(self._decide(write))
            except _ConditionError as exc:
                reason = {"Code": "ConditionalCheckFailed", "Message": str(exc), **exc.details}
            except InvalidRequestError as exc:
                reason = {"Code": "ValidationError", "Message": str(exc)}
            reasons.append(reason)
        if len(decided) < len(writes):
            raise client_error(
                "TransactWriteItems",
                "TransactionCanceledException",
                "Transaction cancelled, please refer cancellation reasons for specific reasons "
                f"[{', '.join(reason['Code'] for reason in reasons)}]",
                CancellationReasons=reasons,
            )
        for one in decided:
            self._apply(one)
        return {}

    # Implementation

    def _find(self, name: str) -> None:
        if name != self.table_name:
            raise _NotFoundError

    def _source(self, name: str, index: str | None, *, consistent: bool) -> _Sorted:
        self._find(name)
        if index is None:
            return self._table
        if index not in self._indexes:
            raise InvalidRequestError("The table does not have the specified index")
        if consistent:
            raise InvalidRequestError(
                "Consistent reads are not supported on global secondary indexes"
            )
        self._see()
        return self._indexes[index]

    def _get(
        self,
        *,
        TableName: str,
        Key: Item,
        ConsistentRead: bool = False,
        ProjectionExpression: str | None = None,
        ExpressionAttributeNames: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        del ConsistentRead  # every read is
        self._find(TableName)
        pk, sk = _place(Key)
        chosen = None
        if ProjectionExpression is not None:
            names = tuple((ExpressionAttributeNames or {}).items())
            chosen = expressions.projection(ProjectionExpression, names)
        _bound(ExpressionAttributeNames, None, chosen)
        stored = self._table.get(pk, (sk,))
        if stored is None:
            return {}
        item = thaw(stored)
        return {"Item": chosen.of(item) if chosen else item}

    def _put(self, *, TableName: str, Item: Item, **how: Any) -> _Write:
        self._find(TableName)
        item = {name: normal(value) for name, value in Item.items()}
        place = _place({name: item[name] for name in KEYS if name in item})
        _refuse_index_keys(item)
        return _prepared(place, lambda _, __: item, **how)

    def _update(
        self,
        *,
        TableName: str,
        Key: Item,
        UpdateExpression: str,
        ExpressionAttributeNames: dict[str, str] | None = None,
        **how: Any,
    ) -> _Write:
        self._find(TableName)
        place = _place(Key)
        names = tuple((ExpressionAttributeNames or {}).items())
        update = expressions.update(UpdateExpression, names)
        if not KEYS.keys().isdisjoint(update.attributes):
            raise InvalidRequestError("Cannot update an attribute that is part of the key")

        def updated(old: Item | None, values: Item) -> Item:
            item = update.of(old or {name: {"S": Key[name]["S"]} for name in KEYS}, values)
            _refuse_index_keys(item)
            return item

        return _prepared(
            place,
            updated,
            update,
            ExpressionAttributeNames=ExpressionAttributeNames,
            **how,
        )

    def _delete(self, *, TableName: str, Key: Item, **how: Any) -> _Write:
        self._find(TableName)
        return _prepared(_place(Key), lambda _, __: None, **how)

    def _check(self, *, TableName: str, Key: Item, ConditionExpression: str, **how: Any) -> _Write:
        self._find(TableName)
        how["ConditionExpression"] = ConditionExpression
        return _prepared(_place(Key), lambda old, _: old, **how)

    def _write(self, write: _Write, returned: str) -> dict[str, Any]:
        assert returned in {"NONE", "ALL_OLD"}, f"The simulation does not return {returned}"
        decided = self._decide(write)
        self._apply(decided)
        if returned == "ALL_OLD" and decided.before is not None:
            return {"Attributes": decided.before}
        return {}

    def _decide(self, write: _Write) -> _Decided:
        """Compute the effect of a write without changing anything.

        Raises:
            _ConditionError, InvalidRequestError: the write is refused.
        """
        pk, sk = write.place
        stored = self._table.get(pk, (sk,))
        before = None if stored is None else thaw(stored)
        if write.condition is not None and not write.condition.holds(before or {}, write.values):
            raise _ConditionError({"Item": before} if write.returns_item and before else {})
        after = write.becomes(before, write.values)
        return _Decided(
            place=write.place,
            before=before,
            after=after,
            stored_before=stored,
            stored_after=None if after is None else freeze(after),
        )

    def _apply(self, decided: _Decided) -> None:
        """Apply a write; one that changes nothing adds no record to the stream."""
        if decided.before == decided.after:
            return
        pk, sk = decided.place
        if decided.stored_after is None:
            self._table.drop((pk, (sk,)))
        else:
            self._table.put((pk, (sk,)), decided.stored_after)
        for index in self._indexes.values():
            self._note(index, decided)
        self._see()
        self._number += 1
        stored = (decided.stored_before, decided.stored_after)
        self.stream.append(Change(self._number, pk, sk, *stored))

    def _note(self, index: _Sorted, decided: _Decided) -> None:
        """Queue the change of an index by a write."""
        before = index.address(decided.before) if decided.before else None
        after = index.address(decided.after) if decided.after else None
        if index.keys_only and before == after:
            return
        if before is not None and before != after:
            self._unseen.append(partial(index.drop, before))
        if after is not None and decided.after is not None and decided.stored_after is not None:
            projected = decided.stored_after
            if index.keys_only:
                projected = freeze({key: decided.after[key] for key in index.keys})
            self._unseen.append(partial(index.put, after, projected))

    def _see(self) -> None:
        """Apply all queued index changes except the last `index_lag`."""
        while len(self._unseen) > self.index_lag:
            self._unseen.popleft()()


ACTIONS = {"Put": "_put", "Update": "_update", "Delete": "_delete", "ConditionCheck": "_check"}


class _Page:
    """A page to read from the table or an index, with its filter and projection."""

    def __init__(
        self,
        source: _Sorted,
        names: tuple[tuple[str, str], ...],
        filtered: str | None,
        projected: str | None,
        limit: int | None,
    ) -> None:
        assert limit is None or limit > 0, "boto3 never sends such a Limit"
        self.keys = source.keys
        self.filter = expressions.condition(filtered, names) if filtered is not None else None
        self.chosen = expressions.projection(projected, names) if projected is not None else None
        self.limit = limit
        for one in (self.filter, self.chosen):
            if one is not None and source.keys_only:
                assert set(one.attributes) <= set(self.keys), "The index contains only keys"

    @property
    def expressions(self) -> tuple[Expression | None, ...]:
        return self.filter, self.chosen

    def refuse_keys(self) -> None:
        """Refuse a query that filters by a key."""
        if self.filter is not None and not self.filter.attributes.isdisjoint(self.keys[:2]):
            raise InvalidRequestError(
                "Filter Expression can only contain non-primary key attributes"
            )

    def of(self, found: Iterable[Stored], values: Item) -> dict[str, Any]:
        """Read until the page is full; include the last key if there may be more."""
        items, scanned, size, last = [], 0, 0, None
        for stored in found:
            item = thaw(stored)
            scanned += 1
            size += len(stored)  # slightly more than DynamoDB counts
            if self.filter is None or self.filter.holds(item, values):
                items.append(self.chosen.of(item) if self.chosen else item)
            if scanned == self.limit or size >= PAGE_BYTES_MAX:
                last = {"LastEvaluatedKey": {name: dict(item[name]) for name in self.keys}}
                break
        return {"Items": items, "Count": len(items), "ScannedCount": scanned, **(last or {})}


def _prepared(
    place: tuple[str, str],
    becomes: Callable[[Item | None, Item], Item | None],
    update: Update | None = None,
    *,
    ConditionExpression: str | None = None,
    ExpressionAttributeNames: dict[str, str] | None = None,
    ExpressionAttributeValues: Item | None = None,
    ReturnValuesOnConditionCheckFailure: str = "NONE",
) -> _Write:
    condition = None
    if ConditionExpression is not None:
        names = tuple((ExpressionAttributeNames or {}).items())
        condition = expressions.condition(ConditionExpression, names)
    assert ReturnValuesOnConditionCheckFailure in {"NONE", "ALL_OLD"}, "There is no other value"
    return _Write(
        place=place,
        becomes=becomes,
        condition=condition,
        values=_bound(ExpressionAttributeNames, ExpressionAttributeValues, condition, update),
        returns_item=ReturnValuesOnConditionCheckFailure == "ALL_OLD",
    )


def _bound(
    names: dict[str, str] | None,
    values: Item | None,
    *used: Expression | None,
) -> Item:
    """Return a request's values in their normal form.

    Raises:
        InvalidRequestError: a name or value is missing, unused, or not allowed in its place.
    """
    found = {} if values is None else {name: normal(value) for name, value in values.items()}
    if names == {} or values == {}:
        raise InvalidRequestError("ExpressionAttributeNames or Values must not be empty")
    uses = expressions.together(*used)
    if uses.names != (names or {}).keys():
        raise InvalidRequestError(
            "Value provided in ExpressionAttributeNames unused in expressions"
        )
    if uses.values != found.keys():
        raise InvalidRequestError("An expression attribute value is not defined, or not used")
    for check in uses.checks:
        check(found)
    return found


def item_size(item: Item) -> int:
    """Return the size of an item in bytes, as DynamoDB counts it."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(attribute: Attribute) -> int:
    [(kind, content)] = attribute.items()
    match kind:
        case "S" | "B":
            size = len(content.encode() if kind == "S" else content)
        case "N":
            size = len(content) // 2 + 2
        case "M":
            size = 3 + len(content) + item_size(content)
        case "L":
            size = 3 + len(content) + sum(map(_size, content))
        case "SS" | "NS" | "BS":
            size = sum(_size({kind[0]: part}) for part in content)
        case _:
            size = 1
    return size


def normal(attribute: Attribute) -> Attribute:
    """Return a value in its normal form, the same object if it is normal.

    Raises:
        InvalidRequestError: DynamoDB does not accept the value.
    """
    if len(attribute) == 1 and "S" in attribute and type(attribute["S"]) is str:
        return attribute  # the most common case
    [(kind, content)] = attribute.items()
    match kind:
        case "S":
            plain: Any = _text(content)
        case "N":
            plain = expressions.number(_text(content))
        case "M":
            plain = {name: normal(part) for name, part in content.items()}
        case "L":
            plain = [normal(part) for part in content]
        case "B":
            assert isinstance(content, bytes | bytearray), f"{content!r} is not binary"
            plain = bytes(content)
        case "BOOL" | "NULL":
            assert isinstance(content, bool), f"{content!r} is not a bool"
            plain = content
        case _:
            plain = _normal_set(kind, content)
    return attribute if plain is content else {kind: plain}


def _normal_set(kind: str, content: Any) -> list[Any]:
    assert kind in TYPES, f"There is no type {kind}"
    parts = [normal({kind[0]: part})[kind[0]] for part in content]
    if not parts:
        raise InvalidRequestError("A set may not be empty")
    if len(set(parts)) < len(parts):
        raise InvalidRequestError("Input collection contains duplicates")
    return sorted(parts, key=Decimal if kind == "NS" else None)


def _text(content: Any) -> str:
    assert isinstance(content, str), f"{content!r} is not text"
    return str(content)


def _place(key: Item) -> tuple[str, str]:
    """Return the partition key and sort key of an item.

    Raises:
        InvalidRequestError: the key does not match the schema.
    """
    _refuse_keys(key, KEYS.keys())
    return str(key["pk"]["S"]), str(key["sk"]["S"])


def _refuse_keys(key: Item, wanted: AbstractSet[str]) -> None:
    if key.keys() != wanted:
        raise InvalidRequestError("The provided key element does not match the schema")
    for name in wanted:
        _refuse_key(name, key[name])


def _refuse_index_keys(item: Item) -> None:
    for name in INDEX_ONLY_KEYS:
        if name in item:
            _refuse_key(name, item[name])


def _refuse_key(name: str, value: Attribute) -> None:
    kind = KEY_TYPES[name]
    if kind not in value:
        raise InvalidRequestError(f"Type mismatch for key {name}")
    if kind == "S":
        if not value["S"]:
            raise InvalidRequestError(
                f"A key attribute cannot contain an empty string value: {name}"
            )
        if len(value["S"].encode()) > KEY_BYTES_MAX[name]:
            raise InvalidRequestError(f"The size of the key has exceeded the maximum: {name}")


def _refuse_key_condition(asked: KeyCondition, values: Item, keys: tuple[str, ...]) -> None:
    partition, name = asked.partition
    if partition != keys[0]:
        raise InvalidRequestError(f"Query condition missed key schema element: {keys[0]}")
    _refuse_key(partition, values[name])
    if asked.sort is not None:
        if asked.sort != keys[1]:
            raise InvalidRequestError(f"Query condition missed key schema element: {keys[1]}")
        bounds = [bound[0] for bound in (asked.low, asked.high) if bound is not None]
        for bound in [asked.prefix] if asked.prefix is not None else bounds:
            _refuse_key(asked.sort, values[bound])


def _refuse_count(asked: Collection[Any], most: int) -> None:
    if not 1 <= len(asked) <= most:
        raise InvalidRequestError(f"There must be 1 to {most}")


def _refuse_repetition(places: Iterable[tuple[str, str]]) -> None:
    places = list(places)
    if len(set(places)) < len(places):
        raise InvalidRequestError("The request includes the same item several times")
