"""Bring a local stack up, in order: build, start, deploy, people."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from scrip_cli.local import build, demo, deploy, process
from scrip_cli.local.report import step
from scrip_cli.local.stack import LocalStack
from scrip_cli.local.webhook_secrets import ensure_webhook_secrets


@contextmanager
def brought_up(stack: LocalStack, lock: int) -> Iterator[subprocess.Popen[bytes]]:
    """Bring everything up that is not up yet, and hand out ministack's process.

    It stays up behind the `with` block, unless that or the bringing up is left by an exception:
    then ministack is stopped and its state saved. Raises StackError.
    """
    process.check_port(stack)
    sources = build.source_hash(stack)
    if not build.is_built(stack, sources):
        with step("Building with SAM"):
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
    except BaseException:  # Ctrl-C among them: no ministack is left behind
        process.stop(stack, server.pid)
        raise
