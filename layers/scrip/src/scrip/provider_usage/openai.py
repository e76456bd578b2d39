"""OpenAI's usage: the whole of each side, whose parts are in its details.

Chat completions call the sides `prompt` and `completion`, responses and images `input` and
`output`: https://github.com/openai/openai-python, types/completion_usage.py,
types/responses/response_usage.py and types/images_response.py.
"""

from scrip.provider_usage.counts import Counts, without_cached


def meters(usage: Counts) -> dict[str, int]:
    """Return the meters. Raises UnknownUsageError."""
    prompt, answer = ("prompt", "completion") if "prompt_tokens" in usage else ("input", "output")
    input_tokens = usage.required(f"{prompt}_tokens")
    output_tokens = usage.required(f"{answer}_tokens")
    usage.check_total("total_tokens", input_tokens + output_tokens)
    return _input(usage.part(f"{prompt}_tokens_details"), input_tokens) | _output(
        usage.part(f"{answer}_tokens_details"), output_tokens
    )


def _input(details: Counts, whole: int) -> dict[str, int]:
    cached = details.optional("cached_tokens", most=whole)
    written = details.optional("cache_write_tokens", most=whole - cached)
    audio, images, text = _modalities(details, whole, apart=cached + written)
    if audio and (cached or written):
        # They cost less or more than other audio does, and how many of them are audio is unknown.
        raise details.unknown("audio_tokens")
    retention = details.part("cache_write_tokens_details")
    retention.check_total("ttl_30m_tokens", written)
    retention.optional("ttl_12h_tokens", most=0)  # A longer retention has another price.
    text, images = without_cached(text, images, cached + written)
    return {
        "input": text,
        "cached_input": cached,
        "cache_write": written,
        "input_audio": audio,
        "input_image": images,
    }


def _output(details: Counts, whole: int) -> dict[str, int]:
    reasoning = details.optional("reasoning_tokens", most=whole)
    # All of them are billed as output, rejected predictions too.
    for name in ("accepted_prediction", "rejected_prediction"):
        details.optional(f"{name}_tokens", most=whole)
    audio, images, text = _modalities(details, whole, apart=reasoning)
    return {"output": text, "output_audio": audio, "output_image": images}


def _modalities(details: Counts, whole: int, *, apart: int) -> tuple[int, int, int]:
    """Return the tokens of audio, of images, and all others, which are text.

    If the details count text, it must be all others. Some servers that are made like OpenAI's
    leave cached tokens and reasoning, which stand `apart`, out of it.
    """
    audio = details.optional("audio_tokens", most=whole)
    images = details.optional("image_tokens", most=whole - audio)
    text = whole - audio - images
    if details.optional("text_tokens") not in {0, text, text - apart}:
        raise details.unknown("text_tokens")
    return audio, images, text
