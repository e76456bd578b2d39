"""Anthropic's usage: tokens of a cache stand beside the input tokens.

https://github.com/anthropics/anthropic-sdk-python, types/usage.py and types/beta/beta_usage.py.
"""

from collections import Counter

from scrip.provider_usage.counts import Counts


def meters(usage: Counts) -> dict[str, int]:
    """Return the meters. Raises UnknownUsageError."""
    tokens = _tokens(usage)
    summaries: Counter[str] = Counter()
    if "iterations" in usage:
        samplings: Counter[str] = Counter()
        for iteration in usage.parts("iterations"):
            match iteration.word("type"):
                case "message":
                    samplings.update(_tokens(iteration))
                case "compaction":
                    summaries.update(_tokens(iteration))
                case _:
                    # Tokens of another model, which has other prices.
                    raise iteration.unknown("type")
        if samplings != tokens:
            raise usage.unknown("iterations")
    tools = usage.part("server_tool_use")
    tools.optional("web_fetch_requests")  # Only the tokens that they bring are charged.
    searches = {"web_search": tools.optional("web_search_requests")}
    # A summary of the context so far is charged, but is not in the whole.
    return dict(tokens + summaries) | searches


def _tokens(usage: Counts) -> Counter[str]:
    output = usage.required("output_tokens")
    usage.part("output_tokens_details").optional("thinking_tokens", most=output)
    return Counter(
        input=usage.required("input_tokens"),
        cached_input=usage.optional("cache_read_input_tokens"),
        output=output,
        **_written(usage),
    )


def _written(usage: Counts) -> dict[str, int]:
    if "cache_creation" not in usage:
        # 5 minutes, unless the app asked for an hour; then the API says so.
        return {"cache_write": usage.optional("cache_creation_input_tokens")}
    created = usage.part("cache_creation")
    short = created.optional("ephemeral_5m_input_tokens")
    long = created.optional("ephemeral_1h_input_tokens")
    usage.check_total("cache_creation_input_tokens", short + long)
    return {"cache_write": short, "cache_write_1h": long}
