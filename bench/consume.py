"""Part `consume`: the same request to five designs, side by side, three on one local DynamoDB.

Database calls are counted for a consume, for its repetition, and for a refused one. Processor time
is that of the whole handler, boto3 included, from the event to the answer; it is compared with the
same database calls on their own.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import boto3

from bench import prices
from bench.designs import (
    for_update,
    idempotency_decorator,
    read_then_write,
    redis_script,
    scrip_path,
)
from bench.local import BARE_TABLE, LocalAws, local_aws
from bench.meter import Meter
from bench.progress import report
from bench.requests import CONTEXT, consume_event
from bench.timing import Timing
from scrip.ledger import utc_now
from scrip.store.client import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

OK, REFUSED = 200, 402
CREDITS, CREDITS_MAX = 10_000_000, 10**12
IN_DYNAMODB = (scrip_path, read_then_write, idempotency_decorator)
NO_SERVER = "no server given"
CALLED = "provide-client-params.dynamodb"

NOTES = (
    (
        "Scrip: functions/consume as deployed, on an account with 4 live grants. It writes a"
        " ledger entry, and the index that lists entries. Of the other designs only"
        " PostgreSQL's keeps a ledger."
    ),
    "read, then write: GetItem, then PutItem of the remainder; the key is not stored.",
    (
        "idempotency decorator: Powertools' idempotent_function around an UpdateItem whose"
        " condition is a sufficient balance. Its records are put before, updated after, and"
        " live for an hour. It keeps no ledger; with one it would write 1 unit more, and 1"
        " for the index."
    ),
    (
        "PostgreSQL FOR UPDATE: BEGIN, SELECT ... FOR UPDATE, INSERT of an entry with a"
        " unique key, UPDATE, COMMIT."
    ),
    (
        "Redis script: one EVALSHA that checks the key, the balance, and takes the credits; the"
        " server has written it to disk (appendfsync always) before it answers. Keys expire"
        " after a day. It keeps no ledger."
    ),
    (
        "A write whose condition fails costs what it would have cost. DynamoDB does not"
        " report that, so it is calculated, and included in the columns of units."
    ),
    (
        "Processor time and its ratios are those of the best round. They exclude the"
        " database's own; the connection here has no TLS."
    ),
    f"{prices.POSTGRES_NAME} costs {prices.POSTGRES_MONTH:.2f} US dollars a month, even idle.",
)


class Sizes(NamedTuple):
    """How much to measure: the number of rounds, and of consumes in each."""

    rounds: int
    consumes: int


QUICK, WHOLE = Sizes(rounds=5, consumes=25), Sizes(rounds=15, consumes=60)


def measure(
    *, quick: bool, postgres: str | None = None, redis: str | None = None
) -> dict[str, Any]:
    """Measure all designs; PostgreSQL's and Redis's only if a server's URL is given."""
    with local_aws() as aws:
        rows = measure_on(aws, QUICK if quick else WHOLE, postgres, redis)
    [own] = [row for row in rows if row["design"] == scrip_path.NAME and row["case"] == "consume"]
    worth = prices.POSTGRES_MONTH / own["usd_per_million"]
    note = f"For that money Scrip's DynamoDB takes {worth:.1f} million consumes a month."
    return {"rows": rows, "notes": [*NOTES, note]}


def measure_on(
    aws: LocalAws, sizes: Sizes, postgres: str | None, redis: str | None
) -> list[dict[str, Any]]:
    """Return a row for each design and case."""
    designs: list[Design] = [InDynamoDB(module, aws) for module in IN_DYNAMODB]
    if postgres:
        designs.append(InPostgreSQL(aws, postgres))
    if redis:
        designs.append(InRedis(aws, redis))
    rows = [row for design in designs for row in design.counted()]
    for number in range(sizes.rounds):
        report(f"round {number + 1} of {sizes.rounds}")
        for design in designs:
            design.timed_round(sizes.consumes)
    for row, design in zip(rows[:: len(CASES)], designs, strict=True):
        row.update(design.timings())
        row["cpu_to_scrip_ratio"] = round(design.own.cpu_ms_best / designs[0].own.cpu_ms_best, 2)
    missing = [module for module, url in ((for_update, postgres), (redis_script, redis)) if not url]
    return rows + [{"design": module.NAME, "case": NO_SERVER} for module in missing]


CASES = (
    ("consume", "second", 5, OK),
    ("asked again", "second", 5, OK),
    ("refused", "third", CREDITS_MAX, REFUSED),
)
"""The requests: the case's name, the key, the amount, and the expected status."""


