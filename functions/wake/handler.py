"""Applies the messages that waited for a name, or for a stronger name than they have.

The stream says that a name leads somewhere, and the schedule that enough time has passed. Accounts
and names appear in many places: a sign-up, a first call, an admin's sync. None of them has to know
that something may wait. Done twice, it finds nothing left to do.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from scrip.ledger import ledger
from scrip.observability import logger
from scrip.store.aliases import name_of
from scrip.warm_up import warm_up
from scrip.webhooks.apply import apply_waiting, wake

MARGIN_MILLISECONDS = 10_000
"""Time reserved for the last message of a scheduled run."""


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Wake what waited for each account and each name of one, or for time to pass."""

    def in_time() -> bool:
        return context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS

    logger.set_correlation_id(context.aws_request_id)
    if "Records" not in event:
        apply_waiting(ledger(), in_time)
        return
    wake(ledger(), [name_of(record["dynamodb"]["Keys"]) for record in event["Records"]])


warm_up()
