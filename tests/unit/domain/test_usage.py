"""Daily usage: every entry counts once, however the stream delivers it."""

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scrip.domain.entries import Entry, EntryType
from scrip.domain.usage import DayUsage, FeatureUse
from tests.unit.domain.examples import consume, do, opened, own_entry

EXAMPLE = own_entry(do(opened(), consume(1)))


def entry(
    seq: int,
    type_: EntryType = EntryType.USAGE,
    cost: int | None = 1,
    feature: str | None = None,
    usage: Mapping[str, int] | None = None,
) -> Entry:
    return replace(EXAMPLE, seq=seq, type=type_, cost=cost, feature=feature, usage=usage)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Entry], list[list[Entry]]]:
    """Return a day's entries, and batches that contain all of them, in any order with repeats."""
    first = draw(st.integers(1, 5))
    day = [
        entry(first + n, type_, cost, feature, usage if type_ is EntryType.USAGE else None)
        for n, (type_, cost, feature, usage) in enumerate(
            draw(
                st.lists(
                    st.tuples(
                        st.sampled_from([EntryType.USAGE, EntryType.REFUND, EntryType.PLAN]),
                        st.integers(1, 9),
                        st.sampled_from([None, "chat", "image"]),
                        st.sampled_from([None, {"input": 3}, {"input": 0, "output": 2}]),
                    ),
                    max_size=12,
                ),
            ),
        )
    ]
    batches = draw(st.lists(st.lists(st.sampled_from(day)), max_size=5)) if day else []
    rest = draw(st.permutations(day))
    return day, draw(st.permutations([*batches, rest[:4], rest[4:]]))


@given(deliveries())
def test_every_entry_counts_once_in_any_order_and_any_batches(
    delivered: tuple[list[Entry], list[list[Entry]]],
) -> None:
    day, batches = delivered
    usage = DayUsage()
    for batch in batches:
        usage = usage.with_entries(batch)
        assert usage.with_entries(batch) == usage
    uses = {use.feature: use for use in usage.uses}
    for feature in (None, "chat", "image"):
        use = uses.get(feature, FeatureUse())
        used = [one for one in day if (one.type, one.feature) == (EntryType.USAGE, feature)]
        back = [one for one in day if (one.type, one.feature) == (EntryType.REFUND, feature)]
        assert use.count == len(used)
        assert use.credits == sum(one.cost or 0 for one in used)
        assert use.refunded == sum(one.cost or 0 for one in back)
        for meter in ("input", "output"):
            counted = sum((one.usage or {}).get(meter, 0) for one in used)
            assert use.meters.get(meter, 0) == counted
    assert usage.counted == (((day[0].seq, day[-1].seq),) if day else ())


def test_counted_entries_are_stored_as_ranges_that_merge() -> None:
    usage = DayUsage()
    for seq, counted in (
        (5, ((5, 5),)),
        (7, ((5, 5), (7, 7))),
        (8, ((5, 5), (7, 8))),
        (6, ((5, 8),)),
        (6, ((5, 8),)),
        (1, ((1, 1), (5, 8))),
    ):
        usage = usage.with_entries([entry(seq)])
        assert usage.counted == counted
    assert usage.uses == (FeatureUse(credits=5, count=5),)


def test_use_on_an_unlimited_plan_counts_with_its_price() -> None:
    used = own_entry(do(opened("unlimited"), consume(7)))
    assert used.amount == 0
    assert DayUsage().with_entries([used]).uses == (FeatureUse(credits=7, count=1),)
