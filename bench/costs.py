"""The monthly bill, item by item: counted units times list prices.

tests/integration/test_budget.py counts what Scrip asks of DynamoDB, tests/functional/test_costs.py
what it stores, sends, logs and measures; both compare with the constants below. What only a
deployment on AWS could show is marked as assumed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench import prices

GB = 10**9
MB_OF_GB = 1024
DAYS = 30
HOURS = DAYS * 24

CONSUME_WRITE_UNITS = 5
CONSUME_READ_UNITS = 1
"""Counted: for a consume on an account with four grants."""

RENEWAL_WRITE_UNITS = 8
RENEWAL_READ_UNITS = 5
"""Counted, at most: for a renewal by the sweep, including its visits before and after."""

COUNTING_WRITE_UNITS = 2
COUNTING_READ_UNITS = 1
"""Calculated: for the stream's function to count an account's day in a batch, in a transaction with
the day's totals."""

TOTALS_WRITE_UNITS = 8
TOTALS_READ_UNITS = 1
"""Counted, at most: for the totals of a day, once for a batch, with 50 accounts and 10 features of
three meters. They have up to 4 KB then."""

REFERENCE_WRITE_UNITS = 2
REFERENCE_READ_UNITS = 1
"""Calculated: for an entry with a reference of its own, which the index lists. Further entries of
the same reference, account and day cost nothing in the same batch, and in others one write less."""

ENTRY_BYTES = 600
"""Counted, at most: size of a consume's entry, which the table and the index each store."""

REFERENCE_BYTES = 600
"""Counted, at most: size of a reference's day, in the table and in the index together."""

ITEM_BYTES = 100
"""Published: what DynamoDB adds to an item's size when it bills storage."""

ARCHIVED_BYTES = 200
"""Counted, at most: size of an entry in the bucket, compressed in a batch."""

ANSWER_BYTES = 2_000
"""Counted, at most: size of a consume's answer, with an allowance for headers."""

LOGGED_BYTES = 0
"""Counted: what a successful consume logs, apart from Lambda's own lines."""

BATCH_LOGGED_BYTES = 500
ENTRY_LOGGED_BYTES = 20
"""Counted, at most: what the stream's function logs for a batch, and for each entry in it."""

METRICS = 3
"""Counted: Scrip's own metrics that have a value in every hour."""

SCHEDULED_CALLS = 19 * HOURS
"""Counted: by the schedules, which call functions whether there is anything to do or not."""

AUDIT_ROUNDS = HOURS / 22
AUDIT_UNITS = 5
AUDIT_UNITS_ENTRY = 0.09
"""Calculated: units read by the audit in a round, of an account and of an entry past the 20th."""

CONSUMES_PER_ACCOUNT = 100
"""Assumed, per month. The same number of consumes on fewer accounts costs less."""

CPU_SECONDS = 0.007
WAIT_SECONDS = 0.020
BATCH_SECONDS = 0.200
REFERENCE_SECONDS = 0.010
AUDIT_SECONDS = 0.020
"""Assumed: a consume's time on a whole CPU and waiting for the table, the duration of a stream
batch, and how much longer it takes for each reference; the duration of an account's audit."""

CPU_MB = 1769
"""Published: the memory that buys a function a whole CPU; less memory buys a part of one."""

BUSY_SECONDS = HOURS * 3600 / 3
"""Assumed: the busy third of a month, in which all consumes happen, at random times."""

SHARDS = 4
"""Assumed: of the table's stream, one for each partition; a new table on demand has four."""

CONSUME_RECORDS = 2
"""Counted: a consume's records in the stream, one for its entry and one for its account."""

ACCESS_LOG_BYTES = 300
LAMBDA_LOG_BYTES = 500
"""Assumed: what API Gateway logs for a request, and Lambda itself for an invocation."""

TRACED = 0.05
"""Published: the share that X-Ray samples of a function's calls after the first one in a second."""

PROCESS_CONSUMES = 10
PROCESS_TOKENS = HOURS
"""Assumed: consumes a second of a process of your back end, and its tokens, each for an hour."""

POLLS = 2 * 650_000
"""Calculated: polls of the queues of the sweep and of the audit in a month, even when idle."""

