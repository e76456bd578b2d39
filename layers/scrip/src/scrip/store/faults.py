"""Injected faults between Scrip and DynamoDB, for test stacks (parameter Faults of template.yaml).

A stack without that parameter never imports this. Faults are injected at the wire, below botocore's
own retries, so that those are tested, too.
"""

import io
import json
import os
import random
import time
from enum import StrEnum
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError
from botocore.httpsession import URLLib3Session
from urllib3 import HTTPResponse

from scrip.observability import logger
from scrip.store.client import Table

LATE_SECONDS = 0.2
"""Long enough for other requests to be faster, and within the client's read time-out."""

SEND_SECONDS = 1

EXIT_CODE = 70
"""The exit code of a process that a fault has ended."""


class Fault(StrEnum):
    """What can happen to a request. The last two happen only to transactions."""

    REQUEST_LOST = "request_lost"
    ANSWER_LOST = "answer_lost"
    LATE = "late"
    THROTTLED = "throttled"
    DIES_BEFORE = "dies_before"
    DIES_AFTER = "dies_after"
    CONFLICT = "conflict"
    IN_PROGRESS = "in_progress"


TRANSACTIONS_ONLY = {Fault.CONFLICT, Fault.IN_PROGRESS}


def inject(table: Table, chances: str) -> None:
    """Inject faults into the requests of a table's client, and log each fault.

    `chances` has the probability of each fault, such as `answer_lost=0.02,throttled=0.05`.

    Raises:
        ValueError: it has another form.
    """
    parts = [part.split("=") for part in chances.split(",")]
    chance_of = {Fault(name): float(chance) for name, chance in parts}

    def before_send(request: AWSPreparedRequest, event_name: str, **_: Any) -> Any:
        fault = _drawn(chance_of)
        in_transaction = event_name.endswith("TransactWriteItems")
        if fault is None or (fault in TRANSACTIONS_ONLY and not in_transaction):
            return None
        logger.info("fault", extra={"fault": fault})
        return _injected(fault, request)

    table.client.meta.events.register("before-send.dynamodb", before_send)


def _drawn(chances: dict[Fault, float]) -> Fault | None:
    drawn = random.random()  # noqa: S311 - not a secret
    for fault, chance in chances.items():
        drawn -= chance
        if drawn < 0:
            return fault
    return None


def _injected(fault: Fault, request: AWSPreparedRequest) -> AWSResponse | None:
    """Return the answer in place of DynamoDB's; None to send the request as usual."""
    match fault:
        case Fault.LATE:
            time.sleep(LATE_SECONDS)
        case Fault.REQUEST_LOST:
            raise ReadTimeoutError(endpoint_url=request.url)
        case Fault.ANSWER_LOST:
            _send(request)
            raise ReadTimeoutError(endpoint_url=request.url)
        case Fault.DIES_BEFORE:
            os._exit(EXIT_CODE)
        case Fault.DIES_AFTER:
            _send(request)
            os._exit(EXIT_CODE)
        case Fault.THROTTLED:
            return _refusal(request, "ProvisionedThroughputExceededException")
        case Fault.IN_PROGRESS:
            return _refusal(request, "TransactionInProgressException")
        case Fault.CONFLICT:
            # On the account, which is the first item that a posting writes.
            body: Any = request.body
            _, *others = json.loads(body)["TransactItems"]
            reasons = [{"Code": "TransactionConflict"}, *({"Code": "None"} for _ in others)]
            return _refusal(request, "TransactionCanceledException", CancellationReasons=reasons)
    return None


def _send(request: AWSPreparedRequest) -> None:
    URLLib3Session(timeout=SEND_SECONDS).send(request)


def _refusal(request: AWSPreparedRequest, code: str, **details: Any) -> AWSResponse:
    """Return an error as DynamoDB returns it."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "injected", **details}
    raw = HTTPResponse(io.BytesIO(json.dumps(body).encode()), preload_content=False)
    return AWSResponse(request.url, 400, HTTPHeaders(), raw)
