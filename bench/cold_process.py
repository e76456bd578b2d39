"""One cold start in a process that holds nothing else: what it took, as JSON.

Run by bench/cold.py with Python's -I and -S, so that there is nothing of this machine's to import.
Standard input tells where to import from, which function to start, and which event to hand to it;
no function means the bare boto3 client, which reads one item.
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
    """What Lambda passes beside the event."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "b2f7c1de-1111-4c5e-9f0a-6d5e4c3b2a19"

    def get_remaining_time_in_millis(self) -> int:
        """There is time, but for no more than one page of whatever has many."""
        return 20 * MILLISECONDS


def start(function: str | None, table: str) -> Callable[[Any], Any]:
    """Start a function and return what answers a request."""
    if function:
        handler = import_module(f"functions.{function}.handler").lambda_handler
        return lambda event: handler(event, Context())
    client = import_module("boto3").client("dynamodb")
    key = {"pk": {"S": "ACCOUNT#nobody"}, "sk": {"S": "ACCOUNT"}}
    return lambda _: client.get_item(TableName=table, Key=key)


def peak_kib() -> int:
    """Return the most memory this process has held; `getrusage` begins with what its parent had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def main() -> None:
    """Start, answer two requests if there is an event, and tell the CPU milliseconds of each."""
    given = json.load(sys.stdin)
    sys.path[:0] = given["places"]
    began = time.process_time()
    answer = start(given["function"], given["table"])
    told = {"import_ms": (time.process_time() - began) * MILLISECONDS}
    for name, event in zip(("first_ms", "second_ms"), given["events"], strict=False):
        began = time.process_time()
        answer(event)
        told[name] = (time.process_time() - began) * MILLISECONDS
    told["peak_mib"] = peak_kib() / KIBIBYTES
    print(f"\n{json.dumps(told)}")


if __name__ == "__main__":
    main()
