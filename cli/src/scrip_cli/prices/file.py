"""The prices of models in a catalog file."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path

from scrip.domain.catalog import CREDITS_MAX, Catalog, Feature, Price
from scrip_cli.catalog.file import read_catalog_file
from scrip_cli.errors import CommandError
from scrip_cli.prices.models import ModelFeature

type Prices = Mapping[str, Mapping[str, Fraction]]
"""For each feature that has meters, the price of each, in credits per token."""


def catalog_of(features: Iterable[ModelFeature]) -> Catalog:
    """Return a catalog of these features.

    Raises:
        CommandError: a price needs larger numbers than a catalog can have.
    """
    return Catalog(plans={}, features={item.feature_id: _feature(item) for item in features})


def read_prices(path: Path) -> Prices:
    """Return the prices in a catalog file.

    Raises:
        CommandError: the file has errors.
    """
    return {
        feature_id: {
            name: Fraction(price.cost, price.per) for name, price in feature.meters.items()
        }
        for feature_id, feature in read_catalog_file(path).features.items()
        if feature.meters
    }


def _feature(item: ModelFeature) -> Feature:
    if any(max(price.as_integer_ratio()) > CREDITS_MAX for price in item.meters.values()):
        raise CommandError(
            f"The exact price of {item.feature_id} needs numbers above {CREDITS_MAX}.",
            "Give a credit value and a markup with fewer digits.",
        )
    return Feature(
        feature_id=item.feature_id,
        name=item.name,
        unit="token",
        meters={
            name: Price(cost=price.numerator, per=price.denominator)
            for name, price in item.meters.items()
        },
    )
