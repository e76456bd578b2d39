"""Prints docs/reference/costs.md: monthly bills, from a thousand consumes to a billion."""

from pathlib import Path

from samcli.yamlhelper import yaml_parse

from bench import costs, prices

ROOT = Path(__file__).parent.parent
SIZES = [10**power for power in range(3, 10)]
GB_OF_MB = 1024

HEAD = f"""\
# What a month costs

Made from the code by `make reference`; do not edit. `bench/costs.py` is the model. Prices are list
prices of {prices.REGION} in US dollars, looked up on {prices.AS_OF}. Free tiers and volume
discounts are not deducted; data transfer within AWS is free. Look up the prices of your region.

"""

COUNTED = f"""
## What is counted

On the local DynamoDB, a consume writes {costs.CONSUME_WRITE_UNITS} units and reads
{costs.CONSUME_READ_UNITS} ([test](../../tests/integration/test_budget.py)); the monthly renewal of
an unused account writes {costs.RENEWAL_WRITE_UNITS} and reads at most {costs.RENEWAL_READ_UNITS}
([test](../../tests/integration/test_bench.py)). What functions store, send and log
([test](../../tests/functional/test_costs.py)) is at most {costs.ENTRY_BYTES} bytes for an entry,
stored twice; {costs.ARCHIVED_BYTES} bytes for its copy in the bucket; {costs.ANSWER_BYTES} bytes
for an answer; and {costs.LOGGED_BYTES} bytes of log for a successful consume, apart from Lambda's
own lines.

## What is assumed

- An account has {costs.CONSUMES_PER_ACCOUNT} consumes a month, in a third of its hours.
- A consume occupies its function for {costs.CONSUME_SECONDS * 1000:.0f} ms, a stream batch for
  {costs.BATCH_SECONDS * 1000:.0f} ms, an account's audit for {costs.AUDIT_SECONDS * 1000:.0f} ms.
  Only a deployment can show the actual times.
- Each consume in a stream batch is on a different account, and counting its day's usage reads
  {costs.COUNTING_UNITS} unit and writes {costs.COUNTING_UNITS}.
- Lambda logs {costs.LAMBDA_LOG_BYTES} bytes per invocation, and a twentieth of all invocations is
  traced.
- The month is the first one: on average, half of its entries exist. Every further month adds twice
  this storage permanently, and {costs.AUDIT_UNITS_ENTRY} units a day for auditing each entry.

## What is not included

Refunds, holds and purchases (a posting each, which writes about as much as a consume), reads of
balances (one unit and an API request each), Cognito's price for users who sign in, and the key that
encrypts the table, which DynamoDB requests every few minutes rather than for every call.
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


def page() -> str:
    """Return the page."""
    template = yaml_parse((ROOT / "template.yaml").read_text())
    resources = template["Resources"]
    function_gb = template["Globals"]["Function"]["MemorySize"] / GB_OF_MB
    audit_gb = resources["AuditFunction"]["Properties"]["MemorySize"] / GB_OF_MB
    bills = [costs.month(size, function_gb, audit_gb) for size in SIZES]
    totals = [sum(item.dollars for item in bill) for bill in bills]
    page = HEAD
    page += _row(["consumes per month", *map(_number, SIZES)])
    page += _row(["---"] + ["---:"] * len(SIZES))
    for items in zip(*bills, strict=True):
        page += _row([items[0].what, *(_money(item.dollars) for item in items)])
    page += _row(["**total**", *(f"**{_money(total)}**" for total in totals)])
    per_million = [total / size * prices.MILLION for total, size in zip(totals, SIZES, strict=True)]
    page += _row(["per million consumes", *map(_money, per_million)])
    return page + COUNTED


if __name__ == "__main__":
    print(page(), end="")
