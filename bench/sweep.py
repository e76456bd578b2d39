"""Part `sweep`: the cost of a new month, if accounts are renewed on time or on their next use.

Eager: the functions reset and renew run hour by hour around the boundary, as the schedule and the
queue call them. They visit an account in several of those hours, and renew it in one.
Lazy: the first consume of the new month, less the cost of a regular consume.
Together: a worker's pages, settled several accounts at once as they were read, in turns with pages
of which it reads and settles one account after the other, as the version before did.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from bench import prices
from bench.goals import at_least, at_most
from bench.ledgers import put
from bench.local import LocalAws, local_aws
from bench.meter import Meter
from bench.progress import report
from bench.requests import CONTEXT, consume_event
from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from functions.consume.handler import lambda_handler as consume
from functions.renew.handler import lambda_handler as renew
from functions.renew.renewals import renew_account, renew_range
from functions.reset.handler import lambda_handler as reset
from scrip.domain.decide import decide
from scrip.ledger import ledger, opening
from scrip.renew_queue import DirectoryRange, renew_queue
from scrip.store.items import account_item, entry_item, to_wire
from scrip.store.keys import directory_partition, id_of
from scrip.store.queries import read_accounts
from scrip.store.sweeps import directory_pages, move_watermark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.store.items import Wire

OK = 200
OPENED_AT = datetime(2026, 10, 21, 12, 0, tzinfo=UTC)
BOUNDARY = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
"""A month later."""

SPREAD = timedelta(hours=1)
"""Time during which the accounts are opened."""

BEFORE, AFTER = 5, 6
"""Hours before and after the boundary in which the sweep runs."""

MONTH_HOURS = 730
MESSAGES_MAX = 4
"""Messages per worker invocation, as in template.yaml."""

CALLS_OF_A_QUEUE = 3
"""A message is sent, received and deleted; each of these calls takes up to ten messages."""

LATENCY_SECONDS = 0.01
"""What a round trip to DynamoDB takes at least, as a transaction does on AWS."""

TIMES_GOAL, NOISE = 5.0, 0.1
"""How many times as many accounts a worker settles together, at least."""

ROUND_TRIPS_GOAL = 1.1
"""Round trips for an account that is settled together with others, with those of its page."""

ACCOUNTS = 10_000_000
SHARE = 0.1

NOTES = (
    (
        f"Dollars are for {ACCOUNTS:,} accounts and a month: DynamoDB's units, SQS's requests"
        " and the functions' invocations, as counted here. Lambda's duration and the polling"
        " of the queue are not included."
    ),
    "A renewal writes two entries: the old plan grant expires, and the new one arrives.",
    (
        "eager: without the cost of hours in which no account is due, which is the row below."
        " At this number of accounts a worker also re-queues unfinished work every ten"
        " seconds, in a message for some hundreds of accounts."
    ),
    (
        "eager, the schedule itself: the cost of an hourly run in which no account is due, 730"
        " times a month, for any number of accounts."
    ),
    (
        "lazy: balances are right without a schedule, since every read or change of an account"
        " settles it. In the one row all accounts are used within the month, in the other"
        f" {SHARE:.0%}."
    ),
    "accounts per second: with one worker at a time, beside the local AWS.",
    (
        f"together, one by one: each call takes {LATENCY_SECONDS * 1000:.0f} ms more, as on a"
        " network. Transactions are not carried out, as the local DynamoDB takes one at a time."
        " Both ways settle accounts that are due, in turns. Round trips include those that list"
        " and read a page."
    ),
)


class Sizes(NamedTuple):
    """Numbers of accounts to renew eagerly and lazily."""

    eager: int
    lazy: int


TURNS, PAGE = 4, 100
"""How often each way takes its turn, and how many accounts it settles then."""

ANCHOR, SHARD = OPENED_AT - timedelta(days=1), 0
"""When these accounts were opened, about, and the shard of the directory that lists them."""

QUICK, WHOLE = Sizes(eager=200, lazy=25), Sizes(eager=5_000, lazy=200)


def measure(*, quick: bool) -> dict[str, Any]:
    """Start a new month for some accounts, both ways."""
    with local_aws() as aws:
        sizes = QUICK if quick else WHOLE
        rows = measure_on(aws, sizes)
        one_by_one, together = _ways(aws)
        times = one_by_one.seconds / together.seconds
        rows += [
            {
                "way": way,
                "round_trips_each": round(costs.meter.round_trips / (TURNS * PAGE), 3),
                "accounts_per_second_here": costs.per_second(TURNS * PAGE),
            }
            for way, costs in (("one by one", one_by_one), ("together", together))
        ]
        round_trips = together.meter.round_trips / (TURNS * PAGE)
        goals = [
            at_most(
                "sweep: an account's round trips", round_trips, ROUND_TRIPS_GOAL, "round trips"
            ),
            at_least(
                "sweep: accounts a second of a worker, together to one by one",
                times,
                TIMES_GOAL,
                "times",
                noise=NOISE,
            ),
        ]
    return {"rows": rows, "notes": [*NOTES], "goals": goals}


def measure_on(aws: LocalAws, sizes: Sizes) -> list[dict[str, Any]]:
    """Return a row for each way."""
    clock = ledger().clock
    try:
        # A first run without a watermark would list all accounts; measure a regular one.
        move_watermark(aws.table, BOUNDARY - timedelta(hours=BEFORE + 2))
        idle = _Hours(aws)
        idle.run(BOUNDARY - timedelta(hours=BEFORE + 1))
        eager = _eager(aws, sizes.eager, idle)
        lazy = _lazy(aws, sizes.lazy)
    finally:
        ledger().clock = clock
    return [
        _row("eager", eager, sizes.eager, ACCOUNTS, eager.per_second(sizes.eager)),
        _row("eager, the schedule itself", idle, 1, MONTH_HOURS),
        _row("lazy, all come by", lazy, sizes.lazy, ACCOUNTS),
        _row(f"lazy, {SHARE:.0%} come by", lazy, sizes.lazy, round(ACCOUNTS * SHARE)),
    ]


class _Costs:
    """Calls and invocations."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.meter = Meter()
        self.sqs_requests = 0
        self.invocations = 0
        self.seconds = 0.0

    def per_second(self, accounts: int) -> float:
        """Return the number of accounts that one worker renews per second."""
        return round(accounts / self.seconds, 1)


