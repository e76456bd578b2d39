"""What a use costs: the exact price of all that it counts, rounded up once."""

from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrip.domain.catalog import CREDITS_MAX, Feature, Price
from scrip.domain.errors import CostOutOfRangeError, UnknownMeterError

PRICES = st.builds(Price, cost=st.integers(1, 10**6), per=st.integers(1, 10**6))
METERS = st.dictionaries(
    st.sampled_from(["input", "cached_input", "cache_write", "output"]), PRICES, min_size=1
)
COUNTS = st.integers(0, 10**5)


def metered(**meters: Price) -> Feature:
    return Feature(feature_id="model", name="Model", meters=meters)


@st.composite
def uses(draw: st.DrawFn) -> tuple[Feature, dict[str, int]]:
    """Return a feature with meters, and a count of each."""
    meters = draw(METERS)
    return metered(**meters), {name: draw(COUNTS) for name in meters}


@given(uses())
def test_a_use_costs_its_exact_price_rounded_up_once(used: tuple[Feature, dict[str, int]]) -> None:
    feature, usage = used
    whole = prod(price.per for price in feature.meters.values())
    exact = sum(
        count * feature.meters[name].cost * (whole // feature.meters[name].per)
        for name, count in usage.items()
    )
    cost = feature.price(usage)
    assert (cost - 1) * whole < exact <= cost * whole


@given(uses(), st.data())
def test_more_of_a_meter_never_costs_less_and_the_order_of_meters_is_the_same(
    used: tuple[Feature, dict[str, int]], data: st.DataObject
) -> None:
    feature, usage = used
    cost = feature.price(usage)
    assert feature.price(dict(reversed(usage.items()))) == cost
    meter = data.draw(st.sampled_from(sorted(usage)))
    assert feature.price(usage | {meter: usage[meter] + data.draw(COUNTS)}) >= cost


@given(PRICES, COUNTS, COUNTS)
def test_a_count_costs_the_same_whole_or_split_between_meters_of_one_price(
    price: Price, some: int, rest: int
) -> None:
    split = metered(input=price, output=price).price({"input": some, "output": rest})
    assert split == metered(input=price).price({"input": some + rest})


@given(PRICES, COUNTS)
def test_a_quantity_costs_what_a_meter_of_the_same_price_does(price: Price, count: int) -> None:
    plain = Feature(feature_id="plain", name="Plain", cost=price.cost, per=price.per)
    assert plain.price({"quantity": count}) == metered(input=price).price({"input": count})


def test_what_a_feature_does_not_count_has_no_price() -> None:
    plain = Feature(feature_id="plain", name="Plain", cost=5)
    for feature, usage in (
        (metered(input=Price(cost=1)), {"input": 1, "output": 0}),
        (metered(input=Price(cost=1)), {"quantity": 1}),
        (plain, {"input": 1}),
    ):
        with pytest.raises(UnknownMeterError) as raised:
            feature.price(usage)
        assert raised.value.meters == ", ".join(feature.prices)


def test_a_use_costs_at_most_what_one_request_can_move() -> None:
    feature = metered(input=Price(cost=CREDITS_MAX), output=Price(cost=1, per=CREDITS_MAX))
    assert feature.price({"input": 1}) == CREDITS_MAX
    with pytest.raises(CostOutOfRangeError):
        feature.price({"input": 1, "output": 1})


def test_a_feature_has_either_a_cost_or_meters() -> None:
    for cost, meters in ((None, {}), (1, {"input": Price(cost=1)})):
        with pytest.raises(ValueError, match="either a cost or meters"):
            Feature(feature_id="x", name="X", cost=cost, meters=meters)
