"""Reads the archive: the entries of all accounts, oldest hour first, a page at a time."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING, Any

from scrip.domain.entries import iso
from scrip.store.archive import PREFIX, Archive, hour_prefix
from scrip.store.client import answered
from scrip.store.pages import read_page

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from scrip.domain.entries import EntryType
    from scrip.store.pages import Steps

OBJECTS_MAX = 100
"""The most objects that one request reads; it then returns what it has found so far."""

THREADS = 8
"""How many objects are read at once."""

OPEN_MAX = 8
"""The most earlier objects that a cursor names because later ones may repeat their entries."""

type Line = dict[str, Any]
"""An entry as the API shows it, with its `account_id` and `correlation_id`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFilter:
    """Which entries to return. `from_` is included, `to` is not (UTC)."""

    from_: datetime
    to: datetime
    type: EntryType | None = None
    feature: str | None = None
    account_id: str | None = None

    def matches(self, line: Line) -> bool:
        """Return whether an entry passes the filter."""
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
    """How far a reader has come: after that many lines of the object `key`.

    `open` are earlier objects whose sequence numbers overlap with those of later ones.
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
    """Return up to `limit` entries, oldest hour first, and the next cursor, None at the end.

    A page may be short or empty before the end. An entry that several objects hold is returned
    once.

    Raises:
        InvalidCursorError: the cursor was made for another filter.
    """

    def steps_after(after: Any) -> Steps[Line]:
        place = Place(key=hour_prefix(asked.from_)) if after is None else Place(**after)
        seen = {_identity(line) for key in place.open for line in _lines(archive, key)}
        keys, is_last = _list(archive, asked, place)
        for key, lines in _read(archive, keys):
            if key != place.key:
                place = place.next(key)
            seen |= {_identity(line) for line in lines[: place.lines]}
            for line in lines[place.lines :]:
                place.lines += 1
                if _identity(line) not in seen and asked.matches(line):
                    yield line, asdict(place)
                seen.add(_identity(line))
        if not is_last:
            yield None, asdict(place)

    return read_page(repr(asked), steps_after, limit=limit, cursor=cursor, shown=lambda line: line)


def _list(archive: Archive, asked: LineFilter, place: Place) -> tuple[list[str], bool]:
    """Return the keys of the objects to read next, and whether they are the last ones."""
    with answered():
        answer = archive.client.list_objects_v2(
            Bucket=archive.bucket,
            Prefix=PREFIX,
            StartAfter=place.key,
            MaxKeys=OBJECTS_MAX,
        )
    listed = [item["Key"] for item in answer.get("Contents", [])]
    last_hour = hour_prefix(asked.to - timedelta(milliseconds=1))
    keys = [key for key in listed if _prefix(key) <= last_hour]
    begun = [] if place.key.endswith("/") else [place.key]
    return begun + keys, not answer["IsTruncated"] or len(keys) < len(listed)


def _read(archive: Archive, keys: Iterable[str]) -> Iterator[tuple[str, list[Line]]]:
    """Yield the lines of objects in their order, a few objects ahead of the caller."""
    with ThreadPoolExecutor(THREADS) as pool:
        for some in batched(keys, THREADS, strict=False):
            yield from zip(some, pool.map(partial(_lines, archive), some), strict=True)


def _lines(archive: Archive, key: str) -> list[Line]:
    with answered():
        body = archive.client.get_object(Bucket=archive.bucket, Key=key)["Body"].read()
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]


def _identity(line: Line) -> tuple[str, int]:
    return line["account_id"], line["seq"]


def _prefix(key: str) -> str:
    return key[: key.rindex("/") + 1]


def _may_share(earlier: str, later: str) -> bool:
    """Return whether two objects of the archive may hold the same entry."""
    last = earlier.removeprefix(_prefix(earlier)).split("-")[1]
    first = later.removeprefix(_prefix(later)).split("-")[0]
    return _prefix(earlier) == _prefix(later) and last >= first
