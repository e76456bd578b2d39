"""Starts the monthly resets that are due, by the schedule or by `scrip sweep --now`."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from scrip.ledger import ledger
from scrip.observability import logger
from scrip.sweep.queue import renew_queue
from scrip.sweep.renewals import start


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], _: LambdaContext) -> dict[str, int]:
    """Queue what can be due since the last run and tell in how many messages."""
    return {"messages": start(ledger(), renew_queue())}
