"""Bring a local stack up, in order: build, start, deploy, people."""

import subprocess

from scrip_cli.local import build, demo, deploy, process
from scrip_cli.local.report import step
from scrip_cli.local.stack import LocalStack


def bring_up(stack: LocalStack, lock: int) -> subprocess.Popen[bytes]:
    """Bring everything up that is not up yet and return ministack's process.

    On a failure or an interrupt ministack is stopped again and its state saved. Raises StackError.
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
        with step("Signing up demo users"):
            demo.sign_up_demo_users(stack)
    except BaseException:
        process.stop(stack, server.pid)
        raise
    return server