class _Hours(_Costs):
    """The hourly runs of a sweep."""

    def run(self, now: datetime) -> None:
        """Run the schedule once, and then workers until the queue is empty."""
        ledger().clock = lambda: now
        began = time.monotonic()
        self.meter.hook(self.aws.table.client)
        reset({}, CONTEXT)
        self.invocations += 1
        while records := self._receive():
            answer = renew({"Records": records}, CONTEXT)
            assert not answer["batchItemFailures"], answer
            self._delete(records)
            self.invocations += 1
            self.sqs_requests += CALLS_OF_A_QUEUE
        self.meter.unhook(self.aws.table.client)
        self.seconds += time.monotonic() - began

    def without(self, idle: _Hours, times: int) -> _Hours:
        """Subtract the costs of hours in which no account is due."""
        for _ in range(times):
            self.meter.subtract(idle.meter)
        self.sqs_requests -= times * idle.sqs_requests
        self.invocations -= times * idle.invocations
        return self

    def _receive(self) -> list[dict[str, Any]]:
        queue = renew_queue()
        answer = queue.client.receive_message(
            QueueUrl=queue.url, MaxNumberOfMessages=MESSAGES_MAX, WaitTimeSeconds=0
        )
        return [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
            }
            for message in answer.get("Messages", [])
        ]

    def _delete(self, records: list[dict[str, Any]]) -> None:
        queue = renew_queue()
        queue.client.delete_message_batch(
            QueueUrl=queue.url,
            Entries=[
                {"Id": record["messageId"], "ReceiptHandle": record["receiptHandle"]}
                for record in records
            ],
        )


def _eager(aws: LocalAws, accounts: int, idle: _Hours) -> _Hours:
    report(f"writing {accounts} accounts")
    put(aws.table, _opened("eager", accounts))
    hours = _Hours(aws)
    for hour in range(-BEFORE, AFTER + 1):
        report(f"hour {hour + BEFORE + 1} of {BEFORE + AFTER + 1}")
        hours.run(BOUNDARY + timedelta(hours=hour))
    return hours.without(idle, times=BEFORE + AFTER + 1)


def _ways(aws: LocalAws) -> tuple[_Costs, _Costs]:
    """Settle as many accounts one by one as together, in turns, with the latency of a network."""
    report(f"settling {2 * TURNS * PAGE} accounts in two ways")
    clock = ledger().clock
    events: Any = aws.table.client.meta.events
    ways = (_Costs(aws), _settle_one_by_one), (_Costs(aws), _settle_together)
    minutes = count()
    ledger().catalog()  # neither way waits for it
    events.register("before-send.dynamodb", _travel, unique_id="bench-travel")
    try:
        for _ in range(TURNS):
            for costs, settle in ways:
                minute = next(minutes)
                put(aws.table, _page(minute))
                at = f"{ANCHOR + timedelta(minutes=minute):%H:%M}"
                ledger().clock = lambda: BOUNDARY + timedelta(hours=AFTER)
                costs.meter.hook(aws.table.client)
                began = time.monotonic()
                settle(DirectoryRange(day=ANCHOR.day, shard=SHARD, first=at, last=at))
                costs.seconds += time.monotonic() - began
                costs.meter.unhook(aws.table.client)
    finally:
        events.unregister("before-send.dynamodb", unique_id="bench-travel")
        ledger().clock = clock
    return ways[0][0], ways[1][0]


