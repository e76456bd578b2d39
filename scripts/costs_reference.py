"""Prints docs/reference/costs.md: monthly bills, from a thousand consumes to a billion."""

from pathlib import Path

from samcli.yamlhelper import yaml_parse

from bench import costs, prices

ROOT = Path(__file__).parent.parent
SIZES = [10**power for power in range(3, 10)]


def _percent(part: float) -> str:
    return f"{part * 100:.0f} %"


STACK = costs.deployed(yaml_parse((ROOT / "template.yaml").read_text()))

HEAD = f"""\
# What a month costs

Made from the code by `make reference`; do not edit. `bench/costs.py` is the model. Prices are list
prices of {prices.REGION} in US dollars, looked up on {prices.AS_OF}. Free tiers and volume
discounts are not deducted; data transfer within AWS is free. Look up the prices of your region.

"""

TRACES = f"""
Under IAM, a back end on AWS makes all calls [as its own role](../how-to/call-under-iam.md), and the
stack has `IamCallers=On` and `ServiceTokens=no`. There are no requests to API Gateway then and no
log of them, no Cognito client and no tokens, but one more alarm, which evaluates
{STACK.url_alarm_metrics} metrics.

With `Tracing=On`, X-Ray traces the first call of a function in each second, and
{_percent(costs.TRACED)} of the others: below one a second nearly all. That is not in the total.
See [what you can do without](../explanation/costs.md#what-you-can-do-without), and how.

## Provisioned instead of on demand

The sum of the lines for DynamoDB, usage, totals, renewals and audit reads, and what the same units
cost when provisioned:

"""

PROVISIONED = f"""
A provisioned unit that is always used costs {_percent(costs.provisioned_part())} of one on
demand. So provisioned capacity costs less once more than {_percent(costs.provisioned_part())} of it
is used on average. Auto scaling aims at {_percent(costs.PROVISIONED_USE)}; of capacity for the
busy third of a month, a third of that is used on average. The audit needs
{costs.AUDIT_UNITS / costs.AUDIT_SECONDS:.0f} read units a second while it runs.
[How to provision](../how-to/provision-capacity.md).
"""

