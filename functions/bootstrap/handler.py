"""Loads the default catalog when the stack is deployed: a CloudFormation custom resource.

Plans and features that exist are left as they are, so a later deployment undoes nobody's edits.
"""

import json
import time
import urllib.request
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from scrip.default_catalog import DEFAULT_CATALOG
from scrip.ledger import ledger
from scrip.observability import logger
from scrip.store.catalogs import load_catalog

ANSWER_SECONDS = 10
TRIES_MAX = 5
PAUSE_SECONDS = 6.0


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], _: LambdaContext) -> None:
    """Load the catalog and tell CloudFormation, which waits for an hour if it hears nothing."""
    answer = {
        "Status": "SUCCESS",
        "PhysicalResourceId": "catalog",
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    if event["RequestType"] != "Delete" and (reason := _load()):
        answer |= {"Status": "FAILED", "Reason": reason}
    request = urllib.request.Request(  # noqa: S310 - CloudFormation's own address
        event["ResponseURL"],
        data=json.dumps(answer).encode(),
        method="PUT",
        headers={"Content-Type": ""},
    )
    urllib.request.urlopen(request, timeout=ANSWER_SECONDS).close()  # noqa: S310


def _load() -> str | None:
    """Load the catalog and return why not, if not. A new role takes seconds to be in force."""
    reason = None
    for _ in range(TRIES_MAX):
        try:
            loaded = load_catalog(ledger().table, DEFAULT_CATALOG)
        except Exception as exc:  # whatever it is, CloudFormation must hear of it
            logger.exception("the catalog was not loaded")
            reason = repr(exc)
            time.sleep(PAUSE_SECONDS)
        else:
            logger.info("catalog loaded", extra={"keys": loaded})
            return None
    return reason