def _page(minute: int) -> Iterator[Wire]:
    """Yield the items of accounts that the directory lists together, in a minute of their own."""
    now, found = ANCHOR + timedelta(minutes=minute), 0
    for number in count():
        account_id = f"minute-{minute}-{number}"
        posting = decide(None, opening(account_id), catalog=DEFAULT_CATALOG, now=now)
        item = account_item(posting.after)
        if item["directory_pk"] == directory_partition(now.day, SHARD):
            yield to_wire(item)
            yield from (to_wire(entry_item(account_id, entry)) for entry in posting.entries)
            found += 1
        if found == PAGE:
            return


def _settle_one_by_one(directory_range: DirectoryRange) -> None:
    table = ledger().table
    for places in directory_pages(table, **directory_range.model_dump()):
        for account_id in read_accounts(table, [id_of(place) for place in places]):
            renew_account(ledger(), account_id)


def _settle_together(directory_range: DirectoryRange) -> None:
    renew_range(ledger(), renew_queue(), directory_range, in_time=lambda: True)


def _travel(request: Any, **_: Any) -> AWSResponse | None:
    """Take as long as a network, and answer transactions as DynamoDB does, which has many servers.

    The local one carries out one transaction at a time, which would hide what is done at once.
    """
    time.sleep(LATENCY_SECONDS)
    if b"TransactWriteItems" not in request.headers["X-Amz-Target"]:
        return None
    return AWSResponse(request.url, OK, HTTPHeaders(), Raw(b'{"ConsumedCapacity":[]}'))


class Raw(BytesIO):
    """The body of an answer, as botocore reads it."""

    def stream(self) -> Iterator[bytes]:
        """Yield all of it."""
        yield self.getvalue()


def _lazy(aws: LocalAws, accounts: int) -> _Costs:
    """Consume twice in the new month; return what the first consume costs beyond the second."""
    report(f"renewing {accounts} accounts on their next use")
    put(aws.table, _opened("lazy", accounts))
    ledger().clock = lambda: BOUNDARY + timedelta(hours=AFTER)
    costs, usual = _Costs(aws), Meter()
    for meter, key in ((costs.meter, "first"), (usual, "second")):
        meter.hook(aws.table.client)
        for number in range(accounts):
            answer = consume(consume_event(f"lazy-{number}", key, 1), CONTEXT)
            assert answer["statusCode"] == OK, answer
        meter.unhook(aws.table.client)
    costs.meter.subtract(usual)
    return costs


def _opened(kind: str, accounts: int) -> Iterator[Wire]:
    """Yield the items of accounts that were opened a month before the boundary."""
    for number in range(accounts):
        account_id, now = f"{kind}-{number}", OPENED_AT + SPREAD * number / accounts
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        posting = decide(None, opening(account_id), catalog=DEFAULT_CATALOG, now=now)
        yield to_wire(account_item(posting.after))
        yield from (to_wire(entry_item(account_id, entry)) for entry in posting.entries)


def _row(
    way: str, costs: _Costs, counted: int, times: int, accounts_per_second: float | None = None
) -> dict[str, Any]:
    """Return the counts for one account or run, and the cost of a month's number of them."""
    each = {
        "round_trips": costs.meter.round_trips / counted,
        "write_units": costs.meter.write_units / counted,
        "read_units": costs.meter.read_units / counted,
        "sqs_requests": costs.sqs_requests / counted,
        "lambda_invocations": costs.invocations / counted,
    }
    dollars = (
        prices.dynamodb_million(each["write_units"], each["read_units"])
        + each["sqs_requests"] * prices.SQS_REQUESTS_MILLION
        + each["lambda_invocations"] * prices.LAMBDA_REQUESTS_MILLION
    )
    return {
        "way": way,
        "times_a_month": times,
        **{f"{name}_each": round(value, 3) for name, value in each.items()},
        "usd_a_month": round(dollars * times / prices.MILLION, 2),
        "accounts_per_second_here": accounts_per_second,
    }
