"""Providers' usage objects as disjoint meters.

The samples in events/usage have the fields of real answers; their numbers are examples. The answers
are those that pydantic-ai recorded (github.com/pydantic/genai-prices, tests/dataset/usages.json of
August 2026), the fields that none of them has are those of the providers' libraries: openai 3.57,
anthropic 2.14, google-genai 3.6 and botocore 1.43; the metrics of a Bedrock stream are those of
github.com/BerriAI/litellm/issues/34373.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrip.domain.errors import UnknownUsageError
from scrip.provider_usage import PROVIDERS, meters_of

SAMPLES = {
    path.stem: json.loads(path.read_text())
    for path in (Path(__file__).parents[2] / "events/usage").glob("*.json")
}

METERS = {
    "openai-chat": {"input": 1200, "output": 350},
    "openai-chat-cached": {"input": 86, "cached_input": 1920, "output": 300},
    "openai-chat-audio": {"input": 12, "input_audio": 69, "output": 17, "output_audio": 55},
    "openai-chat-vision": {"cached_input": 1024, "input_image": 476, "output": 90},
    "openai-responses": {"input": 45, "output": 1719},
    "openai-responses-cached": {
        "input": 948,
        "cached_input": 2048,
        "cache_write": 1024,
        "output": 205,
    },
    "openai-images": {"input": 70, "input_image": 30, "output": 100, "output_image": 500},
    "anthropic-messages": {"input": 2743, "output": 65},
    "anthropic-messages-cached": {
        "input": 21,
        "cached_input": 9511,
        "cache_write": 356,
        "cache_write_1h": 100,
        "output": 1944,
    },
    "anthropic-messages-streamed": {
        "input": 472,
        "cached_input": 2048,
        "cache_write": 300,
        "output": 187,
    },
    "anthropic-web-search": {"input": 26447, "output": 528, "web_search": 2},
    "anthropic-compaction": {"input": 280, "cache_write": 55096, "output": 90},
    "bedrock-converse": {"input": 308, "output": 23},
    "bedrock-converse-cached": {
        "input": 3,
        "cached_input": 2074,
        "cache_write": 297,
        "output": 61,
    },
    "bedrock-invoke-anthropic": {
        "input": 3,
        "cached_input": 2074,
        "cache_write": 297,
        "output": 61,
    },
    "bedrock-invoke-nova": {"input": 22, "cached_input": 2492, "output": 13},
    "bedrock-invoke-openai": {"input": 96, "output": 211},
    "bedrock-invoke-streamed": {
        "input": 3,
        "cached_input": 2074,
        "cache_write": 297,
        "output": 61,
    },
    "google-gemini": {"input": 1106, "output": 1867},
    "google-gemini-cached": {"input": 8, "cached_input": 3512, "output": 44},
    "google-gemini-multimodal": {
        "input": 10,
        "input_audio": 37,
        "input_image": 332,
        "cached_input": 2634,
        "cached_input_audio": 284,
        "output": 150,
    },
    "google-gemini-tools": {"input": 510, "output": 212},
    "google-vertex": {"input": 6, "output": 24},
    "google-vertex-image": {"input": 9, "output": 5, "output_image": 1290},
}

samples = pytest.mark.parametrize("name", sorted(SAMPLES))
counts = st.integers(min_value=0, max_value=10**9)


def meters(name: str, usage: object) -> dict[str, int]:
    """Return the meters of a usage object of the provider that a sample is named after."""
    return meters_of(name.partition("-")[0], usage)


def refused(provider: str, usage: object) -> str:
    """Return the field for which a usage object is refused."""
    with pytest.raises(UnknownUsageError) as caught:
        meters_of(provider, usage)
    assert caught.value.provider == provider
    return caught.value.field


def objects(value: Any) -> Iterator[Any]:
    """Yield all objects in a value, itself included."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list):
            yield from objects(item)


def test_every_sample_has_its_meters_and_no_token_is_in_two() -> None:
    assert {name: meters(name, usage) for name, usage in SAMPLES.items()} == METERS


@samples
@pytest.mark.parametrize("hidden", [7, -7, 0.5, "12", "-0.5", {"deep": [{"deeper": "7"}]}])
def test_a_number_that_is_not_known_is_refused_at_any_depth(name: str, hidden: object) -> None:
    usage = deepcopy(SAMPLES[name])
    for found in objects(usage):
        found["new"] = hidden
        with pytest.raises(UnknownUsageError):
            meters(name, usage)
        del found["new"]


@samples
@pytest.mark.parametrize("harmless", [None, 0, "0", "tier-2", True, {}, [{"count": 0}]])
def test_a_field_that_is_not_known_and_counts_nothing_is_ignored(
    name: str, harmless: object
) -> None:
    usage = deepcopy(SAMPLES[name])
    for found in [*objects(usage)]:
        found["new"] = harmless
    assert meters(name, usage) == METERS[name]


