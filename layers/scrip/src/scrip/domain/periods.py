"""Calendar months from an anchor: the boundaries of an account's periods.

The k-th boundary is `anchor + k months` on the wall clock of the account's time zone, always from
the original anchor (31 January -> 28 February -> 31 March). A wall time that the clock skips is
replaced by the first valid instant after it; of one that occurs twice the earlier counts. Periods
are half-open.
"""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=1_024)  # a command needs the same two several times
def boundary(anchor: datetime, zone: ZoneInfo, k: int) -> datetime:
    """Return the start (UTC) of an account's period k; period 0 starts at the anchor."""
    if k == 0:
        return anchor
    local = anchor.astimezone(zone)
    months = local.year * 12 + local.month - 1 + k
    year, month = months // 12, months % 12 + 1
    day = min(local.day, monthrange(year, month)[1])
    return _first_instant(local.replace(year=year, month=month, day=day, fold=0))


def month_start(now: datetime, zone: ZoneInfo) -> datetime:
    """Return the start (UTC) of the local month of `now`."""
    local = now.astimezone(zone)
    return _first_instant(
        local.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0),
    )


def _first_instant(local: datetime) -> datetime:
    """Return the first instant (UTC) at which the wall clock shows or has skipped `local`."""
    instant = local.astimezone(UTC)
    if instant.astimezone(local.tzinfo).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    # In a gap, fold=0 uses the offset before it and fold=1 the one after it: the two instants
    # enclose the moment at which the clock jumped. Offsets change at whole seconds.
    low, high = local.replace(fold=1).astimezone(UTC), instant
    low, high = low.replace(microsecond=0), high.replace(microsecond=0)
    offset_after = high.astimezone(local.tzinfo).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        if middle.astimezone(local.tzinfo).utcoffset() == offset_after:
            high = middle
        else:
            low = middle
    return high
