"""The monthly bill: what is counted for it, what follows at the published prices, and the docs."""

import gzip
import io
import json
import re
from dataclasses import replace
from math import ceil
from typing import cast
from uuid import uuid4

import pytest

from bench import costs, prices
from bench.costs import MB_OF_GB, Stack
from scrip.domain.entries import EntryType
from scrip.domain.totals import Totals
from scrip.domain.usage import ReferenceUsage
from scrip.store.client import Table
from scrip.store.items import reference_item, to_wire, totals_item
from scrip.store.keys import totals_key
from tests.documentation import ROOT
from tests.functional.conftest import USER, event, invoke, resources, send, template
from tests.functional.outside import Outside
from tests.functional.rounds import Rounds
from tests.functional.test_ledger import item_bytes
from tests.functional.test_references import NOON, entry

MILLION = 1_000_000

STACK = costs.deployed(template())

COMMON = (EntryType.SIGNUP, EntryType.PLAN, EntryType.EXPIRY, EntryType.REFUND)

CONSUMES = 50
"""The entries in a full batch of the stream."""


def test_a_consume_stores_sends_and_logs_the_bytes_that_the_bill_assumes(
    table: Table, logged: io.StringIO
) -> None:
    send("account/me")
    send("adjust/add", body={"action": "add", "amount": 1_000, "reason": "to spend"})
    answers = [
        send(
            "consume/feature",
            body={"feature": "chat", "reference": f"job-{uuid4()}"},
            key=f"chat-{n:022}",
        )
        for n in range(CONSUMES)
    ]
    assert len(logged.getvalue()) == costs.LOGGED_BYTES * CONSUMES
    [stored] = table.client.scan(
        TableName=table.name,
        FilterExpression="pk = :pk AND sk = :sk",
        ExpressionAttributeValues={
            ":pk": {"S": f"LEDGER#{USER}"},
            ":sk": {"S": f"ENTRY#user:chat-{CONSUMES - 1:022}"},
        },
    )["Items"]
    entry_bytes = item_bytes(cast("dict[str, dict[str, object]]", stored))
    assert 0.7 * costs.ENTRY_BYTES < entry_bytes <= costs.ENTRY_BYTES
    lines = [json.dumps({"account_id": USER, **answer.body["entry"]}) for answer in answers]
    archived_bytes = len(gzip.compress("\n".join(lines).encode())) / CONSUMES
    assert 0.5 * costs.ARCHIVED_BYTES < archived_bytes <= costs.ARCHIVED_BYTES
    answer = answers[0]
    answer_bytes = len(json.dumps([answer.body, answer.headers]))
    assert 0.5 * costs.ANSWER_BYTES < answer_bytes <= costs.ANSWER_BYTES


def test_the_streams_function_logs_the_bytes_that_the_bill_assumes(
    table: Table, outside: Outside, logged: io.StringIO
) -> None:
    sent = event("events/day")
    images = [record["dynamodb"]["NewImage"] for record in sent["Records"]]
    entries = [image for image in images if image["sk"]["S"].startswith("ENTRY#")]
    for number, image in enumerate(entries):
        image["correlation_id"] = {"S": f"JKJaXmPLvHcE{number:03}="}  # as long as API Gateway's
    invoke("events", sent)
    at_most = costs.BATCH_LOGGED_BYTES + len(entries) * costs.ENTRY_LOGGED_BYTES
    assert 0.7 * at_most < len(logged.getvalue()) <= at_most


def test_references_and_totals_take_the_bytes_that_the_bill_assumes() -> None:
    day, account_id = NOON.date(), str(uuid4())
    reference = f"job-{uuid4()}"
    counted = ReferenceUsage().with_entries([entry(7, reference)])
    item = reference_item(account_id, day, reference, counted)
    listed = ("pk", "sk", "directory_pk", "directory_sk")
    sizes = [item_bytes(to_wire(one)) for one in (item, {name: item[name] for name in listed})]
    assert 0.9 * costs.REFERENCE_BYTES < sum(sizes) <= costs.REFERENCE_BYTES
    totals = Totals()
    for n in range(60):
        usage = {"input": 120_000, "cached_input": 300_000, "output": 350_000}
        use = entry(n, feature=f"openai.gpt-{n % 10}", usage=usage, cost=70_000)
        others = [replace(use, type=one, feature=None, usage=None) for one in COMMON]
        totals = totals.with_entries([use, *others], {str(uuid4()): 100_000 + n})
    size = item_bytes(to_wire(totals_item(totals_key(day, 0), totals, 10_000)))
    assert 2 * ceil(size / 1024) == costs.TOTALS_WRITE_UNITS


