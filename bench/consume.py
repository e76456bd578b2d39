"""Part `consume`: the same request to four designs, side by side on one local DynamoDB.

What is asked of the database is counted, for a consume, for the same one asked again, and for one
that is refused. Processor time is that of the whole handler, from the event to the answer, boto3's
included, and compared with nothing but the calls that it made, made again bare.
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
from bench.designs import for_update, idempotency_decorator, read_then_write, scrip_path
from bench.local import BARE_TABLE, LocalAws, local_aws
from bench.meter import Meter
from bench.progress import told
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
        "Scrip: functions/consume as it is deployed, on an account of 4 live grants. It"
        " writes an entry of its ledger, and the index by which entries are listed; no other"
        " design here but PostgreSQL's keeps a ledger."
    ),
    "read, then write: GetItem, PutItem of what is left; nothing remembers the key.",
    (
        "idempotency decorator: Powertools' idempotent_function around an UpdateItem under"
        " the condition that the balance suffices. Its records are put before and updated"
        " after, and live for an hour. No ledger: with one it would write 1 unit more, and 1"
        " for its index."
    ),
    (
        "PostgreSQL FOR UPDATE: BEGIN, SELECT ... FOR UPDATE, INSERT of an entry with a"
        " unique key, UPDATE, COMMIT."
    ),
    (
        "A write whose condition failed costs what it would have cost; DynamoDB doesn't tell"
        " that, so it is reckoned. In the columns of units it is included."
    ),
    (
        "Processor time and its ratio are those of the best round; the connection has no TLS"
        " here. The database's own processor time is not in it."
    ),
    f"{prices.POSTGRES_NAME} costs {prices.POSTGRES_MONTH:.2f} US dollars a month, used or not.",
)


class Sizes(NamedTuple):
    """How much is measured: rounds of so many consumes each."""

    rounds: int
    consumes: int


QUICK, WHOLE = Sizes(rounds=5, consumes=25), Sizes(rounds=15, consumes=60)


def measure(*, quick: bool, postgres: str | None = None) -> dict[str, Any]:
    """Measure all designs, PostgreSQL's on the server at a URL if one is given."""
    with local_aws() as aws:
        rows = measure_on(aws, QUICK if quick else WHOLE, postgres)
    [own] = [row for row in rows if row["design"] == scrip_path.NAME and row["case"] == "consume"]
    worth = prices.POSTGRES_MONTH / own["usd_per_million"]
    told_of = f"For that money Scrip's DynamoDB takes {worth:.1f} million consumes a month."
    return {"rows": rows, "notes": [*NOTES, told_of]}


def measure_on(aws: LocalAws, sizes: Sizes, postgres: str | None) -> list[dict[str, Any]]:
    """Return a row for each design and case."""
    designs: list[Design] = [InDynamoDB(module, aws) for module in IN_DYNAMODB]
    if postgres:
        designs.append(InPostgreSQL(aws, postgres))
    rows = [row for design in designs for row in design.counted()]
    for number in range(sizes.rounds):
        told(f"round {number + 1} of {sizes.rounds}")
        for design in designs:
            design.timed_round(sizes.consumes)
    for row, design in zip(rows[:: len(CASES)], designs, strict=True):
        row.update(design.timings())
    if not postgres:
        rows.append({"design": for_update.NAME, "case": NO_SERVER})
    return rows


CASES = (
    ("consume", "second", 5, OK),
    ("asked again", "second", 5, OK),
    ("refused", "third", CREDITS_MAX, REFUSED),
)
"""What is asked for: its name, the key, the amount, and how it is answered."""


class Design(ABC):
    """One design: its requests, and what they cost."""

    def __init__(self, module: ModuleType, table: Table) -> None:
        """Know the handler, and the table if it is in one."""
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
        """Hand the handler a request that it has to answer so."""
        answer = self.module.lambda_handler(event, CONTEXT)
        assert answer["statusCode"] == status, answer

    def counted(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each case: what is asked of the database."""
        account_id = self.open()
        self.ask(consume_event(account_id, "first", 5))
        for case, key, amount, status in CASES:
            counts = self.counts(partial(self.ask, consume_event(account_id, key, amount), status))
            yield {"design": self.module.NAME, "case": case, **counts}

    @abstractmethod
    def counts(self, request: Callable[[], None]) -> dict[str, Any]:
        """Return what a request asks of the database."""

    def timed_round(self, consumes: int) -> None:
        """Time some consumes of a fresh account."""
        account_id = self.open()
        events = [consume_event(account_id, f"key-{n}", 5) for n in range(consumes)]
        self.own.round(partial(self.ask, event) for event in events)

    def timings(self) -> dict[str, Any]:
        """Return what a consume takes."""
        return {
            "cpu_ms_here": round(self.own.cpu_ms_best, 3),
            "latency_ms_median_here": round(self.own.latency_ms(50), 1),
            "latency_ms_p95_here": round(self.own.latency_ms(95), 1),
        }


class InDynamoDB(Design):
    """A design on the table, the client of which is counted."""

    def __init__(self, module: ModuleType, aws: LocalAws) -> None:
        """Know the table."""
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
        """Time some consumes, and then the same calls by a boto3 client as it comes."""
        super().timed_round(consumes)
        self.bare.round(self._calls(consumes))

    def timings(self) -> dict[str, Any]:
        """Return what a consume takes, and how much of that the calls alone."""
        calls_each = len(self.bare.latencies_ms) / len(self.own.latencies_ms)
        bare = self.bare.cpu_ms_best * calls_each
        return {
            **super().timings(),
            "bare_calls_cpu_ms_here": round(bare, 3),
            "cpu_to_bare_calls_ratio": round(self.own.cpu_ms_best / bare, 2),
        }

    def _calls(self, consumes: int) -> list[Callable[[], Any]]:
        """Return the calls that some consumes make, to be made on a table where they are new."""
        account_id, now = str(uuid4()), utc_now()
        for table in (self.table, Table(self.table.client, BARE_TABLE)):
            self.module.open_account(table, account_id, CREDITS, now)
        made: list[tuple[str, dict[str, Any]]] = []

        def record(params: dict[str, Any], model: Any, **_: Any) -> None:
            made.append((model.name, _elsewhere(params)))

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
        """Make its tables."""
        super().__init__(for_update, aws.table)
        for_update.use(url)
        for_update.connection().execute(for_update.TABLES)

    def counts(self, request: Callable[[], None]) -> dict[str, Any]:
        """Return round trips: how often the server said that it is ready for the next query."""
        server = for_update.connection().pgconn
        with tempfile.NamedTemporaryFile("r") as trace:
            server.trace(trace.fileno())
            request()
            server.untrace()
            said = Path(trace.name).read_text()
        return {"round_trips": said.count("ReadyForQuery")}


def _elsewhere(asked: Any) -> Any:
    """Return what was asked for, asked of the other table; nobody can change it any more."""
    match asked:
        case dict():
            return {
                name: BARE_TABLE if name == "TableName" else _elsewhere(value)
                for name, value in asked.items()
            }
        case list():
            return [_elsewhere(value) for value in asked]
    return asked
