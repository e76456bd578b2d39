"""Renews accounts: the worker behind the sweep's queue."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.renew.renewals import renew_account, renew_range
from scrip.ledger import ledger
from scrip.observability import logger
from scrip.renew_queue import OneAccount, message_of, renew_queue
from scrip.warm_up import warm_up

MARGIN_MILLISECONDS = 5_000
"""Time reserved for the last account, and for queueing the rest of every message."""


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process each message; return those that failed, which SQS delivers again."""
    failures = []
    for record in event["Records"]:
        logger.set_correlation_id(record["messageId"])
        try:
            _renew(record["body"], context)
        except Exception:  # one message must not fail the others
            logger.exception("not renewed", extra={"message_id": record["messageId"]})
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def _renew(body: str, context: LambdaContext) -> None:
    def in_time() -> bool:
        return context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS

    message = message_of(body)
    if isinstance(message, OneAccount):
        renew_account(ledger(), message.account_id)
    else:
        renew_range(ledger(), renew_queue(), message, in_time=in_time)


warm_up()
