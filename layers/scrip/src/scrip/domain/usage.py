"""Usage per day and feature, and which entries it already counts."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from scrip.domain.entries import Entry, EntryType


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureUse:
    """The use of a feature; `feature` is None for uses by amount.

    `credits` is what `count` uses cost before refunds, on an unlimited plan what they would have
    cost. `meters` is what was counted of each. `refunded` is what was refunded that day, whenever
    the use was.
    """

    feature: str | None = None
    credits: int = 0
    count: int = 0
    refunded: int = 0
    meters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayUsage:
    """An account's usage on one day.

    `counted` are the seqs of the entries counted so far, of any type, as ascending ranges
    [first, last]; usually there is one range. So counting can be repeated safely, in any order and
    in any batches.
    """

    counted: tuple[tuple[int, int], ...] = ()
    uses: tuple[FeatureUse, ...] = ()

    def with_entries(self, entries: Iterable[Entry]) -> "DayUsage":
        """Return the usage with entries added that it does not count yet."""
        uses = {use.feature: use for use in self.uses}
        seqs = set()
        for entry in entries:
            if entry.seq in seqs or self._has(entry.seq):
                continue
            seqs.add(entry.seq)
            use, cost = (
                uses.get(entry.feature) or FeatureUse(feature=entry.feature),
                entry.cost or 0,
            )
            match entry.type:
                case EntryType.USAGE:
                    meters = Counter(use.meters) + Counter(entry.usage or {})
                    use = replace(
                        use, credits=use.credits + cost, count=use.count + 1, meters=dict(meters)
                    )
                case EntryType.REFUND:
                    use = replace(use, refunded=use.refunded + cost)
                case _:
                    continue
            uses[entry.feature] = use
        return DayUsage(counted=_joined(self.counted, seqs), uses=tuple(uses.values()))

    def _has(self, seq: int) -> bool:
        return any(first <= seq <= last for first, last in self.counted)


def _joined(ranges: tuple[tuple[int, int], ...], seqs: set[int]) -> tuple[tuple[int, int], ...]:
    """Return as few ranges as possible that contain these ranges and seqs."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted([*ranges, *((seq, seq) for seq in seqs)]):
        if joined and first == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return tuple(joined)
