"""Part `sweep`: the cost of a new month, if accounts are renewed on time or on their next use.

Eager: the functions reset and renew run hour by hour around the boundary, as the schedule and the
queue call them. They visit an account in several of those hours, and renew it in one.
Lazy: the first consume of the new month, less the cost of a regular consume.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import prices
from bench.ledgers import put
from bench.local import LocalAws, local_aws
from bench.meter import Meter
from bench.progress import report
from bench.requests import CONTEXT, consume_event
from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from functions.consume.handler import lambda_handler as consume
from functions.renew.handler import lambda_handler as renew
from functions.reset.handler import lambda_handler as reset
from scrip.domain.decide import decide
from scrip.ledger import ledger, opening
from scrip.renew_queue import renew_queue
from scrip.store.items import account_item, entry_item, to_wire
from scrip.store.sweeps import move_watermark

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
)


class Sizes(NamedTuple):
    """Numbers of accounts to renew eagerly and lazily."""

    eager: int
    lazy: int


QUICK, WHOLE = Sizes(eager=200, lazy=25), Sizes(eager=5_000, lazy=200)


def measure(*, quick: bool) -> dict[str, Any]:
    """Start a new month for some accounts, both ways."""
    with local_aws() as aws:
        return {"rows": measure_on(aws, QUICK if quick else WHOLE), "notes": [*NOTES]}


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
        _row("eager", eager, sizes.eager, ACCOUNTS, eager.accounts_per_second(sizes.eager)),
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

    def accounts_per_second(self, accounts: int) -> float:
        """Return the number of accounts that one worker renews per second."""
        return round(accounts / self.seconds, 1)

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
