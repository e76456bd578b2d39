"""What a consume costs of our own CPU, beside the boto3 calls that it cannot do without."""

from __future__ import annotations

from bench.cpu import measure

RATIO_MAX = 1.3
FLAT = 0.1
"""How much a longer history may seem to change: nothing but noise."""

TRIES = 3
"""So often it is measured, where others disturb it."""


def test_a_consume_costs_little_more_cpu_than_its_bare_calls_however_long_the_history() -> None:
    tries = []
    for _ in range(TRIES):
        short, long = measure(quick=True)["rows"]
        assert (short["entries"], long["entries"]) == (10, 1_000)
        tries.append((short, long))
        is_flat = abs(long["handler_to_bare_ratio"] / short["handler_to_bare_ratio"] - 1) <= FLAT
        if (
            is_flat
            and max(short["handler_to_bare_ratio"], long["handler_to_bare_ratio"]) <= RATIO_MAX
        ):
            return
    raise AssertionError(tries)
