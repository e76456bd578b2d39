"""The prices of models in a catalog file."""

import io
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from scrip.domain.catalog import CREDITS_MAX
from scrip_cli.errors import CommandError
from scrip_cli.prices.models import ModelFeature

type Prices = Mapping[str, Mapping[str, Fraction]]
"""For each feature that has meters, the price of each, in credits per token."""


class MeterInFile(BaseModel):
    """A meter's price: `cost` credits for each `per` tokens."""

    model_config = ConfigDict(strict=True)

    cost: Annotated[int, Field(ge=1)]
    per: Annotated[int, Field(ge=1)]


class PricedInFile(BaseModel):
    """What matters here of a feature."""

    meters: dict[str, MeterInFile] = {}


class PricesFile(BaseModel):
    """What matters here of a catalog file."""

    features: dict[str, PricedInFile] = {}


def prices_text(features: Iterable[ModelFeature], *, made_by: str) -> str:
    """Return a catalog file with these features.

    Raises:
        CommandError: a price needs larger numbers than a catalog can have.
    """
    file = CommentedMap(features={item.feature_id: _in_file(item) for item in features})
    file.yaml_set_start_comment(made_by)
    text = io.StringIO()
    YAML().dump(file, text)
    return text.getvalue()


def read_prices(path: Path) -> Prices:
    """Return the prices in a catalog file.

    Raises:
        CommandError: it is not a catalog file.
    """
    try:
        text = path.read_text(encoding="utf-8")
        file = PricesFile.model_validate(YAML(typ="safe", pure=True).load(text))
    except (UnicodeDecodeError, YAMLError, RecursionError, ValidationError) as exc:
        raise CommandError(
            f"{path} is not a catalog file.", f"Run `scrip catalog diff {path}` to see why."
        ) from exc
    return {
        feature_id: {
            name: Fraction(meter.cost, meter.per) for name, meter in feature.meters.items()
        }
        for feature_id, feature in file.features.items()
        if feature.meters
    }


def _in_file(feature: ModelFeature) -> Mapping[str, Any]:
    return {
        "name": feature.name,
        "unit": "token",
        "meters": {name: _meter(feature, price) for name, price in feature.meters.items()},
    }


def _meter(feature: ModelFeature, price: Fraction) -> CommentedMap:
    if max(price.numerator, price.denominator) > CREDITS_MAX:
        raise CommandError(
            f"The exact price of {feature.feature_id} needs numbers above {CREDITS_MAX}.",
            "Give a credit value and a markup with fewer digits.",
        )
    meter = CommentedMap(cost=price.numerator, per=price.denominator)
    meter.fa.set_flow_style()
    return meter
