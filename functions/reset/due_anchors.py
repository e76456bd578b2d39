"""Due anchors: whose period can have begun between two instants.

The directory lists accounts by the UTC day of the month and time of day of their anchors, but a
boundary is a local one, clamped to the end of short months. So what is due within an hour is to be
found under more than one day:

- Had the zone's offset never changed since the anchor, every boundary would lie on the anchor's own
  UTC time of day, and as many days from its local day as the anchor does: one before, none, or one
  after. So the anchor days that lead to a UTC day are known, whatever the zones.
- Offsets do change, for the summer and by decree: the search extends OFFSET_CHANGE_MAX to either
  side.

The result includes more than what is due. Each account found is settled, and one that is not due
stays unchanged.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

OFFSET_CHANGE_MAX = timedelta(hours=3)
"""How far a zone's offset moves between an anchor and a boundary; none moved further since 2012."""

MONTH_MAX = timedelta(days=31)
"""Within this time every account enters a new period."""

MONTH_LASTS = frozenset({28, 29, 30, 31})
"""The days that can be the last of a month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorTimes:
    """Anchors on a day of the month between two times of day, both included: UTC, `HH:MM`."""

    day: int
    first: str = "00:00"
    last: str = "23:59"


def due_anchors(since: datetime | None, until: datetime) -> list[AnchorTimes]:
    """Return where the accounts are whose period began after `since` and not after `until`.

    Each day of the month comes once at most; without a `since` all of them come, whole.
    """
    if since is None or until - since >= MONTH_MAX:
        return [AnchorTimes(day=day) for day in range(1, 32)]
    found: dict[int, AnchorTimes] = {}
    for times, days in _days_between(since - OFFSET_CHANGE_MAX, until + OFFSET_CHANGE_MAX):
        for day in days:
            known = found.get(day, times)
            found[day] = AnchorTimes(
                day=day,
                first=min(known.first, times.first),
                last=max(known.last, times.last),
            )
    return list(found.values())


def _days_between(first: datetime, last: datetime) -> Iterator[tuple[AnchorTimes, set[int]]]:
    """Yield the UTC days that a stretch of time touches, each with the anchor days due on it."""
    first, last = first.astimezone(UTC), last.astimezone(UTC)
    day = first.date()
    while day <= last.date():
        whole = AnchorTimes(day=day.day)
        times = AnchorTimes(
            day=day.day,
            first=f"{first:%H:%M}" if day == first.date() else whole.first,
            last=f"{last:%H:%M}" if day == last.date() else whole.last,
        )
        yield times, _anchor_days(day)
        day += timedelta(days=1)


def _anchor_days(day: date) -> set[int]:
    """Return the days of the month, in UTC, of anchors that have a boundary on a UTC day."""
    found = set()
    for shift in (-1, 0, 1):
        local = day + timedelta(days=shift)
        is_last = local.day == monthrange(local.year, local.month)[1]
        # On the last day of a short month those are due, too, whose day it does not have.
        for local_day in range(local.day, 32 if is_last else local.day + 1):
            found.add(local_day - shift)
            if shift == 1 and local_day == 1:
                found |= MONTH_LASTS
            if shift == -1 and local_day in MONTH_LASTS:
                found.add(1)
    return found & set(range(1, 32))
