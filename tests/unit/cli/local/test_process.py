"""The claim of a local stack's folder."""

import os
from pathlib import Path

import pytest

from scrip_cli.local.process import claim
from scrip_cli.local.stack import LocalStack


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
