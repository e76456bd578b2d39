"""ministack, with a limit on the API calls that it handles at once.

Like AWS, ministack gives each concurrent call its own process, but its only limit is a 429.
Sixty-four callers of one function on a laptop with two cores are 64 cold starts: 4 GB and 40
seconds. Here calls over the limit wait for their turn, and none is refused.

ministack 1.5.33 requires a role to allow `sqs:SendMessageBatch`, an action that IAM does not have:
on AWS `sqs:SendMessage` allows both, and here it does, too.

It also saves how far a function has read a table's stream, but not the stream: after a restart it
would skip as many new records. Here each stream is read from its beginning.

A function's process that ends while it starts takes all other processes of its function with it,
even those that are starting, and they do the same to each other for minutes. Here it fails alone.

A function URL's address is on this machine, as an API's is. Its event has what AWS documents and
ministack leaves out: the caller under IAM, and the path as it was sent.

Run as `python -m scrip_cli.local.server`, with ministack's own environment variables.
"""

import asyncio
import json
import os
from contextlib import nullcontext
from typing import Any
from urllib.parse import quote

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app as ministack  # type: ignore[import-untyped]
from ministack.core import (  # type: ignore[import-untyped]
    iam_actions,
    iam_evaluator,
    lambda_runtime,
    router,
)
from ministack.services import lambda_svc  # type: ignore[import-untyped]

API_PREFIX = "/_aws/execute-api/"
URL_PREFIX = "/_aws/lambda-url/"

_ministack_action = iam_actions.extract_iam_action
_restore_functions = lambda_svc.load_persisted_state
_invoke_worker = lambda_runtime.Worker.invoke
_create_function_url = lambda_svc._create_function_url_config  # noqa: SLF001 - as below
_function_url_event = lambda_svc._build_function_url_event  # noqa: SLF001
_slots = asyncio.Semaphore(4 * (os.cpu_count() or 1))


async def door(scope: Any, receive: Any, send: Any) -> None:
    """Pass every request to ministack; one that calls a function first waits for a free slot."""
    is_call = scope["type"] == "http" and scope["path"].startswith((API_PREFIX, URL_PREFIX))
    async with _slots if is_call else nullcontext():
        await ministack(scope, receive, send)


def _iam_action(*request: Any) -> str | None:
    """Return the action that a request needs, by IAM's name."""
    action: str | None = _ministack_action(*request)
    return "sqs:SendMessage" if action == "sqs:SendMessageBatch" else action


def _restore(state: Any) -> None:
    """Restore functions and event sources, with all streams empty."""
    _restore_functions(state)
    lambda_svc._dynamodb_stream_positions.clear()  # noqa: SLF001 - there is no other way to it


def invoke(worker: Any, *event: Any, **options: Any) -> Any:
    """Invoke a function; one that cannot be started counts as failed, and no more."""
    try:
        return _invoke_worker(worker, *event, **options)
    except Exception as exc:  # noqa: BLE001 - whatever it is, other processes are not affected
        return {"status": "error", "error": str(exc)}


def create_function_url(*settings: Any) -> Any:
    """Create a function URL, and return its address on this machine."""
    status, headers, body = _create_function_url(*settings)
    created = json.loads(body)
    if "FunctionUrl" in created:
        url_id = created["FunctionUrl"].removeprefix("https://").partition(".")[0]
        place = f"http://{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"
        created["FunctionUrl"] = f"{place}{URL_PREFIX}{url_id}/"
    return status, headers, json.dumps(created).encode()


def function_url_event(*request: Any, **options: Any) -> Any:
    """Return the event of a request to a function URL, with the caller if it had to be signed.

    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-request-payload
    """
    event = _function_url_event(*request, **options)
    event["rawPath"] = quote(event["rawPath"])
    if options["anonymous"]:
        return event
    caller = iam_evaluator.resolve_caller_identity(router.extract_access_key_id(event["headers"]))
    event["requestContext"]["authorizer"] = {
        "iam": {
            **{name: caller[name] for name in ("accessKey", "accountId", "userArn", "userId")},
            "callerId": caller["userId"],
            "cognitoIdentity": None,
            "principalOrgId": caller["principalOrgId"],
        },
    }
    return event


async def main() -> None:
    """Serve until SIGTERM; ministack then writes its state, and the process ends."""
    iam_actions.extract_iam_action = _iam_action
    lambda_svc.load_persisted_state = _restore
    lambda_runtime.Worker.invoke = invoke
    lambda_svc._create_function_url_config = create_function_url  # noqa: SLF001
    lambda_svc._build_function_url_event = function_url_event  # noqa: SLF001
    config = Config()
    config.bind = [f"{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}"]
    config.keep_alive_timeout = 75
    await serve(door, config, mode="asgi")
    # A thread may wait for up to an hour for an answer from a custom resource's function that can
    # no longer arrive. A normal exit would wait with it.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
