"""A provider of models over real HTTP, which does what its model is named after.

ok          five tokens, and the usage
die-2       the connection breaks after two tokens
stall-2     silence after two tokens
short-2     the stream ends after two tokens without a usage
busy        the first request is refused, and the next one answered; busy-2 is another model
down        every request is refused

    python -m tests.unit.clients.fake_provider
"""

from __future__ import annotations

import json
import struct
import sys
import threading
from base64 import b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKENS = 5
TOKEN = "word"
CONVERSE_STREAM, INVOKE_STREAM = "converse-stream", "invoke-with-response-stream"
PLANS = {"ok", "die", "stall", "short", "busy", "down"}
PROMPT = "x" * 400
PROMPT_TOKENS = 105
"""What the provider counts for the prompt: a token for each 4 bytes, and 5 around it."""

type Frame = tuple[bytes, bool]
"""A part of a stream, and whether it has a token."""


class FakeProvider(ThreadingHTTPServer):
    """A server of models. `requests` are the bodies that it got, and `is_asked` the first."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[dict[str, Any]] = []
        self.is_asked, self.wakes = threading.Event(), threading.Event()

    def handle_error(self, *_: object) -> None:
        """Say nothing of a client that is gone."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def is_first(self, model: str) -> bool:
        """Whether a model was asked once until now."""
        return [request["model"] for request in self.requests].count(model) == 1


@contextmanager
def fake_provider() -> Iterator[FakeProvider]:
    """Serve until the block ends."""
    with FakeProvider() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.wakes.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        provider = cast("FakeProvider", self.server)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path
        if path.startswith("/model/"):
            _, _, body["model"], path = path.split("/")
        body["stream"] = body.get("stream") or path in {CONVERSE_STREAM, INVOKE_STREAM}
        provider.requests.append(body)
        provider.is_asked.set()
        what, _, number = _plan(body)
        if what == "down" or (what == "busy" and provider.is_first(body["model"])):
            self._answer(503, {"error": {"type": "overloaded_error", "message": "busy"}})
        elif body.get("stream"):
            self._stream(STREAMS[path](body), what, int(number or TOKENS))
        else:
            if what == "stall":
                provider.wakes.wait(5)
            self._answer(200, ANSWERS[path](body))

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, frames: list[Frame], what: str, tokens: int) -> None:
        self.send_response(200)
        is_bedrock = self.path.startswith("/model/")
        kind = "application/vnd.amazon.eventstream" if is_bedrock else "text/event-stream"
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for content, has_token in frames:
                if what not in {"ok", "busy"} and has_token:
                    if not tokens:
                        break
                    tokens -= 1
                self.wfile.write(b"%x\r\n%b\r\n" % (len(content), content))
                self.wfile.flush()
            if what == "stall":
                cast("FakeProvider", self.server).wakes.wait(5)
            if what not in {"die", "stall"}:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            """The client is gone."""
        self.close_connection = what in {"die", "stall"}


def _plan(body: dict[str, Any]) -> tuple[str, str, str]:
    """Return what to do, and after how many tokens; an unknown model is `ok`."""
    what, dash, number = body["model"].partition("-")
    return (what, dash, number) if what in PLANS else ("ok", "", "")


def _event(data: dict[str, Any], *, has_token: bool = False) -> Frame:
    name = f"event: {data['type']}\n" if "type" in data else ""
    return f"{name}data: {json.dumps(data)}\n\n".encode(), has_token