@samples
@pytest.mark.parametrize("wrong", [True, 1.0, "1", -1, [1], {"tokens": 1}])
def test_a_count_that_is_no_count_is_refused(name: str, wrong: object) -> None:
    usage = deepcopy(SAMPLES[name])
    for found in objects(usage):
        for field, right in found.items():
            if isinstance(right, int):
                found[field] = wrong
                with pytest.raises(UnknownUsageError):
                    meters(name, usage)
                found[field] = right


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("usage", [None, 7, "usage", [], {}, {"total_tokens": 3}])
def test_what_is_no_usage_at_all_is_refused(provider: str, usage: object) -> None:
    assert refused(provider, usage)


def test_a_provider_that_is_not_known_is_refused() -> None:
    assert refused("mistral", SAMPLES["openai-chat"]) == "usage_of"


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("openai-chat", "completion_tokens"),
        ("openai-responses", "output_tokens"),
        ("anthropic-messages", "input_tokens"),
        ("anthropic-messages", "output_tokens"),
        ("bedrock-converse", "outputTokens"),
        ("bedrock-invoke-streamed", "outputTokenCount"),
        ("google-gemini", "promptTokenCount"),
        ("google-gemini", "totalTokenCount"),
    ],
)
def test_a_required_count_that_is_missing_or_null_is_refused(name: str, field: str) -> None:
    provider, usage = name.partition("-")[0], dict(SAMPLES[name])
    del usage[field]
    assert refused(provider, usage) == field
    assert refused(provider, {**usage, field: None}) == field


@pytest.mark.parametrize(
    ("name", "changes", "field"),
    [
        ("openai-chat", {"total_tokens": 1549}, "total_tokens"),
        ("openai-responses", {"total_tokens": 1765}, "total_tokens"),
        ("bedrock-converse", {"totalTokens": 330}, "totalTokens"),
        ("bedrock-converse-cached", {"cacheReadInputTokenCount": 1}, "cacheReadInputTokenCount"),
        (
            "bedrock-converse-cached",
            {"cacheDetails": [{"ttl": "5m", "inputTokens": 1}]},
            "cacheDetails",
        ),
        (
            "bedrock-converse-cached",
            {"cacheDetails": [{"ttl": "1d", "inputTokens": 297}]},
            "cacheDetails.0.ttl",
        ),
        (
            "anthropic-messages-cached",
            {"cache_creation_input_tokens": 455},
            "cache_creation_input_tokens",
        ),
        ("anthropic-compaction", {"input_tokens": 181}, "iterations"),
        ("google-gemini", {"totalTokenCount": 1884}, "totalTokenCount"),
        ("google-gemini-cached", {"cachedContentTokenCount": 3521}, "cachedContentTokenCount"),
        ("google-gemini-cached", {"cachedContentTokenCount": 3511}, "cacheTokensDetails"),
        (
            "google-gemini-cached",
            {"cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}]},
            "cacheTokensDetails",
        ),
        (
            "anthropic-messages",
            {"output_tokens_details": {"thinking_tokens": 66}},
            "output_tokens_details.thinking_tokens",
        ),
    ],
)
def test_totals_that_contradict_their_parts_are_refused(
    name: str, changes: dict[str, Any], field: str
) -> None:
    assert refused(name.partition("-")[0], {**SAMPLES[name], **changes}) == field


@pytest.mark.parametrize(
    "part",
    [
        {"prompt_tokens_details": {"cached_tokens": 1201}},
        {"prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 201}},
        {"prompt_tokens_details": {"audio_tokens": 600, "image_tokens": 601}},
        {"prompt_tokens_details": {"text_tokens": 1000, "image_tokens": 201}},
        {"completion_tokens_details": {"text_tokens": 351}},
        {"completion_tokens_details": {"reasoning_tokens": 351}},
        {"completion_tokens_details": {"audio_tokens": 351}},
    ],
)
def test_a_part_never_exceeds_its_whole(part: dict[str, Any]) -> None:
    assert refused("openai", {**SAMPLES["openai-chat"], **part}).startswith(next(iter(part)))


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ({"text_tokens": 100}, {"input": 100}),
        ({"text_tokens": 60, "image_tokens": 40}, {"input": 60, "input_image": 40}),
        ({"text_tokens": 0, "image_tokens": 40}, {"input": 60, "input_image": 40}),
        ({"text_tokens": None, "image_tokens": 40}, {"input": 60, "input_image": 40}),
        ({"text_tokens": 100, "cached_tokens": 30}, {"input": 70, "cached_input": 30}),
        # LiteLLM's proxy leaves cached tokens out of the text.
        ({"text_tokens": 70, "cached_tokens": 30}, {"input": 70, "cached_input": 30}),
        ({"text_tokens": 10}, None),
        ({"text_tokens": 10, "cached_tokens": 30}, None),
        ({"text_tokens": 60, "image_tokens": 39}, None),
        ({"text_tokens": 60, "image_tokens": None}, None),
    ],
)
def test_openais_text_is_all_that_other_parts_leave(
    prompt: dict[str, Any], found: dict[str, int] | None
) -> None:
    """What neither is would be charged as text, whatever it is."""
    usage = {"prompt_tokens": 100, "completion_tokens": 0, "prompt_tokens_details": prompt}
    if found is None:
        assert refused("openai", usage) == "prompt_tokens_details.text_tokens"
    else:
        assert meters_of("openai", usage) == found


