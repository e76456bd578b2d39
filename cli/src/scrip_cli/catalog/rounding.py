"""How much rounding adds to what a typical model call costs."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

from scrip.domain.catalog import Feature
from scrip_cli.report import grouped

TYPICAL_CALL = {"input": 1_000, "output": 300}

ROUNDING_MAX = Fraction(2, 100)
"""How much of a typical call's cost rounding may add before a note says so."""


def rounding_notes(features: Iterable[Feature]) -> Iterator[str]:
    """Yield a note on each feature at whose prices rounding can add too much to a typical call."""
    for feature in features:
        if TYPICAL_CALL.keys() <= feature.meters.keys():
            cost = sum(
                Fraction(count * feature.meters[name].cost, feature.meters[name].per)
                for name, count in TYPICAL_CALL.items()
            )
            if 1 / cost > ROUNDING_MAX:
                yield (
                    f"{feature.feature_id}: a call with {grouped(TYPICAL_CALL['input'])} input "
                    f"and {TYPICAL_CALL['output']} output tokens costs {cost:.3g} credits, so "
                    f"rounding up can add {1 / cost:.0%}. Make a credit worth less."
                )
