"""Opens an account for a user who has just confirmed their sign-up.

It never keeps a user from signing in: a failure, or a delay longer than Cognito waits, is logged
and counted, and the user's first call opens the account instead.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

# First: it makes the imports after it cheaper, and botocore is faster before Powertools.
from scrip.ledger import ledger, prepare  # isort: skip

from aws_lambda_powertools.utilities.typing import LambdaContext

from scrip.observability import count, logger
from scrip.store.mailbox_key import parameter_store
from scrip.user_pool import name_in
from scrip.users import open_account
from scrip.warm_up import warm_up

SECONDS_MAX = 3
"""Cognito fails a sign-up whose trigger takes 5 seconds, including a cold start."""

THREAD = ThreadPoolExecutor(max_workers=1)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Open the account and return the event, as Cognito requires."""
    logger.set_correlation_id(context.aws_request_id)
    # The trigger also fires after a forgotten password.
    if event["triggerSource"] == "PostConfirmation_ConfirmSignUp":
        try:
            THREAD.submit(_open, event["request"]["userAttributes"]).result(timeout=SECONDS_MAX)
        except Exception:  # an error here would fail the user's sign-up
            logger.exception("the account will be opened by the user's first call")
            count("SignupFailed")
    return event


def _open(attributes: dict[str, str]) -> None:
    """Open the account, and link it to the user's address if that was verified, and their name."""
    is_verified = attributes.get("email_verified") == "true"
    emails = [attributes["email"]] if is_verified and "email" in attributes else []
    now = ledger().clock()
    open_account(ledger(), attributes["sub"], emails, at=now, owner=name_in(attributes))


# The key itself is not read yet: a snapshot would keep it, even after it is replaced.
warm_up(prepare, parameter_store)
