"""The calls of models in OpenAI's library, and in those that are made like it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrip_client.model_calls import ModelCall, check_not_raw, parsed, plain, text_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DELIVERED = frozenset(
    {"content", "refusal", "arguments", "name", "input", "reasoning", "reasoning_content", "text"}
)
"""Fields of an answer that are made of output tokens."""


class OpenAICall(ModelCall):
    """What the calls of OpenAI's library have in common."""

    provider = "openai"

    def __init__(self, arguments: Mapping[str, Any], output_max: int | None) -> None:
        """Take the arguments of the call, as `ModelCall` does.

        Raises:
            TypeError: the answer would be raw, and not say what the call used.
        """
        super().__init__(arguments, output_max)
        check_not_raw(arguments, is_streamed=self.is_streamed)


class ChatCall(OpenAICall):
    """`chat.completions.create` and `parse`.

    `hides_usage` says that the caller did not ask a stream for its usage.
    """

    prompt = ("messages", "tools", "functions", "response_format")

    def __init__(self, arguments: Mapping[str, Any], output_max: int | None) -> None:
        """Ask a stream for its usage, too."""
        super().__init__(arguments, output_max)
        options = arguments.get("stream_options") or {}
        self.hides_usage = self.is_streamed and not dict(options).get("include_usage")
        if self.hides_usage:
            self.arguments["stream_options"] = {**options, "include_usage": True}

    def read(self, answer: Any) -> None:
        """Read a completion."""
        answer = parsed(answer)
        self.usage = plain(getattr(answer, "usage", None))
        for choice in answer.choices:
            self._count(text_bytes(plain(choice.message), DELIVERED))

    def read_chunk(self, chunk: Any) -> bool:
        """Read a chunk; the last one has the usage of all choices, and no choice."""
        usage = plain(getattr(chunk, "usage", None))
        if usage is not None:
            self.usage = usage
        self._count(sum(text_bytes(plain(choice.delta), DELIVERED) for choice in chunk.choices))
        return bool(chunk.choices) or usage is None or not self.hides_usage

    def _limits(self, arguments: Mapping[str, Any]) -> Iterable[Any]:
        return arguments.get("max_completion_tokens"), arguments.get("max_tokens")


class ResponseCall(OpenAICall):
    """`responses.create` and `parse`."""

    prompt = ("input", "instructions", "tools", "text", "prompt")

    def __init__(self, arguments: Mapping[str, Any], output_max: int | None) -> None:
        """Take the arguments of the call, as `OpenAICall` does.

        Raises:
            TypeError: the response goes on in the background, and says later what it used.
        """
        super().__init__(arguments, output_max)
        if arguments.get("background") is True:
            raise TypeError(
                "a wrapped client cannot charge for a response in the background: call it without "
                "background=True, or on a client that is not wrapped, within a hold that reports "
                "the usage of the completed response"
            )

    def read(self, answer: Any) -> None:
        """Read a response."""
        answer = parsed(answer)
        self.usage = plain(getattr(answer, "usage", None))
        self._count(text_bytes(plain(answer).get("output"), DELIVERED))

    def read_chunk(self, chunk: Any) -> bool:
        """Read an event; the last one has the whole response."""
        response = getattr(chunk, "response", None)
        usage = plain(getattr(response, "usage", None))
        if usage is not None:
            self.usage = usage
        delta = getattr(chunk, "delta", None)
        if isinstance(delta, str) and chunk.type.endswith(".delta"):
            self._count(len(delta.encode(errors="replace")))
        return True

    def _limits(self, arguments: Mapping[str, Any]) -> Iterable[Any]:
        return [arguments.get("max_output_tokens")]
