"""The audit's own item: how far its round has come."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scrip.domain.audit.rounds import COUNT_MAX
from scrip.store.client import Table, answered
from scrip.store.items import progress_item, progress_of, to_wire
from scrip.store.keys import progress_key

if TYPE_CHECKING:
    from scrip.domain.audit.rounds import Progress
    from scrip.store.items import Wire

# Holds before the first round, while nobody has saved it since, and for a step that no save made.
NOT_OVERTAKEN = (
    "attribute_not_exists(pk) OR NOT attribute_type(step, :number) OR step <= :seen OR step > :most"
)


class OvertakenError(Exception):
    """Another run has gone on with the round, and knows better."""


def read_progress(table: Table) -> Progress:
    """Return how far the audit has come; what cannot be so is as if it had never begun.

    Raises:
        BusyError: the table did not answer.
    """
    with answered():
        answer = table.client.get_item(
            TableName=table.name,
            Key=to_wire(progress_key()),
            ConsistentRead=True,
        )
    return progress_of(answer.get("Item", {}))


def save_progress(table: Table, progress: Progress) -> Progress:
    """Save how far the audit has come, and return it as it is now.

    Raises:
        OvertakenError: somebody else has saved it since it was read.
        BusyError: the table did not answer.
    """
    saved = replace(progress, step=progress.step + 1)
    values: Wire = to_wire({":seen": progress.step, ":number": "N", ":most": COUNT_MAX})
    try:
        with answered():
            table.client.put_item(
                TableName=table.name,
                Item=to_wire(progress_item(saved)),
                ConditionExpression=NOT_OVERTAKEN,
                ExpressionAttributeValues=values,
            )
    except table.client.exceptions.ConditionalCheckFailedException as exc:
        raise OvertakenError from exc
    return saved