PROVISIONED_USE = 0.7
"""The part of provisioned units that is used when DynamoDB's auto scaling aims at its default."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """What a bill depends on in template.yaml; `batch_seconds` is how long a batch may fill.

    `url_alarm_metrics` are those that `IamCallers` adds.
    """

    function_mb: int
    audit_mb: int
    alarm_metrics: int
    url_alarm_metrics: int
    batch_records: int
    batch_seconds: int


@dataclass(frozen=True)
class Item:
    """A line of the bill: what, how many units, and their price in US dollars."""

    what: str
    units: float
    dollars: float


def deployed(template: Mapping[str, Any]) -> Stack:
    """Return what template.yaml, parsed, deploys."""
    resources = template["Resources"]
    stream = resources["EventsFunction"]["Properties"]["Events"]["Stream"]["Properties"]
    return Stack(
        function_mb=template["Globals"]["Function"]["MemorySize"],
        audit_mb=resources["AuditFunction"]["Properties"]["MemorySize"],
        alarm_metrics=_alarm_metrics(resources, "HasAlarms"),
        url_alarm_metrics=_alarm_metrics(resources, "HasUrlAlarms"),
        batch_records=stream["BatchSize"],
        batch_seconds=stream["MaximumBatchingWindowInSeconds"],
    )


def _alarm_metrics(resources: Mapping[str, Any], condition: str) -> int:
    """Return how many metrics the alarms with a condition go by."""
    alarms = (
        resource["Properties"].get("Metrics", [])
        for resource in resources.values()
        if resource["Type"] == "AWS::CloudWatch::Alarm" and resource["Condition"] == condition
    )
    # An alarm without a list of metrics has one.
    return sum(sum("MetricStat" in one for one in alarm) or 1 for alarm in alarms)


def month(consumes: int, stack: Stack, *, under_iam: bool = False) -> list[Item]:
    """Return the bill of a first month with a number of consumes, at least one.

    With `under_iam` a back end's role makes all calls, with `IamCallers=On` and `ServiceTokens=no`:
    no API Gateway, no client of Cognito.

    Data written during the month is stored for half of it on average. Free tiers and volume
    discounts are not deducted. Traces, which are optional, are not in it.
    """
    accounts = -(-consumes // CONSUMES_PER_ACCOUNT)
    batches = stream_batches(consumes, stack)
    entry_gb = consumes * (ENTRY_BYTES + ITEM_BYTES) / 2 / GB
    reference_gb = consumes * (REFERENCE_BYTES + 2 * ITEM_BYTES) / 2 / GB
    calls = consumes + batches + SCHEDULED_CALLS
    processes = math.ceil(consumes / BUSY_SECONDS / PROCESS_CONSUMES)
    with_token = 0 if under_iam else 1
    return [
        _million("HTTP API, requests", with_token * consumes, prices.API_REQUESTS_MILLION),
        _million("Lambda, requests", calls, prices.LAMBDA_REQUESTS_MILLION),
        _each(
            "Lambda, GB-seconds",
            (
                consumes * (consume_seconds(stack.function_mb) + REFERENCE_SECONDS)
                + batches * BATCH_SECONDS
            )
            * (stack.function_mb / MB_OF_GB),
            prices.LAMBDA_GB_SECOND,
        ),
        *write_units(consumes, stack),
        *read_units(consumes, stack),
        _each(
            "Daily audit, GB-seconds",
            accounts * AUDIT_ROUNDS * AUDIT_SECONDS * stack.audit_mb / MB_OF_GB,
            prices.LAMBDA_GB_SECOND,
        ),
        _million("Events on the bus", consumes, prices.EVENTS_MILLION),
        _million(
            "Objects put into the bucket", _with_entries(consumes, stack), prices.PUTS_MILLION
        ),
        _each("Stored, GB", 2 * entry_gb + reference_gb, prices.STORED_GB),
        _each("Backed up, GB", entry_gb + reference_gb / 2, prices.BACKED_UP_GB),
        _each("Archived, GB", consumes * ARCHIVED_BYTES / 2 / GB, prices.ARCHIVED_GB),
        _each(
            "Logged, GB",
            (
                consumes * (with_token * ACCESS_LOG_BYTES + LOGGED_BYTES + ENTRY_LOGGED_BYTES)
                + batches * BATCH_LOGGED_BYTES
                + calls * LAMBDA_LOG_BYTES
            )
            / GB,
            prices.LOGGED_GB,
        ),
        _each("Sent to callers, GB", consumes * ANSWER_BYTES / GB, prices.SENT_GB),
        _million("Schedules", SCHEDULED_CALLS, prices.SCHEDULED_MILLION),
        _million("Polls of the queues", POLLS, prices.SQS_REQUESTS_MILLION),
        _each("Cognito, client of the back end", with_token, prices.MACHINE_CLIENT_MONTH),
        _each(
            "Cognito, tokens of the back end",
            with_token * processes * PROCESS_TOKENS,
            prices.MACHINE_TOKENS_THOUSAND / 1000,
        ),
        _each(
            "Alarms, metrics",
            stack.alarm_metrics + (stack.url_alarm_metrics if under_iam else 0),
            prices.ALARM_METRIC_MONTH,
        ),
        _each("Scrip's own metrics", METRICS, prices.METRIC_MONTH),
        _each("Secret", 1, prices.SECRET_MONTH),
    ]


def write_units(consumes: int, stack: Stack) -> list[Item]:
    """Return the lines of the bill for the write units of the table and its indexes, on demand."""
    accounts = -(-consumes // CONSUMES_PER_ACCOUNT)
    price = prices.WRITE_UNITS_MILLION
    return [
        _million("DynamoDB, writes of consumes", consumes * CONSUME_WRITE_UNITS, price),
        _million("Usage by day, writes", consumes * COUNTING_WRITE_UNITS, price),
        _million("Usage by reference, writes", consumes * REFERENCE_WRITE_UNITS, price),
        _million(
            "Totals by day, writes", _with_entries(consumes, stack) * TOTALS_WRITE_UNITS, price
        ),
        _million("Monthly renewals, writes", accounts * RENEWAL_WRITE_UNITS, price),
    ]


def read_units(consumes: int, stack: Stack) -> list[Item]:
    """Return the lines of the bill for the read units of the table and its indexes, on demand."""
    accounts = -(-consumes // CONSUMES_PER_ACCOUNT)
    entries = consumes / accounts / 2
    audit_units = AUDIT_ROUNDS * (AUDIT_UNITS + AUDIT_UNITS_ENTRY * max(0, entries - 20))
    price = prices.READ_UNITS_MILLION
    return [
        _million("DynamoDB, reads of consumes", consumes * CONSUME_READ_UNITS, price),
        _million("Usage by day, reads", consumes * COUNTING_READ_UNITS, price),
        _million("Usage by reference, reads", consumes * REFERENCE_READ_UNITS, price),
        _million("Totals by day, reads", _with_entries(consumes, stack) * TOTALS_READ_UNITS, price),
        _million("Monthly renewals, reads", accounts * RENEWAL_READ_UNITS, price),
        _million("Daily audit, reads", accounts * audit_units, price),
    ]


def provisioned(consumes: int, stack: Stack, *, scales: bool) -> float:
    """Return the price of the same units, provisioned: following the load, or always for the busy.

    There are never fewer read units than the audit needs.
    """
    part = provisioned_part() / PROVISIONED_USE * (1 if scales else HOURS * 3600 / BUSY_SECONDS)
    audit = AUDIT_UNITS / AUDIT_SECONDS * HOURS * prices.PROVISIONED_READ_UNIT_HOUR
    writes, reads = (
        sum(item.dollars for item in items)
        for items in (write_units(consumes, stack), read_units(consumes, stack))
    )
    return writes * part + max(reads * part, audit)


def provisioned_part() -> float:
    """Return the price of a provisioned unit that is always used, as a part of one on demand.

    It is the same for reads and writes. As long as this part of what is provisioned is used on
    average, both cost the same.
    """
    return prices.PROVISIONED_WRITE_UNIT_HOUR / 3600 * prices.MILLION / prices.WRITE_UNITS_MILLION


def traces(consumes: int, stack: Stack) -> Item:
    """Return the line of the bill that `Tracing` adds."""
    traced = _traced(consumes) + _traced(stream_batches(consumes, stack)) + SCHEDULED_CALLS
    return _million("Traces", traced, prices.TRACES_MILLION)


def stream_batches(consumes: int, stack: Stack) -> float:
    """Return how many batches the stream's records come in.

    A batch is opened by a record and takes what arrives on its shard while it may fill.
    """
    records = consumes * CONSUME_RECORDS
    arriving = stack.batch_seconds * records / BUSY_SECONDS / SHARDS
    return records / min(stack.batch_records, 1 + arriving)


def _with_entries(consumes: int, stack: Stack) -> float:
    """Return in how many batches there are entries."""
    return min(consumes, stream_batches(consumes, stack))


def consume_seconds(memory_mb: int) -> float:
    """Return how long a consume occupies a function with this much memory."""
    return CPU_SECONDS / min(1, memory_mb / CPU_MB) + WAIT_SECONDS


def _traced(calls: float) -> float:
    """Return how many calls of a function are traced: the first in a second, and a part of others.

    1 - e^-n is the share of seconds with a call if there are n a second at random times.
    """
    first = BUSY_SECONDS * -math.expm1(-calls / BUSY_SECONDS)
    return first + TRACED * (calls - first)


def _million(what: str, units: float, dollars: float) -> Item:
    return Item(what, units, units / prices.MILLION * dollars)


def _each(what: str, units: float, dollars: float) -> Item:
    return Item(what, units, units * dollars)
