"""Amazon Bedrock's usage: Converse has its own, InvokeModel passes on that of the model's vendor.

The TokenUsage of Converse is in botocore, bedrock-runtime/2023-09-30. `InvokeModel` answers with it
for Amazon's own models, too, but calls two fields `cacheReadInputTokenCount` and
`cacheWriteInputTokenCount`; some answers of Converse have both names. The last chunk of
`InvokeModelWithResponseStream` has `amazon-bedrock-invocationMetrics`, for the models of all
vendors. Tokens of a cache stand beside the input tokens in all of them.
"""

from scrip.provider_usage import anthropic, openai
from scrip.provider_usage.counts import Counts


def meters(usage: Counts) -> dict[str, int]:
    """Return the meters. Raises UnknownUsageError."""
    if "prompt_tokens" in usage:
        return openai.meters(usage)
    if "input_tokens" in usage:
        return anthropic.meters(usage)
    if "inputTokenCount" in usage:
        return _metrics(usage)
    return _converse(usage)


def _metrics(usage: Counts) -> dict[str, int]:
    for latency in ("invocationLatency", "firstByteLatency"):  # They have no price.
        usage.optional(latency)
    return {
        "input": usage.required("inputTokenCount"),
        "cached_input": usage.optional("cacheReadInputTokenCount"),
        "cache_write": usage.optional("cacheWriteInputTokenCount"),
        "output": usage.required("outputTokenCount"),
    }


def _converse(usage: Counts) -> dict[str, int]:
    found = {
        "input": usage.required("inputTokens"),
        "cached_input": _of_two_names(usage, "cacheReadInputToken"),
        "output": usage.required("outputTokens"),
        **_written(usage),
    }
    usage.check_total("totalTokens", sum(found.values()))
    return found


def _written(usage: Counts) -> dict[str, int]:
    written = _of_two_names(usage, "cacheWriteInputToken")
    found = {"5m": 0, "1h": 0}
    details = usage.parts("cacheDetails")
    for detail in details:
        lifetime = detail.word("ttl")
        if lifetime not in found:
            raise detail.unknown("ttl")
        found[lifetime] += detail.required("inputTokens")
    if not details:
        found["5m"] = written
    if sum(found.values()) != written:
        raise usage.unknown("cacheDetails")
    return {"cache_write": found["5m"], "cache_write_1h": found["1h"]}


def _of_two_names(usage: Counts, stem: str) -> int:
    if f"{stem}s" not in usage:
        return usage.optional(f"{stem}Count")
    count = usage.optional(f"{stem}s")
    usage.check_total(f"{stem}Count", count)
    return count
