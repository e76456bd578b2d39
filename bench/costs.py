"""What a month costs, item by item: counted units, times list prices.

What Scrip asks of DynamoDB is counted by tests/integration/test_budget.py, what it stores, sends
and logs by tests/functional/test_costs.py: both compare with the counts below. What only AWS could
show is an assumption, and called one.
"""

from dataclasses import dataclass

from bench import prices

GB = 10**9
DAYS = 30

CONSUME_WRITE_UNITS = 5
CONSUME_READ_UNITS = 1
"""Counted: of a consume on an account of four grants."""

RENEWAL_WRITE_UNITS = 8
RENEWAL_READ_UNITS = 5
"""Counted, at most: of a month's turn that nobody but the sweep makes, with all its visits."""

COUNTING_UNITS = 1
"""Reckoned: read and written by the stream's function for each account and day in a batch."""

ENTRY_BYTES = 600
"""Counted, at most: of a consume's entry, which the table holds, and the index once more."""

ARCHIVED_BYTES = 200
"""Counted, at most: of an entry in the bucket, compressed in a batch."""

ANSWER_BYTES = 2_000
"""Counted, at most: of a consume's answer, with some for its headers."""

LOGGED_BYTES = 0
"""Counted: what a consume that succeeds writes to its log. Lambda's own lines come on top."""

ALARM_METRICS = 21
"""Counted: by which the alarms go."""

AUDIT_UNITS = 6
AUDIT_UNITS_ENTRY = 0.135
"""Reckoned: read a day by the audit for an account, and for each entry beyond its twentieth."""

CONSUMES_PER_ACCOUNT = 100
"""Assumed: a month. More of them on fewer accounts cost less."""

CONSUME_SECONDS = 0.020
BATCH_SECONDS = 0.200
AUDIT_SECONDS = 0.020
"""Assumed: that a function is kept by a consume, a batch of the stream, an account's audit."""

BUSY_SECONDS = DAYS * 24 * 3600 / 3
"""Assumed: the part of a month in which the consumes come."""

BATCH_CONSUMES = 50
"""In a full batch: the stream tells of an entry and of its account, 100 records at once."""

LAMBDA_LOG_BYTES = 500
"""Assumed: what Lambda itself logs of a call."""

TRACED = 0.05
"""Assumed: the part of all calls that X-Ray samples."""

POLLS = 650_000
"""Reckoned: of the sweep's queue in a month, whether anything happens or not."""


@dataclass(frozen=True)
class Item:
    """A line of the bill: how many units of what, and the US dollars for them."""

    what: str
    units: float
    dollars: float


def month(consumes: int, function_gb: float, audit_gb: float) -> list[Item]:
    """Return the bill of a first month with so many consumes; memory in GB.

    What is stored in it is stored for half of it, on average. No free tier and no discount for many
    is taken off.
    """
    accounts = -(-consumes // CONSUMES_PER_ACCOUNT)
    # A batch waits a second to fill: where consumes are rarer, each has one of its own.
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
            "Month's turn, writes",
            accounts * RENEWAL_WRITE_UNITS,
            prices.WRITE_UNITS_MILLION,
        ),
        _million(
            "Month's turn, reads",
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
