"""When the next round of the audit begins, and what is known in between."""

from datetime import timedelta

import pytest

from scrip.domain.audit.rounds import SHARES, WHOLE_MAX, WITHIN, Counts, Progress, Round
from tests.unit.domain.examples import NOW

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def ended(lasted: timedelta) -> Progress:
    return Progress(last=Round(begun_at=NOW, ended_at=NOW + lasted))


@pytest.mark.parametrize(
    ("lasted", "begins_after"),
    [(MINUTE, 22 * HOUR - MINUTE), (4 * HOUR, 18 * HOUR), (11 * HOUR, 11 * HOUR)],
)
def test_a_round_begins_so_early_that_it_ends_within_a_day_of_the_last_ones_start(
    lasted: timedelta,
    begins_after: timedelta,
) -> None:
    assert begins_after + lasted <= WITHIN
    assert not ended(lasted).is_due(NOW + begins_after - MINUTE)
    assert ended(lasted).is_due(NOW + begins_after)


def test_the_first_round_is_due_at_once_and_none_while_one_is_under_way() -> None:
    assert Progress().is_due(NOW)
    assert not Progress().begun(NOW).is_due(NOW + 99 * HOUR)
    assert not ended(HOUR).begun(NOW + 22 * HOUR).is_due(NOW + 99 * HOUR)


def test_until_a_round_has_ended_it_proves_nothing() -> None:
    later = NOW + 22 * HOUR
    assert Progress().since is None
    assert Progress().begun(NOW).since == NOW
    under_way = ended(HOUR).begun(later)
    assert under_way.since == NOW
    assert under_way.ended(later + HOUR).since == later


def test_what_was_found_is_told_until_a_whole_round_finds_less() -> None:
    found = Progress().begun(NOW).counted(Counts(accounts=9, mismatches=2, unaudited=1))
    assert found.mismatches == 2
    again = found.ended(NOW + HOUR).begun(NOW + 2 * HOUR)
    assert (again.current, again.mismatches) == (Round(begun_at=NOW + 2 * HOUR), 2)
    assert again.counted(Counts(accounts=9, mismatches=3)).mismatches == 3
    assert again.ended(NOW + 3 * HOUR).mismatches == 0


def test_a_large_table_is_audited_whole_at_first_then_a_share_a_round() -> None:
    progress, shares = Progress(), []
    for number in range(SHARES + 2):
        progress = progress.begun(NOW + number * HOUR)
        assert progress.current
        shares.append(progress.current.share)
        progress = progress.counted(Counts(accounts=WHOLE_MAX + 1)).ended(NOW + number * HOUR)
    assert shares == [None, *range(SHARES), 0]
    assert whole(progress.begun(NOW + 99 * HOUR, whole=True)), "on request"


def test_a_small_table_is_always_audited_whole() -> None:
    small = Progress().begun(NOW).counted(Counts(accounts=WHOLE_MAX)).ended(NOW)
    assert whole(small.begun(NOW + 22 * HOUR))


def whole(progress: Progress) -> bool:
    return progress.current is not None and progress.current.share is None
