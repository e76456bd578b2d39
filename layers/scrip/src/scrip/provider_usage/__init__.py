"""What a model call used, in the provider's own words, as meters that never count a token twice.

    input               tokens of the prompt at the full price
    cached_input        those read from a cache
    cache_write         those written to a cache for the usual time, such as 5 minutes
    cache_write_1h      those written for an hour
    output              tokens of the answer, with its reasoning
    input_audio, cached_input_audio, output_audio
    input_image, output_image
    web_search          searches that the provider made

Every number of the usage is understood or refused: one that is not understood would be free. A word
in it, such as the tier of the service, is not: the app chose that and prices it by its feature.

To add a provider, add its module and one line here, and samples in events/usage.
"""

from collections.abc import Callable, Mapping

from scrip.domain.errors import UnknownUsageError
from scrip.provider_usage import anthropic, bedrock, google, openai
from scrip.provider_usage.counts import Counts

PROVIDERS: Mapping[str, Callable[[Counts], dict[str, int]]] = {
    "openai": openai.meters,
    "anthropic": anthropic.meters,
    "bedrock": bedrock.meters,
    "google": google.meters,
}


def meters_of(provider: str, usage: object) -> dict[str, int]:
    """Return the meters of a provider's usage object as its API answers it, without those of 0.

    Raises:
        UnknownUsageError: something in it is missing, contradicts the rest, or is not known.
    """
    if provider not in PROVIDERS:
        raise UnknownUsageError(provider=provider, field="usage_of")
    counts = Counts(provider, usage)
    meters = PROVIDERS[provider](counts)
    counts.check_all_are_read()
    return {name: count for name, count in meters.items() if count}
