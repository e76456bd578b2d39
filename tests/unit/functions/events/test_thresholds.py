"""Thresholds that available credits cross."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.events.thresholds import Threshold, thresholds_crossed


@pytest.mark.parametrize(
    ("before", "after", "crossed"),
    [
        (100, 21, []),
        (21, 20, ["low"]),
        (21, 19, ["low"]),
        (20, 19, []),
        (20, 1, []),
        (1, 0, ["depleted"]),
        (1, -1, ["depleted"]),
        (0, -1, []),
        (100, 0, ["low", "depleted"]),
        (-1, 0, []),
        (-1, 1, ["recovered"]),
        (0, 1, ["recovered"]),
        (0, 100, ["recovered"]),
        (1, 100, []),
    ],
)
def test_a_threshold_is_crossed_by_reaching_it_from_its_other_side(
    before: int,
    after: int,
    crossed: list[str],
) -> None:
    assert thresholds_crossed(before, after, 20) == crossed


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=30), st.integers(0, 30))
def test_credits_run_out_again_only_after_recovering(
    available: list[int],
    low_credits: int,
) -> None:
    said = [
        crossing
        for before, after in pairwise(available)
        for crossing in thresholds_crossed(before, after, low_credits)
    ]
    out = [crossing for crossing in said if crossing is not Threshold.LOW]
    assert all(one != next_ for one, next_ in pairwise(out))
    # The events always say whether there are credits.
    assert (
        out[-1] if out else Threshold.RECOVERED if available[0] > 0 else Threshold.DEPLETED
    ) == (Threshold.RECOVERED if available[-1] > 0 else Threshold.DEPLETED)
    falls = [one for one, two in pairwise(available) if one > low_credits >= two]
    assert said.count(Threshold.LOW) == len(falls)