def _chat_usage(body: dict[str, Any]) -> dict[str, int]:
    output = TOKENS * (body.get("n") or 1)
    total = PROMPT_TOKENS + output
    return {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": output, "total_tokens": total}


def _chat(body: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": TOKEN * TOKENS}
    choices = [
        {"index": index, "message": message, "finish_reason": "stop"}
        for index in range(body.get("n") or 1)
    ]
    answer = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    usage = {} if body["model"] == "short" else {"usage": _chat_usage(body)}
    return {**answer, "choices": choices, **usage}


def _chat_stream(body: dict[str, Any]) -> list[Frame]:
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    if body.get("tools"):
        call = {"index": 0, "function": {"arguments": TOKEN}}
        token: dict[str, Any] = {"tool_calls": [call]}
    else:
        token = {"content": TOKEN}
    frames = [
        _event(
            {**chunk, "choices": [{"index": index, "delta": {"role": "assistant", "content": ""}}]}
        )
        for index in range(body.get("n") or 1)
    ]
    frames += [
        _event({**chunk, "choices": [{"index": index, "delta": token}]}, has_token=True)
        for _ in range(TOKENS)
        for index in range(body.get("n") or 1)
    ]
    frames.append(
        _event({**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    )
    if body["model"].partition("-")[0] != "short" and (body.get("stream_options") or {}).get(
        "include_usage"
    ):
        frames.append(_event({**chunk, "choices": [], "usage": _chat_usage(body)}))
    return [*frames, (b"data: [DONE]\n\n", False)]


def _response(body: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "output_text", "text": TOKEN * TOKENS, "annotations": []}
    message = {"id": "m", "type": "message", "role": "assistant", "status": "completed"}
    return {
        "id": "r",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": "completed",
        "output": [{**message, "content": [text]}],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": PROMPT_TOKENS,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": TOKENS,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": PROMPT_TOKENS + TOKENS,
        },
    }


def _response_stream(body: dict[str, Any]) -> list[Frame]:
    response = _response(body)
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    delta = {"type": "response.output_text.delta", "item_id": "m", "output_index": 0}
    frames = [_event({"type": "response.created", "sequence_number": 0, "response": begun})]
    for number in range(TOKENS):
        part = {"content_index": 0, "delta": TOKEN, "logprobs": [], "sequence_number": number + 1}
        frames.append(_event({**delta, **part}, has_token=True))
    if not body["model"].startswith("short"):
        end = {"type": "response.completed", "sequence_number": 9, "response": response}
        frames.append(_event(end))
    return frames


def _message(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": TOKEN * TOKENS}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": PROMPT_TOKENS, "output_tokens": TOKENS},
    }


def _message_stream(body: dict[str, Any]) -> list[Frame]:
    begun = {**_message(body), "content": [], "stop_reason": None}
    begun["usage"] = {"input_tokens": PROMPT_TOKENS, "output_tokens": 1}
    delta = {"type": "text_delta", "text": TOKEN}
    frames = [
        _event({"type": "message_start", "message": begun}),
        _event(
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "text", "text": ""},
            }
        ),
        *[
            _event({"type": "content_block_delta", "index": 0, "delta": delta}, has_token=True)
            for _ in range(TOKENS)
        ],
        _event({"type": "content_block_stop", "index": 0}),
    ]
    if not body["model"].startswith("short"):
        stop = {"stop_reason": "end_turn", "stop_sequence": None}
        usage = {"output_tokens": TOKENS}
        frames += [
            _event({"type": "message_delta", "delta": stop, "usage": usage}),
            _event({"type": "message_stop"}),
        ]
    return frames


CONVERSE_USAGE = {
    "inputTokens": PROMPT_TOKENS,
    "outputTokens": TOKENS,
    "totalTokens": PROMPT_TOKENS + TOKENS,
}


def _converse(_: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": [{"text": TOKEN * TOKENS}]}
    answer = {"output": {"message": message}, "stopReason": "end_turn", "metrics": {"latencyMs": 1}}
    return {**answer, "usage": CONVERSE_USAGE}


def _converse_stream(body: dict[str, Any]) -> list[Frame]:
    delta = {"contentBlockIndex": 0, "delta": {"text": TOKEN}}
    frames = [_amazon("messageStart", {"role": "assistant"})]
    frames += [_amazon("contentBlockDelta", delta, has_token=True) for _ in range(TOKENS)]
    frames += [
        _amazon("contentBlockStop", {"contentBlockIndex": 0}),
        _amazon("messageStop", {"stopReason": "end_turn"}),
    ]
    if not body["model"].startswith("short"):
        metadata = {"usage": CONVERSE_USAGE, "metrics": {"latencyMs": 1}}
        frames.append(_amazon("metadata", metadata))
    return frames


def _invoke_stream(body: dict[str, Any]) -> list[Frame]:
    delta = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": TOKEN}}
    frames = [_invoked({"type": "message_start"})]
    frames += [_invoked(delta, has_token=True) for _ in range(TOKENS)]
    if not body["model"].startswith("short"):
        metrics = {"inputTokenCount": PROMPT_TOKENS, "outputTokenCount": TOKENS}
        metrics |= {"invocationLatency": 9, "firstByteLatency": 3}
        frames.append(
            _invoked({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics})
        )
    return frames


def _invoked(data: dict[str, Any], *, has_token: bool = False) -> Frame:
    content = b64encode(json.dumps(data).encode()).decode()
    return _amazon("chunk", {"bytes": content}, has_token=has_token)


def _amazon(event: str, data: dict[str, Any], *, has_token: bool = False) -> Frame:
    """Encode an event as application/vnd.amazon.eventstream."""
    headers = b"".join(
        struct.pack("!B", len(name)) + name + struct.pack("!BH", 7, len(value)) + value
        for name, value in (
            (b":message-type", b"event"),
            (b":event-type", event.encode()),
            (b":content-type", b"application/json"),
        )
    )
    payload = json.dumps(data).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack("!I", crc32(prelude)) + headers + payload
    return message + struct.pack("!I", crc32(message)), has_token


ANSWERS = {
    "/v1/chat/completions": _chat,
    "/v1/responses": _response,
    "/v1/messages": _message,
    "converse": _converse,
    "invoke": _message,
}
STREAMS = {
    "/v1/chat/completions": _chat_stream,
    "/v1/responses": _response_stream,
    "/v1/messages": _message_stream,
    CONVERSE_STREAM: _converse_stream,
    INVOKE_STREAM: _invoke_stream,
}


if __name__ == "__main__":
    with fake_provider() as provider:
        print(provider.url, flush=True)  # noqa: T201 - it is asked for
        sys.stdin.read()  # until the tests that started it are gone
