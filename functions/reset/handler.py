"""Starts the monthly resets that are due, by the schedule or by `scrip sweep --now`."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.reset.sweep import queue_due_renewals
from scrip.ledger import ledger
from scrip.observability import logger
from scrip.renew_queue import renew_queue
from scrip.warm_up import warm_up


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], _: LambdaContext) -> dict[str, int]:
    """Queue the renewals that can be due since the last run; return the number of messages."""
    return {"messages": queue_due_renewals(ledger(), renew_queue())}


warm_up()
