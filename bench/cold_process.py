"""Measures one cold start in a process of its own, and prints what it took as JSON.

bench/cold.py runs it with Python's -I and -S, so that nothing on this machine can be imported by
accident. Standard input has the folders to import from, the function to start, and its events;
without a function, the bare boto3 client reads one item.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

MILLISECONDS = 1_000
KIBIBYTES = 1_024


class Context:
    """The context that Lambda passes with an event."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "b2f7c1de-1111-4c5e-9f0a-6d5e4c3b2a19"

    def get_remaining_time_in_millis(self) -> int:
        """Return little enough that a function that works in pages does only one."""
        return 20 * MILLISECONDS


def start(function: str | None, table: str) -> Callable[[Any], Any]:
    """Import a function and return its handler."""
    if function:
        handler = import_module(f"functions.{function}.handler").lambda_handler
        return lambda event: handler(event, Context())
    client = import_module("boto3").client("dynamodb")
    key = {"pk": {"S": "ACCOUNT#nobody"}, "sk": {"S": "ACCOUNT"}}
    return lambda _: client.get_item(TableName=table, Key=key)


def peak_kib() -> int:
    """Return this process's peak memory; `getrusage` would start with its parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def main() -> None:
    """Start, answer the events, and print the CPU milliseconds of each step."""
    settings = json.load(sys.stdin)
    sys.path[:0] = settings["places"]
    began = time.process_time()
    answer = start(settings["function"], settings["table"])
    sample = {"init_ms": (time.process_time() - began) * MILLISECONDS}
    for name, event in zip(("first_ms", "second_ms"), settings["events"], strict=False):
        began = time.process_time()
        answer(event)
        sample[name] = (time.process_time() - began) * MILLISECONDS
    sample["peak_mib"] = peak_kib() / KIBIBYTES
    print(f"\n{json.dumps(sample)}")


if __name__ == "__main__":
    main()
