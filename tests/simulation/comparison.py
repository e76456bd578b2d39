"""The same calls to two DynamoDBs: Scrip's own requests, and near misses of these.

A call is an operation and its arguments. Outcomes are compared except for messages, and for
orders that DynamoDB does not guarantee.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError
from hypothesis import strategies as st

from scrip.store import aliases, catalogs, client, commit, inbox, sweeps, usage
from tests.functional.conftest import resources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypothesis.strategies import DrawFn, SearchStrategy

NAME = "compared"
ADDED = {"ConsumedCapacity", "ItemCollectionMetrics", "ResponseMetadata"}
"""The fields that moto and boto3 add to responses."""

SCANNED = 2
"""The page size of scans."""

type Call = tuple[str, dict[str, Any]]


class Refused(NamedTuple):
    """A refused call: the error's code and item, and a transaction's reasons with theirs."""

    code: str
    item: Any
    reasons: list[tuple[str, Any]]


type Outcome = Any
"""`Refused`, or the response."""

CONDITIONS = (
    commit.SAME_VERSION,
    f"{commit.SAME_VERSION} AND {commit.CAN_GIVE}",
    commit.NO_ENTRY,
    commit.SAME_REFUNDED,
    aliases.SAME_LINK,
    aliases.SAME_LINK_OF_0_1_0,
    aliases.NEW_OR_SAME_ACCOUNT,
    aliases.NEW_OR_SAME_PAYMENT,
    aliases.IS_OPEN,
    aliases.NOT_OLDER,
    catalogs.SAME_VERSION,
    client.IS_NEW,
    inbox.NOT_DONE,
    inbox.IS_KEPT,
    sweeps.FURTHER,
    usage.SAME_COUNTED,
    # Conditions that Scrip does not use yet.
    "#balance <= :few",
    "balance BETWEEN :few AND :many",
    "begins_with(#status, :prefix) OR NOT attribute_type(grants, :list)",
    "NOT (#version = :seen OR #balance > :few) AND attribute_exists(#status)",
    "#status <> :closed",
    "sk = :account",
)
UPDATES = (
    "SET #version = :version, #balance = #balance + :few",
    "SET #balance = #balance - :few, grants = :grants REMOVE #status",
    "SET refunded = :refunded",
    "SET payload = :nothing REMOVE waits_for, reason",
    "SET #status = :applied, attempts = :attempts",
    "SET directory_pk = :day, directory_sk = :time",
    "SET version = balance",
    "SET balance = :closed",
    "REMOVE seq",
    "REMOVE directory_sk, #balance",
    "SET seq = :seq",
    "ADD waits_for :waits_for",
    "SET refunded = :refunded DELETE waits_for :waits_for",
)
QUERIES = (
    (None, "pk = :pk"),
    (None, "pk = :pk AND begins_with(sk, :entry)"),
    (None, "pk = :pk AND sk BETWEEN :account AND :entry"),
    (None, "pk = :pk AND sk > :account"),
    ("history", "pk = :pk"),
    ("history", "pk = :pk AND seq < :before"),
    ("history", "pk = :pk AND seq >= :seq"),
    ("directory", "directory_pk = :day"),
    ("directory", "directory_pk = :day AND directory_sk BETWEEN :time AND :later"),
    ("directory", "directory_pk = :day AND directory_sk > :time"),
)
FILTERS = (
    "attribute_not_exists(seq)",
    "#status = :applied",
    "balance >= :few AND balance < :many",
    "begins_with(#status, :prefix)",
)
PROJECTIONS = ("sk", "pk, sk", "#status", "#version, #balance, nothing")
PROJECTED = "pk, sk"
"""Projections of attributes that every index has."""


def number(low: int, high: int) -> SearchStrategy[dict[str, Any]]:
    return st.integers(low, high).map(lambda value: {"N": str(value)})


def text(*choices: str) -> SearchStrategy[dict[str, Any]]:
    return st.sampled_from(choices).map(lambda value: {"S": value})


PKS = text("ACCOUNT#anna", "LEDGER#anna", "LEDGER#bert", "ALIAS#é")
SKS = text("ACCOUNT", "ENTRY#1", "ENTRY#2", "FACT#1")
GRANT = st.fixed_dictionaries({"grant_id": text("g1", "g2"), "amount": number(0, 3)})
ATTRIBUTES: dict[str, SearchStrategy[dict[str, Any]]] = {
    "version": number(0, 2),
    "balance": number(-1, 3) | st.just({"N": "2.5"}),
    "refunded": number(0, 2),
    "status": text("open", "closed", "applied", "ignored", ""),
    "attempts": number(0, 2),
    "account_id": text("anna", "bert"),
    "told_at": number(0, 3),
    "rank": number(1, 2),
    "shared": st.booleans().map(lambda value: {"BOOL": value}),
    "counted": st.lists(text("a", "b"), max_size=2).map(lambda value: {"L": value}),
    "watermark": number(0, 3) | text("soon"),
    "grants": st.lists(GRANT.map(lambda grant: {"M": grant}), max_size=2).map(
        lambda value: {"L": value}
    ),
    "payload": st.sampled_from([b"", b"\x00\xff"]).map(lambda value: {"B": value}),
    "waits_for": st.sets(st.sampled_from("abc"), min_size=1).map(
        lambda value: {"SS": sorted(value)}
    ),
    "seen": st.just({"NULL": True}) | st.booleans().map(lambda value: {"BOOL": value}),
    "seq": number(1, 4),
    "directory_pk": text("DAY#01", "DAY#02"),
    "directory_sk": text("00:00#anna", "12:30#bert"),
}
VALUES: dict[str, SearchStrategy[dict[str, Any]]] = {
    **{f":{name}": values for name, values in ATTRIBUTES.items()},
    ":pk": PKS,
    ":id": ATTRIBUTES["account_id"],
    ":seen": ATTRIBUTES["version"],
    ":taken": number(0, 3),
    ":refunded_before": ATTRIBUTES["refunded"],
    ":few": number(0, 2),
    ":many": number(2, 4),
    ":before": number(1, 4),
    ":watermark": number(0, 3),
    ":ahead": number(2, 3),
    ":closed": text("closed"),
    ":applied": text("applied"),
    ":ignored": text("ignored"),
    ":number": text("N"),
    ":list": text("L"),
    ":prefix": text("", "op", "closed"),
    ":account": text("ACCOUNT"),
    ":entry": text("ENTRY#"),
    ":day": ATTRIBUTES["directory_pk"],
    ":time": text("00:00", "12:30#bert"),
    ":later": text("12:30#bert", "13:00"),
    ":nothing": st.just({"B": b""}),
    ":no_names": st.just({"L": []}),
}

KEYS = st.fixed_dictionaries({"pk": PKS, "sk": SKS})
ITEMS = st.fixed_dictionaries({"pk": PKS, "sk": SKS}, optional=ATTRIBUTES)


def used(draw: DrawFn, *texts: str | None) -> dict[str, Any]:
    """Return the names and values that expressions need."""
    whole = " ".join(text for text in texts if text)
    names = {name: name[1:] for name in re.findall(r"#\w+", whole)}
    values = {name: draw(VALUES[name]) for name in dict.fromkeys(re.findall(r":\w+", whole))}
    arguments: dict[str, Any] = {}
    if names:
        arguments["ExpressionAttributeNames"] = names
    if values:
        arguments["ExpressionAttributeValues"] = values
    return arguments


@st.composite
def writes(draw: DrawFn, kind: str) -> dict[str, Any]:
    """Return the arguments of a put, an update, a deletion or a check."""
    arguments: dict[str, Any] = {"TableName": NAME}
    condition = draw(st.sampled_from(CONDITIONS))
    if kind != "ConditionCheck" and draw(st.booleans()):
        condition = ""
    update = draw(st.sampled_from(UPDATES)) if kind == "Update" else ""
    if kind == "Put":
        arguments["Item"] = draw(ITEMS)
    else:
        arguments["Key"] = draw(KEYS)
    if update:
        arguments["UpdateExpression"] = update
    if condition:
        arguments["ConditionExpression"] = condition
        if draw(st.booleans()):
            arguments["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return arguments | used(draw, condition, update)


@st.composite
def transactions(draw: DrawFn) -> Call:
    kinds = st.sampled_from(["Put", "Update", "Delete", "ConditionCheck"])
    chosen = draw(st.lists(kinds, min_size=1, max_size=4))
    return "transact_write_items", {
        "TransactItems": [{kind: draw(writes(kind))} for kind in chosen]
    }


@st.composite
def single_writes(draw: DrawFn) -> Call:
    kind = draw(st.sampled_from(["Put", "Update", "Delete"]))
    arguments = draw(writes(kind))
    if kind != "Update" and draw(st.booleans()):
        arguments["ReturnValues"] = "ALL_OLD"
    return f"{kind.lower()}_item", arguments


@st.composite
def batches(draw: DrawFn) -> Call:
    requests = st.one_of(
        ITEMS.map(lambda item: {"PutRequest": {"Item": item}}),
        KEYS.map(lambda key: {"DeleteRequest": {"Key": key}}),
    )
    return "batch_write_item", {
        "RequestItems": {NAME: draw(st.lists(requests, min_size=1, max_size=6, unique_by=place_of))}
    }


@st.composite
def gets(draw: DrawFn) -> Call:
    projection = draw(st.none() | st.sampled_from(PROJECTIONS))
    how = {"ProjectionExpression": projection, **used(draw, projection)} if projection else {}
    match draw(st.sampled_from(["one", "batch", "transaction"])):
        case "one":
            return "get_item", {"TableName": NAME, "Key": draw(KEYS), **how}
        case "batch":
            wanted = draw(st.lists(KEYS, min_size=1, max_size=4, unique_by=place))
            return "batch_get_item", {"RequestItems": {NAME: {"Keys": wanted, **how}}}
    wanted = draw(st.lists(KEYS, min_size=1, max_size=3, unique_by=place))
    gets: list[Any] = [{"Get": {"TableName": NAME, "Key": key}} for key in wanted]
    return "transact_get_items", {"TransactItems": gets}


def filters(index: str | None) -> SearchStrategy[str | None]:
    """Return the filters of an index: never by its keys, and it may have no other attributes."""
    filters = {None: FILTERS, "history": FILTERS[1:], "directory": ()}[index]
    return st.none() | st.sampled_from(filters) if filters else st.none()


@st.composite
def queries(draw: DrawFn) -> Call:
    index, condition = draw(st.sampled_from(QUERIES))
    filtered = draw(filters(index))
    projection = (
        draw(st.none() | st.just(PROJECTED))
        if index
        else draw(st.none() | st.sampled_from(PROJECTIONS))
    )
    arguments = {
        "TableName": NAME,
        "IndexName": index,
        "KeyConditionExpression": condition,
        "FilterExpression": filtered,
        "ProjectionExpression": projection,
        "ScanIndexForward": draw(st.booleans()),
        "Limit": draw(st.none() | st.integers(1, 3)),
    }
    arguments = {name: value for name, value in arguments.items() if value is not None}
    return "query", arguments | used(draw, condition, filtered, projection)


@st.composite
def scans(draw: DrawFn) -> Call:
    index = draw(st.none() | st.sampled_from(["history", "directory"]))
    filtered = draw(filters(index))
    arguments: dict[str, Any] = {"TableName": NAME, "Limit": SCANNED}
    if index:
        arguments["IndexName"] = index
    if filtered:
        arguments["FilterExpression"] = filtered
    return "scan", arguments | used(draw, filtered)


def create_table(client: Any) -> None:
    """Create a table with the schema of template.yaml."""
    properties = resources()["Table"]["Properties"]
    wanted = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema")
    client.create_table(TableName=NAME, **{name: properties[name] for name in wanted})


CALLS = st.lists(
    st.one_of(
        transactions(), single_writes(), single_writes(), batches(), gets(), queries(), scans()
    ),
    min_size=10,
    max_size=20,
)


def accepted(client: Any) -> set[str]:
    """Return the calls of `REFUSED` that a DynamoDB accepts."""
    wrong = set()
    for name, call in REFUSED.items():
        client.put_item(**PUT)
        try:
            result = outcome(client, call)
        except TypeError:
            result = None  # moto fails
        if not isinstance(result, Refused) or result.code != "ValidationException":
            wrong.add(name)
    return wrong


def place(key: dict[str, Any]) -> tuple[str, str]:
    """Return a key without the order of its attributes."""
    return key["pk"]["S"], key["sk"]["S"]


def place_of(request: dict[str, Any]) -> tuple[str, str]:
    """Return the key of the item in a request of a batch."""
    [arguments] = request.values()
    return place(arguments.get("Item") or arguments["Key"])


def outcome(client: Any, call: Call) -> Outcome:
    """Make a call; return its outcome, for a query or a scan that of all pages."""
    operation, arguments = call
    try:
        match operation:
            case "query":
                pages = [plain(page) for page in all_pages(client.query, arguments)]
                counted = sum(page["ScannedCount"] for page in pages)
                return [item for page in pages for item in page["Items"]], counted
            case "scan":
                segments = ({**arguments, "Segment": n, "TotalSegments": 2} for n in range(2))
                pages = [page for one in segments for page in all_pages(client.scan, one)]
                return sorted((plain(item) for page in pages for item in page["Items"]), key=repr)
        return response(operation, getattr(client, operation)(**arguments))
    except ClientError as exc:
        reasons = [
            (reason["Code"], plain(reason.get("Item")))
            for reason in exc.response.get("CancellationReasons", [])
        ]
        return Refused(exc.response["Error"]["Code"], plain(exc.response.get("Item")), reasons)


def all_pages(ask: Callable[..., dict[str, Any]], arguments: dict[str, Any]) -> Iterator[Any]:
    """Yield the pages of a query or a scan."""
    while True:
        page = ask(**arguments)
        yield page
        if "LastEvaluatedKey" not in page:
            return
        arguments = {**arguments, "ExclusiveStartKey": page["LastEvaluatedKey"]}


def response(operation: str, answer: dict[str, Any]) -> Outcome:
    """Return the comparable part of a response."""
    fields = {name: part for name, part in answer.items() if name not in ADDED}
    if operation == "batch_get_item":
        fields["Responses"] = sorted(map(plain, answer["Responses"].get(NAME, [])), key=repr)
    return plain(fields)


def plain(value: Any) -> Any:
    """Return a value so that all that DynamoDB considers equal is equal."""
    match value:
        case {"SS": list(parts)} | {"NS": list(parts)}:
            return {"set": sorted(parts)}
        case dict():
            return {name: plain(value[name]) for name in sorted(value)}
        case list():
            return [plain(part) for part in value]
    return value


KEY = {"pk": {"S": "LEDGER#anna"}, "sk": {"S": "ENTRY#1"}}
HELD = {**KEY, "seq": {"N": "1"}, "balance": {"N": "2"}, "status": {"S": "open"}}
PUT: dict[str, Any] = {"TableName": NAME, "Item": HELD}
UPDATE: dict[str, Any] = {"TableName": NAME, "Key": KEY}
QUERY: dict[str, Any] = {"TableName": NAME, "KeyConditionExpression": "pk = :pk"}
PK = {":pk": KEY["pk"]}
ONE = {":one": {"N": "1"}}


def updating(expression: str, **values: dict[str, Any]) -> Call:
    """Return an update of an item by an expression."""
    given = {f":{name}": value for name, value in values.items()}
    more = {"ExpressionAttributeValues": given} if given else {}
    return "update_item", {**UPDATE, "UpdateExpression": expression, **more}


def putting(**attributes: dict[str, Any]) -> Call:
    """Return a put of an item with other attributes."""
    return "put_item", {"TableName": NAME, "Item": {**HELD, **attributes}}


def querying(condition: str, index: str | None = None, **values: dict[str, Any]) -> Call:
    """Return a query by a condition."""
    arguments: dict[str, Any] = {
        "TableName": NAME,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
    }
    return "query", arguments | ({"IndexName": index} if index else {})


REFUSED: dict[str, Call] = {
    "an empty sort key": putting(sk={"S": ""}),
    "a sort key of another type": putting(sk={"N": "1"}),
    "a key without sk": ("get_item", {"TableName": NAME, "Key": PK}),
    "a key with other attributes": ("get_item", {"TableName": NAME, "Key": HELD}),
    "an empty key of an index": putting(directory_pk={"S": ""}),
    "a key of an index of another type": putting(seq={"S": "1"}),
    "an update to a key of an index of another type": updating("SET seq = :x", x={"S": "1"}),
    "a sort key of over 1024 bytes": putting(sk={"S": "é" * 513}),
    "an item of over 400 KB": putting(payload={"B": b"x" * 409_600}),
    "an update to over 400 KB": updating("SET payload = :x", x={"B": b"x" * 409_600}),
    "an empty set": putting(waits_for={"SS": []}),
    "a set with a duplicate": putting(waits_for={"SS": ["a", "a"]}),
    "a number of 39 digits": putting(balance={"N": "1" * 39}),
    "a number over 10^126": putting(balance={"N": "1e126"}),
    "text as a number": putting(balance={"N": "much"}),
    "an update of the key": updating("SET sk = :x", x={"S": "ENTRY#2"}),
    "one attribute set twice": updating("SET balance = :x, balance = :x", x={"N": "1"}),
    "one attribute set and removed": updating("SET balance = :x REMOVE balance", x={"N": "1"}),
    "arithmetic with text": updating("SET balance = pk + :x", x={"N": "1"}),
    "arithmetic with a value that is text": updating("SET balance = balance + :x", x={"S": "1"}),
    "arithmetic with a missing attribute": updating("SET balance = debt + :x", x={"N": "1"}),
    "a copy of a missing attribute": updating("SET balance = debt"),
    "an unused value": updating("SET balance = :x", x={"N": "1"}, y={"N": "1"}),
    "a missing value": updating("SET balance = :x, debt = :y", x={"N": "1"}),
    "an unused name": (
        "get_item",
        {
            **UPDATE,
            "ProjectionExpression": "sk",
            "ExpressionAttributeNames": {"#status": "status"},
        },
    ),
    "a missing name": ("get_item", {**UPDATE, "ProjectionExpression": "#status"}),
    "values without an expression": ("put_item", {**PUT, "ExpressionAttributeValues": ONE}),
    "empty values": ("put_item", {**PUT, "ExpressionAttributeValues": {}}),
    "one attribute projected twice": ("get_item", {**UPDATE, "ProjectionExpression": "sk, sk"}),
    "an order of booleans": (
        "put_item",
        {
            **PUT,
            "ConditionExpression": "balance < :yes",
            "ExpressionAttributeValues": {":yes": {"BOOL": True}},
        },
    ),
    "an unknown type": (
        "put_item",
        {
            **PUT,
            "ConditionExpression": "attribute_type(balance, :type)",
            "ExpressionAttributeValues": {":type": {"S": "number"}},
        },
    ),
    "one item twice in a transaction": (
        "transact_write_items",
        {"TransactItems": [{"Put": PUT}, {"Delete": UPDATE}]},
    ),
    "one item twice in a reading transaction": (
        "transact_get_items",
        {"TransactItems": [{"Get": UPDATE}, {"Get": UPDATE}]},
    ),
    "a transaction of 101": (
        "transact_write_items",
        {
            "TransactItems": [
                {"Delete": {"TableName": NAME, "Key": {**KEY, "sk": {"S": str(n)}}}}
                for n in range(101)
            ],
        },
    ),
    "one item twice in a batch": (
        "batch_write_item",
        {"RequestItems": {NAME: [{"PutRequest": {"Item": HELD}}, {"DeleteRequest": {"Key": KEY}}]}},
    ),
    "a batch of 26": (
        "batch_write_item",
        {
            "RequestItems": {
                NAME: [{"DeleteRequest": {"Key": {**KEY, "sk": {"S": str(n)}}}} for n in range(26)]
            },
        },
    ),
    "one key twice": ("batch_get_item", {"RequestItems": {NAME: {"Keys": [KEY, KEY]}}}),
    "101 keys": (
        "batch_get_item",
        {"RequestItems": {NAME: {"Keys": [{**KEY, "sk": {"S": str(n)}} for n in range(101)]}}},
    ),
    "a query of an index by the table's key": querying("pk = :pk", "directory", pk=KEY["pk"]),
    "a query of an unknown index": querying("pk = :pk", "nothing", pk=KEY["pk"]),
    "a query by another attribute": querying("pk = :pk AND seq > :x", pk=KEY["pk"], x={"N": "1"}),
    "a query by a key of another type": querying("pk = :pk", pk={"N": "1"}),
    "a query between reversed bounds": querying(
        "pk = :pk AND sk BETWEEN :x AND :y", pk=KEY["pk"], x={"S": "b"}, y={"S": "a"}
    ),
    "a query that filters by its key": (
        "query",
        {**QUERY, "FilterExpression": "sk = :pk", "ExpressionAttributeValues": PK},
    ),
    "a strongly consistent query of an index": (
        "query",
        {
            **QUERY,
            "IndexName": "history",
            "ConsistentRead": True,
            "ExpressionAttributeValues": PK,
        },
    ),
    "a page that begins at an incomplete key": (
        "query",
        {**QUERY, "ExclusiveStartKey": {"pk": KEY["pk"]}, "ExpressionAttributeValues": PK},
    ),
    "a page that begins in another partition": (
        "query",
        {
            **QUERY,
            "ExclusiveStartKey": {**KEY, "pk": {"S": "ACCOUNT#anna"}},
            "ExpressionAttributeValues": PK,
        },
    ),
}
"""Calls that DynamoDB refuses with a ValidationException while the table has `HELD`."""
