"""Skew: how far the clocks of two machines are apart, and what none of them can have written."""

from datetime import datetime, timedelta

SKEW_MAX = timedelta(minutes=5)
"""What is said to have happened later than this from now comes from a wrong clock, or a hand."""


def is_ahead(instant: datetime, now: datetime) -> bool:
    """Tell whether something said to have happened cannot have happened by now."""
    return instant > now + SKEW_MAX
