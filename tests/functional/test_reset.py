"""The scheduled function: the messages that it sends, and its watermark."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from scrip.domain.audit.skew import SKEW_MAX
from scrip.domain.errors import BusyError
from scrip.store.items import to_wire
from scrip.store.keys import watermark_key
from scrip.store.sweeps import move_watermark, read_watermark
from tests.functional.conftest import event, invoke, send
from tests.functional.faults import THROTTLED, instead_of
from tests.functional.renewals import NOW, Renewals

HOUR = timedelta(hours=1)
DAYS, SHARDS = 31, 2


@contextmanager
def sqs_refuses(renewals: Renewals, times: int) -> Iterator[None]:
    """Let SQS refuse every message of the next batches, without an error."""
    left = [times]

    def before_call(params: dict[str, Any], **_: Any) -> Any:
        if not left[0]:
            return None
        left[0] -= 1
        refused = {"Code": "InternalError", "SenderFault": False}
        failed = [{"Id": str(n), **refused} for n in range(params["body"].count(b'"Id"'))]
        return AWSResponse("https://sqs", 200, HTTPHeaders(), None), {"Failed": failed}

    events, name = renewals.queue.client.meta.events, "before-call.sqs.SendMessageBatch"
    events.register_first(name, before_call)
    try:
        yield
    finally:
        events.unregister(name, before_call)


def test_the_first_run_requests_all_accounts_and_sets_the_watermark(
    renewals: Renewals,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with sqs_refuses(renewals, times=3), pytest.raises(BusyError):
        renewals.sweep()
    assert "WatermarkAge" not in capsys.readouterr().out, "so the alarm treats the sweep as late"
    assert invoke("reset", event("reset/schedule")) == {"messages": DAYS * SHARDS}
    assert read_watermark(renewals.table) == NOW
    assert '"WatermarkAge":[0.0]' in capsys.readouterr().out


def test_a_run_requests_the_accounts_that_can_be_due_since_the_one_before(
    renewals: Renewals,
    capsys: pytest.CaptureFixture[str],
) -> None:
    move_watermark(renewals.table, NOW - HOUR)
    assert renewals.sweep() == SHARDS
    assert [record["body"] for record in renewals.take()] == [
        '{"day":21,"shard":0,"first":"08:00","last":"15:00"}',
        '{"day":21,"shard":1,"first":"08:00","last":"15:00"}',
    ]
    assert read_watermark(renewals.table) == NOW
    assert '"WatermarkAge":[3600.0]' in capsys.readouterr().out


def test_the_watermark_never_goes_back(renewals: Renewals) -> None:
    # Another sweep's clock can be ahead by that much.
    move_watermark(renewals.table, NOW + SKEW_MAX)
    assert renewals.sweep() == SHARDS
    assert read_watermark(renewals.table) == NOW + SKEW_MAX


def test_a_watermark_in_the_future_is_ignored_and_reset(renewals: Renewals) -> None:
    move_watermark(renewals.table, NOW + HOUR)
    late = {"code": "sweep_late", "subject": "watermark"}
    health = send("admin/health").body
    assert health["watermark_age_seconds"] is None
    assert late in health["problems"]
    assert renewals.sweep() == DAYS * SHARDS
    assert read_watermark(renewals.table) == NOW
    assert late not in send("admin/health").body["problems"]


@pytest.mark.parametrize("corrupt", [{"S": "x"}, {"N": "1e30"}, {"NULL": True}])
def test_an_unreadable_watermark_is_ignored_and_reset(
    renewals: Renewals,
    corrupt: Any,
) -> None:
    item = {**to_wire(watermark_key()), "watermark": corrupt}
    renewals.table.client.put_item(TableName=renewals.table.name, Item=item)
    assert invoke("reset", event("reset/schedule")) == {"messages": DAYS * SHARDS}
    assert read_watermark(renewals.table) == NOW


def test_messages_that_sqs_refuses_are_sent_again(renewals: Renewals) -> None:
    move_watermark(renewals.table, NOW - HOUR)
    with sqs_refuses(renewals, times=2):
        renewals.sweep()
    assert len(renewals.take()) == SHARDS


def test_the_next_run_repeats_a_failed_one(renewals: Renewals) -> None:
    before = NOW - HOUR
    move_watermark(renewals.table, before)
    renewals.open({"u1": NOW - timedelta(days=31)})
    with sqs_refuses(renewals, times=3), pytest.raises(BusyError):
        renewals.sweep()
    assert (read_watermark(renewals.table), renewals.take()) == (before, [])
    with instead_of(renewals.table, "PutItem", THROTTLED, times=1), pytest.raises(BusyError):
        renewals.sweep()
    assert read_watermark(renewals.table) == before
    assert renewals.sweep() == SHARDS
    assert len(renewals.take()) == 2 * SHARDS
    assert renewals.drain() == []
    assert renewals.renewed() == ["u1"]
    assert renewals.stored("u1").granted_total == 50 + 100 + 100