COUNTED = f"""
## What is counted

On the local DynamoDB, a consume writes {costs.CONSUME_WRITE_UNITS} units and reads
{costs.CONSUME_READ_UNITS} ([test](../../tests/integration/test_budget.py)); the monthly renewal of
an unused account writes {costs.RENEWAL_WRITE_UNITS} and reads at most {costs.RENEWAL_READ_UNITS}
([test](../../tests/integration/test_bench.py)). What functions store, send, log and measure
([test](../../tests/functional/test_costs.py)) is

- at most {costs.ENTRY_BYTES} bytes for an entry, stored twice, to each of which DynamoDB adds
  {costs.ITEM_BYTES}; {costs.ARCHIVED_BYTES} bytes for its copy in the bucket;
- at most {costs.REFERENCE_BYTES} bytes for a reference, in the table and in the index;
- at most {costs.TOTALS_WRITE_UNITS} units to write a day's totals with 50 accounts and 10 features,
  and {costs.TOTALS_READ_UNITS} to read them, once for each batch of the stream that has entries;
- at most {costs.ANSWER_BYTES} bytes for an answer;
- {costs.LOGGED_BYTES} bytes of log for a successful consume, at most {costs.BATCH_LOGGED_BYTES} for
  a stream batch and {costs.ENTRY_LOGGED_BYTES} for each entry in it, apart from Lambda's own lines;
- {costs.METRICS} metrics of Scrip's own that have a value in every hour; and
  {costs.SCHEDULED_CALLS // costs.HOURS} calls an hour by schedules.

## What is assumed

- An account has {costs.CONSUMES_PER_ACCOUNT} consumes a month. Consumes come at random times in a
  third of the month's hours.
- A consume takes {costs.CPU_SECONDS * 1000:.0f} ms of a whole CPU and waits
  {costs.WAIT_SECONDS * 1000:.0f} ms for the table: with {STACK.function_mb} MB that is
  {costs.consume_seconds(STACK.function_mb) * 1000:.0f} ms. A stream batch takes
  {costs.BATCH_SECONDS * 1000:.0f} ms, an account's audit {costs.AUDIT_SECONDS * 1000:.0f} ms.
  Only a deployment can show the actual times.
- The table's stream has {costs.SHARDS} shards, like that of a new on-demand table. A batch is
  opened by a record and takes what arrives on its shard within {STACK.batch_seconds} seconds,
  at most {STACK.batch_records} records; a consume makes {costs.CONSUME_RECORDS}.
- Each consume in a stream batch is on a different account, and counting its day's usage reads
  {costs.COUNTING_READ_UNITS} unit and writes {costs.COUNTING_WRITE_UNITS}.
- Each consume has its own reference, which reads {costs.REFERENCE_READ_UNITS} unit, writes
  {costs.REFERENCE_WRITE_UNITS} and takes {costs.REFERENCE_SECONDS * 1000:.0f} ms of the batch. Uses
  without a reference cost none of that.
- Lambda logs {costs.LAMBDA_LOG_BYTES} bytes per invocation, API Gateway {costs.ACCESS_LOG_BYTES}
  per request.
- Your back end has a process for each {costs.PROCESS_CONSUMES} consumes a second, and each process
  gets a token an hour from Cognito, day and night.
- The month is the first one: on average, half of its entries exist. Every further month adds twice
  this storage permanently, and {costs.AUDIT_UNITS_ENTRY} units every 22 hours for auditing each
  entry.

## What is not included

Refunds, holds and purchases (a posting each, which writes about as much as a consume), sign-ups,
reads of balances (one unit and an API request each), Cognito's price for users who sign in, metrics
of what seldom happens, keeping logs after they were written, the time in which functions start
(Lambda bills it since August 2025) and in which schedules find nothing to do, CloudTrail if you let
it record calls of functions, and the key that encrypts the table, which DynamoDB requests every few
minutes rather than for every call.
"""


def _number(value: float) -> str:
    for size, name in ((10**9, " billion"), (10**6, " million"), (10**3, " 000")):
        if value >= size:
            return f"{value / size:,.0f}{name}"
    return f"{value:,.0f}"


def _money(value: float) -> str:
    return f"{value:,.2f}".replace(",", " ")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _table(head: str, rows: dict[str, list[float]]) -> str:
    table = _row([head, *map(_number, SIZES)]) + _row(["---"] + ["---:"] * len(SIZES))
    for what, dollars in rows.items():
        table += _row([what, *map(_money, dollars)])
    return table


def _total(bill: list[costs.Item]) -> float:
    return sum(item.dollars for item in bill)


def _per_million(totals: list[float]) -> list[float]:
    return [total / size * prices.MILLION for total, size in zip(totals, SIZES, strict=True)]


def page() -> str:
    """Return the page."""
    bills = [costs.month(size, STACK) for size in SIZES]
    totals = [_total(bill) for bill in bills]
    under_iam = [_total(costs.month(size, STACK, under_iam=True)) for size in SIZES]
    lines = {items[0].what: [one.dollars for one in items] for items in zip(*bills, strict=True)}
    lines |= {
        "**total**": totals,
        "per million consumes": _per_million(totals),
        "**total under IAM**": under_iam,
        "per million under IAM": _per_million(under_iam),
        "traces, with `Tracing=On`": [costs.traces(size, STACK).dollars for size in SIZES],
    }
    capacity = {
        "on demand": [
            _total(costs.write_units(size, STACK) + costs.read_units(size, STACK)) for size in SIZES
        ],
        "provisioned, with auto scaling": [
            costs.provisioned(size, STACK, scales=True) for size in SIZES
        ],
        "provisioned for the busy third, all month": [
            costs.provisioned(size, STACK, scales=False) for size in SIZES
        ],
    }
    bill = _table("consumes per month", lines)
    return HEAD + bill + TRACES + _table("consumes per month", capacity) + PROVISIONED + COUNTED


if __name__ == "__main__":
    print(page(), end="")
