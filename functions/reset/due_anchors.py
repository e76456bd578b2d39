"""Due anchors: the accounts whose period may have begun between two instants.

The directory lists accounts by the UTC day of the month and time of day of their anchors, but
boundaries are local, clamped to the end of short months. So the accounts that are due within an
hour are listed under more than one day:

- If the zone's offset never changed after the anchor, every boundary would be at the anchor's UTC
  time of day, and its UTC day would differ from its local day as the anchor's does: by -1, 0 or 1.
  This gives the anchor days that can be due on a UTC day, whatever the zone.
- Offsets do change, for the summer and by law: OFFSET_CHANGE_MAX is added on either side.

The result contains more accounts than those that are due. The worker settles each of them, and
leaves an account that is not due unchanged.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

OFFSET_CHANGE_MAX = timedelta(hours=3)
"""How far a zone's offset may move from an anchor to a boundary; none moved further since 2012."""

MONTH_MAX = timedelta(days=31)
"""The longest month: within it every account enters a new period."""

MONTH_LASTS = frozenset({28, 29, 30, 31})
"""The days that can be a month's last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorTimes:
    """Anchors on a day of the month between two times of day, both included: UTC, `HH:MM`."""

    day: int
    first: str = "00:00"
    last: str = "23:59"


def due_anchors(since: datetime | None, until: datetime) -> list[AnchorTimes]:
    """Return the anchor times of periods that may have begun after `since`, up to `until`.

    Each day of the month is returned at most once. Without `since` all days are, in full.
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
    """Yield the UTC days of a time range, each with the anchor days that may be due on it."""
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
    """Return the anchors' UTC days of the month that can have a boundary on a UTC day."""
    found = set()
    for shift in (-1, 0, 1):
        local = day + timedelta(days=shift)
        is_last = local.day == monthrange(local.year, local.month)[1]
        # On the last day of a short month, anchors on the days it lacks are due, too.
        for local_day in range(local.day, 32 if is_last else local.day + 1):
            found.add(local_day - shift)
            if shift == 1 and local_day == 1:
                found |= MONTH_LASTS
            if shift == -1 and local_day in MONTH_LASTS:
                found.add(1)
    return found & set(range(1, 32))
