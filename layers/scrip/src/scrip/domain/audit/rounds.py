"""Rounds of the audit: all accounts, one after the other, each within a day."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scrip.domain.audit.skew import is_ahead

WITHIN = timedelta(hours=24)
"""How often every account is audited, at least."""

SPARE = timedelta(hours=2)
"""The time to spare if a round lasts as long as the one before."""

COUNT_MAX = 2**53
"""More than a round can count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One audit of all accounts; `ended_at` is None while it is running.

    Of its `accounts`, `mismatches` have findings, and `unaudited` have too many entries to audit or
    were written by a newer version.
    """

    begun_at: datetime
    ended_at: datetime | None = None
    accounts: int = 0
    mismatches: int = 0
    unaudited: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether these values are possible."""
        instants = [self.begun_at, *([self.ended_at] if self.ended_at else [])]
        return (
            all(instant.tzinfo for instant in instants)
            and instants == sorted(instants)
            and all(
                0 <= counted <= COUNT_MAX
                for counted in (self.accounts, self.mismatches, self.unaudited)
            )
        )

    def is_ahead(self, now: datetime) -> bool:
        """Return whether it is in the future, by a wrong clock or an edit by hand."""
        return is_ahead(self.ended_at or self.begun_at, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of the audit: the current round, if any, and the last one that ended.

    `after` is the key of the last item that the round has processed. `step` counts the saves: a run
    that finds another step than its own was overtaken.
    """

    step: int = 0
    current: Round | None = None
    after: dict[str, str] | None = None
    last: Round | None = None

    @property
    def since(self) -> datetime | None:
        """When the last whole round began, or the first one if none has ended; None before that."""
        known = self.last or self.current
        return known.begun_at if known else None

    @property
    def mismatches(self) -> int:
        """How many accounts have findings, as far as is known."""
        return max((known.mismatches for known in (self.last, self.current) if known), default=0)

    @property
    def is_sound(self) -> bool:
        """Whether these values are possible."""
        return 0 <= self.step <= COUNT_MAX and all(
            known.is_sound for known in (self.last, self.current) if known
        )

    def believed(self, now: datetime) -> "Progress":
        """Return it without rounds that are in the future, which prove nothing."""
        progress = self
        if self.last and self.last.is_ahead(now):
            progress = replace(progress, last=None)
        if self.current and self.current.is_ahead(now):
            progress = replace(progress, current=None, after=None)
        return progress

    def is_due(self, now: datetime) -> bool:
        """Return whether a round must begin now to end within WITHIN of the last one's start."""
        if self.current or not self.last:
            return not self.current
        lasted = (self.last.ended_at or now) - self.last.begun_at
        return now >= self.last.begun_at + WITHIN - SPARE - lasted

    def begun(self, now: datetime) -> "Progress":
        """Return it with a new round in place of the current one."""
        return replace(self, current=Round(begun_at=now), after=None)

    def moved(
        self, after: dict[str, str] | None, *, accounts: int, mismatches: int, unaudited: int
    ) -> "Progress":
        """Return it with more accounts of the current round, up to a key."""
        assert self.current
        current = replace(
            self.current,
            accounts=self.current.accounts + accounts,
            mismatches=self.current.mismatches + mismatches,
            unaudited=self.current.unaudited + unaudited,
        )
        return replace(self, current=current, after=after)

    def ended(self, now: datetime) -> "Progress":
        """Return it with the current round ended."""
        assert self.current
        last = replace(self.current, ended_at=now)
        return replace(self, current=None, after=None, last=last)
