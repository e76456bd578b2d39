"""Proves what the functions' roles rest on: how IAM evaluates the partitions of a request.

A role allows an action on the partitions that its function needs (`dynamodb:LeadingKeys`), and the
boundary of all roles denies every change of an entry. AWS does not say which keys an action of a
transaction is evaluated with:

- those of its own item, as the roles assume: all is well.
- those of all items: no function could write anything, so the deployment must fail.
- none: all functions work, and only the code keeps a transaction from changing an entry. That is
  worth saying, and no reason to fail.

Nothing is written. Each request has a condition that does not hold, which DynamoDB evaluates after
IAM has allowed the request. The account has an ID that no account can have.
"""

from collections.abc import Callable
from enum import StrEnum

from botocore.exceptions import ClientError

from scrip.store.client import EXISTS, Action, ConditionFailedError, Table, checking, putting
from scrip.store.items import to_wire
from scrip.store.keys import account_key, entry_key

NOBODY = "no account"
"""What the account would be called: a space cannot be part of an ID."""


class CanaryError(Exception):
    """IAM evaluates partitions otherwise than the roles assume; the message is for operators."""


class EntryProtection(StrEnum):
    """Which requests of functions IAM keeps from changing an entry."""

    ALL = "all requests"
    SINGLE = "requests outside of transactions"


def prove_partitions(table: Table) -> EntryProtection:
    """Do what functions do under a role like theirs, and try what none may do.

    Raises:
        CanaryError: IAM refused the one, or allowed the other in a request of one action.
        BusyError: the table did not answer.
    """
    account, other = account_key(NOBODY), account_key(f"{NOBODY} either")
    entry = entry_key(NOBODY, "entry")
    change: Action = {
        "Update": {
            "Key": to_wire(account),
            "UpdateExpression": "REMOVE balance",
            "ConditionExpression": EXISTS,
        }
    }
    put, check = putting(entry, EXISTS), checking(other, EXISTS, {})
    needed: dict[str, Callable[[], object]] = {
        "a transaction over three partitions": lambda: table.transact(change, put, check),
        "a transaction that reads two partitions": lambda: table.get_together(account, entry),
    }
    refused = [what for what, do in needed.items() if not _is_allowed(do)]
    allowed = entry_changes_allowed(table)
    if _is_allowed(lambda: table.put(account, EXISTS)):
        allowed.append("an item in another partition")
    if refused or allowed:
        raise CanaryError(
            "IAM evaluates the partitions of a request (dynamodb:LeadingKeys) otherwise than the"
            " functions' roles assume. Deploy with PartitionConditions=no, and report this."
            f" Refused: {', '.join(refused) or 'nothing'}."
            f" Not refused: {', '.join(allowed) or 'nothing'}."
        )
    return entry_protection(table)


def entry_changes_allowed(table: Table) -> list[str]:
    """Try to change an entry and to delete it, each in a request; return what IAM did not refuse.

    Raises:
        BusyError: the table did not answer.
    """
    entry = entry_key(NOBODY, "entry")
    changes: dict[str, Callable[[], object]] = {
        "a change of an entry": lambda: table.update(entry, "REMOVE amount", EXISTS, {}),
        "the deletion of an entry": lambda: table.delete(entry, EXISTS),
    }
    return [what for what, do in changes.items() if _is_allowed(do)]


def entry_protection(table: Table) -> EntryProtection:
    """Try to change an entry in a transaction; return what is protected if IAM refuses single ones.

    Raises:
        BusyError: the table did not answer.
    """
    change: Action = {
        "Update": {
            "Key": to_wire(entry_key(NOBODY, "entry")),
            "UpdateExpression": "REMOVE amount",
            "ConditionExpression": EXISTS,
        }
    }
    check = checking(account_key(f"{NOBODY} either"), EXISTS, {})
    if _is_allowed(lambda: table.transact(change, check)):
        return EntryProtection.SINGLE
    return EntryProtection.ALL


def _is_allowed(do: Callable[[], object]) -> bool:
    """Make a request; return whether IAM allows it."""
    try:
        do()
    except ConditionFailedError:
        return True
    except ClientError as exc:
        if exc.response["Error"]["Code"] == "AccessDeniedException":
            return False
        raise
    return True
