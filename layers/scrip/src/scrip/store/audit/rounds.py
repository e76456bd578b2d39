"""The audit's own items: its progress, and what the parts of the current round have counted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scrip.domain.audit.rounds import COUNT_MAX
from scrip.store.client import IS_NEW, ConditionFailedError
from scrip.store.items import counts_of, part_item, progress_item, progress_of
from scrip.store.keys import audit_part_key, progress_key

if TYPE_CHECKING:
    from datetime import datetime

    from scrip.domain.audit.rounds import Counts, Progress
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


def save_part(table: Table, round_id: str, part: str, counts: Counts, at: datetime) -> bool:
    """Save what a part of a round has counted; return False if it was saved before.

    Raises:
        BusyError: the table did not answer.
    """
    try:
        table.put(part_item(round_id, part, counts, at), IS_NEW)
    except ConditionFailedError:
        return False
    return True


def read_parts(table: Table, round_id: str) -> dict[str, Counts]:
    """Return what the parts of a round that are done have counted, by their names.

    Raises:
        BusyError: the table did not answer.
    """
    beginning = audit_part_key(round_id, "")
    found = table.query_all(
        "pk = :pk AND begins_with(sk, :sk)",
        {":pk": beginning["pk"], ":sk": beginning["sk"]},
        ConsistentRead=True,
    )
    return {wire["sk"]["S"].removeprefix(beginning["sk"]): counts_of(wire) for wire in found}
