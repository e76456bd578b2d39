"""Requests as API Gateway passes them to a function, made of the sample in events/consume."""

from __future__ import annotations

import copy
import json
from functools import cache
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parents[1] / "events/consume/amount.json"


class Context:
    """The context that Lambda passes with an event, with plenty of time left."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "b2f7c1de-1111-4c5e-9f0a-6d5e4c3b2a19"

    def get_remaining_time_in_millis(self) -> int:
        """Return the stack's time limit."""
        return 29_000


CONTEXT: Any = Context()


def consume_event(account_id: str, key: str, amount: int) -> dict[str, Any]:
    """Return a signed-in user's request to consume an amount of their own credits."""
    event = copy.deepcopy(_sample())
    claims = event["requestContext"]["authorizer"]["jwt"]["claims"]
    claims["sub"] = claims["username"] = account_id
    event["headers"]["idempotency-key"] = key
    event["body"] = json.dumps({"amount": amount, "reference": "job-77"})
    return event


@cache
def _sample() -> dict[str, Any]:
    return json.loads(SAMPLE.read_text())  # type: ignore[no-any-return]
