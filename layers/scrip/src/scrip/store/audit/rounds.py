"""The audit's own item: its progress through the current round."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scrip.domain.audit.rounds import COUNT_MAX
from scrip.store.client import ConditionFailedError
from scrip.store.items import progress_item, progress_of
from scrip.store.keys import progress_key

if TYPE_CHECKING:
    from scrip.domain.audit.rounds import Progress
    from scrip.store.client import Table

# Holds before the first round, unless another run has saved since, and for an impossible step.
NOT_OVERTAKEN = (
    "attribute_not_exists(pk) OR NOT attribute_type(step, :number) OR step <= :seen OR step > :most"
)


class OvertakenError(Exception):
    """Another run has continued the round, and has the current progress."""


def read_progress(table: Table) -> Progress:
    """Return the progress of the audit. If the item is impossible, the audit starts over.

    Raises:
        BusyError: the table did not answer.
    """
    return progress_of(table.get(progress_key()) or {})


def save_progress(table: Table, progress: Progress) -> Progress:
    """Save the progress of the audit, and return it as it is now.

    Raises:
        OvertakenError: another run has saved progress since this was read.
        BusyError: the table did not answer.
    """
    saved = replace(progress, step=progress.step + 1)
    values = {":seen": progress.step, ":number": "N", ":most": COUNT_MAX}
    try:
        table.put(progress_item(saved), NOT_OVERTAKEN, values)
    except ConditionFailedError as exc:
        raise OvertakenError from exc
    return saved
