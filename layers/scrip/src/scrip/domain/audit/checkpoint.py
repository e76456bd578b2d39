"""Checkpoints: up to where the entries of an account were proved, and what they add up to there.

A round that finds a checkpoint reads only what is newer. Whatever seems wrong then is looked at
again from the first entry, so a checkpoint never decides what is reported. It is stored beside what
it vouches for, and is no proof by itself: every account is proved whole once a month.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple

from scrip.domain.entries import GENESIS_HASH, EntryType

SETTLED_AFTER = timedelta(days=1)
"""How long after its end a day is over for the audit: all of its entries are counted by then."""


class Origin(NamedTuple):
    """The entry that brought a grant."""

    type: EntryType
    effective_at: datetime
    entry_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the entries up to a checkpoint add up to, as far as newer entries depend on it.

    The fields are those of a tally. `before` is the start of the day that was not settled yet: no
    entry up to the checkpoint was recorded then or later. `paid` are the payments of open terms.
    """

    before: datetime
    is_frozen: bool
    left: Mapping[str, int]
    brought: Mapping[str, int]
    brought_before: Mapping[str, frozenset[int]]
    origins: Mapping[str, Origin]
    in_holds: Mapping[str, Mapping[str, int]]
    hold_end_max: Mapping[str, datetime]
    hold_features: Mapping[str, tuple[str | None, ...]]
    uncharged: Mapping[str, int]
    begun: datetime | None
    granted: int
    consumed: int
    used: int | None
    used_max: int
    paid: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The last entry that was proved, by its seq and hash; the hash is empty if that is unreadable.

    `digest` is that of the account's item as it was proved. Without `state` the account has to be
    proved whole, because something about it was wrong.
    """

    seq: int
    hash: bytes
    digest: bytes = b""
    state: State | None = None

    @property
    def is_sound(self) -> bool:
        """Whether these values are possible."""
        return (
            isinstance(self.seq, int)
            and self.seq > 0
            and isinstance(self.digest, bytes)
            and isinstance(self.hash, bytes)
            and len(self.hash) == len(GENESIS_HASH)
        )


def is_news(proved: Checkpoint, last: Checkpoint | None) -> bool:
    """Return whether a checkpoint says more than the last one, which is worth a write."""
    return (
        last is None or last.state is None or (proved.seq, proved.digest) != (last.seq, last.digest)
    )


def unsettled_since(now: datetime) -> datetime:
    """Return the start of the first day (UTC) whose entries may not all be counted yet."""
    return datetime.combine((now - SETTLED_AFTER).astimezone(UTC).date(), time.min, UTC)
