"""Google's usage: the `usageMetadata` of generateContent, of the Gemini API and of Vertex AI.

Reasoning and the results of tools stand beside the answer and the prompt; tokens of a cache are a
part of the prompt: https://github.com/googleapis/python-genai, types.py,
GenerateContentResponseUsageMetadata.
"""

from collections import Counter
from collections.abc import Mapping

from scrip.provider_usage.counts import Counts, without_cached

ANSWERED = {"MODALITY_UNSPECIFIED": "text", "TEXT": "text", "AUDIO": "audio", "IMAGE": "image"}
SENT = {**ANSWERED, "VIDEO": "image", "DOCUMENT": "image"}
"""Kinds of tokens by modality. Frames and pages of a prompt cost what images do."""


def meters(usage: Counts) -> dict[str, int]:
    """Return the meters. Raises UnknownUsageError."""
    prompt = _kinds(
        usage,
        "promptTokensDetails",
        usage.required("promptTokenCount"),
        beside=("text",),  # what tools of Google's add to the prompt
    )
    tools = _kinds(usage, "toolUsePromptTokensDetails", usage.optional("toolUsePromptTokenCount"))
    answer = _kinds(
        usage,
        "candidatesTokensDetails",
        usage.optional("candidatesTokenCount"),
        ANSWERED,
        beside=("audio", "image"),
    )
    thoughts = usage.optional("thoughtsTokenCount")
    whole = sum((*prompt.values(), *tools.values(), *answer.values(), thoughts))
    if usage.required("totalTokenCount") != whole:
        raise usage.unknown("totalTokenCount")
    cached = _take_cached(usage, prompt)
    return {
        "input": prompt["text"] + tools["text"],
        "input_audio": prompt["audio"] + tools["audio"],
        "input_image": prompt["image"] + tools["image"],
        "cached_input": cached["text"] + cached["image"],
        "cached_input_audio": cached["audio"],
        "output": answer["text"] + thoughts,
        "output_audio": answer["audio"],
        "output_image": answer["image"],
    }


def _take_cached(usage: Counts, prompt: dict[str, int]) -> dict[str, int]:
    """Take the cached tokens out of those of the prompt, and return them."""
    cached = usage.optional("cachedContentTokenCount", most=sum(prompt.values()))
    if "cacheTokensDetails" in usage:
        found = _kinds(usage, "cacheTokensDetails", cached)
        for kind, count in found.items():
            prompt[kind] -= count
            if prompt[kind] < 0:
                raise usage.unknown("cacheTokensDetails")
        return found
    if cached and prompt["audio"]:
        # Cached audio costs more than cached text, and how much of it there is is unknown.
        raise usage.unknown("cacheTokensDetails")
    prompt["text"], prompt["image"] = without_cached(prompt["text"], prompt["image"], cached)
    return {"text": cached, "audio": 0, "image": 0}


def _kinds(
    usage: Counts,
    name: str,
    whole: int,
    kinds: Mapping[str, str] = SENT,
    *,
    beside: tuple[str, ...] = (),
) -> dict[str, int]:
    """Divide tokens by kind; without details, all are text.

    Google leaves some text out of its details, but only `beside` some kinds, each of which it
    counts. Other tokens that are missing may be of any kind.
    """
    found: Counter[str] = Counter()
    for detail in usage.parts(name):
        modality = detail.word("modality")
        if modality not in kinds:
            raise detail.unknown("modality")
        found[kinds[modality]] += detail.optional("tokenCount")  # Google writes no 0.
    rest = whole - found.total()
    if rest < 0 or (rest and not (found.keys() <= {*beside} and all(found.values()))):
        raise usage.unknown(name)
    return {"text": found["text"] + rest, "audio": found["audio"], "image": found["image"]}
