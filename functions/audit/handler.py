"""Audits all accounts every day, by the schedule: each run goes on where the last one ended."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from scrip.audit.rounds import go_on
from scrip.ledger import ledger
from scrip.observability import logger

MARGIN_MILLISECONDS = 330_000
"""What is left for the accounts of a last page, each of which may take minutes."""


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Go on with the round, or begin one `{"anew": true}`, and tell how far it has come."""

    def in_time() -> bool:
        return context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS

    progress = go_on(ledger(), in_time=in_time, anew=event.get("anew") is True)
    newest = progress.current or progress.last
    return {
        "is_under_way": progress.current is not None,
        "accounts": newest.accounts if newest else 0,
        "mismatches": progress.mismatches,
    }
