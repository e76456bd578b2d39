"""Every command's example, as `--help` and the reference show it, works."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import httpx
from typer.testing import CliRunner

from scrip_cli.exit_codes import ExitCode
from scrip_cli.local import demo
from scrip_cli.main import app
from tests.conftest import lasting_findings
from tests.integration.test_operators import operator
from tests.unit.cli.test_commands import ROOT_COMMAND, commands

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from scrip_cli.local.stack import LocalStack

FILE = re.compile(r"\.(csv|yaml|ndjson)$|^backup-")

USERS = "account_id,email\nolder-1,older-1@example.com\n"

TYPED = {"admin create": demo.PASSWORD}
"""What a person types for a command that asks."""

ELSEWHERE = {
    *("accounts restore", "alarms", "health", "local down", "logs", "restore", "smoke", "upgrade")
}
"""`accounts restore --at` needs history, which only AWS keeps. `local down` stops the stack that
all tests share, and does so at their end; `restore` needs an unused stack, as in test_backup.py;
`logs` needs a request, as in test_cli_watch.py; `alarms`, `health`, `smoke` and `upgrade` find what
other tests do to the stack."""


def post(stack: LocalStack, path: str, key: str, body: dict[str, Any]) -> None:
    """Make what an example works on, as a back end does."""
    details = demo.details(stack)
    answer = httpx.post(
        f"{details.api_url}/v1/accounts/{path}",
        json=body,
        headers={"Authorization": f"Bearer {details.service_token}", "Idempotency-Key": key},
        timeout=60,  # it may start the function on a busy machine
        trust_env=False,
    )
    assert answer.is_success, answer.text


def test_every_example_works(stack: LocalStack, tmp_path: Path, subtests: pytest.Subtests) -> None:
    assert lasting_findings(stack) == []  # or the example of an audit would have some
    (tmp_path / "users.csv").write_text(USERS)
    alice = demo.details(stack).accounts["user"]
    post(stack, f"{alice}/holds", "job-17", {"amount": 1, "expires_in": 3_600})
    for name in ("carol", "dave"):
        address = f"{name}@example.com"
        operator(stack, "accounts", "open", f"user-{name}", "--email", address, "--yes")
    post(stack, "user-carol/consume", "image-1", {"feature": "image-generation"})
    paid = ["id=evt_123", "data.object.payment_intent=pi_123"]
    paid += [f"data.object.client_reference_id={alice}"]
    operator(
        stack, "webhooks", "send", "stripe/checkout_payment", *(f"--set={one}" for one in paid)
    )
    # One that is valid already, so that no other test's message is refused.
    known_secret = demo.details(stack).webhook_secrets["stripe"]
    examples = {
        words: (command.epilog.removeprefix("Example: scrip "), command)
        for words, command in commands(ROOT_COMMAND)
        if words not in ELSEWHERE
    }
    # Commands that write a file run before commands that read it.
    for words, (example, command) in sorted(
        examples.items(), key=lambda item: (" > " not in item[1][0], item[0])
    ):
        with subtests.test(words):
            typed, _, out = example.partition(" > ")
            words_run = [
                str(tmp_path / word) if FILE.search(word) else word for word in shlex.split(typed)
            ]
            asks = any(param.name == "yes" for param in command.params)
            if words.startswith("prices "):  # They work on files.
                done = CliRunner().invoke(app, words_run)
            else:
                typed_in = TYPED.get(words, known_secret)
                done = operator(stack, *words_run, *(["--yes"] if asks else []), typed=typed_in)
            assert done.exit_code == ExitCode.DONE, done.output
            if out:
                (tmp_path / out).write_text(done.stdout)
