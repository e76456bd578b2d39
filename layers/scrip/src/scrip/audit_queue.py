"""The queue between a round of the audit and its workers, and its messages: parts of the round."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pydantic import BaseModel, TypeAdapter

from scrip.domain.audit.rounds import SEGMENTS, SEGMENTS_SHARED, SHARES, Counts
from scrip.settings import settings
from scrip.store.keys import ANCHOR_DAYS, DIRECTORY_SHARDS
from scrip.work_queue import Queue, open_queue

if TYPE_CHECKING:
    from scrip.domain.audit.rounds import Round


class TableSegment(BaseModel, frozen=True, extra="forbid"):
    """Audit one of some segments of the table, and each of its accounts from its first entry.

    `after` is the key of the last item that was looked at, and `counted` what was found up to it.
    """

    round_id: str
    segment: int
    segments: int
    after: dict[str, str] | None = None
    counted: Counts = Counts()

    @property
    def name(self) -> str:
        """The name of the part, which no other of its round has."""
        return f"SEGMENT#{self.segment:03}"


class DirectoryShard(BaseModel, frozen=True, extra="forbid"):
    """Audit what is new on the accounts that the directory lists under an anchor day and shard.

    `first` is the place of the account to continue with, and `counted` what was found before it.
    """

    round_id: str
    day: int
    shard: int
    first: str = "00:00"
    counted: Counts = Counts()

    @property
    def name(self) -> str:
        """The name of the part, which no other of its round has."""
        return f"DIRECTORY#{self.day:02}#{self.shard:02}"


type Part = TableSegment | DirectoryShard

_part: TypeAdapter[Part] = TypeAdapter(Part)


def part_of(body: str) -> Part:
    """Parse a message of the queue.

    Raises:
        ValidationError: Scrip did not send it.
    """
    return _part.validate_json(body)


def parts_of(current: Round) -> list[Part]:
    """Return the parts of a round: the table, or a share of it and what is new on all accounts."""
    if current.share is None:
        return [
            TableSegment(round_id=current.round_id, segment=segment, segments=SEGMENTS)
            for segment in range(SEGMENTS)
        ]
    segments = [
        TableSegment(round_id=current.round_id, segment=segment, segments=SEGMENTS_SHARED)
        for segment in range(current.share, SEGMENTS_SHARED, SHARES)
    ]
    shards = [
        DirectoryShard(round_id=current.round_id, day=day, shard=shard)
        for day in range(1, ANCHOR_DAYS + 1)
        for shard in range(DIRECTORY_SHARDS)
    ]
    return [*segments, *shards]


@cache
def audit_queue() -> Queue:
    """Return the queue of parts to audit."""
    return open_queue(settings().audit_queue_url)