def test_an_image_that_the_output_does_not_count_is_not_charged_as_text() -> None:
    details = {"text_tokens": 100, "image_tokens": None}
    usage = {**SAMPLES["openai-images"], "output_tokens_details": details}
    assert refused("openai", usage) == "output_tokens_details.text_tokens"


def test_reasoning_may_be_beside_the_text_of_an_answer_or_a_part_of_it() -> None:
    for text in (350, 222):
        details = {"reasoning_tokens": 128, "text_tokens": text}
        usage = {**SAMPLES["openai-chat"], "completion_tokens_details": details}
        assert meters_of("openai", usage) == METERS["openai-chat"]


def modalities(**counts: int | None) -> list[dict[str, Any]]:
    """Return Google's details, in which a count that is None is missing."""
    return [
        {"modality": name} | ({} if count is None else {"tokenCount": count})
        for name, count in counts.items()
    ]


@pytest.mark.parametrize(
    ("field", "details"),
    [
        ("promptTokensDetails", modalities(TEXT=8)),  # with Google's tools
        ("promptTokensDetails", modalities(TEXT=9, AUDIO=None)),  # with a silent video
        ("candidatesTokensDetails", modalities(IMAGE=1_290)),
        ("candidatesTokensDetails", modalities(IMAGE=1_290, TEXT=5)),
    ],
)
def test_what_google_is_known_to_leave_out_is_text(field: str, details: list[Any]) -> None:
    usage = {**SAMPLES["google-vertex-image"], field: details}
    assert meters_of("google", usage) == METERS["google-vertex-image"]


@pytest.mark.parametrize(
    ("field", "details"),
    [
        ("promptTokensDetails", modalities(AUDIO=8)),
        ("promptTokensDetails", modalities(TEXT=8, AUDIO=None)),
        ("promptTokensDetails", modalities(AUDIO=None)),
        ("promptTokensDetails", modalities(TEXT=10)),
        ("candidatesTokensDetails", modalities(TEXT=5)),
        ("candidatesTokensDetails", modalities(TEXT=5, IMAGE=None)),
        ("candidatesTokensDetails", modalities(IMAGE=None)),
        ("candidatesTokensDetails", modalities(IMAGE=0)),
        ("candidatesTokensDetails", modalities(TEXT=5, IMAGE=1_289)),
    ],
)
def test_any_other_token_that_googles_details_leave_out_has_no_price(
    field: str, details: list[Any]
) -> None:
    usage = {**SAMPLES["google-vertex-image"], field: details}
    assert refused("google", usage) == field


@pytest.mark.parametrize("field", ["cacheTokensDetails", "toolUsePromptTokensDetails"])
def test_googles_cached_tokens_and_those_of_tools_are_all_in_their_details(field: str) -> None:
    name = "google-gemini-cached" if field == "cacheTokensDetails" else "google-gemini-tools"
    assert refused("google", {**SAMPLES[name], field: modalities(TEXT=1)}) == field


