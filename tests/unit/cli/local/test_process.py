"""The folder of a local stack, as it is claimed."""

import os
from pathlib import Path

import pytest

from scrip_cli.local.process import claim
from scrip_cli.local.stack import LocalStack


@pytest.mark.parametrize("is_there", [False, True])
def test_a_claimed_folder_is_closed_to_everybody_else(tmp_path: Path, *, is_there: bool) -> None:
    stack = LocalStack(root=tmp_path, port=4566, state_dir=tmp_path / "state")
    umask = os.umask(0)
    try:
        if is_there:
            stack.state_dir.mkdir()
        lock = claim(stack)
    finally:
        os.umask(umask)
    assert lock is not None
    os.close(lock)
    assert stack.state_dir.stat().st_mode & 0o777 == 0o700
    assert stack.pid_file.stat().st_mode & 0o777 == 0o600
