"""Each page of the documentation, run from its first command to its last."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scrip_cli.local import demo
from tests.conftest import scrip
from tests.documentation import DOCS, GUIDES, README, ROOT, examples, session

if TYPE_CHECKING:
    from scrip_cli.local.stack import LocalStack
    from tests.documentation import Block
    from tests.integration.conftest import Api

SESSIONS = [document for document in (README, *DOCS) if document != GUIDES and session(document)]

BIN = Path(sys.executable).parent
SECONDS_MAX = 120
TYPED = "whsec_c2NyaXAtZXhhbXBsZS1TRUNSRVQ=\n"
"""What a reader types where a page asks for a secret: a signing secret and a password alike."""
END = "\x1e"
"""Printed before each block's output, and by no command."""


@pytest.fixture(scope="module")
def env(stack: LocalStack) -> str:
    """The output of `scrip local env`, run once for all pages."""
    return scrip(stack, "env").stdout


@pytest.fixture
def project(stack: LocalStack, user: Api, env: str, tmp_path: Path) -> Path:
    """The project's folder as a reader has it; `scrip local env` says on which port this stack is.

    The demo user, whom other tests use, is replaced by a user who has just signed up.
    """
    for path in ROOT.iterdir():
        if not path.name.startswith("."):
            (tmp_path / path.name).symlink_to(path)
    tools = tmp_path / ".venv/bin"
    tools.mkdir(parents=True)
    state = shlex.join(["--state", str(stack.state_dir)])
    alice = f"export SCRIP_USER_TOKEN={user.token} SCRIP_ACCOUNT_USER={user.account_id}\n"
    (tools / "env").write_text(env + alice)
    (tools / "scrip").write_text(
        f"""#!/bin/sh
case "$1 $2" in
  "local env") exec cat {tools / "env"} ;;
  "local up") exec {BIN / "scrip"} "$@" {state} --port {stack.port} ;; # `make dev` names its own.
  prices*) exec {BIN / "scrip"} "$@" ;; # It works on files.
esac
exec {BIN / "scrip"} "$@" {state}
"""
    )
    (tools / "scrip").chmod(0o755)
    # Not the real script, which would put the real `scrip` first.
    (tools / "activate").write_text(f"PATH={tools}:{BIN}:$PATH\n")
    (tmp_path / ".venv/.ready").touch()
    return tmp_path


@pytest.mark.parametrize("document", SESSIONS, ids=lambda document: str(document.relative_to(ROOT)))
def test_the_commands_of_a_page_print_what_it_shows(
    document: Path,
    stack: LocalStack,
    project: Path,
) -> None:
    done = session(document)
    environment = {
        **stack.aws_environment(),
        "PATH": os.environ["PATH"],
        "HOME": str(project),
        "SCRIP_STACK_NAME": demo.details(stack).stack_name,
    }
    ran = subprocess.run(
        ["bash", "-e", "-c", "".join(map(typed, done))],
        cwd=project,
        env=environment,
        input=TYPED,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    printed = iter(ran.stdout.split(END)[1:])
    found = ""
    for block in done:
        if block.language == "text":
            assert re.fullmatch(as_pattern(block.text), found.strip(), re.DOTALL), found
        elif not block.file:
            found = next(printed)


def test_the_documented_check_of_a_hash_chain_needs_only_the_apis_responses(
    user: Api, service: Api
) -> None:
    user.post("/me/consume", {"feature": "chat"}, key="chat-1")
    entries = service.get(f"/{user.account_id}/entries").json()["entries"][::-1]
    [code] = examples("docs/reference/data-model.md", "python")
    check: dict[str, Any] = {}
    exec(code, check)
    assert check["newest_hash"](entries) == entries[-1]["hash"]
    entries[1]["reason"] = "edited by hand"
    with pytest.raises(AssertionError):
        check["newest_hash"](entries)


def typed(block: Block) -> str:
    """Return what a reader types for a block; an output block needs nothing."""
    if block.file:
        return f"cat > {block.file} <<'END OF FILE'\n{block.text}END OF FILE\n"
    return "" if block.language == "text" else f"printf '{END}'\n{block.text}"


def as_pattern(shown: str) -> str:
    """Return a pattern for an output; `...` matches anything, white space any white space."""
    words = (re.escape(word).replace(r"\.\.\.", ".*?") for word in shown.split())
    return r"\s+".join(words)
