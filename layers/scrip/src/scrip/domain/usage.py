"""Usage of a day by feature, and which entries have been counted into it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from scrip.domain.entries import Entry, EntryType


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureUse:
    """What was used of a feature; `feature` is None for uses by amount.

    `credits` is what `count` uses cost, before refunds; `refunded` what was given back, on the day
    of the refund, of uses of whatever day. On an unlimited plan it is what they would have cost.
    """

    feature: str | None = None
    credits: int = 0
    count: int = 0
    refunded: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DayUsage:
    """An account's use on one day.

    `counted` are the seqs of the entries that have been counted, whatever they did, as ascending
    ranges [first, last]: in the usual order of things there is one. It makes counting safe to
    repeat, in any order and in any parts.
    """

    counted: tuple[tuple[int, int], ...] = ()
    uses: tuple[FeatureUse, ...] = ()

    def with_entries(self, entries: Iterable[Entry]) -> "DayUsage":
        """Return the usage with those entries counted that were not yet."""
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
                    use = replace(use, credits=use.credits + cost, count=use.count + 1)
                case EntryType.REFUND:
                    use = replace(use, refunded=use.refunded + cost)
                case _:
                    continue
            uses[entry.feature] = use
        return DayUsage(counted=_joined(self.counted, seqs), uses=tuple(uses.values()))

    def _has(self, seq: int) -> bool:
        return any(first <= seq <= last for first, last in self.counted)


def _joined(ranges: tuple[tuple[int, int], ...], seqs: set[int]) -> tuple[tuple[int, int], ...]:
    """Return ranges with some more seqs in them, as few as can be."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted([*ranges, *((seq, seq) for seq in seqs)]):
        if joined and first == joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return tuple(joined)
