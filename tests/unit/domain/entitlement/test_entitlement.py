"""Whole lives of customers: everybody has what they paid for, in every order.

`python -m tests.unit.domain.entitlement 10000` makes more of them, and `--show SEED` a small one.
"""

from __future__ import annotations

import pytest

from tests.unit.domain.entitlement.lives import Habits, life
from tests.unit.domain.entitlement.properties import problems

PLAIN = Habits(holds=0, refunds=0, disputes=False, plans=("starter", "growth", "odd"))
"""What the books can follow to the last credit."""


@pytest.mark.parametrize("seed", range(40))
def test_everybody_has_what_they_paid_for_to_the_last_credit(seed: int) -> None:
    assert list(problems(life(seed, PLAIN))) == [], f"--plain --show {seed}"


@pytest.mark.parametrize("seed", range(40))
def test_terms_bring_what_was_paid_for_whatever_else_happens(seed: int) -> None:
    assert list(problems(life(seed))) == [], f"--show {seed}"


@pytest.mark.parametrize("seed", range(20))
def test_what_an_admin_overrides_counts_from_then_on(seed: int) -> None:
    overridden = Habits(overrides=1, disputes=False)
    assert list(problems(life(seed, overridden))) == [], f"--overrides 1 --show {seed}"