def test_an_idle_stack_has_the_metrics_that_the_bill_counts(
    rounds: Rounds, capsys: pytest.CaptureFixture[str]
) -> None:
    invoke("reset", event("reset/schedule"))
    rounds.whole()
    capsys.readouterr()  # the first hour, in which the audit begins a round
    for function, name in (("reset", "reset/schedule"), ("audit", "audit/schedule")):
        invoke(function, event(name))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    metrics = {
        metric["Name"]
        for line in lines
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", [])
        for metric in directive["Metrics"]
    }
    assert metrics == {"WatermarkAge", "AuditAge", "AuditMismatches"}
    assert len(metrics) == costs.METRICS


def test_the_schedules_call_functions_as_often_as_the_bill_counts() -> None:
    schedules = [
        event["Properties"]["ScheduleExpression"]
        for resource in resources().values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "ScheduleV2"
    ]
    hourly = {"rate(5 minutes)": 12, "rate(10 minutes)": 6, "cron(0 * * * ? *)": 1}
    assert sum(hourly[schedule] for schedule in schedules) * 24 * 30 == costs.SCHEDULED_CALLS


def test_a_million_consumes_cost_what_the_published_prices_say() -> None:
    """Computed by hand from AWS's pages, which bench/prices.py names with the day of each price."""
    stack = Stack(
        function_mb=512,
        audit_mb=1769,
        alarm_metrics=23,
        url_alarm_metrics=8,
        batch_records=100,
        batch_seconds=5,
    )
    expected = {
        # 1 a million
        "HTTP API, requests": 1.00,
        # 1 000 000 requests, 513 674 batches (below), 13 680 scheduled calls; 0.20 a million
        "Lambda, requests": 0.3055,
        # 7 ms / (512 / 1 769) + 20 ms = 44.2 ms for a request, 200 ms for a batch and 10 ms for a
        # reference, at half a GB; 0.0000133334 a GB-second
        "Lambda, GB-seconds": 1.0461,
        # 5 units, 0.625 a million
        "DynamoDB, writes of consumes": 3.125,
        # 1 unit, 0.125 a million
        "DynamoDB, reads of consumes": 0.125,
        # 2 units in a transaction
        "Usage by day, writes": 1.25,
        "Usage by day, reads": 0.125,
        # an item and its place in the index
        "Usage by reference, writes": 1.25,
        "Usage by reference, reads": 0.125,
        # 8 and 1 units for each of the batches
        "Totals by day, writes": 2.5684,
        "Totals by day, reads": 0.0642,
        # 10 000 accounts, 8 and 5 units each
        "Monthly renewals, writes": 0.05,
        "Monthly renewals, reads": 0.00625,
        # 10 000 accounts, 720 / 22 rounds, 6 units and 30 entries past the twentieth of 0.135 each
        "Daily audit, reads": 0.3150,
        # the same accounts and rounds, 20 ms at 1 769 MB
        "Daily audit, GB-seconds": 0.1508,
        # 1 a million
        "Events on the bus": 1.00,
        # 2 000 000 records in 864 000 s on 4 shards: 2.89 in 5 s, after the one that opens a batch,
        # so 3.89 in each of 513 674 batches; 5 a million
        "Objects put into the bucket": 2.5684,
        # twice 700 bytes and 800, for half a month; without indexes 1 100; 0.25 and 0.20 a GB
        "Stored, GB": 0.275,
        "Backed up, GB": 0.11,
        # 200 bytes for half a month; 0.023 a GB
        "Archived, GB": 0.0023,
        # 320 bytes a request, 500 a batch, 500 each of 1 527 354 calls; 0.50 a GB
        "Logged, GB": 0.6703,
        # 2 KB, 0.09 a GB
        "Sent to callers, GB": 0.18,
        # 13 680, 1 a million
        "Schedules": 0.0137,
        # 650 000, 0.40 a million
        "Polls of the queues": 0.52,
        "Cognito, client of the back end": 6.00,
        # 1.2 consumes a second are one process; 720 tokens, 2.25 a thousand
        "Cognito, tokens of the back end": 1.62,
        # 0.10 each
        "Alarms, metrics": 2.30,
        # 3, 0.30 each
        "Scrip's own metrics": 0.90,
        "Secret": 0.40,
    }
    bill = {item.what: item.dollars for item in costs.month(MILLION, stack)}
    assert bill == pytest.approx(expected, abs=0.0001)
    assert sum(bill.values()) == pytest.approx(28.07, abs=0.005)
    # No API, no client, no tokens; 300 bytes a request less to log, and 8 metrics of an alarm.
    saved = 1.00 + 6.00 + 1.62 + 0.15 - 0.80
    under_iam = sum(item.dollars for item in costs.month(MILLION, stack, under_iam=True))
    assert under_iam == pytest.approx(sum(bill.values()) - saved, abs=0.0001)
    # Of 1.157 requests a second, 592 447 are a second's first, and 5 % of the others are 20 378; of
    # 0.595 batches 387 227 and 6 322; and all scheduled calls. 5 a million.
    assert costs.traces(MILLION, stack).dollars == pytest.approx(5.1003, abs=0.0001)


