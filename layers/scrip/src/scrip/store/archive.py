"""The archive: the ledger of all accounts by time, as objects of one S3 bucket.

An object holds the entries that one batch brought of one hour, a line of JSON each, compressed:

    entries/dt=2026-11-21/hour=13/<first>-<last>-<hash>.ndjson.gz

`first` and `last` are numbers of the table's stream, the hash is of the lines. So a batch that is
delivered again writes the same objects again, and one that is cut differently adds objects that
repeat entries: readers drop repeats by account and seq.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from scrip.aws import client
from scrip.domain.entries import ActorType, canonical_json, iso
from scrip.domain.events import detail_of
from scrip.store.client import CONFIG, answered
from scrip.store.pages import read_page

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from types_boto3_s3 import S3Client

    from scrip.domain.entries import EntryType
    from scrip.store.pages import Steps
    from scrip.store.stream import EntryAdded

PREFIX = "entries/"

NUMBER_DIGITS = 40
"""The longest that a number of the stream can be; padded, keys sort as numbers do."""

OBJECTS_MAX = 100
"""How many objects one request reads; past that it answers what it found so far."""

OPEN_MAX = 8
"""How many earlier objects a cursor names, because the next ones may repeat their entries."""

type Line = dict[str, Any]
"""An entry as the API shows it, with its `account_id` and `correlation_id`."""


@dataclass(frozen=True)
class Archive:
    """The archive: its client and its bucket's name."""

    client: S3Client
    bucket: str


def open_archive(bucket: str) -> Archive:
    """Return the archive by its bucket's name."""
    return Archive(client("s3", CONFIG), bucket)


def append(archive: Archive, added: Iterable[EntryAdded]) -> None:
    """Write the entries of a batch, an object for each hour that they were recorded in.

    Raises:
        BusyError: some may not be written; appending again is safe.
    """
    hours: dict[str, list[EntryAdded]] = defaultdict(list)
    for one in added:
        hours[_hour_prefix(one.entry.recorded_at)].append(one)
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
                # Without the time of day in it, so that the same lines are the same bytes.
                Body=gzip.compress(lines, mtime=0),
                ContentType="application/gzip",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFilter:
    """Which entries of all accounts are asked for; `from_` is included, `to` is not (UTC)."""

    from_: datetime
    to: datetime
    type: EntryType | None = None
    feature: str | None = None
    account_id: str | None = None

    def wants(self, line: Line) -> bool:
        """Tell whether an entry is asked for."""
        return iso(self.from_) <= line["recorded_at"] < iso(self.to) and all(
            wanted in {None, line[name]}
            for name, wanted in (
                ("type", self.type),
                ("feature", self.feature),
                ("account_id", self.account_id),
            )
        )


@dataclass(slots=True, kw_only=True)
class Place:
    """How far a reader has come: behind so many lines of the object `key`.

    `open` are earlier objects whose numbers reach beyond where it stands.
    """

    key: str
    lines: int = 0
    open: list[str] = field(default_factory=list)

    def next(self, key: str) -> Place:
        """Return the place before the first line of the next object."""
        held = [*self.open, self.key] if self.lines else self.open
        still_open = [other for other in held if _may_share(other, key)]
        return Place(key=key, open=still_open[-OPEN_MAX:])


def read_lines(
    archive: Archive,
    asked: LineFilter,
    *,
    limit: int,
    cursor: str | None,
) -> tuple[list[Line], str | None]:
    """Return up to `limit` entries, oldest hour first, and the cursor after them, None at the end.

    A page can be short before the end, even empty. An entry that several objects hold is returned
    once.

    Raises:
        InvalidCursorError: the cursor belongs to a different query.
    """

    def steps_after(after: Any) -> Steps[Line]:
        place = Place(key=_hour_prefix(asked.from_)) if after is None else Place(**after)
        seen = {_identity(line) for key in place.open for line in _lines(archive, key)}
        keys, is_last = _list(archive, asked, place)
        for key in keys:
            if key != place.key:
                place = place.next(key)
            lines = _lines(archive, key)
            seen |= {_identity(line) for line in lines[: place.lines]}
            for line in lines[place.lines :]:
                place.lines += 1
                if _identity(line) not in seen and asked.wants(line):
                    yield line, asdict(place)
                seen.add(_identity(line))
        if not is_last:
            yield None, asdict(place)

    return read_page(repr(asked), steps_after, limit=limit, cursor=cursor, shown=lambda line: line)


def _list(archive: Archive, asked: LineFilter, place: Place) -> tuple[list[str], bool]:
    """Return the keys of the objects to read next, and whether they are the last."""
    with answered():
        answer = archive.client.list_objects_v2(
            Bucket=archive.bucket,
            Prefix=PREFIX,
            StartAfter=place.key,
            MaxKeys=OBJECTS_MAX,
        )
    listed = [item["Key"] for item in answer.get("Contents", [])]
    last_hour = _hour_prefix(asked.to - timedelta(milliseconds=1))
    keys = [key for key in listed if _prefix(key) <= last_hour]
    begun = [] if place.key.endswith("/") else [place.key]
    return begun + keys, not answer["IsTruncated"] or len(keys) < len(listed)


def _lines(archive: Archive, key: str) -> list[Line]:
    with answered():
        body = archive.client.get_object(Bucket=archive.bucket, Key=key)["Body"].read()
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]


def _identity(line: Line) -> tuple[str, int]:
    return line["account_id"], line["seq"]


def _hour_prefix(instant: datetime) -> str:
    return f"{PREFIX}dt={instant.astimezone(UTC):%Y-%m-%d/hour=%H}/"


def _prefix(key: str) -> str:
    return key[: key.rindex("/") + 1]


def _may_share(earlier: str, later: str) -> bool:
    """Tell whether two objects of the archive may hold the same entry."""
    last = earlier.removeprefix(_prefix(earlier)).split("-")[1]
    first = later.removeprefix(_prefix(later)).split("-")[0]
    return _prefix(earlier) == _prefix(later) and last >= first
