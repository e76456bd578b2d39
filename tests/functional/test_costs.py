"""The figures behind the monthly bill: the bytes that a consume stores, sends and logs."""

import gzip
import json
from typing import cast
from uuid import uuid4

import pytest

from bench import costs, prices
from scrip.store.client import Table
from tests.functional.conftest import USER, send
from tests.functional.test_ledger import item_bytes

CONSUMES = 50
"""The entries in a full batch of the stream."""


def test_a_consume_stores_sends_and_logs_the_bytes_that_the_bill_assumes(
    table: Table,
    capfd: pytest.CaptureFixture[str],
) -> None:
    send("account/me")
    send("adjust/add", body={"action": "add", "amount": 1_000, "reason": "to spend"})
    capfd.readouterr()
    answers = [
        send(
            "consume/feature",
            body={"feature": "chat", "reference": f"job-{uuid4()}"},
            key=f"chat-{n:022}",
        )
        for n in range(CONSUMES)
    ]
    assert len(capfd.readouterr().out) == costs.LOGGED_BYTES * CONSUMES
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


def test_the_bill_grows_with_use_and_is_the_sum_of_counted_units() -> None:
    bills = [costs.month(10**power, 0.5, 1.0) for power in range(3, 10)]
    totals = [sum(item.dollars for item in bill) for bill in bills]
    assert totals == sorted(totals)
    million = {item.what: item for item in bills[3]}
    assert million["DynamoDB, writes of consumes"].dollars == pytest.approx(5 * 0.625)
    assert million["DynamoDB, reads of consumes"].dollars == pytest.approx(0.125)
    assert million["HTTP API, requests"].dollars == prices.API_REQUESTS_MILLION
    assert million["Monthly renewals, writes"].units == 10_000 * costs.RENEWAL_WRITE_UNITS
    # When idle you pay only for the alarms, the secret and the polls of the sweep's queue.
    idle = sum(item.dollars for item in costs.month(1, 0.5, 1.0))
    assert idle == pytest.approx(2.10 + 0.40 + 0.26, abs=0.01)
