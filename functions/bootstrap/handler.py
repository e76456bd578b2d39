"""What a deployment does beside its resources: CloudFormation custom resources.

`Custom::Catalog` loads the default catalog. Plans and features that exist are left as they are, so
a later deployment undoes nobody's edits. `Custom::MailboxKey` makes the key by which mailboxes are
hashed, once. `Custom::ConsoleSignIn` lets people sign in to the console at its address.
`Custom::Settings` checks the stack's parameters and has a digest of them as its attribute `Digest`.
`Custom::Canary` tries whether IAM evaluates partitions as the functions' roles expect.
`Custom::Version` has the version of this code as its attribute `Version`.

An operator who invokes it with the request type `TryEntryChanges` gets what IAM lets this function
do to an entry: nothing, on a stack as it was deployed.

After an update that failed, CloudFormation gives each resource its old properties back. Nothing is
checked then: they may be wrong by now, and a second failure would leave the stack stuck.
"""

import json
import time
import urllib.request
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.bootstrap import parameters
from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip import __version__
from scrip.aws import client
from scrip.ledger import ledger
from scrip.observability import logger
from scrip.store.canary import entry_changes_allowed, entry_protection, prove_partitions
from scrip.store.catalogs import examine_catalog, load_catalog
from scrip.store.client import CONFIG
from scrip.store.mailbox_key import make_mailbox_key, parameter_store
from scrip.user_pool import open_user_pool

ANSWER_SECONDS = 10
TRIES_MAX = 5
PAUSE_SECONDS = 6.0

REASON_CHARACTERS = 1_000
"""CloudFormation refuses a response of more than 4096 bytes, and then shows no reason at all."""


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any] | None:
    """Do it and tell CloudFormation, which waits for an hour if it hears nothing.

    An operator gets `{"not_refused": [...], "entry_protection": "all requests"}`.
    """
    if event["RequestType"] == "TryEntryChanges":
        table = ledger().table
        return {
            "not_refused": entry_changes_allowed(table),
            "entry_protection": entry_protection(table),
        }
    answer = {
        "Status": "SUCCESS",
        "PhysicalResourceId": event["LogicalResourceId"],
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
    }
    if event["RequestType"] != "Delete":
        answer |= _try(event)
    request = urllib.request.Request(  # noqa: S310 - CloudFormation's own address
        event["ResponseURL"],
        data=json.dumps(answer).encode(),
        method="PUT",
        headers={"Content-Type": ""},
    )
    urllib.request.urlopen(request, timeout=ANSWER_SECONDS).close()  # noqa: S310
    return None


def _try(event: dict[str, Any]) -> dict[str, Any]:
    """Return the resource's attributes, or why it failed. A new role takes effect after seconds."""
    answer: dict[str, Any] = {}
    for _ in range(TRIES_MAX):
        try:
            attributes = _do(event)
        except parameters.WrongParameterError as exc:
            logger.exception("a parameter is wrong")
            return {"Status": "FAILED", "Reason": str(exc)[:REASON_CHARACTERS]}
        except Exception as exc:  # whatever it is, CloudFormation must hear of it
            logger.exception("a custom resource failed")
            answer = {"Status": "FAILED", "Reason": repr(exc)[:REASON_CHARACTERS]}
            time.sleep(PAUSE_SECONDS)
        else:
            return {"Data": attributes}
    return answer


def _do(event: dict[str, Any]) -> dict[str, str]:
    """Create or update a resource; return its attributes."""
    properties = event["ResourceProperties"]
    match event["ResourceType"]:
        case "Custom::Catalog":
            keys = load_catalog(ledger().table, DEFAULT_CATALOG)
            logger.info("catalog loaded", extra={"keys": keys})
        case "Custom::MailboxKey":
            make_mailbox_key(parameter_store(), properties["Name"])
        case "Custom::ConsoleSignIn":
            pool = open_user_pool(properties["UserPoolId"])
            pool.let_sign_in(properties["ClientId"], properties["Url"])
            return {"Url": properties["Url"]}
        case "Custom::Settings":
            if not _rolls_back(event):
                _check(properties)
            return {"Digest": parameters.digest(properties)}
        case "Custom::Canary":
            if _rolls_back(event):
                return {"EntryProtection": "not tried"}
            protection = prove_partitions(ledger().table)
            logger.info("partitions proven", extra={"entry_protection": protection})
            return {"EntryProtection": protection}
        case "Custom::Version":
            return {"Version": __version__}
        case other:
            raise ValueError(f"{other} is none of this function's resources")
    return {}


def _rolls_back(event: dict[str, Any]) -> bool:
    """Return whether an update has failed and the stack goes back to what it was."""
    if event["RequestType"] != "Update":
        return False
    found = client("cloudformation", CONFIG).describe_stacks(StackName=event["StackId"])
    return bool(found["Stacks"][0]["StackStatus"] == "UPDATE_ROLLBACK_IN_PROGRESS")


def _check(properties: dict[str, Any]) -> None:
    """Check the stack's parameters; raise WrongParameterError for the first wrong one."""
    parameters.check_time_zone(properties["TimeZone"])
    parameters.check_default_plan(properties["DefaultPlan"], examine_catalog(ledger().table)[0])
    if properties["JwtIssuer"]:
        parameters.check_issuer(properties["JwtIssuer"])
