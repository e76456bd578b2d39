"""The anchors that a sweep reads, compared with the boundaries of every time zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import given, settings
from hypothesis import strategies as st

from functions.reset.due_anchors import AnchorTimes, due_anchors
from scrip.domain.periods import boundary

HOUR = timedelta(hours=1)
ALL_DAYS = [AnchorTimes(day=day) for day in range(1, 32)]


def reads(anchor: datetime, since: datetime, until: datetime) -> bool:
    """Return whether a sweep reads an anchor."""
    return any(
        times.day == anchor.day and times.first <= f"{anchor:%H:%M}" <= times.last
        for times in due_anchors(since, until)
    )


# Half of the examples are near month ends and midnights, the hard cases.
anchors = st.datetimes(datetime(2012, 1, 1), datetime(2032, 1, 1)) | st.builds(
    lambda month, minutes: month + timedelta(minutes=minutes),
    st.builds(datetime, st.integers(2012, 2031), st.integers(1, 12), st.just(1)),
    st.integers(-3 * 24 * 60, 24 * 60),
)


@settings(max_examples=300)
@given(
    anchors,
    st.sampled_from(sorted(available_timezones())),
    st.integers(1, 60),
    st.timedeltas(timedelta(milliseconds=1), 2 * HOUR)
    | st.timedeltas(timedelta(milliseconds=1), timedelta(days=40)),
    st.floats(0, 1, exclude_max=True),
)
def test_the_run_of_a_boundarys_hour_reads_its_account(
    anchor: datetime,
    zone: str,
    k: int,
    length: timedelta,
    part: float,
) -> None:
    anchor = anchor.replace(tzinfo=UTC)
    due = boundary(anchor, ZoneInfo(zone), k)
    # A run covers the time after `since` up to and including `until`.
    since = due - length + part * (length - timedelta(microseconds=1))
    assert reads(anchor, due - length, due)
    assert reads(anchor, since, since + length)


def test_an_anchor_at_a_month_end_is_due_on_its_local_day() -> None:
    # 31 March 23:30 UTC is 1 April in Berlin, and 30 April 23:30 is 1 May there.
    for anchor, zone, due in (
        (datetime(2026, 1, 31, 9, tzinfo=UTC), "UTC", datetime(2026, 2, 28, 9, tzinfo=UTC)),
        (
            datetime(2026, 3, 31, 22, 30, tzinfo=UTC),
            "Europe/Berlin",
            datetime(2026, 4, 30, 22, 30, tzinfo=UTC),
        ),
        (
            datetime(2026, 4, 30, 22, 30, tzinfo=UTC),
            "Europe/Berlin",
            datetime(2026, 5, 31, 22, 30, tzinfo=UTC),
        ),
        (
            datetime(2026, 5, 1, 2, tzinfo=UTC),
            "America/New_York",
            datetime(2026, 5, 31, 2, tzinfo=UTC),
        ),
    ):
        assert boundary(anchor, ZoneInfo(zone), 1) == due
        assert reads(anchor, due - HOUR, due)


def test_an_hour_in_the_middle_of_a_month_is_a_few_hours_of_one_day() -> None:
    until = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert due_anchors(until - HOUR, until) == [AnchorTimes(day=21, first="08:00", last="15:00")]


def test_an_hour_around_midnight_is_a_few_hours_of_two_days() -> None:
    until = datetime(2026, 11, 21, 1, tzinfo=UTC)
    assert due_anchors(until - HOUR, until) == [
        AnchorTimes(day=20, first="21:00"),
        AnchorTimes(day=21, last="04:00"),
    ]


def test_the_run_after_an_outage_of_two_days_reads_two_days() -> None:
    until = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert due_anchors(until - timedelta(days=2), until) == [
        AnchorTimes(day=19, first="09:00"),
        AnchorTimes(day=20),
        AnchorTimes(day=21, last="15:00"),
    ]


def test_the_first_run_and_one_after_a_month_read_everything() -> None:
    until = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert due_anchors(None, until) == ALL_DAYS
    assert due_anchors(until - timedelta(days=31), until) == ALL_DAYS
    assert due_anchors(until - timedelta(days=900), until) == ALL_DAYS
