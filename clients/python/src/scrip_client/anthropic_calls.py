"""The calls of models in Anthropic's library, also for its models on Bedrock and Vertex AI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scrip_client.model_calls import ModelCall, check_not_raw, parsed, plain, text_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DELIVERED = frozenset({"text", "thinking", "partial_json", "data", "name"})
"""Fields of an answer that are made of output tokens."""

WRITTEN = "cache_creation_input_tokens"
"""What was written to a cache. Of its parts, in `cache_creation`, only the first event knows."""


class MessageCall(ModelCall):
    """`messages.create`, `stream` and `parse`."""

    provider = "anthropic"
    prompt = ("system", "messages", "tools", "output_config", "output_format")

    def __init__(self, arguments: Mapping[str, Any], output_max: int | None) -> None:
        """Take the arguments of the call, as `ModelCall` does.

        Raises:
            TypeError: the answer would be raw, and not say what the call used.
        """
        super().__init__(arguments, output_max)
        check_not_raw(arguments, is_streamed=self.is_streamed)
        self._begun: Mapping[str, Any] = {}

    @property
    def used(self) -> dict[str, Any]:
        """What the call has used so far: a stream begins with what its prompt has."""
        if self._is_counted or not self._begun:
            return super().used
        output = max(self.estimate["output"], self._begun.get("output_tokens") or 0)
        usage = {**self._begun, "output_tokens": output}
        for whole in ("output_tokens_details", "iterations"):
            usage.pop(whole, None)
        return {
            "usage": usage,
            "usage_of": self.provider,
            "estimated": True,
            "fallback": self.estimate,
        }

    def read(self, answer: Any) -> None:
        """Read a message; one that has not stopped yet is the beginning of a stream."""
        message = plain(parsed(answer))
        usage = message.get("usage")
        if message.get("stop_reason") is None:
            self._begun = usage or {}
        else:
            self.usage = usage
        for block in message.get("content") or []:
            if block.get("input"):
                self._count(len(str(block["input"]).encode(errors="replace")))
            self._count(text_bytes(block, DELIVERED))

    def read_chunk(self, chunk: Any) -> bool:
        """Read an event: the first has the usage of the prompt, and the last but one all of it."""
        match chunk.type:
            case "message_start":
                self._begun = plain(chunk.message.usage)
            case "content_block_delta":
                self._count(text_bytes(plain(chunk.delta), DELIVERED))
            case "message_delta":
                found = plain(chunk.usage).items()
                last = {name: value for name, value in found if value is not None}
                if last.get(WRITTEN, self._begun.get(WRITTEN)) != self._begun.get(WRITTEN):
                    self._begun = {**self._begun, "cache_creation": None}
                self.usage = {**self._begun, **last}
        return True

    def _limits(self, arguments: Mapping[str, Any]) -> Iterable[Any]:
        return [arguments.get("max_tokens")]