class Design(ABC):
    """A design: sends it requests, and measures what they cost."""

    def __init__(self, module: ModuleType, table: Table) -> None:
        """Take the design's module, and the table."""
        self.module = module
        self.table = table
        self.own = Timing()
        self.bare = Timing()

    def open(self) -> str:
        """Open an account and return its id."""
        account_id = str(uuid4())
        self.module.open_account(self.table, account_id, CREDITS, utc_now())
        return account_id

    def ask(self, event: dict[str, Any], status: int = OK) -> None:
        """Send a request to the handler, and check the answer's status."""
        answer = self.module.lambda_handler(event, CONTEXT)
        assert answer["statusCode"] == status, answer

    def counted(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each case, with its database calls."""
        account_id = self.open()
        self.ask(consume_event(account_id, "first", 5))
        for case, key, amount, status in CASES:
            counts = self.counts(partial(self.ask, consume_event(account_id, key, amount), status))
            yield {"design": self.module.NAME, "case": case, **counts}

    @abstractmethod
    def counts(self, request: Callable[[], None]) -> dict[str, Any]:
        """Return what a request costs in database calls."""

    def timed_round(self, consumes: int) -> None:
        """Time a round of consumes on a new account."""
        account_id = self.open()
        events = [consume_event(account_id, f"key-{n}", 5) for n in range(consumes)]
        self.own.round(partial(self.ask, event) for event in events)

    def timings(self) -> dict[str, Any]:
        """Return how long a consume takes."""
        return {
            "cpu_ms_here": round(self.own.cpu_ms_best, 3),
            "latency_ms_median_here": round(self.own.latency_ms(50), 1),
            "latency_ms_p95_here": round(self.own.latency_ms(95), 1),
        }


class InDynamoDB(Design):
    """A design on the DynamoDB table; the calls of its client are counted."""

    def __init__(self, module: ModuleType, aws: LocalAws) -> None:
        """Take the design's module, and the local AWS."""
        super().__init__(module, aws.table)
        self.plain = boto3.client("dynamodb")

    def counts(self, request: Callable[[], None]) -> dict[str, Any]:
        """Return round trips, units and dollars."""
        meter = Meter()
        meter.hook(self.table.client)
        request()
        meter.unhook(self.table.client)
        return {
            "round_trips": meter.round_trips,
            "write_units": meter.write_units,
            "read_units": meter.read_units,
            "usd_per_million": prices.dynamodb_million(meter.write_units, meter.read_units),
        }

    def timed_round(self, consumes: int) -> None:
        """Time a round of consumes, and then the same calls by a plain boto3 client."""
        super().timed_round(consumes)
        self.bare.round(self._calls(consumes))

    def timings(self) -> dict[str, Any]:
        """Return how long a consume takes, and how much of that its calls alone take."""
        calls_each = len(self.bare.latencies_ms) / len(self.own.latencies_ms)
        bare = self.bare.cpu_ms_best * calls_each
        return {
            **super().timings(),
            "bare_calls_cpu_ms_here": round(bare, 3),
            "cpu_to_bare_calls_ratio": round(self.own.cpu_ms_best / bare, 2),
        }

    def _calls(self, consumes: int) -> list[Callable[[], Any]]:
        """Record the calls of some consumes, to repeat them on a table where they are new."""
        account_id, now = str(uuid4()), utc_now()
        for table in (self.table, Table(self.table.client, BARE_TABLE)):
            self.module.open_account(table, account_id, CREDITS, now)
        made: list[tuple[str, dict[str, Any]]] = []

        def record(params: dict[str, Any], model: Any, **_: Any) -> None:
            made.append((model.name, _on_bare_table(params)))

        events, meta = self.table.client.meta.events, self.table.client.meta
        events.register(CALLED, record, unique_id="bench-record")
        for number in range(consumes):
            self.ask(consume_event(account_id, f"key-{number}", 5))
        events.unregister(CALLED, unique_id="bench-record")
        methods = {api: name for name, api in meta.method_to_api_mapping.items()}
        return [partial(getattr(self.plain, methods[name]), **params) for name, params in made]


class InPostgreSQL(Design):
    """The design on a PostgreSQL server."""

    def __init__(self, aws: LocalAws, url: str) -> None:
        """Create its tables."""
        super().__init__(for_update, aws.table)
        for_update.use(url)
        for_update.connection().execute(for_update.TABLES)

    def counts(self, request: Callable[[], None]) -> dict[str, Any]:
        """Return round trips: how often the server reported that it was ready for a query."""
        server = for_update.connection().pgconn
        with tempfile.NamedTemporaryFile("r") as trace:
            server.trace(trace.fileno())
            request()
            server.untrace()
            protocol = Path(trace.name).read_text()
        return {"round_trips": protocol.count("ReadyForQuery")}


class InRedis(Design):
    """The design on a Redis server."""

    def __init__(self, aws: LocalAws, url: str) -> None:
        """Connect to it."""
        super().__init__(redis_script, aws.table)
        redis_script.use(url)

    def counts(self, request: Callable[[], None]) -> dict[str, Any]:
        """Return round trips: how often the server read from its connections."""
        before = self._reads()
        request()
        return {"round_trips": self._reads() - before - 1}  # the last one asked for the number

    def _reads(self) -> int:
        stats: Any = redis_script.connection().info("stats")
        return int(stats["total_reads_processed"])


def _on_bare_table(params: Any) -> Any:
    """Return a deep copy of a call's parameters, with the bare table's name."""
    match params:
        case dict():
            return {
                name: BARE_TABLE if name == "TableName" else _on_bare_table(value)
                for name, value in params.items()
            }
        case list():
            return [_on_bare_table(value) for value in params]
    return params
