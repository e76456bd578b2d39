"""Build the functions and the layer with SAM, once for each version of the sources."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from scrip_cli.errors import CommandError
from scrip_cli.local.ministack_gaps import leave_out
from scrip_cli.local.stack import LocalStack, template_parameters, tool_path

_LOG_LINES_SHOWN = 30
_SOURCES = ("template.yaml", "functions", "layers")


def source_hash(stack: LocalStack) -> str:
    """Hash everything that a build depends on: the bytes of the sources, and the parameters."""
    digest = hashlib.sha256(" ".join(template_parameters()).encode())
    for path in _source_files(stack.root):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(stack.root)}\0{content}\n".encode())
    return digest.hexdigest()


def is_built(stack: LocalStack, wanted_hash: str) -> bool:
    """Return whether the build folder has a finished build of these sources."""
    recorded = _hash_file(stack)
    return recorded.is_file() and recorded.read_text() == wanted_hash


def build(stack: LocalStack, wanted_hash: str) -> None:
    """Build everything.

    Raises CommandError if SAM fails, or if the machine lacks a tool that SAM needs.
    """
    _check_tools()
    _hash_file(stack).unlink(missing_ok=True)
    run_sam(
        stack,
        "build",
        *("--template-file", str(stack.root / "template.yaml")),
        *("--build-dir", str(stack.build_dir)),
        "--cached",
        *("--cache-dir", str(stack.state_dir / "cache")),
        "--parallel",
        *("--parameter-overrides", *template_parameters()),
    )
    leave_out(stack.build_dir / "template.yaml")
    compiled = [sys.executable, "-m", "scrip_cli.local.bytecode", str(stack.build_dir)]
    subprocess.run(compiled, check=True)
    _hash_file(stack).write_text(wanted_hash)


def run_sam(stack: LocalStack, command: str, *arguments: str) -> None:
    """Run SAM against this stack and write its output to STATE/sam-COMMAND.log.

    Raises CommandError, with the end of the output, if it fails.
    """
    log = stack.state_dir / f"sam-{command}.log"
    # The person's own AWS settings must not reach SAM.
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = {
        **own,
        **stack.aws_environment(),
        # A proxy is for downloading packages.
        **{name: f"{own.get(name, '')},127.0.0.1" for name in ("NO_PROXY", "no_proxy")},
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.2",
        # SAM truncates its tables, with the reasons of failures, to the terminal's width.
        "COLUMNS": "200",
    }
    with log.open("wb") as output:
        finished = subprocess.run(
            ["sam", command, *arguments],
            # SAM has a cache in the current folder; two stacks would clear each other's.
            cwd=stack.state_dir,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if finished.returncode != 0:
        lines = log.read_text(errors="replace").splitlines()
        raise CommandError(
            f"sam {command} failed.",
            f"The whole output is in {log}.",
            output="\n".join(lines[-_LOG_LINES_SHOWN:]),
        )


def _hash_file(stack: LocalStack) -> Path:
    return stack.build_dir / "source.hash"


def _source_files(root: Path) -> list[Path]:
    """List the source files in a fixed order, without bytecode and the tools' dot-folders."""
    found = []
    for source in _SOURCES:
        path = root / source
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            parts = file.relative_to(root).parts
            hidden = any(part == "__pycache__" or part.startswith(".") for part in parts)
            if file.is_file() and not hidden:
                found.append(file)
    return found


def _check_tools() -> None:
    if shutil.which("sam", path=tool_path()) is None:
        raise CommandError("The AWS SAM CLI is not installed.", "Run `uv sync` in the project.")
    python = shutil.which("python3.13", path=tool_path())
    if python is None or not _has_pip(python):
        raise CommandError(
            "SAM needs a python3.13 with pip on the PATH, and there is none.",
            "Create the environment with `python3.13 -m venv .venv` and run scrip from there.",
        )


def _has_pip(python: str) -> bool:
    """Try pip: a pyenv shim may have no Python behind it, and uv's environments have no pip."""
    tried = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)
    return tried.returncode == 0
