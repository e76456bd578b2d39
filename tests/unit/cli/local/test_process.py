"""The claim of a local stack's folder."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scrip_cli.exit_codes import ExitCode
from scrip_cli.local.process import claim
from scrip_cli.local.stack import LocalStack, find_stack
from scrip_cli.main import app


@pytest.mark.parametrize("exists", [False, True])
def test_a_claimed_folder_is_closed_to_other_users(tmp_path: Path, *, exists: bool) -> None:
    stack = LocalStack(root=tmp_path, port=4566, state_dir=tmp_path / "state")
    umask = os.umask(0)
    try:
        if exists:
            stack.state_dir.mkdir()
        lock = claim(stack)
    finally:
        os.umask(umask)
    assert lock is not None
    os.close(lock)
    assert stack.state_dir.stat().st_mode & 0o777 == 0o700
    assert stack.pid_file.stat().st_mode & 0o777 == 0o600


def test_the_error_about_a_stack_that_does_not_run_names_those_that_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "template.yaml").touch()
    (tmp_path / ".scrip/shared").mkdir(parents=True)
    (tmp_path / ".scrip/4700").mkdir()
    monkeypatch.chdir(tmp_path)
    locks = [claim(find_stack(port, None)) for port in (4600, 4650)]
    for words in (["accounts", "list"], ["local", "status"]):
        done = CliRunner().invoke(app, [*words, "--port", "4566"])
        assert done.exit_code == ExitCode.NOT_RUNNING
        assert "name a running one: --port 4600 or --port 4650." in " ".join(done.stderr.split())
    for lock in locks:
        assert lock is not None
        os.close(lock)
