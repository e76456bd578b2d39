"""What a deployment does beside its resources: CloudFormation custom resources.

`Custom::Catalog` loads the default catalog, and begins the lists of accounts. Plans and features
that exist are left as they are, so a later deployment undoes nobody's edits. `Custom::MailboxKey`
makes the key by which mailboxes are hashed, once. `Custom::ConsoleSignIn` lets people sign in to
the console and to the users' page.
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
from scrip.store.listing import note_complete
from scrip.store.mailbox_key import delete_mailbox_key, make_mailbox_key, parameter_store
from scrip.user_pool import open_user_pool
from scrip.warm_up import warm_up

ANSWER_SECONDS = 10
TRIES_MAX = 5
PAUSE_SECONDS = 6.0

ROLLBACK = frozenset({"ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"})
"""A stack's status while CloudFormation undoes a creation or an update that failed."""

FOUND = "key of an earlier stack"
"""The physical ID of a key that was there before the stack."""

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
        "PhysicalResourceId": event.get("PhysicalResourceId", event["LogicalResourceId"]),
        **{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")},
        **_try(event),
    }
    request = urllib.request.Request(  # noqa: S310 - CloudFormation's own address
        event["ResponseURL"],
        data=json.dumps(answer).encode(),
        method="PUT",
        headers={"Content-Type": ""},
    )
    urllib.request.urlopen(request, timeout=ANSWER_SECONDS).close()  # noqa: S310
    return None


def _try(event: dict[str, Any]) -> dict[str, Any]:
    """Return what to answer, or why it failed. A new role takes effect after seconds."""
    answer: dict[str, Any] = {}
    for _ in range(TRIES_MAX):
        try:
            return _undo(event) if event["RequestType"] == "Delete" else _do(event)
        except parameters.WrongParameterError as exc:
            logger.exception("a parameter is wrong")
            return {"Status": "FAILED", "Reason": str(exc)[:REASON_CHARACTERS]}
        except Exception as exc:  # whatever it is, CloudFormation must hear of it
            logger.exception("a custom resource failed")
            answer = {"Status": "FAILED", "Reason": repr(exc)[:REASON_CHARACTERS]}
            time.sleep(PAUSE_SECONDS)
    return answer


def _do(event: dict[str, Any]) -> dict[str, Any]:
    """Create or update a resource; return what to answer."""
    properties, attributes = event["ResourceProperties"], {}
    match event["ResourceType"]:
        case "Custom::Catalog":
            table = ledger().table
            if not examine_catalog(table)[0].plans:
                # The table is new: it has no accounts that are missing from the lists.
                note_complete(table, ledger().clock())
            keys = load_catalog(table, DEFAULT_CATALOG)
            logger.info("catalog loaded", extra={"keys": keys})
        case "Custom::MailboxKey":
            is_new = make_mailbox_key(parameter_store(), properties["Name"])
            if event["RequestType"] == "Create" and not is_new:
                return {"PhysicalResourceId": FOUND}
        case "Custom::ConsoleSignIn":
            pool = open_user_pool(properties["UserPoolId"])
            # A rollback sends the properties of a version that had no page for users.
            attributes = {
                name: properties[name] for name in ("Url", "UserPageUrl") if name in properties
            }
            pool.let_sign_in(properties["ClientId"], [*attributes.values()])
        case "Custom::Settings":
            if not _rolls_back(event):
                _check(properties)
            attributes = {"Digest": parameters.digest(properties)}
        case "Custom::Canary":
            is_tried = not _rolls_back(event)
            protection = prove_partitions(ledger().table) if is_tried else "not tried"
            logger.info("partitions tried", extra={"entry_protection": protection})
            attributes = {"EntryProtection": protection}
        case "Custom::Version":
            attributes = {"Version": __version__}
        case other:
            raise ValueError(f"{other} is none of this function's resources")
    return {"Data": attributes}


def _undo(event: dict[str, Any]) -> dict[str, Any]:
    """Delete the key that a failed creation has made. All else is data, or goes with the stack."""
    is_own_key = event["ResourceType"] == "Custom::MailboxKey" and (
        event["PhysicalResourceId"] != FOUND
    )
    if is_own_key and _rolls_back(event):
        delete_mailbox_key(parameter_store(), event["ResourceProperties"]["Name"])
    return {}


def _rolls_back(event: dict[str, Any]) -> bool:
    """Return whether CloudFormation undoes what failed."""
    if event["RequestType"] == "Create":
        return False
    found = client("cloudformation", CONFIG).describe_stacks(StackName=event["StackId"])
    return found["Stacks"][0]["StackStatus"] in ROLLBACK


def _check(properties: dict[str, Any]) -> None:
    """Check the stack's parameters; raise WrongParameterError for the first wrong one."""
    parameters.check_time_zone(properties["TimeZone"])
    parameters.check_default_plan(properties["DefaultPlan"], examine_catalog(ledger().table)[0])
    if properties["JwtIssuer"]:
        parameters.check_issuer(properties["JwtIssuer"])


warm_up()