def test_below_one_call_a_second_nearly_all_are_traced_and_far_above_5_percent() -> None:
    shares = [costs.traces(size, STACK).units / size for size in (10_000, 10**9)]
    assert shares[0] > 4  # the request, its two batches, and the schedules
    assert shares[1] == pytest.approx(0.05, rel=0.1)


def test_the_bill_grows_with_use() -> None:
    totals = [total(10**power) for power in range(10)]
    assert totals == sorted(totals)


def test_provisioned_units_cost_less_once_29_percent_are_used() -> None:
    """https://aws.amazon.com/dynamodb/pricing/, us-east-1, 2026-11-29.

    0.00065 an hour for a write unit that writes 3 600 times, which cost 0.00225 on demand; 0.00013
    for a read unit, 0.00045.
    """
    assert costs.provisioned_part() == pytest.approx(0.00065 / 0.00225)
    assert costs.provisioned_part() == pytest.approx(0.00013 / 0.00045)
    assert costs.provisioned_part() == pytest.approx(0.2889, abs=0.0001)
    # 100 million consumes: 577.50 for writes and 69.88 for reads, on demand; 70 % used. That reads
    # more than the audit of 50 accounts a second, which takes 250 units, 23.40 a month.
    assert costs.provisioned(100 * MILLION, STACK, scales=True) == pytest.approx(
        647.38 * 0.2889 / 0.7, abs=0.1
    )
    assert costs.provisioned(100 * MILLION, STACK, scales=False) == pytest.approx(
        3 * 647.38 * 0.2889 / 0.7, abs=0.2
    )


def total(consumes: int, *, under_iam: bool = False, **changed: int) -> float:
    """Return a month's dollars, on a stack of which something is changed."""
    bill = costs.month(consumes, replace(STACK, **changed), under_iam=under_iam)
    return sum(item.dollars for item in bill)


