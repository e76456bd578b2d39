"""Checkpoints of accounts: read many at once, kept one by one, and dropped after tampering."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from scrip.store.audit.books import batches, patient
from scrip.store.client import ConditionFailedError
from scrip.store.items import checkpoint_item, checkpoint_of, digest_of
from scrip.store.keys import account_key, checkpoint_key, id_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from scrip.domain.audit.checkpoint import Checkpoint
    from scrip.store.client import Table

# Hold if the checkpoint is the one that was read: none, one that was dropped, and another.
NONE_YET = "attribute_not_exists(pk)"
STILL_DROPPED = "attribute_exists(pk) AND attribute_not_exists(digest)"
STILL_THERE = "#hash = :hash AND digest = :digest"


def read_checkpoints(table: Table, account_ids: Collection[str]) -> dict[str, Checkpoint]:
    """Return the checkpoints of those accounts that have one.

    Raises:
        BusyError: the table did not answer, several times.
    """
    found = batches(patient(table), map(checkpoint_key, account_ids))
    return {id_of(wire["pk"]["S"]): checkpoint_of(wire) for wire in found}


def unchanged(table: Table, checkpoints: dict[str, Checkpoint]) -> set[str]:
    """Return the accounts whose item is as it was proved, and has no entry after the checkpoint.

    Raises:
        BusyError: the table did not answer, several times.
    """
    found = set()
    for wire in batches(patient(table), map(account_key, checkpoints)):
        known = checkpoints[account_id := id_of(wire["pk"]["S"])]
        if wire.get("seq_last") == {"N": str(known.seq)} and digest_of(wire) == known.digest:
            found.add(account_id)
    return found


def keep_first(table: Table, checkpoints: Mapping[str, Checkpoint]) -> None:
    """Keep the first checkpoints of accounts, many at once.

    Raises:
        BusyError: the table did not answer, several times.
    """
    patient(table).put_batch(checkpoint_item(name, one) for name, one in checkpoints.items())


def keep_checkpoint(
    table: Table, account_id: str, checkpoint: Checkpoint, before: Checkpoint | None
) -> None:
    """Keep a checkpoint in place of the one that was read, unless that has changed since.

    Raises:
        BusyError: the table did not answer, several times.
    """
    condition, values = NONE_YET if before is None else STILL_DROPPED, None
    if before is not None and before.digest:
        condition, values = STILL_THERE, {":hash": before.hash, ":digest": before.digest}
    with suppress(ConditionFailedError):
        patient(table).put(checkpoint_item(account_id, checkpoint), condition, values)


def drop_checkpoint(table: Table, account_id: str) -> None:
    """Leave of an account's checkpoint only the hash, so that the account is proved whole.

    Raises:
        BusyError: the table did not answer.
    """
    with suppress(ConditionFailedError):
        table.update(checkpoint_key(account_id), "REMOVE digest, #state", "attribute_exists(pk)")
