"""Applies the messages that waited for a name, once the stream says that it leads somewhere.

Accounts and names appear in many places: a sign-up, a first call, an admin's sync. None of them
has to know that something may wait. Done twice, it finds nothing left to do.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from scrip.ledger import ledger
from scrip.observability import logger
from scrip.store.aliases import name_of
from scrip.webhooks.apply import wake


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Wake what waited for each new account, and each new name of one."""
    logger.set_correlation_id(context.aws_request_id)
    wake(ledger(), [name_of(record["dynamodb"]["Keys"]) for record in event["Records"]])
