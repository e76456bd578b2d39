"""A model that costs nothing: OpenAI's streamed chat completions, over HTTP, on this machine.

    python examples/fake_model.py COMMAND...

runs a command with OPENAI_BASE_URL and OPENAI_API_KEY set, so that its OpenAI library asks this
model. It answers 20 tokens a second, or 1 if the question says "slowly". A token has 4 characters.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER = (
    "I am not a real model, so everyone gets the same answer. I stream it as a real one would, a "
    "token at a time, and at the end I say how many tokens it took. While you read this, the app "
    "holds the most that my answer can cost. When I am done, it charges for the tokens, and the "
    "rest is yours again. If you stop me, you pay for your question and for what you have read."
)
CHARACTERS_PER_TOKEN = 4


class Handler(BaseHTTPRequestHandler):
    """Answers every POST as `POST /v1/chat/completions` with `stream: true`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Stream an answer as server-sent events, until the client leaves."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(ConnectionError):
            for chunk in chunks(request):
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def chunks(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the chunks of an answer, at the speed of a model; the last one has the usage."""
    prompt = " ".join(str(message["content"]) for message in request["messages"])
    tokens_max = request.get("max_completion_tokens") or request.get("max_tokens")
    chunk = {"id": "fake", "object": "chat.completion.chunk", "created": int(time.time())}
    chunk["model"] = request["model"]

    def choice(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
        return {**chunk, "choices": choices}

    tokens = in_tokens(ANSWER)[:tokens_max]
    yield choice({"role": "assistant", "content": ""})
    for token in tokens:
        time.sleep(1 if "slowly" in prompt.lower() else 0.05)
        yield choice({"content": token})
    yield choice({}, "stop")
    used = {"prompt_tokens": len(in_tokens(prompt)), "completion_tokens": len(tokens)}
    yield {**chunk, "choices": [], "usage": {**used, "total_tokens": sum(used.values())}}


def in_tokens(text: str) -> list[str]:
    """Return a text in pieces of 4 characters."""
    starts = range(0, len(text), CHARACTERS_PER_TOKEN)
    return [text[start : start + CHARACTERS_PER_TOKEN] for start in starts]


def main(command: list[str]) -> int:
    """Serve the model until a command ends, and return its exit code."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    process = subprocess.Popen(
        command, env={**os.environ, "OPENAI_BASE_URL": url, "OPENAI_API_KEY": "fake"}
    )
    # Ctrl-C reaches the command without our help.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
