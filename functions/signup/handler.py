"""Opens an account for a user who has just confirmed their sign-up.

It never keeps anybody from signing in: whatever fails is logged and counted, and the user's first
call opens the account instead.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from scrip.ledger import ledger, opening
from scrip.observability import count, logger


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Open the account and return the event, as Cognito wants it."""
    # The trigger also fires after a forgotten password.
    if event["triggerSource"] == "PostConfirmation_ConfirmSignUp":
        try:
            ledger().execute(opening(event["request"]["userAttributes"]["sub"]))
        except Exception:  # an error here would fail the user's sign-up
            logger.exception("the account will be opened by the user's first call")
            count("SignupFailed")
    return event
