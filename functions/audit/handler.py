"""Audits all accounts every day, by the schedule: each run continues where the last one ended."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.audit.rounds import continue_round
from scrip.ledger import ledger
from scrip.observability import logger
from scrip.warm_up import warm_up

MARGIN_MILLISECONDS = 330_000
"""Time reserved for the accounts of a last page, each of which may take minutes."""


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Continue the round, or begin a new one with `{"restart": true}`; return the progress."""

    def in_time() -> bool:
        return context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS

    progress = continue_round(ledger(), in_time=in_time, restart=event.get("restart") is True)
    newest = progress.current or progress.last
    return {
        "is_under_way": progress.current is not None,
        "accounts": newest.accounts if newest else 0,
        "mismatches": progress.mismatches,
    }


warm_up()
