"""Skew: how far clocks may differ, and which instants no clock can have written."""

from datetime import datetime, timedelta

SKEW_MAX = timedelta(minutes=5)
"""An instant further ahead than this comes from a wrong clock or an edit by hand."""

REWIND_MAX = timedelta(hours=1)
"""How much earlier than the entry before it an entry may be recorded, with room to spare.

Two writers' clocks are at most twice `SKEW_MAX` apart: AWS refuses requests that were signed with a
clock that is more than five minutes off.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""


def is_ahead(instant: datetime, now: datetime) -> bool:
    """Return whether an instant cannot have passed yet by any clock."""
    return instant > now + SKEW_MAX
