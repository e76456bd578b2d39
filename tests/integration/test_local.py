"""The local stack itself, as a developer uses it at the terminal."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import httpx
import pytest
from ministack.core.lambda_runtime import Worker  # type: ignore[import-untyped]

from scrip import __version__
from scrip.webhooks.providers import Provider
from scrip_cli.local import demo
from scrip_cli.local.deploy import outputs
from scrip_cli.local.server import invoke
from scrip_cli.local.stack import LocalStack, find_stack
from tests.conftest import SCRIP, UP_SECONDS, free_port, scrip
from tests.documentation import ROOT

SECONDS_TO_START_AGAIN = 20
STREAM_SECONDS = 60
CHAT = """curl -sS "$SCRIP_API_URL/v1/accounts/me/consume" --noproxy '*' --fail \\
  -H "Authorization: Bearer $SCRIP_USER_TOKEN" \\
  -H 'Content-Type: application/json' -d '{"feature": "chat"}'"""
"""A use that costs 5 credits."""

SAM_MADE = {"build", ".aws-sam"}
"""The folders of a stack that hold copies of the sources."""


@pytest.fixture
def second(stack: LocalStack, tmp_path: Path) -> Iterator[LocalStack]:
    """Another stack beside the first, from the same build, in a folder with a space."""
    second = find_stack(free_port(), tmp_path / "second stack")
    yield second
    scrip(second, "down")


def ask(stack: LocalStack, path: str = "") -> Any:
    """GET a path below the demo user's account."""
    found = demo.details(stack)
    answer = httpx.get(
        f"{found.api_url}/v1/accounts/me{path}",
        headers={"Authorization": f"Bearer {found.user_token}"},
        timeout=30,
        trust_env=False,
    )
    return answer.json()


def balance(stack: LocalStack) -> int:
    return int(ask(stack)["balance"])


def uses(stack: LocalStack) -> int:
    """Count the uses that the stream has delivered."""
    return sum(row["count"] for row in ask(stack, "/usage")["usage"])


def test_env_prints_all_that_a_program_needs_as_json(stack: LocalStack) -> None:
    found = json.loads(scrip(stack, "env", "--json").stdout)
    assert set(found) == {
        "SCRIP_PORT",
        "SCRIP_API_URL",
        "SCRIP_DOCS_URL",
        "SCRIP_CONSOLE_URL",
        "SCRIP_USER_PAGE_URL",
        "SCRIP_ENDPOINT_URL",
        "SCRIP_TOKEN_URL",
        "SCRIP_STACK_NAME",
        "SCRIP_TABLE_NAME",
        "SCRIP_BUCKET_NAME",
        "SCRIP_USER_POOL_ID",
        "SCRIP_CLIENT_ID",
        "SCRIP_SERVICE_CLIENT_ID",
        "SCRIP_SERVICE_CLIENT_SECRET",
        "SCRIP_USER_TOKEN",
        "SCRIP_SERVICE_TOKEN",
        "SCRIP_ADMIN_TOKEN",
        "SCRIP_ACCOUNT_USER",
        "SCRIP_ACCOUNT_ADMIN",
        *(f"SCRIP_WEBHOOK_SECRET_{provider.upper()}" for provider in Provider),
    }
    health = httpx.get(f"{found['SCRIP_API_URL']}/v1/health", trust_env=False, timeout=60)
    assert health.json() == {"status": "ok", "version": __version__}
    assert outputs(stack)["Version"] == __version__


