"""The calls of models in boto3's `bedrock-runtime`."""

from __future__ import annotations

import inspect
import io
import json
from typing import TYPE_CHECKING, Any

from scrip_client.model_calls import ModelCall, text_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

DELIVERED = frozenset(
    {"text", "input", "content", "thinking", "partial_json", "generation", "outputText"}
)
"""Fields of an answer that are made of output tokens, in the words of several vendors."""

TOKEN_HEADERS = {
    "inputTokenCount": "x-amzn-bedrock-input-token-count",
    "outputTokenCount": "x-amzn-bedrock-output-token-count",
}
METRICS = "amazon-bedrock-invocationMetrics"
"""The field of a stream's last chunk that has its usage."""


class ConverseCall(ModelCall):
    """`converse`."""

    provider = "bedrock"
    prompt = ("system", "messages", "toolConfig")
    model_argument = "modelId"

    def read(self, answer: Any) -> None:
        """Read an answer."""
        self.usage = answer.get("usage")
        for block in answer["output"]["message"]["content"]:
            self._count(len(json.dumps(block, default=str).encode()))

    def _limits(self, arguments: Mapping[str, Any]) -> Iterable[Any]:
        return [(arguments.get("inferenceConfig") or {}).get("maxTokens")]


class BedrockStream(ModelCall):
    """A call whose answer has a stream in one of its fields."""

    field = "stream"

    @property
    def is_streamed(self) -> bool:
        """Whether the answer is a stream: it is."""
        return True

    def streamed(self, answer: Any, charged: Callable[[Any], Any]) -> Any:
        """Return the answer with a stream that is charged."""
        return {**answer, self.field: charged(answer[self.field])}


class ConverseStreamCall(BedrockStream, ConverseCall):
    """`converse_stream`."""

    def read_chunk(self, chunk: Any) -> bool:
        """Read an event; the last one has the usage."""
        self.usage = chunk.get("metadata", {}).get("usage", self.usage)
        self._count(text_bytes(chunk.get("contentBlockDelta"), DELIVERED))
        return True


class InvokeCall(ModelCall):
    """`invoke_model`: the request and the answer are those of the model's vendor."""

    provider = "bedrock"
    prompt = ("body",)
    model_argument = "modelId"

    def __init__(self, arguments: Mapping[str, Any], output_max: int | None) -> None:
        """Read the body, and pass it on as it is."""
        body = json.loads(arguments["body"])
        super().__init__({**body, "body": body}, output_max)
        self.arguments = dict(arguments)

    def read(self, answer: Any) -> None:
        """Read the body, and put another with the same content in its place.

        Raises:
            TypeError: the body is to be awaited.
        """
        body = answer["body"]
        content = body.read()
        if inspect.isawaitable(content):
            raise TypeError("invoke_model cannot be charged with asyncio: use converse")
        answer["body"] = type(body)(io.BytesIO(content), len(content))
        said = json.loads(content)
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        self.usage = said.get("usage")
        if self.usage is None and set(TOKEN_HEADERS.values()) <= headers.keys():
            self.usage = {name: int(headers[header]) for name, header in TOKEN_HEADERS.items()}
        self._count(text_bytes(said, DELIVERED))

    def _limits(self, arguments: Mapping[str, Any]) -> Iterable[Any]:
        nested = arguments.get("inferenceConfig") or arguments.get("textGenerationConfig") or {}
        names = ("max_tokens", "max_completion_tokens", "max_gen_len", "max_tokens_to_sample")
        return (
            *(arguments.get(name) for name in names),
            *(nested.get(name) for name in ("maxTokens", "max_new_tokens", "maxTokenCount")),
        )


class InvokeStreamCall(BedrockStream, InvokeCall):
    """`invoke_model_with_response_stream`."""

    field = "body"

    def read_chunk(self, chunk: Any) -> bool:
        """Read a chunk; the last one has the usage, for every vendor's models."""
        said = json.loads(chunk.get("chunk", {}).get("bytes", b"{}"))
        self.usage = said.pop(METRICS, self.usage)
        self._count(text_bytes(said, DELIVERED))
        return True
