"""Puts items of an account back into the table: the account's own last, if nobody used it."""

from typing import Any

from scrip.ledger import utc_now
from scrip.store.client import Table, answered
from scrip.store.items import Wire, from_wire, restored, to_wire
from scrip.store.keys import is_entry
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.restoring.comparison import Comparison, Difference

# Holds if nobody has used the account since it was compared.
AS_SEEN = "version = :seen"
# Holds while the account is gone.
GONE = "attribute_not_exists(pk)"


def put_back(table: Table, comparison: Comparison) -> None:
    """Put back what is missing or was edited. Safe to repeat.

    Neither the bus nor the archive gets an entry a second time.

    Raises:
        BusyError: the table did not answer.
        CommandError: somebody used the account meanwhile.
    """
    for difference in comparison.differences:
        if difference.was is None or not difference.is_put_back:
            continue
        pk, sk = difference.place
        if is_entry(pk):
            _put(table, restored(difference.was, utc_now()))
        elif sk == "ACCOUNT":
            _put_account(table, difference.was, difference)
        else:
            _put(table, difference.was)


def _put(table: Table, wire: Wire) -> None:
    with answered():
        table.client.put_item(TableName=table.name, Item=wire)


def _put_account(table: Table, was: Wire, difference: Difference) -> None:
    now = difference.now or {}
    seen = from_wire(now).get("version")
    # A caller who read the account before this must not find the version that they know.
    version = max(int(from_wire(was)["version"]), seen if isinstance(seen, int) else 0) + 1
    condition: Any = {}
    if "version" in now:
        condition = {
            "ConditionExpression": AS_SEEN,
            "ExpressionAttributeValues": {":seen": now["version"]},
        }
    elif difference.now is None:
        condition = {"ConditionExpression": GONE}
    try:
        with answered():
            table.client.put_item(
                TableName=table.name, Item={**was, **to_wire({"version": version})}, **condition
            )
    except table.client.exceptions.ConditionalCheckFailedException as exc:
        raise CommandError(
            "Somebody used the account meanwhile.",
            "Run the command again; do not freeze the account, since that writes, too.",
            exit_code=ExitCode.REFUSED,
        ) from exc
