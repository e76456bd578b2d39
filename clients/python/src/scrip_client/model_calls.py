"""A call of a model: the most that it can use, and what it has used, as its answer says or seems.

Tokens are counted without a tokenizer. A token has at least one byte, and usually some four.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scrip_client.calls import Provider

BYTES_PER_TOKEN = 4

MEDIA_TOKENS = 1_600
"""What an image, a sound or a file counts as, unless it has fewer bytes."""

TOOLS_TOKENS = 1_000
"""What a provider may add to a prompt that comes with tools."""

INLINE_MEDIA = frozenset({"data", "bytes", "file_data"})
LINKED_MEDIA = frozenset({"url", "image_url", "file_url", "file_id", "uri"})
"""Fields with media, and with where it is."""

RAW_HEADER = "x-stainless-raw-response"
"""With this header the libraries of OpenAI and Anthropic ask themselves for a raw answer."""


def plain(value: Any) -> Any:
    """Return an answer of a provider's library as JSON values."""
    dump = getattr(value, "model_dump", None)
    return value if dump is None else dump(mode="json", warnings=False)


def first_count(values: Iterable[Any]) -> int | None:
    """Return the first value that is a whole number; an omitted field has a marker instead."""
    return next((value for value in values if type(value) is int), None)


def sizes(value: Any, field: str = "") -> tuple[int, int]:
    """Return the bytes of all text in a part of a request, and the tokens of its media."""
    value = plain(value)
    if isinstance(value, Mapping):
        text = sum(len(name.encode()) for name in value)
        return _total([(text, 0), *(sizes(item, name) for name, item in value.items())])
    if isinstance(value, list | tuple):
        return _total(sizes(item, field) for item in value)
    if isinstance(value, bytes | bytearray):
        return 0, min(len(value), MEDIA_TOKENS)
    if not isinstance(value, str):
        return (0, 0) if value is None else (BYTES_PER_TOKEN, 0)
    length = len(value.encode(errors="replace"))
    if field in INLINE_MEDIA or value.startswith("data:"):
        return 0, min(length, MEDIA_TOKENS)
    return length, MEDIA_TOKENS if field in LINKED_MEDIA else 0


def text_bytes(value: Any, fields: frozenset[str]) -> int:
    """Return the bytes of the text in the named fields of an answer, at any depth."""
    if isinstance(value, Mapping):
        return sum(
            len(str(item).encode(errors="replace"))
            if name in fields and not isinstance(item, Mapping | list)
            else text_bytes(item, fields)
            for name, item in value.items()
            if item is not None
        )
    return sum(text_bytes(item, fields) for item in value) if isinstance(value, list) else 0


def check_not_raw(arguments: Mapping[str, Any], *, is_streamed: bool) -> None:
    """Raise TypeError if a library was asked for an answer that does not say what was used."""
    headers = dict(arguments.get("extra_headers") or {})
    raw = next((value for name, value in headers.items() if name.lower() == RAW_HEADER), None)
    if raw == "stream" or (raw and is_streamed):
        raise TypeError(
            "a wrapped client cannot charge for a raw stream: call the method itself with "
            "stream=True, or use a hold around a client that is not wrapped"
        )


def parsed(answer: Any) -> Any:
    """Return an answer, or what a raw one (`with_raw_response`) is parsed into."""
    return (
        answer.parse() if hasattr(answer, "parse") and hasattr(answer, "http_response") else answer
    )


class ModelCall(ABC):
    """One call of a model. A subclass reads the requests and answers of one method.

    `arguments` are those that the method is to be called with, and `usage` what the provider says
    that the call used, once it has.
    """

    provider: ClassVar[Provider]

    prompt: ClassVar[tuple[str, ...]]
    """The arguments that become the prompt."""

    model_argument: ClassVar[str] = "model"

    def __init__(self, arguments: Mapping[str, Any], output_max: int | None) -> None:
        """Take the arguments of the call, and a limit of its output if they have none.

        Raises:
            ValueError: there is no limit, so nobody knows how much to hold.
        """
        self.arguments = dict(arguments)
        self.usage: Mapping[str, Any] | None = None
        self._bytes = self._chunks = 0
        in_prompt = {name: arguments[name] for name in self.prompt if arguments.get(name)}
        self._text, self._media = sizes(in_prompt)
        self._tools = TOOLS_TOKENS if arguments.get("tools") or arguments.get("toolConfig") else 0
        limit = first_count([*self._limits(arguments), output_max])
        if limit is None:
            raise ValueError(
                "how much the answer can cost is unknown: limit its tokens in the request, "
                "or pass max_tokens to wrap"
            )
        self._output_max = limit * (first_count([arguments.get("n")]) or 1)

    @property
    def model(self) -> Any:
        """The model that is called. Of an ARN its last part: the others say who owns it."""
        model = self.arguments.get(self.model_argument)
        if isinstance(model, str) and model.startswith("arn:"):
            return model.rpartition("/")[2]
        return model

    @property
    def is_streamed(self) -> bool:
        """Whether the answer is a stream."""
        return self.arguments.get("stream") is True

    @property
    def is_delivered(self) -> bool:
        """Whether a token has been delivered, or the provider has charged for the call."""
        return self._is_counted or self._chunks > 0

    @property
    def most(self) -> dict[str, int]:
        """The most that the call can use."""
        return {"input": self._text + self._media + self._tools, "output": self._output_max}

    @property
    def estimate(self) -> dict[str, int]:
        """What the call seems to have used so far. A chunk has a token at least."""
        return {
            "input": -(-self._text // BYTES_PER_TOKEN) + self._media,
            "output": max(-(-self._bytes // BYTES_PER_TOKEN), self._chunks),
        }

    @property
    def used(self) -> dict[str, Any]:
        """The arguments of `hold.use` for what the call has used so far."""
        if not self._is_counted:
            return {"usage": self.estimate, "estimated": True}
        return {"usage": self.usage, "usage_of": self.provider, "fallback": self.estimate}

    @property
    def _is_counted(self) -> bool:
        """Whether the provider has said what the call used. Some servers say 0 of everything."""
        return any(type(count) is int and count > 0 for count in (self.usage or {}).values())

    def streamed(self, answer: Any, charged: Callable[[Any], Any]) -> Any:
        """Return an answer whose stream is charged."""
        return charged(answer)

    @abstractmethod
    def read(self, answer: Any) -> None:
        """Read an answer that is not streamed."""

    def read_chunk(self, chunk: Any) -> bool:
        """Read a chunk of a stream; return whether it is for the caller."""
        raise AssertionError(chunk)  # an API that does not stream has no chunks

    @abstractmethod
    def _limits(self, arguments: Mapping[str, Any]) -> Iterable[Any]:
        """Yield what may be the limit of an answer's tokens; the first number counts."""

    def _count(self, bytes_: int) -> None:
        """Count the text of a chunk."""
        self._bytes += bytes_
        self._chunks += bytes_ > 0


def _total(parts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    text = media = 0
    for more_text, more_media in parts:
        text, media = text + more_text, media + more_media
    return text, media
