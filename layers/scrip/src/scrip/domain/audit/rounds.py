"""Rounds of the audit: all accounts, one after the other, so that each is proved in time."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scrip.domain.audit.skew import is_ahead

WITHIN = timedelta(hours=24)
"""Every account is audited at least so often."""

SPARE = timedelta(hours=2)
"""A round ends so much earlier, if it lasts as long as the one before."""

COUNT_MAX = 2**53
"""Nothing that a round counts comes so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One audit of all accounts; `ended_at` is None while it is under way.

    Of its `accounts`, something is wrong with the `mismatches`, and the `unaudited` have more
    entries than there is time for.
    """

    begun_at: datetime
    ended_at: datetime | None = None
    accounts: int = 0
    mismatches: int = 0
    unaudited: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether a round can be so."""
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
        """Tell whether it is in the future: a wrong clock, or a hand, has written it."""
        return is_ahead(self.ended_at or self.begun_at, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the audit has come: the round under way, if any, and the last one that ended.

    `after` is the key of the last item of the table that the round is done with, and `step` counts
    how often it was saved: a run that finds another step than its own was overtaken.
    """

    step: int = 0
    current: Round | None = None
    after: dict[str, str] | None = None
    last: Round | None = None

    @property
    def since(self) -> datetime | None:
        """Since when every account was audited, or nobody knows better; None before the first."""
        known = self.last or self.current
        return known.begun_at if known else None

    @property
    def mismatches(self) -> int:
        """With how many accounts something is wrong, as far as it is known by now."""
        return max((known.mismatches for known in (self.last, self.current) if known), default=0)

    @property
    def is_sound(self) -> bool:
        """Whether that can be how far it has come."""
        return 0 <= self.step <= COUNT_MAX and all(
            known.is_sound for known in (self.last, self.current) if known
        )

    def believed(self, now: datetime) -> "Progress":
        """Return it without the rounds that are in the future: they prove nothing."""
        progress = self
        if self.last and self.last.is_ahead(now):
            progress = replace(progress, last=None)
        if self.current and self.current.is_ahead(now):
            progress = replace(progress, current=None, after=None)
        return progress

    def is_due(self, now: datetime) -> bool:
        """Tell whether the next round must begin, to end within WITHIN of the last one's start."""
        if self.current or not self.last:
            return not self.current
        lasted = (self.last.ended_at or now) - self.last.begun_at
        return now >= self.last.begun_at + WITHIN - SPARE - lasted

    def begun(self, now: datetime) -> "Progress":
        """Return it with a new round, whatever has become of the one under way."""
        return replace(self, current=Round(begun_at=now), after=None)

    def moved(
        self, after: dict[str, str] | None, *, accounts: int, mismatches: int, unaudited: int
    ) -> "Progress":
        """Return it with some more accounts of the round under way, up to a key."""
        assert self.current
        current = replace(
            self.current,
            accounts=self.current.accounts + accounts,
            mismatches=self.current.mismatches + mismatches,
            unaudited=self.current.unaudited + unaudited,
        )
        return replace(self, current=current, after=after)

    def ended(self, now: datetime) -> "Progress":
        """Return it with the round under way at its end."""
        assert self.current
        last = replace(self.current, ended_at=now)
        return replace(self, current=None, after=None, last=last)
