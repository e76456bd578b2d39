"""Models and their prices, from the library genai-prices, as features with meters.

The library knows what a provider charges in US dollars; its data is in the package. All arithmetic
is exact: a feature's prices are fractions of a credit, and only a use is rounded.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

from scrip_cli.errors import CommandError

_CACHED_AUDIO = {"cache_read_tokens": 1, "input_audio_tokens": 1, "cache_audio_read_tokens": 1}

METERS: Mapping[str, tuple[str, Mapping[str, int]]] = {
    "input": ("input_mtok", {"input_tokens": 1}),
    "cached_input": ("cache_read_mtok", {"input_tokens": 1, "cache_read_tokens": 1}),
    "cache_write": ("cache_write_mtok", {"input_tokens": 1, "cache_write_tokens": 1}),
    "cache_write_1h": (
        "cache_write_1h_mtok",
        {"input_tokens": 1, "cache_write_tokens": 1, "cache_write_1h_tokens": 1},
    ),
    "output": ("output_mtok", {"output_tokens": 1}),
    "input_audio": ("input_audio_mtok", {"input_tokens": 1, "input_audio_tokens": 1}),
    "cached_input_audio": ("cache_audio_read_mtok", {"input_tokens": 1, **_CACHED_AUDIO}),
    "output_audio": ("output_audio_mtok", {"output_tokens": 1, "output_audio_tokens": 1}),
    "input_image": ("input_image_mtok", {"input_tokens": 1, "input_image_tokens": 1}),
    "output_image": ("output_image_mtok", {"output_tokens": 1, "output_image_tokens": 1}),
    "web_search": ("web_searches_kcount", {"web_searches": 1}),
}
"""For each meter, the library's name of its price, and one token in the library's terms."""

ALSO_REPORTED: Mapping[str, tuple[str, ...]] = {
    "openai": ("cached_input", "input_image"),
    "google": ("cached_input", "input_audio", "cached_input_audio", "input_image"),
}
"""What providers count apart for every model, even if it costs what other tokens do."""


@dataclass(frozen=True, kw_only=True)
class ModelFeature:
    """A model's price for calls whose input has more than `above` tokens, in credits.

    `unpriced` are the library's names of prices that no meter counts.
    """

    feature_id: str
    name: str
    above: int
    meters: Mapping[str, Fraction]
    unpriced: tuple[str, ...]

    def cost(self, usage: Mapping[str, int]) -> Fraction:
        """Return what a use costs before it is rounded up. Raises KeyError for other meters."""
        return sum((self.meters[name] * count for name, count in usage.items()), Fraction(0))


def find_model(provider_id: str, name: str) -> tuple[Provider, ModelInfo]:
    """Return the model that a provider calls by this name.

    Raises:
        CommandError: the library does not know it.
    """
    try:
        return get_snapshot().find_provider_model(name, None, provider_id, None)
    except LookupError as exc:
        raise CommandError(
            f"genai-prices does not know {provider_id}:{name}.",
            "Name it as the provider's API does, or update the library.",
        ) from exc


def models_by_feature() -> dict[str, tuple[Provider, ModelInfo]]:
    """Return every model that the library knows, by the ID of its feature."""
    providers = {provider.id: provider for provider in get_snapshot().providers}
    return {
        _feature_id(provider, model): (provider, model)
        for provider in providers.values()
        for seller in (*(provider.fallback_model_providers or ()), provider.id)
        for model in providers[seller].models
    }


def features_of(
    provider: Provider, model: ModelInfo, *, at: datetime, credits_per_dollar: Fraction
) -> Iterator[ModelFeature]:
    """Yield a model's feature, then one for each tier of longer input that has other prices.

    Raises:
        CommandError: the model is not priced by tokens.
    """
    prices = model.get_prices(at)
    stored = {name: price for name, price in vars(prices).items() if price is not None}
    also = set(ALSO_REPORTED.get(provider.id, ()))
    if "input_image_mtok" in stored:
        # What is cached may be text or images, which differ in price then.
        also.discard("cached_input")
    names = [name for name, (key, _) in METERS.items() if key in stored or name in also]
    tiers = {
        tier.start
        for price in stored.values()
        if isinstance(price, TieredPrices)
        for tier in price.tiers
    }
    if not any(key in stored for key, _ in METERS.values()):
        raise CommandError(
            f"{provider.id}:{model.id} has no price per token.",
            "Make a feature for it yourself, with a cost per use.",
        )
    for above in (0, *sorted(tiers)):
        suffix = f"-above-{above}" if above else ""
        meters = {
            name: _dollars(prices, METERS[name][1], above) * credits_per_dollar for name in names
        }
        yield ModelFeature(
            feature_id=_feature_id(provider, model) + suffix,
            name=(model.name or model.id) + (f", input above {above} tokens" if above else ""),
            above=above,
            meters={name: price for name, price in meters.items() if price},
            unpriced=tuple(sorted(stored.keys() - {key for key, _ in METERS.values()})),
        )


def _feature_id(provider: Provider, model: ModelInfo) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", f"{provider.id}.{model.id}")


def _dollars(prices: ModelPrice, token: Mapping[str, int], above: int) -> Fraction:
    """Return what one more token of a kind costs in a call with this much input."""
    call = {"input_tokens": above + 1} if above else {}
    more = {name: call.get(name, 0) + count for name, count in token.items()}
    return _price(prices, call | more) - _price(prices, call)


def _price(prices: ModelPrice, usage: Mapping[str, int]) -> Fraction:
    return Fraction(prices.calc_price(Usage(**usage))["total_price"])
