"""Rounds of the audit: all accounts, one after the other, each within a day."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from scrip.domain.audit.skew import is_ahead

WITHIN = timedelta(hours=24)
"""How often every account is audited, at least."""

SPARE = timedelta(hours=2)
"""The time to spare if a round lasts as long as the one before."""

COUNT_MAX = 2**53
"""More than a round can count."""

SHARES = 30
"""In how many rounds, which begin at least daily, every account is audited from its first entry."""

SEGMENTS = 240
"""Into how many segments a round divides the table, if it audits all of it from the first entries:
no more workers can do that at once."""

SEGMENTS_SHARED = 32 * SHARES
"""Into how many it divides the table otherwise, to audit a share of them."""

WHOLE_MAX = 10_000
"""Up to how many accounts each round audits all from their first entries, which costs cents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What was audited: accounts, those with findings, and those that could not be audited."""

    accounts: int = 0
    mismatches: int = 0
    unaudited: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        """Return the sums."""
        return Counts(
            accounts=self.accounts + other.accounts,
            mismatches=self.mismatches + other.mismatches,
            unaudited=self.unaudited + other.unaudited,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One audit of all accounts; `ended_at` is None while it is running.

    Of its `accounts`, `mismatches` have findings, and `unaudited` have too many entries to audit or
    were written by a newer version. `share` is the share of the table that it audits from the first
    entries on, beside what is new on all accounts; None if it audits all of the table so. `number`
    differs from that of another that began in the same second.
    """

    begun_at: datetime
    ended_at: datetime | None = None
    accounts: int = 0
    mismatches: int = 0
    unaudited: int = 0
    share: int | None = None
    number: int = 0

    @property
    def round_id(self) -> str:
        """The name of the round in messages and keys."""
        return f"{self.begun_at.astimezone(UTC):%Y%m%dT%H%M%S}-{self.number}"

    @property
    def is_sound(self) -> bool:
        """Whether these values are possible."""
        instants = [self.begun_at, *([self.ended_at] if self.ended_at else [])]
        return (
            all(instant.tzinfo for instant in instants)
            and instants == sorted(instants)
            and all(
                0 <= counted <= COUNT_MAX
                for counted in (self.accounts, self.mismatches, self.unaudited, self.number)
            )
            and (self.share is None or 0 <= self.share < SHARES)
        )

    def is_ahead(self, now: datetime) -> bool:
        """Return whether it is in the future, by a wrong clock or an edit by hand."""
        return is_ahead(self.ended_at or self.begun_at, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of the audit: the current round, if any, and the last one that ended.

    `step` counts the saves: a run that finds another step than its own was overtaken.
    """

    step: int = 0
    current: Round | None = None
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
            progress = replace(progress, current=None)
        return progress

    def is_due(self, now: datetime) -> bool:
        """Return whether a round must begin now to end within WITHIN of the last one's start."""
        if self.current or not self.last:
            return not self.current
        lasted = (self.last.ended_at or now) - self.last.begun_at
        return now >= self.last.begun_at + WITHIN - SPARE - lasted

    def begun(self, now: datetime, *, whole: bool = False) -> "Progress":
        """Return it with a new round in place of the current one.

        It audits all of the table if that was never done, if the table is small, or if `whole`.
        """
        last, share = self.last, None
        if last and last.accounts > WHOLE_MAX and not whole:
            share = 0 if last.share is None else (last.share + 1) % SHARES
        return replace(self, current=Round(begun_at=now, share=share, number=self.step))

    def counted(self, counts: Counts) -> "Progress":
        """Return it with what the current round has counted so far."""
        assert self.current
        current = replace(
            self.current,
            accounts=counts.accounts,
            mismatches=counts.mismatches,
            unaudited=counts.unaudited,
        )
        return replace(self, current=current)

    def ended(self, now: datetime) -> "Progress":
        """Return it with the current round ended."""
        assert self.current
        return replace(self, current=None, last=replace(self.current, ended_at=now))