def test_audio_and_a_cache_without_the_share_of_each_have_no_price() -> None:
    both = {"prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 10}}
    assert refused("openai", {**SAMPLES["openai-chat"], **both})
    unsaid = {**SAMPLES["google-gemini-multimodal"], "cacheTokensDetails": None}
    assert refused("google", unsaid) == "cacheTokensDetails"


def test_a_modality_without_a_meter_is_refused() -> None:
    usage = deepcopy(SAMPLES["google-vertex"])
    for field, modality in (("promptTokensDetails", "SMELL"), ("candidatesTokensDetails", "VIDEO")):
        details = [{"modality": modality, "tokenCount": 1}]
        assert refused("google", {**usage, field: details}) == f"{field}.0.modality"


def test_what_tools_bring_counts_by_its_modality() -> None:
    details = modalities(TEXT=70, AUDIO=8)
    found = meters_of(
        "google", {**SAMPLES["google-gemini-tools"], "toolUsePromptTokensDetails": details}
    )
    assert found == {"input": 502, "input_audio": 8, "output": 212}


def test_null_is_the_same_as_missing() -> None:
    """The providers' libraries write null for every field that an answer lacks."""
    nulls = {"prompt_tokens_details": {"cached_tokens": None}, "completion_tokens_details": None}
    assert meters_of("openai", {**SAMPLES["openai-chat"], **nulls}) == METERS["openai-chat"]
    nulls = {"cache_creation": None, "cache_read_input_tokens": None, "iterations": None}
    assert (
        meters_of("anthropic", {**SAMPLES["anthropic-messages"], **nulls})
        == METERS["anthropic-messages"]
    )


def test_bedrocks_cache_writes_are_divided_by_their_lifetime() -> None:
    details = [{"ttl": "1h", "inputTokens": 97}, {"ttl": "5m", "inputTokens": 200}]
    usage = {**SAMPLES["bedrock-converse-cached"], "cacheDetails": details}
    found = meters_of("bedrock", usage)
    assert (found["cache_write"], found["cache_write_1h"]) == (200, 97)


def test_tokens_of_another_model_are_refused() -> None:
    usage = deepcopy(SAMPLES["anthropic-compaction"])
    usage["iterations"][0]["type"] = "advisor_message"
    assert refused("anthropic", usage) == "iterations.0.type"


def test_a_cache_for_longer_than_has_a_price_is_refused() -> None:
    usage = deepcopy(SAMPLES["openai-responses-cached"])
    usage["input_tokens_details"]["cache_write_tokens_details"] = {"ttl_12h_tokens": 1_024}
    assert refused("openai", usage).endswith("ttl_12h_tokens")


def test_nesting_without_end_is_no_way_to_stop_a_function() -> None:
    deep: dict[str, Any] = {"count": 1}
    for _ in range(100_000):
        deep = {"d": deep}
    assert refused("openai", {**SAMPLES["openai-chat"], "new": deep}) == "new"
    while deep:  # Python frees it by recursion, too, unless it is taken apart.
        deep = deep.pop("d", {})


@given(text=counts, cached=counts, written=counts, output=counts)
def test_openais_cached_tokens_are_a_part_of_its_input_and_anthropics_stand_beside_it(
    text: int, cached: int, written: int, output: int
) -> None:
    used = {"input": text, "cached_input": cached, "cache_write": written, "output": output}
    whole = text + cached + written
    within = {"cached_tokens": cached, "cache_write_tokens": written}
    beside = {"cache_read_input_tokens": cached, "cache_creation_input_tokens": written}
    expected = {name: count for name, count in used.items() if count}
    assert expected == meters_of(
        "openai",
        {
            "prompt_tokens": whole,
            "completion_tokens": output,
            "total_tokens": whole + output,
            "prompt_tokens_details": within,
        },
    )
    assert expected == meters_of(
        "openai",
        {"input_tokens": whole, "output_tokens": output, "input_tokens_details": within},
    )
    assert expected == meters_of(
        "anthropic", {"input_tokens": text, "output_tokens": output, **beside}
    )
    assert expected == meters_of(
        "bedrock",
        {
            "inputTokens": text,
            "outputTokens": output,
            "cacheReadInputTokens": cached,
            "cacheWriteInputTokens": written,
            "totalTokens": whole + output,
        },
    )


@given(
    sent=st.dictionaries(st.sampled_from(["TEXT", "AUDIO", "IMAGE", "VIDEO"]), counts),
    share=st.fractions(min_value=0, max_value=1),
    tools=counts,
    answer=counts,
    thoughts=counts,
)
def test_the_meters_of_googles_usage_add_up_to_its_total(
    sent: dict[str, int], share: Any, tools: int, answer: int, thoughts: int
) -> None:
    cached = {modality: int(count * share) for modality, count in sent.items()}
    prompt = sum(sent.values())
    found = meters_of(
        "google",
        {
            "promptTokenCount": prompt,
            "promptTokensDetails": modalities(**sent),
            "cachedContentTokenCount": sum(cached.values()),
            "cacheTokensDetails": modalities(**cached),
            "toolUsePromptTokenCount": tools,
            "candidatesTokenCount": answer,
            "thoughtsTokenCount": thoughts,
            "totalTokenCount": prompt + tools + answer + thoughts,
        },
    )
    assert sum(found.values()) == prompt + tools + answer + thoughts
    assert found.get("output", 0) == answer + thoughts
    assert found.get("cached_input_audio", 0) == cached.get("AUDIO", 0)
    audio = found.get("input_audio", 0) + found.get("cached_input_audio", 0)
    assert audio == sent.get("AUDIO", 0)
