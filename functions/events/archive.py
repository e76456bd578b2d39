"""Writes a batch of the stream to the archive."""

from __future__ import annotations

import gzip
import hashlib
from collections import defaultdict
from typing import TYPE_CHECKING

from functions.events.events import detail_of
from scrip.domain.entries import ActorType, canonical_json
from scrip.store.archive import Archive, hour_prefix
from scrip.store.client import answered

if TYPE_CHECKING:
    from collections.abc import Iterable

    from functions.events.stream import EntryAdded

NUMBER_DIGITS = 40
"""The longest sequence number of the stream; numbers are padded so that keys sort by them."""


def append(archive: Archive, added: Iterable[EntryAdded]) -> None:
    """Write the entries of a batch, one object for each hour in which they were recorded.

    Raises:
        BusyError: some may not have been written; appending again is safe.
    """
    hours: dict[str, list[EntryAdded]] = defaultdict(list)
    for one in added:
        hours[hour_prefix(one.entry.recorded_at)].append(one)
    for prefix, ones in hours.items():
        ones.sort(key=lambda one: (one.entry.recorded_at, one.place))
        lines = b"".join(
            canonical_json(
                detail_of(one.account_id, one.entry, one.correlation_id, ActorType.ADMIN)
            )
            + b"\n"
            for one in ones
        )
        numbers = sorted(one.number.zfill(NUMBER_DIGITS) for one in ones)
        name = f"{numbers[0]}-{numbers[-1]}-{hashlib.sha256(lines).hexdigest()[:16]}"
        with answered():
            archive.client.put_object(
                Bucket=archive.bucket,
                Key=f"{prefix}{name}.ndjson.gz",
                # Without a timestamp in it, so that the same lines give the same bytes.
                Body=gzip.compress(lines, mtime=0),
                ContentType="application/gzip",
            )
