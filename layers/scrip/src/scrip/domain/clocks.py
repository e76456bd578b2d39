"""Clocks: the time at which an account lives, which on stage dev can be ahead of the stack's."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from scrip.domain.errors import InstantTooFarError

AHEAD_MAX = timedelta(days=3_653)
"""How far ahead an account can be asked for, or its clock set: 10 years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnClock:
    """A clock that showed `now` when the stack's clock showed `set_at`, and runs on from there."""

    now: datetime
    set_at: datetime

    def time(self, stack_time: datetime) -> datetime:
        """Return what it shows when the stack's clock shows `stack_time`."""
        return self.now + (stack_time - self.set_at)


def check_not_too_far(instant: datetime, now: datetime) -> None:
    """Check that an instant is at most AHEAD_MAX ahead.

    Raises:
        InstantTooFarError: it is further away.
    """
    if instant > now + AHEAD_MAX:
        raise InstantTooFarError(now + AHEAD_MAX)
