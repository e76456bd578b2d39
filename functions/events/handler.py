"""Passes the table's stream on: to the archive, usage and totals, lists of accounts, and the bus.

Everything here may be repeated: the archive's objects are written again under the same names, usage
knows which entries it has counted, and events are sent at least once. An entry that was restored
from a backup is only counted, because its events were sent and it was archived when it was new. A
batch is handled as a whole, by hour and by day, which costs a fraction of handling each record;
hence no batch processor.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.events.archive import append
from functions.events.bus import Bus, open_bus, publish
from functions.events.events import Event, crossing_events, entry_event, tampering_event
from functions.events.lists import move
from functions.events.stream import AccountChanged, Batch, EntryAdded, read_batch
from functions.events.thresholds import Threshold, thresholds_crossed
from scrip.domain.account import AccountStatus
from scrip.domain.audit.findings import Code
from scrip.domain.errors import CorruptAccountError, ScripError
from scrip.ledger import ledger
from scrip.observability import count, logger
from scrip.settings import settings
from scrip.store.archive import Archive, open_archive
from scrip.store.audit.checkpoints import drop_checkpoint
from scrip.store.ran_out import note_ran_out
from scrip.store.references import count_reference
from scrip.store.usage import count_usage
from scrip.warm_up import warm_up

if TYPE_CHECKING:
    from datetime import date


class UndeliveredError(Exception):
    """The first record of a batch could not be processed."""


@cache
def archive() -> Archive:
    """Return the archive of this process."""
    return open_archive(settings().bucket_name)


@cache
def bus() -> Bus:
    """Return the bus of this process."""
    return open_bus(settings().event_bus_name)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], _: LambdaContext) -> dict[str, Any]:
    """Process a batch, and return the first record that could not be processed.

    Lambda delivers again from there. When it is the very first, only an error makes Lambda split
    the batch, until a record that always fails is alone and goes to the dead-letter queue.
    """
    batch = read_batch(event["Records"])
    _log(batch)
    _report(batch)
    failed = {
        *batch.unreadable,
        *_distrust(batch),
        *_archive(batch),
        *_count(batch),
        *_count_references(batch),
        *_list(batch),
        *_note_who_ran_out(batch),
        *_publish(batch),
    }
    numbers = [record["dynamodb"]["SequenceNumber"] for record in event["Records"]]
    first = next((number for number in numbers if number in failed), None)
    if first == numbers[0]:
        raise UndeliveredError(first)
    return {"batchItemFailures": [{"itemIdentifier": first}] if first else []}


def _log(batch: Batch) -> None:
    """Log what wrote these entries, in one line for the whole batch."""
    correlation_ids = dict.fromkeys(added.correlation_id for added in batch.added)
    fields = {
        "entries": len(batch.added),
        "correlation_ids": [one for one in correlation_ids if one],
    }
    logger.info("entries of the stream", extra=fields)


def _report(batch: Batch) -> None:
    """Report entries that were edited or removed, as the audit does, seconds after it happened."""
    for tampered in batch.tampered:
        logger.error(
            "the audit has found",
            extra={
                "account_id": tampered.account_id,
                "code": Code.ENTRY_TAMPERED,
                "entry_id": tampered.entry_id,
                "seq": tampered.seq,
            },
        )
    if batch.tampered:
        count("EntriesTampered", len(batch.tampered))


def _distrust(batch: Batch) -> Iterator[str]:
    """Let the audit prove the accounts whole that were tampered with; yield what failed.

    Otherwise the next round would not look at what a checkpoint vouches for.
    """
    for tampered in batch.tampered:
        try:
            drop_checkpoint(ledger().table, tampered.account_id)
        except ScripError:
            logger.exception("its checkpoint stays", extra={"account_id": tampered.account_id})
            yield tampered.number


def _archive(batch: Batch) -> Iterator[str]:
    """Write the new entries to the archive; yield the numbers of records that failed."""
    added = [one for one in batch.added if not one.is_restored]
    try:
        append(archive(), added)
    except ScripError:
        logger.exception("not archived")
        yield from (one.number for one in added)


def _count(batch: Batch) -> Iterator[str]:
    """Count the entries into usage and totals; yield the numbers of records that failed."""
    days: dict[tuple[str, date], list[EntryAdded]] = defaultdict(list)
    for added in batch.added:
        days[added.account_id, added.entry.recorded_at.date()].append(added)
    groups = {place: [added.entry for added in group] for place, group in days.items()}
    for place, error in count_usage(ledger().table, groups):
        if _is_retried(error, account_id=place[0], day=str(place[1])):
            yield from (added.number for added in days[place])


def _count_references(batch: Batch) -> Iterator[str]:
    """Count the entries that have a reference by it; yield the numbers of records that failed."""
    groups: dict[tuple[str, date, str], list[EntryAdded]] = defaultdict(list)
    for added in batch.added:
        if added.entry.reference:
            place = added.account_id, added.entry.recorded_at.date(), added.entry.reference
            groups[place].append(added)
    for (account_id, day, reference), group in groups.items():
        try:
            entries = [added.entry for added in group]
            count_reference(ledger().table, account_id, day, reference, entries)
        except ScripError as exc:
            if _is_retried(exc, account_id=account_id, day=str(day), reference=reference):
                yield from (added.number for added in group)


def _is_retried(error: ScripError, **about: str) -> bool:
    """Log what could not be counted; return whether it is to be delivered again."""
    if isinstance(error, CorruptAccountError):
        # Retrying would not help, and all other accounts would wait behind it.
        logger.error("not to be counted", exc_info=error, extra=about)
        count("UsageCorrupt")
        return False
    logger.error("not counted", exc_info=error, extra=about)
    return True


def _note_who_ran_out(batch: Batch) -> Iterator[str]:
    """Note which accounts ran out of credits; yield the numbers of records that failed.

    A new account had none to run out of, and who closes an account forfeits them.
    """
    for changed in batch.changed:
        if changed.before is None or changed.after.status is AccountStatus.CLOSED:
            continue
        crossed = thresholds_crossed(changed.before.available, changed.after.available, 0)
        if Threshold.DEPLETED in crossed:
            try:
                note_ran_out(ledger().table, changed.after.account_id, changed.at)
            except ScripError:
                logger.exception("not noted", extra={"account_id": changed.after.account_id})
                yield changed.number


def _list(batch: Batch) -> Iterator[str]:
    """Move the accounts between their lists; yield the numbers of records that failed."""
    try:
        move(ledger().table, batch.changed)
    except ScripError:
        logger.exception("not listed")
        yield from (one.number for one in batch.changed)


def _publish(batch: Batch) -> Iterator[str]:
    """Send the events, each account's by seq; yield the numbers of records that failed."""
    events: list[tuple[str, Event]] = []
    for entry in batch.tampered:
        event = tampering_event(
            entry.account_id, entry.entry_id, entry.seq, is_removed=entry.is_removed
        )
        events.append((entry.number, event))
    for one in batch.in_order:
        if isinstance(one, AccountChanged):
            if one.before:
                crossed = crossing_events(one.before, one.after, settings().low_credits)
                events += [(one.number, event) for event in crossed]
        elif not one.is_restored:
            event = entry_event(one.account_id, one.entry, one.correlation_id)
            events.append((one.number, event))
    for position in publish(bus(), [event for _, event in events]):
        yield events[position][0]


warm_up()
