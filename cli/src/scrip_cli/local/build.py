"""Build the functions and the layers for this machine, once for all stacks of a project.

A build has the layout and the files of SAM's, which is what `make build` makes for AWS and a test
compares it with. Here uv installs the packages, which only layers have, instead of pip, and those
that are compiled once are linked into every later build: a second instead of half a minute.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from samcli.yamlhelper import yaml_dump, yaml_parse

from scrip_cli.errors import CommandError
from scrip_cli.local.bytecode import FUNCTION_PLACE, LAYER_PLACE, compile_folder
from scrip_cli.local.ministack_gaps import leave_out
from scrip_cli.local.stack import LocalStack, template_parameters, tool_path

_LOG_LINES_SHOWN = 30
_SOURCES = ("template.yaml", "functions", "layers")
_BUILDS_KEPT = 4
_UV_OPTIONS = [
    "--quiet",
    "--no-config",
    "--no-deps",
    "--require-hashes",
    "--python",
    sys.executable,
]
_NOT_SOURCES = shutil.ignore_patterns("__pycache__", ".*")


def source_hash(stack: LocalStack) -> str:
    """Hash everything that a build depends on: the bytes of the sources, and the parameters."""
    digest = hashlib.sha256(" ".join(template_parameters()).encode())
    for path in _source_files(stack.root):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(stack.root)}\0{content}\n".encode())
    return digest.hexdigest()


def is_built(stack: LocalStack, wanted_hash: str) -> bool:
    """Return whether the stack's build folder has a build of these sources."""
    wanted = _builds(stack.root) / wanted_hash
    return wanted.is_dir() and stack.build_dir.resolve() == wanted.resolve()


def build(stack: LocalStack, wanted_hash: str) -> None:
    """Let the stack have the build of these sources, which another stack may have made already.

    Raises CommandError if packages cannot be installed, as without a network.
    """
    if shutil.which("uv", path=tool_path()) is None:
        raise CommandError("uv is not installed.", "Run `make setup` in the project.")
    finished = _builds(stack.root) / wanted_hash
    with _one_at_a_time(finished.parent):
        if not finished.is_dir():
            made = _new(finished.parent)
            _build(stack.root, made)
            made.rename(finished)
        finished.touch()
        builds = [path for path in finished.parent.iterdir() if len(path.name) == len(wanted_hash)]
        for old in sorted(builds, key=lambda path: path.stat().st_mtime)[:-_BUILDS_KEPT]:
            shutil.rmtree(old)
    stack.build_dir.parent.mkdir(parents=True, exist_ok=True)
    if stack.build_dir.is_dir() and not stack.build_dir.is_symlink():
        shutil.rmtree(stack.build_dir)  # of Scrip 0.2
    stack.build_dir.unlink(missing_ok=True)
    stack.build_dir.symlink_to(finished)


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


def _builds(root: Path) -> Path:
    """Return the folder with the builds that all stacks of a project share."""
    return root / ".scrip" / "builds"


def _new(parent: Path) -> Path:
    """Return a folder for something unfinished, without what a killed build has left there."""
    made = parent / "unfinished"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    return made


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other process builds in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(root: Path, made: Path) -> None:
    """Build the functions, the layers and their template into an empty folder."""
    template = yaml_parse((root / "template.yaml").read_text(encoding="utf-8"))
    for logical_id, resource in template["Resources"].items():
        properties, folder = resource.get("Properties", {}), made / logical_id
        match resource["Type"]:
            case "AWS::Serverless::Function":
                source, own, place = properties["CodeUri"], properties["CodeUri"], FUNCTION_PLACE
                properties["CodeUri"] = logical_id
            case "AWS::Serverless::LayerVersion":
                source, own, place = properties["ContentUri"], "python", LAYER_PLACE
                properties["ContentUri"] = logical_id
            case _:
                continue
        shutil.copytree(root / source, folder / own, ignore=_NOT_SOURCES)
        compile_folder(folder, place, processes=1)  # more of them take longer to start
        if place == LAYER_PLACE:
            installed = _packages(root, root / source / "requirements.txt")
            shutil.copytree(installed, folder, copy_function=os.link, dirs_exist_ok=True)
    _add_data(root, made / "Layer")
    (made / "template.yaml").write_text(yaml_dump(template), encoding="utf-8")
    leave_out(made / "template.yaml")


def _add_data(root: Path, layer: Path) -> None:
    """Put what cold starts need into the layer, by a process that imports all functions for it."""
    done = subprocess.run(
        [sys.executable, "-m", "scrip_cli.local.layer_data", layer],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CommandError(
            "The functions could not be imported.",
            "The output names the line that fails.",
            output=done.stderr,
        )


def _packages(root: Path, requirements: Path) -> Path:
    """Return a folder with a layer's packages, which are installed once and compiled."""
    name = hashlib.sha256(requirements.read_bytes()).hexdigest()
    finished = _builds(root) / "packages" / name
    if not finished.is_dir():
        made = _new(finished.parent)
        target = made / "python"
        done = subprocess.run(
            ["uv", "pip", "install", *_UV_OPTIONS, "--target", target, "-r", requirements],
            env={**os.environ, "PATH": tool_path()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CommandError(
                f"The packages of {requirements} could not be installed.",
                "Packages are downloaded from PyPI. A proxy is named in HTTPS_PROXY.",
                output=done.stderr,
            )
        shutil.rmtree(target / "bin", ignore_errors=True)  # no function runs a command
        (target / ".lock").unlink(missing_ok=True)
        compile_folder(made, LAYER_PLACE)
        made.rename(finished)
    return finished
