"""When a call is retried, and how long it pauses before."""

from datetime import UTC, datetime

import pytest

from scrip_client.retries import PAUSE_SECONDS, PAUSE_SECONDS_MAX, is_transient, pause_seconds

NOW = datetime(2026, 11, 21, 13, 5, 0, tzinfo=UTC)


def test_pauses_are_random_below_a_bound_that_grows_to_a_limit() -> None:
    for number in (0, 1, 10):
        highest = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS * 2**number)
        pauses = [pause_seconds(number, None, NOW) for _ in range(300)]
        assert 0 <= min(pauses) < highest / 10
        assert highest * 9 / 10 < max(pauses) <= highest


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("3", 3),
        ("0", 0),
        ("Sat, 21 Nov 2026 13:05:07 GMT", 7),
        ("Sat, 21 Nov 2026 13:05:07 -0000", 7),
        ("Sat, 21 Nov 2026 15:05:07 +0200", 7),
        ("Sat, 21 Nov 2026 13:04:59 GMT", 0),
        ("-1", 0),
        ("soon", 0),
        ("", 0),
        ("Sat, 21 Nov 99999999999999999999 13:05:07 GMT", 0),
        ("Sat, 21 Nov 2026 13:05:07 +999999999999999", 0),
    ],
)
def test_a_pause_lasts_at_least_as_long_as_retry_after_asks(
    retry_after: str, seconds: float
) -> None:
    pauses = [pause_seconds(0, retry_after, NOW) for _ in range(50)]
    assert seconds <= min(pauses) <= max(pauses) <= seconds + PAUSE_SECONDS
    assert len(set(pauses)) > 1


def test_only_transient_failures_are_retried() -> None:
    assert all(is_transient(status, {}) for status in (408, 429, *range(500, 600)))
    assert not any(is_transient(status, {}) for status in (200, 302, *range(400, 405), 409, 422))
    odd: list[object] = ["internal_error", "x", None, []]
    assert all(is_transient(500, {"code": code}) for code in odd)
    assert not is_transient(500, {"code": "catalog_unsound"})
    assert not is_transient(500, {"code": "corrupt_account"})
    assert not is_transient(429, {"code": "hold_rate_limited"})
