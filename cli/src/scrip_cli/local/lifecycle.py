"""Start a local stack, in order: build, start, deploy, sign up users."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from scrip_cli.local import build, demo, deploy, process
from scrip_cli.local.stack import LocalStack
from scrip_cli.local.webhook_secrets import ensure_webhook_secrets
from scrip_cli.report import step


@contextmanager
def running(stack: LocalStack, lock: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start everything that is not running yet, and yield ministack's process.

    It keeps running after the `with` block, unless an exception ends the block or the start: then
    ministack is stopped and its state saved. Raises CommandError.
    """
    process.check_port(stack)
    sources = build.source_hash(stack)
    if not build.is_built(stack, sources):
        with step("Building"):
            build.build(stack, sources)
    server = process.start(stack, lock)
    try:
        with step("Starting ministack"):
            process.wait_until_ready(stack, server)
        if not deploy.is_deployed(stack, sources):
            with step("Deploying with SAM"):
                deploy.deploy(stack, sources)
        ensure_webhook_secrets(stack)
        with step("Signing up demo users"):
            demo.sign_up_demo_users(stack)
        yield server
    except BaseException:  # Ctrl-C among them: leave no ministack running
        process.stop(stack, server.pid)
        raise
