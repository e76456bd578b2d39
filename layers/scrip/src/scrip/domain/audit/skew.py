"""Skew: how far the clocks of two machines are apart, and what none of them can have written."""

from datetime import datetime, timedelta

SKEW_MAX = timedelta(minutes=5)
"""What is said to have happened later than this from now comes from a wrong clock, or a hand."""

REWIND_MAX = timedelta(hours=1)
"""How much earlier than an entry before it an entry may be recorded, with room to spare.

Two writers' clocks are at most twice `SKEW_MAX` apart: AWS refuses requests that were signed with a
clock that is more than five minutes off.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""


def is_ahead(instant: datetime, now: datetime) -> bool:
    """Tell whether something said to have happened cannot have happened by now."""
    return instant > now + SKEW_MAX