def test_the_docs_state_what_the_model_computes() -> None:
    first = {item.what: item.dollars for item in costs.month(MILLION, STACK)}
    on_demand = {
        size: sum(
            item.dollars for item in costs.write_units(size, STACK) + costs.read_units(size, STACK)
        )
        for size in (10 * MILLION, 100 * MILLION)
    }
    saved = {
        size: dollars - costs.provisioned(size, STACK, scales=True)
        for size, dollars in on_demand.items()
    }
    audit_units = costs.AUDIT_UNITS / costs.AUDIT_SECONDS
    audits = costs.AUDIT_ROUNDS * MILLION
    audit_time = audits * costs.AUDIT_SECONDS * STACK.audit_mb / MB_OF_GB * prices.LAMBDA_GB_SECOND
    old_units = costs.AUDIT_ROUNDS * costs.AUDIT_UNITS_ENTRY * 1000
    snapshots = 6 * STACK.function_mb / MB_OF_GB * costs.HOURS * 3600 * prices.SNAPSHOT_GB_SECOND
    idle = ("Cognito, client of the back end", "Alarms, metrics", "Scrip's own metrics", "Secret")
    fixed = [first[what] for what in (*idle, "Polls of the queues")]
    states(
        "docs/explanation/costs.md",
        f"A stack that is hardly used costs {total(1):.2f} a month",
        f"| the client of your back end at Cognito | {fixed[0]:.2f} |",
        f"| {first['Cognito, tokens of the back end']:.2f} for each process",
        f"| alarms | {fixed[1]:.2f} |",
        f"costs {total(1, under_iam=True):.2f} a month when it is hardly used, and "
        f"{total(MILLION, under_iam=True):.2f} for a million consumes instead of "
        f"{total(MILLION):.2f}",
        f"{fixed[2]:.2f} for Scrip's own metrics",
        f"{fixed[3]:.2f} for the secret of the webhooks",
        f"{fixed[4]:.2f} for polling two queues",
        f"For a million consumes a month that is {costs.traces(MILLION, STACK).dollars:.2f}",
        f"more at 10 million, {costs.traces(10 * MILLION, STACK).dollars:.2f}",
        f"waits up to {STACK.batch_seconds} seconds",
        f"would cost {total(MILLION, batch_seconds=1):.2f} instead of {total(MILLION):.2f}",
        f"with 30 seconds it would be {total(MILLION, batch_seconds=30):.2f}",
        f"costs {costs.provisioned_part() * 100:.0f} % as much",
        f"it is {costs.provisioned_part() / costs.PROVISIONED_USE * 100:.0f} %",
        f"needs {audit_units:.0f} read units a second",
        f"of {on_demand[10 * MILLION]:.2f} for 10 million consumes a month, "
        f"{saved[10 * MILLION]:.2f} could be saved",
        f"of {on_demand[100 * MILLION]:.2f} for 100 million, {saved[100 * MILLION]:.2f}",
        f"for a million of them {audits * costs.AUDIT_UNITS * 0.125 / MILLION:.2f}",
        f"and {audit_time:.2f} for the time of its function",
        f"are {spaced(old_units)} million units a month, {old_units * 0.125:.0f}",
        f"that is {snapshots:.2f} a month, used or not",
        *(memory_row(memory_mb) for memory_mb in (256, 512, 1024, 1769)),
    )
    states(
        "docs/how-to/provision-capacity.md",
        f"more than {costs.provisioned_part() / costs.PROVISIONED_USE * 100:.0f} % of the busiest",
        f"takes {audit_units:.0f} read units",
    )
    path = ("HTTP API, requests", "DynamoDB, writes of consumes", "DynamoDB, reads of consumes")
    time = costs.consume_seconds(STACK.function_mb)
    lambda_time = time * STACK.function_mb / MB_OF_GB * prices.LAMBDA_GB_SECOND * MILLION
    million = f"{sum(first[what] for what in path) + 0.20 + lambda_time:.2f}"
    states(
        "docs/explanation/costs.md",
        f"| Lambda time | {STACK.function_mb} MB, arm64, {time * 1000:.0f} ms assumed |",
        f"| {prices.LAMBDA_GB_SECOND:.10f} a GB-second | {lambda_time:.3f} |",
        f"| **{million}** |",
    )
    states(
        "README.md",
        f"A million consumes cost {million} US dollars",
        f"million consumes a month cost {total(MILLION):.2f} US dollars",
        f"A billion consumes cost {total(10**9) / 1000:.2f} a million",
        f"hardly used costs {total(1):.2f} a month",
    )
    stored = 2 * (costs.ENTRY_BYTES + costs.ITEM_BYTES) * 10**9 / costs.GB
    states(
        "docs/explanation/scale.md",
        f"a billion a month are {stored / 1000:.1f} TB more every month",
        f"{stored * prices.STORED_GB:.0f} US dollars a month for each month that was",
        f"| {spaced(round(1000 / time, -3))} | Lambda's functions at once, at {time * 1000:.0f} ms",
    )


def memory_row(memory_mb: int) -> str:
    """Return what the table of memory sizes states about a later request."""
    seconds = costs.consume_seconds(memory_mb)
    dollars = seconds * memory_mb / MB_OF_GB * prices.LAMBDA_GB_SECOND * MILLION
    return f"| {seconds * 1000:.0f} ms | {dollars:.2f} |"


def spaced(number: float) -> str:
    """Return a whole number as the docs write it."""
    return f"{number:,.0f}".replace(",", " ")


def states(page: str, *phrases: str) -> None:
    """Assert that a page has these phrases, wherever its lines end."""
    text = re.sub(r"\s+", " ", (ROOT / page).read_text())
    assert [phrase for phrase in phrases if phrase not in text] == []
