"""The CPU time of a consume, compared with that of its necessary boto3 calls."""

from __future__ import annotations

from bench.cpu import measure

RATIO_MAX = 1.3
FLAT = 0.1
"""The relative difference that noise may cause between a short and a long history."""

TRIES = 3
"""The most measurements, as other processes can disturb one."""


def test_a_consume_uses_little_more_cpu_than_its_calls_for_any_length_of_history() -> None:
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
