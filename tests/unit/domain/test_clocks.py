"""Accounts with a clock of their own."""

from datetime import timedelta

import pytest

from scrip.domain.clocks import AHEAD_MAX
from scrip.domain.errors import ClockBehindError, InstantTooFarError
from tests.unit.domain import examples
from tests.unit.domain.examples import DAY, NOW, do, opened, own_entry

SECOND = timedelta(seconds=1)


def test_everything_happens_at_the_accounts_own_time_which_runs_on() -> None:
    ahead = do(opened(), examples.clock(NOW + 40 * DAY)).after
    used = do(ahead, examples.consume(5), NOW + SECOND)
    assert own_entry(used).recorded_at == NOW + 40 * DAY + SECOND
    assert [entry.entry_id for entry in used.entries][:1] == ["expiry:g2"], "a month has passed"


def test_setting_the_clock_writes_an_audit_record_and_no_entry() -> None:
    posting = do(opened(), examples.clock(NOW + DAY))
    assert posting.entries == ()
    assert posting.audit is not None
    assert (posting.audit.before, posting.audit.after) == (
        {"now": "2026-01-31T12:00:00.000Z"},
        {"now": "2026-02-01T12:00:00.000Z"},
    )


def test_a_clock_is_set_forward_only() -> None:
    ahead = do(opened(), examples.clock(NOW + DAY)).after
    with pytest.raises(ClockBehindError) as refused:
        do(ahead, examples.clock(NOW + DAY + SECOND), NOW + 2 * SECOND)
    assert refused.value.now == NOW + DAY + 2 * SECOND
    for later in (2 * SECOND, 3 * SECOND):
        moved = do(ahead, examples.clock(NOW + DAY + later), NOW + 2 * SECOND).after
        assert moved.time(NOW + 5 * SECOND) == NOW + DAY + later + 3 * SECOND


def test_a_retry_sets_nothing_again() -> None:
    ahead = do(opened(), examples.clock(NOW + DAY)).after
    assert do(ahead, examples.clock(NOW + DAY), NOW + SECOND).after == ahead


def test_a_clock_is_at_most_ten_years_ahead_of_the_stacks() -> None:
    for over in (-SECOND, timedelta()):
        do(opened(), examples.clock(NOW + AHEAD_MAX + over))
    with pytest.raises(InstantTooFarError):
        do(opened(), examples.clock(NOW + AHEAD_MAX + SECOND))
