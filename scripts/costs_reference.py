"""Prints docs/reference/costs.md: the bill of a month, from a thousand consumes to a billion."""

from pathlib import Path

from samcli.yamlhelper import yaml_parse

from bench import costs, prices

ROOT = Path(__file__).parent.parent
SIZES = [10**power for power in range(3, 10)]
GB_OF_MB = 1024

HEAD = f"""\
# What a month costs

Made from the code by `make reference`; do not edit. `bench/costs.py` is the model. Prices are the
list prices of {prices.REGION} that we knew on {prices.AS_OF}, in US dollars: no free tier and no
discount for many is taken off, and no data transfer within AWS costs anything. Look yours up.

"""

COUNTED = f"""
## What is counted

On the local DynamoDB ([test](../../tests/integration/test_budget.py)): a consume writes
{costs.CONSUME_WRITE_UNITS} units and reads {costs.CONSUME_READ_UNITS}; a month's turn of an account
that nobody touches writes {costs.RENEWAL_WRITE_UNITS} and reads at most {costs.RENEWAL_READ_UNITS}
([test](../../tests/integration/test_bench.py)). From what the functions store and answer
([test](../../tests/functional/test_costs.py)): at most {costs.ENTRY_BYTES} bytes for an entry,
twice; {costs.ARCHIVED_BYTES} in the bucket; {costs.ANSWER_BYTES} for an answer;
{costs.LOGGED_BYTES} bytes of log for a consume that succeeds, beside Lambda's own lines.

## What is assumed

- An account has {costs.CONSUMES_PER_ACCOUNT} consumes a month. They come in a third of its hours.
- A consume keeps its function for {costs.CONSUME_SECONDS * 1000:.0f} ms, a batch of the stream for
  {costs.BATCH_SECONDS * 1000:.0f}, an account's audit for {costs.AUDIT_SECONDS * 1000:.0f}: what
  only a deployment can show.
- Each consume is alone of its account in its batch of the stream, and the usage of its day takes
  {costs.COUNTING_UNITS} unit to read and {costs.COUNTING_UNITS} to write.
- Lambda logs {costs.LAMBDA_LOG_BYTES} bytes a call, and a twentieth of all calls is traced.
- It is the first month: half of its entries are there on average. Every further month adds twice
  its storage, for good, and {costs.AUDIT_UNITS_ENTRY} units a day for the audit of each entry.

## What is not in it

Refunds, holds and purchases (a posting each, so about a consume's share of the writes), reads of
balances (one unit and an API request), Cognito's price for people who sign in, and the key that
encrypts the table, which is asked for every few minutes and not for every call.
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
    told = HEAD
    told += _row(["consumes a month", *map(_number, SIZES)])
    told += _row(["---"] + ["---:"] * len(SIZES))
    for items in zip(*bills, strict=True):
        told += _row([items[0].what, *(_money(item.dollars) for item in items)])
    told += _row(["**in all**", *(f"**{_money(total)}**" for total in totals)])
    per_million = [total / size * prices.MILLION for total, size in zip(totals, SIZES, strict=True)]
    told += _row(["a million consumes", *map(_money, per_million)])
    return told + COUNTED


if __name__ == "__main__":
    print(page(), end="")
