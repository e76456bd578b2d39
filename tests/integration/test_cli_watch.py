"""What rings and what was logged, from the command line: `scrip alarms` and `scrip logs`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from scrip_cli.exit_codes import ExitCode
from tests.integration.test_operators import operator

if TYPE_CHECKING:
    from scrip_cli.local.stack import LocalStack
    from tests.integration.conftest import Api


def lines(stack: LocalStack, *words: str) -> list[dict[str, Any]]:
    """Run a command and return its lines of JSON."""
    return [json.loads(line) for line in operator(stack, *words, "--json").stdout.splitlines()]


def test_the_alarm_that_rings_comes_first_with_its_section_of_the_runbook(
    stack: LocalStack,
) -> None:
    cloudwatch = stack.client("cloudwatch")
    physical = cloudwatch.describe_alarms(AlarmNamePrefix="scrip-local-WebhooksRefused")
    alarm = physical["MetricAlarms"][0]["AlarmName"]
    for state, code in (("ALARM", ExitCode.FOUND), ("OK", ExitCode.DONE)):
        cloudwatch.set_alarm_state(AlarmName=alarm, StateValue=state, StateReason="a drill")
        assert operator(stack, "alarms").exit_code == code
        first = lines(stack, "alarms")[0]
        assert (first["alarm"] == "WebhooksRefusedAlarm") == (state == "ALARM")
        if state == "ALARM":
            assert first["reason"] == "a drill"
            assert first["runbook"] == "docs/how-to/runbook.md#webhooks-are-refused"


@pytest.mark.parametrize("prefix", ["", "urn:scrip:request:"])
def test_the_lines_about_a_request_are_shown_with_those_of_its_invocation(
    stack: LocalStack, user: Api, prefix: str
) -> None:
    refused = user.post("/me/consume", {"feature": "none"})
    found = lines(stack, "logs", "--request-id", prefix + refused.headers["X-Request-Id"])
    assert {line["function"] for line in found} == {"ConsumeFunction"}
    messages = [line["message"] for line in found]
    assert "refused" in messages
    assert any(message.startswith("REPORT") for message in messages)
    details = next(line["details"] for line in found if line["message"] == "refused")
    assert details["code"] == refused.json()["code"]


def test_an_id_that_no_line_has_is_not_found(stack: LocalStack) -> None:
    missing = operator(stack, "logs", "--request-id", str(uuid4()))
    assert (missing.exit_code, "--since" in missing.stderr) == (ExitCode.NOT_FOUND, True)


def test_the_logs_can_be_queried(stack: LocalStack, user: Api) -> None:
    user.post("/me/consume", {"feature": "none"})
    [line] = lines(stack, "logs", "--query", "fields @timestamp, @message | limit 1")
    assert line.keys() >= {"@timestamp", "@message"}
