"""The monthly bill, item by item: counted units times list prices.

tests/integration/test_budget.py counts what Scrip asks of DynamoDB, tests/functional/test_costs.py
what it stores, sends and logs; both compare with the constants below. What only a deployment on AWS
could show is marked as assumed.
"""

from dataclasses import dataclass

from bench import prices

GB = 10**9
DAYS = 30

CONSUME_WRITE_UNITS = 5
CONSUME_READ_UNITS = 1
"""Counted: for a consume on an account with four grants."""

RENEWAL_WRITE_UNITS = 8
RENEWAL_READ_UNITS = 5
"""Counted, at most: for a renewal by the sweep, including its visits before and after."""

COUNTING_UNITS = 1
"""Calculated: read and written by the stream's function per account and day in a batch."""

ENTRY_BYTES = 600
"""Counted, at most: size of a consume's entry, which the table and the index each store."""

ARCHIVED_BYTES = 200
"""Counted, at most: size of an entry in the bucket, compressed in a batch."""

ANSWER_BYTES = 2_000
"""Counted, at most: size of a consume's answer, with an allowance for headers."""

LOGGED_BYTES = 0
"""Counted: what a successful consume logs, apart from Lambda's own lines."""

ALARM_METRICS = 21
"""Counted: metrics that the alarms watch."""

AUDIT_UNITS = 6
AUDIT_UNITS_ENTRY = 0.135
"""Calculated: read per day by the audit for an account, and for each entry past the twentieth."""

CONSUMES_PER_ACCOUNT = 100
"""Assumed, per month. The same number of consumes on fewer accounts costs less."""

CONSUME_SECONDS = 0.020
BATCH_SECONDS = 0.200
AUDIT_SECONDS = 0.020
"""Assumed: duration of a consume, of a stream batch, and of an account's audit."""

BUSY_SECONDS = DAYS * 24 * 3600 / 3
"""Assumed: the busy third of a month, in which all consumes happen."""

BATCH_CONSUMES = 50
"""In a full batch of 100 stream records: a consume has one for its entry, one for its account."""

LAMBDA_LOG_BYTES = 500
"""Assumed: what Lambda itself logs for an invocation."""

TRACED = 0.05
"""Assumed: share of all invocations that X-Ray samples."""

POLLS = 650_000
"""Calculated: polls of the sweep's queue in a month, even when it is idle."""


@dataclass(frozen=True)
class Item:
    """A line of the bill: what, how many units, and their price in US dollars."""

    what: str
    units: float
    dollars: float


def month(consumes: int, function_gb: float, audit_gb: float) -> list[Item]:
    """Return the bill of a first month with a number of consumes; memory in GB.

    Data written during the month is stored for half of it on average. Free tiers and volume
    discounts are not deducted.
    """
    accounts = -(-consumes // CONSUMES_PER_ACCOUNT)
    # A batch waits a second to fill; if consumes are rarer than that, each is a batch of its own.
    batches = max(consumes / BATCH_CONSUMES, min(consumes, BUSY_SECONDS))
    entries = consumes / accounts / 2
    audited = accounts * DAYS
    audit_units = audited * (AUDIT_UNITS + AUDIT_UNITS_ENTRY * max(0, entries - 20))
    stored = consumes * 2 * ENTRY_BYTES / 2 / GB
    calls = consumes + batches
    return [
        _million("HTTP API, requests", consumes, prices.API_REQUESTS_MILLION),
        _million("Lambda, requests", calls, prices.LAMBDA_REQUESTS_MILLION),
        _each(
            "Lambda, GB-seconds",
            (consumes * CONSUME_SECONDS + batches * BATCH_SECONDS) * function_gb,
            prices.LAMBDA_GB_SECOND,
        ),
        _million(
            "DynamoDB, writes of consumes",
            consumes * CONSUME_WRITE_UNITS,
            prices.WRITE_UNITS_MILLION,
        ),
        _million(
            "DynamoDB, reads of consumes",
            consumes * CONSUME_READ_UNITS,
            prices.READ_UNITS_MILLION,
        ),
        _million("Usage by day, writes", consumes * COUNTING_UNITS, prices.WRITE_UNITS_MILLION),
        _million("Usage by day, reads", consumes * COUNTING_UNITS, prices.READ_UNITS_MILLION),
        _million(
            "Monthly renewals, writes",
            accounts * RENEWAL_WRITE_UNITS,
            prices.WRITE_UNITS_MILLION,
        ),
        _million(
            "Monthly renewals, reads",
            accounts * RENEWAL_READ_UNITS,
            prices.READ_UNITS_MILLION,
        ),
        _million("Daily audit, reads", audit_units, prices.READ_UNITS_MILLION),
        _each(
            "Daily audit, GB-seconds",
            audited * AUDIT_SECONDS * audit_gb,
            prices.LAMBDA_GB_SECOND,
        ),
        _million("Events on the bus", consumes, prices.EVENTS_MILLION),
        _million("Objects put into the bucket", batches, prices.PUTS_MILLION),
        _each("Stored, GB", stored, prices.STORED_GB),
        _each("Backed up, GB", stored, prices.BACKED_UP_GB),
        _each("Archived, GB", consumes * ARCHIVED_BYTES / 2 / GB, prices.ARCHIVED_GB),
        _each(
            "Logged, GB",
            (calls * LAMBDA_LOG_BYTES + consumes * LOGGED_BYTES) / GB,
            prices.LOGGED_GB,
        ),
        _million("Traces", calls * TRACED, prices.TRACES_MILLION),
        _each("Sent to callers, GB", consumes * ANSWER_BYTES / GB, prices.SENT_GB),
        _million("Polls of the queue", POLLS, prices.SQS_REQUESTS_MILLION),
        _each("Alarms, metrics", ALARM_METRICS, prices.ALARM_METRIC_MONTH),
        _each("Secret", 1, prices.SECRET_MONTH),
    ]


def _million(what: str, units: float, dollars: float) -> Item:
    return Item(what, units, units / prices.MILLION * dollars)


def _each(what: str, units: float, dollars: float) -> Item:
    return Item(what, units, units * dollars)
