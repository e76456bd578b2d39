"""Boundaries of calendar months, against an oracle that scans the clock."""

from calendar import monthrange
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrip.domain.periods import boundary, month_start
from scrip.domain.settle import settled
from tests.unit.domain.examples import CATALOG, opened

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",  # clocks changed at midnight
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Apia",  # skipped all of 30 December 2011
]

YEARS_5 = 5 * 12
YEARS_40 = 40 * 12
HOUR = timedelta(hours=1)


def oracle(anchor: datetime, zone: ZoneInfo, k: int) -> datetime:
    """Scan the clock, finally by the minute, for the first instant that shows the wall time."""
    local = anchor.astimezone(zone)
    month = local.year * 12 + local.month - 1 + k
    year, month = month // 12, month % 12 + 1
    day = min(local.day, monthrange(year, month)[1])
    wall = datetime(year, month, day, local.hour, local.minute)
    instant = wall.replace(tzinfo=UTC) - 15 * HOUR  # no offset exceeds 14 hours
    # Whole hours until shortly before it, then shorter steps than any clock is set back.
    for step, margin in ((HOUR, 3 * HOUR), (HOUR / 4, 0 * HOUR), (HOUR / 60, 0 * HOUR)):
        while (instant + step).astimezone(zone).replace(tzinfo=None) < wall - margin:
            instant += step
    return instant + timedelta(minutes=1)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("day", range(1, 32))
def test_every_boundary_of_40_years_matches_the_oracle(zone: str, day: int) -> None:
    local = ZoneInfo(zone)
    # Half past two is in most zones' gaps and overlaps, midnight in the others'.
    for hour, minute in ((2, 30), (0, 0)):
        anchor = datetime(2008, 1, day, hour, minute, tzinfo=local).astimezone(UTC)
        for k in range(YEARS_40 + 1) if hour else range(0, YEARS_40, 25):
            assert boundary(anchor, local, k) == oracle(anchor, local, k), (k, hour)


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1)),
    st.sampled_from([*ZONES, "UTC", "Asia/Kathmandu", "Africa/Casablanca", "Pacific/Chatham"]),
    st.integers(0, YEARS_5),
)
def test_a_boundary_begins_its_period_and_ends_the_one_before(
    anchor: datetime,
    zone: str,
    k: int,
) -> None:
    anchor, local = anchor.replace(tzinfo=UTC), ZoneInfo(zone)
    account = replace(opened(now=anchor), time_zone=zone)
    start = boundary(anchor, local, k)
    assert settled(account, CATALOG, start).period == k
    assert settled(account, CATALOG, start - timedelta(microseconds=1)).period == max(0, k - 1)
    assert start < boundary(anchor, local, k + 1)


def test_boundaries_count_from_the_anchor_and_not_from_the_previous_boundary() -> None:
    anchor = datetime(2026, 1, 31, 9, tzinfo=UTC)
    days = [boundary(anchor, ZoneInfo("UTC"), k).strftime("%d %b") for k in range(5)]
    assert days == ["31 Jan", "28 Feb", "31 Mar", "30 Apr", "31 May"]


def test_a_skipped_time_becomes_the_first_valid_instant_after_it() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    anchor = datetime(2026, 2, 28, 2, 30, tzinfo=berlin).astimezone(UTC)
    # On 29 March 2026 the clock jumps from 2 to 3 o'clock; the 28th is the day before.
    assert boundary(anchor, berlin, 1) == datetime(2026, 3, 28, 1, 30, tzinfo=UTC)
    anchor = datetime(2026, 1, 29, 2, 30, tzinfo=berlin).astimezone(UTC)
    assert boundary(anchor, berlin, 2) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


def test_the_earlier_of_two_instants_with_the_same_time_counts() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    anchor = datetime(2026, 9, 25, 2, 30, tzinfo=berlin).astimezone(UTC)
    assert boundary(anchor, berlin, 1) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_month_starts_at_local_midnight() -> None:
    now = datetime(2026, 3, 31, 23, 30, tzinfo=UTC)
    assert month_start(now, ZoneInfo("UTC")) == datetime(2026, 3, 1, tzinfo=UTC)
    assert month_start(now, ZoneInfo("Europe/Berlin")) == datetime(2026, 3, 31, 22, tzinfo=UTC)
