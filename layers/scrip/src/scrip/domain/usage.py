"""What entries come to, by day and by reference, and which entries are already counted."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from scrip.domain.entries import Entry, EntryType

MODEL_CHARACTERS_MAX = 128

LINES_MAX = 200
"""How many lines one item has at most, so that it stays small. Past that, models are left out."""

RANGES_MAX = 200
"""How many ranges of seqs a reference keeps. Its entries can lie far apart."""

USED = frozenset({EntryType.USAGE, EntryType.REFUND})
"""The entries that are usage."""

type Ranges = tuple[tuple[int, int], ...]
"""Seqs, as ascending ranges [first, last]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What `count` entries of one type, feature and model come to.

    `amount` is how much they changed the balance, `credits` what the uses cost and the refunds gave
    back: on an unlimited plan only the balance stays as it was. `meters` is what was counted of
    each.
    """

    type: EntryType
    feature: str | None = None
    model: str | None = None
    count: int = 0
    amount: int = 0
    credits: int = 0
    meters: Mapping[str, int] = field(default_factory=dict)

    @property
    def place(self) -> tuple[EntryType, str | None, str | None]:
        """Type, feature and model: no two lines of a day have the same."""
        return self.type, self.feature, self.model


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

    `counted` are the seqs of the entries counted so far, of any type; usually there is one range.
    So counting can be repeated safely, in any order and in any batches. `referenced` is how many of
    them have a reference.

    `lines` are all entries by type, feature and model; `uses` says the same of the uses by feature
    alone, for the version before, which keeps no lines.
    """

    counted: Ranges = ()
    uses: tuple[FeatureUse, ...] = ()
    lines: tuple[Line, ...] = ()
    referenced: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether the lines have every entry counted. The version before counts without them."""
        return sum(line.count for line in self.lines) == length(self.counted)

    @property
    def used(self) -> tuple[Line, ...]:
        """The lines of uses and refunds; of a day that the version before counted, by feature."""
        if self.is_whole:
            return used(self.lines)
        return tuple(
            line
            for use in self.uses
            for line in (
                Line(
                    type=EntryType.USAGE,
                    feature=use.feature,
                    count=use.count,
                    credits=use.credits,
                    meters=use.meters,
                ),
                Line(type=EntryType.REFUND, feature=use.feature, credits=use.refunded),
            )
        )

    def with_entries(self, entries: Iterable[Entry]) -> "DayUsage":
        """Return the usage with entries added that it does not count yet."""
        fresh = uncounted(self.counted, entries)
        uses = {use.feature: use for use in self.uses}
        for entry in fresh:
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
        return DayUsage(
            counted=joined(self.counted, fresh),
            uses=tuple(uses.values()),
            lines=with_lines(self.lines, fresh),
            referenced=self.referenced + sum(1 for entry in fresh if entry.reference),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceUsage:
    """What an account's entries with one reference come to on one day, and when they were recorded.

    `counted` are their seqs. Past RANGES_MAX ranges the lowest ones are joined, and then include
    entries between them that have another reference.
    """

    counted: Ranges = ()
    lines: tuple[Line, ...] = ()
    first_at: datetime | None = None
    last_at: datetime | None = None

    def with_entries(self, entries: Iterable[Entry]) -> "ReferenceUsage":
        """Return the usage with entries of this reference added that it does not count yet."""
        fresh = uncounted(self.counted, entries)
        instants = [entry.recorded_at for entry in fresh]
        instants += [at for at in (self.first_at, self.last_at) if at]
        counted = joined(self.counted, fresh)
        low, high = counted[: 1 - RANGES_MAX], counted[1 - RANGES_MAX :]
        return ReferenceUsage(
            counted=((low[0][0], low[-1][1]), *high) if low else counted,
            lines=with_lines(self.lines, fresh),
            first_at=min(instants, default=None),
            last_at=max(instants, default=None),
        )


def used(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return the lines of uses and refunds."""
    return tuple(line for line in lines if line.type in USED)


def model_of(entry: Entry) -> str | None:
    """Return the model that an entry was for, if its metadata names one as `model`."""
    model = (entry.metadata or {}).get("model")
    if isinstance(model, str) and 0 < len(model) <= MODEL_CHARACTERS_MAX:
        return model
    return None


def with_lines(lines: Iterable[Line], entries: Iterable[Entry]) -> tuple[Line, ...]:
    """Return lines with entries added."""
    by_place = {line.place: line for line in lines}
    for entry in entries:
        line = line_of(entry)
        if line.place not in by_place and len(by_place) >= LINES_MAX:
            line = replace(line, model=None)
        by_place[line.place] = _sum(by_place.get(line.place), line)
    return tuple(by_place.values())


def add_up(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return lines with those of the same place in one."""
    by_place: dict[tuple[EntryType, str | None, str | None], Line] = {}
    for line in lines:
        by_place[line.place] = _sum(by_place.get(line.place), line)
    return tuple(by_place.values())


def line_of(entry: Entry) -> Line:
    """Return what one entry comes to."""
    used = (entry.usage or {}) if entry.type is EntryType.USAGE else {}
    return Line(
        type=entry.type,
        feature=entry.feature,
        model=model_of(entry),
        count=1,
        amount=entry.amount,
        credits=entry.cost or 0,
        meters={name: count for name, count in used.items() if count},
    )


def _sum(so_far: Line | None, line: Line) -> Line:
    if so_far is None:
        return line
    return replace(
        so_far,
        count=so_far.count + line.count,
        amount=so_far.amount + line.amount,
        credits=so_far.credits + line.credits,
        meters=dict(Counter(so_far.meters) + Counter(line.meters)),
    )


def uncounted(counted: Ranges, entries: Iterable[Entry]) -> list[Entry]:
    """Return those entries whose seqs have not been counted, each once."""
    fresh: dict[int, Entry] = {}
    for entry in entries:
        if not any(first <= entry.seq <= last for first, last in counted):
            fresh.setdefault(entry.seq, entry)
    return list(fresh.values())


def length(ranges: Ranges) -> int:
    """Return how many seqs there are in ranges."""
    return sum(last - first + 1 for first, last in ranges)


def joined(ranges: Ranges, entries: Iterable[Entry]) -> Ranges:
    """Return as few ranges as possible that contain these ranges and entries."""
    found: list[tuple[int, int]] = []
    for first, last in sorted([*ranges, *((entry.seq, entry.seq) for entry in entries)]):
        if found and first == found[-1][1] + 1:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return tuple(found)
