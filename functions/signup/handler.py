"""Opens an account for a user who has just confirmed their sign-up.

It never keeps anybody from signing in: whatever fails, or takes longer than Cognito waits, is
logged and counted, and the user's first call opens the account instead.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from scrip.ledger import ledger, opening
from scrip.observability import count, logger

SECONDS_MAX = 3
"""Cognito fails a sign-up whose trigger takes 5 seconds; a cold start is among them."""

THREAD = ThreadPoolExecutor(max_workers=1)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Open the account and return the event, as Cognito wants it."""
    # The trigger also fires after a forgotten password.
    if event["triggerSource"] == "PostConfirmation_ConfirmSignUp":
        try:
            command = opening(event["request"]["userAttributes"]["sub"])
            opened = THREAD.submit(ledger().execute, command)
            opened.result(timeout=SECONDS_MAX)
        except Exception:  # an error here would fail the user's sign-up
            logger.exception("the account will be opened by the user's first call")
            count("SignupFailed")
    return event
