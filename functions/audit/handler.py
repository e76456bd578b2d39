"""Audits all accounts every day: begins rounds by the schedule, and does their parts by a queue."""

from contextlib import suppress
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.audit.parts import audit_part
from functions.audit.rounds import continue_round
from scrip.audit_queue import audit_queue, part_of
from scrip.domain.errors import BusyError
from scrip.ledger import ledger
from scrip.observability import logger
from scrip.warm_up import warm_up

MARGIN_MILLISECONDS = 330_000
"""Time reserved for the accounts of a last page, each of which may take minutes."""


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Do the parts in a batch of messages; return those that failed, which SQS delivers again.

    By the schedule, or with `{"restart": true}`, begin a round or end it; return the progress.
    """
    if "Records" in event:
        return {"batchItemFailures": _work(event["Records"], context)}
    progress = continue_round(ledger(), audit_queue(), restart=event.get("restart") is True)
    newest = progress.current or progress.last
    return {
        "is_under_way": progress.current is not None,
        "accounts": newest.accounts if newest else 0,
        "mismatches": progress.mismatches,
    }


def _work(records: list[dict[str, Any]], context: LambdaContext) -> list[dict[str, str]]:
    def in_time() -> bool:
        return context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS

    failures = []
    for record in records:
        logger.set_correlation_id(record["messageId"])
        try:
            audit_part(ledger(), audit_queue(), part_of(record["body"]), in_time=in_time)
        except Exception:  # one message must not fail the others
            logger.exception("not audited", extra={"message_id": record["messageId"]})
            failures.append({"itemIdentifier": record["messageId"]})
    with suppress(BusyError):  # the schedule ends a round, too
        continue_round(ledger(), audit_queue())
    return failures


warm_up()