def prepared(line: str, command: str) -> str:
    """Run a command in a terminal that a line of `scrip local up` has prepared."""
    words = ["sh", "-c", f"{line.partition('  ')[2]}\n{command}"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_up_on_a_running_stack_prints_where_it_is_and_no_secret(stack: LocalStack) -> None:
    up, found = scrip(stack, "up"), demo.details(stack)
    assert "already running" in up.stderr
    lines = up.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [
        *("API", "docs", "console", "credits", "admin", "user", "password", "terminal"),
    ]
    assert [line.split()[1] for line in lines[:4]] == [
        *(found.api_url, found.docs_url, found.console_url, found.user_page_url),
    ]
    assert found.service_client_secret not in up.stdout


def test_the_line_that_up_prints_prepares_a_terminal(stack: LocalStack) -> None:
    found = demo.details(stack)
    *_, line = scrip(stack, "up").stdout.splitlines()
    secret = prepared(line, 'echo "$SCRIP_ACCOUNT_USER $SCRIP_WEBHOOK_SECRET_POLAR"')
    assert secret.split() == [found.accounts["user"], found.webhook_secrets["polar"]]
    # Every command reads the port. The folder of this test's stack is not the port's own.
    command = f"{shlex.quote(SCRIP)} accounts show alice@example.com --json --state "
    shown = json.loads(prepared(line, command + shlex.quote(str(stack.state_dir))))
    assert shown["account_id"] == found.accounts["user"]


def test_other_users_of_the_machine_cannot_read_a_stacks_files(stack: LocalStack) -> None:
    modes = {
        path: path.stat().st_mode & 0o777
        for path in stack.state_dir.rglob("*")
        if path.exists() and path.relative_to(stack.state_dir).parts[0] not in SAM_MADE
    }
    assert any(path.suffix == ".pem" for path in modes)  # the key that signs its tokens
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


def test_a_port_in_use_is_reported_in_one_clear_sentence(stack: LocalStack, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        other = find_stack(taken.getsockname()[1], tmp_path)
        up = scrip(other, "up", "--detach", check=False)
    assert up.returncode == 1
    assert str(other.port) in up.stderr
    assert "Traceback" not in up.stdout + up.stderr


def test_a_stack_that_is_not_running_has_an_exit_code_of_its_own(
    stack: LocalStack, tmp_path: Path
) -> None:
    other = find_stack(free_port(), tmp_path)
    assert [scrip(other, word, check=False).returncode for word in ("status", "env", "down")] == [
        3,
        3,
        0,
    ]
    assert scrip(stack, "status").returncode == 0


def test_an_unusable_folder_is_reported_in_one_clear_sentence(stack: LocalStack) -> None:
    words = [SCRIP, "local", "up", "--port", str(free_port()), "--state", "/dev/null"]
    up = subprocess.run(words, cwd=stack.root, capture_output=True, text=True, check=False)
    assert up.returncode == 1
    assert "cannot hold a stack" in up.stderr
    assert "Traceback" not in up.stderr


def test_a_running_stack_is_not_mistaken_for_one_on_another_port(stack: LocalStack) -> None:
    other = find_stack(free_port(), stack.state_dir)
    status = scrip(other, "status", check=False)
    assert (status.returncode, str(stack.port) in status.stderr) == (1, True)


def test_a_killed_stack_can_be_started_again(second: LocalStack) -> None:
    scrip(second, "up", "--detach")
    pid = json.loads(scrip(second, "status", "--json").stdout)["pid"]
    os.kill(pid, signal.SIGKILL)
    for _ in range(50):
        if scrip(second, "status", check=False).returncode == 3:
            break
        time.sleep(0.2)
    scrip(second, "up", "--detach")
    assert balance(second) == 10_100


def test_two_stacks_run_side_by_side_and_ctrl_c_keeps_the_data(
    stack: LocalStack,
    second: LocalStack,
    tmp_path: Path,
) -> None:
    words = [SCRIP, "local", "up", "--port", str(second.port), "--state", str(second.state_dir)]
    log = tmp_path / "log"
    with log.open("w") as output:
        first_run = subprocess.Popen(words, cwd=second.root, stdout=output, stderr=output)
    for _ in range(UP_SECONDS):
        if "Running until Ctrl-C" in log.read_text() or first_run.poll() is not None:
            break
        time.sleep(1)
    before = balance(stack)
    secrets = demo.details(second).webhook_secrets
    [line] = [line for line in log.read_text().splitlines() if line.startswith("terminal")]
    prepared(line, CHAT)
    assert balance(second) == 10_095
    assert balance(stack) == before

    os.kill(first_run.pid, signal.SIGINT)
    assert first_run.wait(timeout=60) == 0
    started = time.monotonic()
    scrip(second, "up", "--detach")
    assert time.monotonic() - started < SECONDS_TO_START_AGAIN
    assert balance(second) == 10_095
    assert demo.details(second).webhook_secrets == secrets

    # Its stream continues, too, and counts new uses.
    counted = uses(second)
    prepared(line, CHAT)
    for _ in range(STREAM_SECONDS):
        if uses(second) > counted:
            break
        time.sleep(1)
    assert uses(second) > counted


def test_setup_on_a_machine_without_python_3_13_says_so(stack: LocalStack, tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "uv.lock"):
        shutil.copy(stack.root / name, tmp_path)
    shutil.copytree(stack.root / "requirements", tmp_path / "requirements")
    for package in ("layers/scrip", "cli", "clients/python"):
        (tmp_path / package).mkdir(parents=True)
        shutil.copy(stack.root / package / "pyproject.toml", tmp_path / package)
    setup = subprocess.run(
        ["make", "setup", "PYTHON=python9.99"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert setup.returncode != 0
    assert "Scrip needs Python 3.13" in setup.stdout


def test_a_functions_process_that_cannot_start_fails_alone() -> None:
    """ministack itself raises, which ends the function's other processes, too."""
    worker = Worker("consume", {"Runtime": "python3.13"}, b"this is no archive")
    with pytest.raises(BadZipFile):
        worker.invoke({}, "request-1")
    assert invoke(worker, {}, "request-2") == {"status": "error", "error": "File is not a zip file"}
