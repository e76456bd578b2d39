"""Features for models cost exactly what the library says that a provider charges."""

import json
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot

from functions.bootstrap.default_catalog import DEFAULT_MODELS
from scrip.provider_usage import meters_of
from scrip_cli.errors import CommandError
from scrip_cli.prices.models import ModelFeature, features_of, find_model, models_by_feature

USAGE = Path(__file__).parents[4] / "events/usage"
NOW = datetime(2026, 11, 29, tzinfo=UTC)
CREDITS_PER_DOLLAR = Fraction("1.37") / Fraction("0.0003")

READ_BY_THE_LIBRARY = [
    ("openai-chat", "openai", "chat"),
    ("openai-chat-cached", "openai", "chat"),
    ("openai-chat-audio", "openai", "chat"),
    ("openai-responses", "openai", "responses"),
    ("openai-responses-cached", "openai", "responses"),
    ("openai-images", "openai", "images"),
    ("anthropic-messages", "anthropic", "default"),
    ("anthropic-messages-cached", "anthropic", "default"),
    ("anthropic-messages-streamed", "anthropic", "default"),
    ("anthropic-web-search", "anthropic", "default"),
    ("bedrock-converse", "aws", "default"),
    ("bedrock-converse-cached", "aws", "default"),
    ("bedrock-invoke-anthropic", "aws", "anthropic"),
    ("google-gemini", "google", "default"),
    ("google-gemini-cached", "google", "default"),
    ("google-gemini-multimodal", "google", "default"),
    ("google-gemini-tools", "google", "default"),
    ("google-vertex", "google", "default"),
    ("google-vertex-image", "google", "default"),
]


def features(
    provider_id: str, name: str, rate: Fraction = CREDITS_PER_DOLLAR
) -> list[ModelFeature]:
    """Return a model's features at the test's date."""
    return [*features_of(*find_model(provider_id, name), at=NOW, credits_per_dollar=rate)]


def times(usage: Any, factor: int) -> Any:
    """Return usage with every count multiplied."""
    match usage:
        case dict():
            return {name: times(value, factor) for name, value in usage.items()}
        case list():
            return [times(value, factor) for value in usage]
        case int():
            return usage * factor
    return usage


@pytest.mark.parametrize("factor", [1, 130])
@pytest.mark.parametrize(("sample", "provider_id", "flavor"), READ_BY_THE_LIBRARY)
def test_recorded_usage_costs_what_the_library_says_with_every_model(
    sample: str, provider_id: str, flavor: str, factor: int
) -> None:
    """The larger usage is beyond the tiers of all models."""
    usage = times(json.loads((USAGE / f"{sample}.json").read_text()), factor)
    meters = meters_of(sample.partition("-")[0], usage)
    input_tokens = sum(count for name, count in meters.items() if "output" not in name)
    [provider] = [item for item in get_snapshot().providers if item.id == provider_id]
    root = "usageMetadata" if provider_id == "google" else "usage"
    _, used = provider.extract_usage({root: usage}, api_flavor=flavor)
    priced = 0
    for model in provider.models:
        try:
            tiers = [*features_of(provider, model, at=NOW, credits_per_dollar=CREDITS_PER_DOLLAR)]
        except CommandError:
            continue
        *_, feature = [tier for tier in tiers if not tier.above or tier.above < input_tokens]
        if meters.keys() <= feature.meters.keys():
            dollars = model.calc_price(used, provider, genai_request_timestamp=NOW).total_price
            assert feature.cost(meters) == Fraction(dollars) * CREDITS_PER_DOLLAR, model.id
            priced += 1
    assert priced


def test_a_tier_of_longer_input_is_another_feature() -> None:
    short, long = features("anthropic", "claude-sonnet-4-5")
    assert (short.feature_id, short.above) == ("anthropic.claude-sonnet-4-5", 0)
    assert (long.feature_id, long.above) == ("anthropic.claude-sonnet-4-5-above-200000", 200_000)
    assert long.meters["input"] == 2 * short.meters["input"]
    assert long.meters["output"] == Fraction(3, 2) * short.meters["output"]


def test_what_a_provider_counts_apart_costs_the_same_unless_it_says_otherwise() -> None:
    [feature] = features("openai", "gpt-5-mini")
    assert feature.meters["input_image"] == feature.meters["input"]
    assert feature.meters["cached_input"] == feature.meters["input"] / 10
    assert "cache_write" not in feature.meters
    assert feature.unpriced == ("storage_searches_kcount",)


def test_a_model_is_found_by_the_names_that_its_provider_gives_it() -> None:
    dated, regional = (
        find_model("openai", "gpt-5-mini-2025-08-07"),
        find_model("bedrock", "eu.anthropic.claude-haiku-4-5-20251001-v1:0"),
    )
    assert dated == find_model("openai", "gpt-5-mini")
    assert (regional[0].id, "anthropic.claude-haiku-4-5" in regional[1].id) == ("aws", True)


def test_every_models_feature_has_its_own_id_that_the_catalog_takes() -> None:
    ids = models_by_feature()
    models = [
        (provider, model)
        for provider in get_snapshot().providers
        if provider.id in {"openai", "anthropic", "aws", "google"}
        for model in provider.models
    ]
    assert all((provider, model) in ids.values() for provider, model in models)


def test_the_default_catalogs_models_have_the_prices_that_pull_writes() -> None:
    pulled = {
        feature.feature_id: (feature.name, feature.meters)
        for model in (
            ("openai", "gpt-6.1-sol"),
            ("anthropic", "claude-sonnet-5-5"),
            ("google", "gemini-4-argon"),
        )
        for feature in features(*model, Fraction("1.5") / Fraction("0.0001"))
    }
    assert pulled == {
        item.feature_id: (
            item.name,
            {name: Fraction(price.cost, price.per) for name, price in item.meters.items()},
        )
        for item in DEFAULT_MODELS
    }
