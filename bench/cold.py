"""Cold starts: what each function's takes, beside the bare boto3 client and without the bytecode.

Times are of the CPU, in processes of their own, each kind in turn so that whatever else the machine
does hits all alike. Start and first request are a cold start without what Lambda itself adds to it:
fetching the code, starting Python.
"""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import boto3

from scrip_cli.local.stack import STACK_NAME, LocalStack, find_stack

EVENTS = {
    "account": "account/me",
    "adjust": "adjust/add",
    "admin": "admin/accounts",
    "audit": "audit/schedule",
    "catalog": "catalog/public",
    "console": "console/config",
    "consume": "consume/feature",
    "docs": "docs/health",
    "events": "events/day",
    "match": "match/account_opened",
    "refund": "refund/whole",
    "renew": "renew/account",
    "reset": "reset/schedule",
    "signup": "signup/confirmed",
    "webhook": "webhook/request",
}
"""The first request of each function; bootstrap has none, for nobody waits for it."""

RUNTIME = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3")
"""What Lambda's Python has by itself."""

REPEATS, REPEATS_QUICK = 15, 5
SCRIP = str(Path(sys.executable).parent / "scrip")
PROCESS = Path(__file__).with_name("cold_process.py")
FLOOR = None
"""In place of a function's name: the bare boto3 client."""

type Sample = dict[str, float]


class Cold:
    """Cold starts of what was built into a folder."""

    def __init__(self, build_dir: Path, scratch: Path) -> None:
        """Know the build, and make a copy of it without bytecode as it is needed."""
        self.build_dir = build_dir
        self._scratch = scratch
        self._runtime = scratch / "runtime"
        self._runtime.mkdir()
        for package in RUNTIME:
            (self._runtime / package).symlink_to(Path(boto3.__file__).parents[1] / package)

    def start(
        self,
        function: str | None,
        *,
        environment: Mapping[str, str],
        events: Iterable[Any] = (),
        bytecode: bool = True,
    ) -> Sample:
        """Start a function in a new process; return CPU milliseconds and the peak of its memory."""
        build = self.build_dir if bytecode else self._bare(function)
        layer = build / "Layer" / "python"
        places = [folder(build, function), layer, self._runtime] if function else [self._runtime]
        given = {
            "places": [str(place) for place in places],
            "function": function,
            "table": environment["TABLE_NAME"],
            "events": list(events),
        }
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", str(PROCESS)],
            input=json.dumps(given),
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told: Sample = json.loads(done.stdout.splitlines()[-1])
        return told

    def _bare(self, function: str | None) -> Path:
        """Return a build of the layer and a function without bytecode."""
        bare = self._scratch / "bare"
        for name in ("Layer", folder(bare, function).name) if function else ():
            if not (bare / name).exists():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(self.build_dir / name, bare / name, ignore=ignored)
        return bare


def folder(build_dir: Path, function: str | None) -> Path:
    """Return where SAM puts a function."""
    return build_dir / f"{str(function).capitalize()}Function"


def import_ratios(build_dir: Path, function: str, repeats: int) -> dict[str, float]:
    """Return how a function's import compares with the bare client, and with no bytecode.

    Of each kind it is the fastest of `repeats` that counts: nothing makes one faster than it is.
    """
    environment = {"AWS_DEFAULT_REGION": "us-east-1", "TABLE_NAME": "scrip"}
    with tempfile.TemporaryDirectory() as scratch:
        cold = Cold(build_dir, Path(scratch))
        rounds = [
            [
                cold.start(FLOOR, environment=environment)["import_ms"],
                cold.start(function, environment=environment)["import_ms"],
                cold.start(function, environment=environment, bytecode=False)["import_ms"],
            ]
            for _ in range(repeats)
        ]
    floor, with_bytecode, without = map(min, zip(*rounds, strict=True))
    return {
        "import_to_floor_ratio": with_bytecode / floor,
        "without_bytecode_ratio": without / with_bytecode,
    }


def measure(*, quick: bool) -> dict[str, Any]:
    """Return a row of each function, the bare client's, and the sizes of what is deployed.

    Brings up a local stack of its own. `*_ratio` compare with the bare client in the same run.
    """
    repeats = REPEATS_QUICK if quick else REPEATS
    with _stack() as stack, tempfile.TemporaryDirectory() as scratch:
        cold = Cold(stack.build_dir, Path(scratch))
        environments = _environments(stack)
        functions = sorted(EVENTS)
        kinds = [(name, True) for name in (FLOOR, *functions)]
        kinds += [(name, False) for name in (["consume"] if quick else functions)]
        samples: dict[tuple[str | None, bool], list[Sample]] = {kind: [] for kind in kinds}
        for turn in range(-1, repeats):
            for function, bytecode in kinds:
                sample = cold.start(
                    function,
                    environment=environments[function or "consume"],
                    events=_requests(function),
                    bytecode=bytecode,
                )
                if turn >= 0:  # before that, accounts are opened and files read for the first time
                    samples[function, bytecode].append(sample)
        floor = _middle(samples[FLOOR, True])
        return {
            "repeats": repeats,
            "floor": _row(floor, floor),
            "functions": {
                name: {
                    **_row(_middle(samples[name, True]), floor),
                    **_gain(samples.get((name, False), []), samples[name, True]),
                    "zip_bytes": _zip_bytes(folder(stack.build_dir, name)),
                }
                for name in functions
            },
            "layer": _layer(stack.build_dir / "Layer"),
        }


def _row(sample: Sample, floor: Sample) -> dict[str, float]:
    start, bare = (one["import_ms"] + one["first_ms"] for one in (sample, floor))
    return {
        "import_to_floor_ratio": round(sample["import_ms"] / floor["import_ms"], 2),
        "start_to_floor_ratio": round(start / bare, 2),
        "import_cpu_ms_on_this_machine": round(sample["import_ms"], 1),
        "first_request_cpu_ms_on_this_machine": round(sample["first_ms"], 1),
        "second_request_cpu_ms_on_this_machine": round(sample["second_ms"], 1),
        "peak_memory_mib": round(sample["peak_mib"]),
    }


def _gain(without: list[Sample], with_bytecode: list[Sample]) -> dict[str, float]:
    if not without:
        return {}
    ratio = _middle(without)["import_ms"] / _middle(with_bytecode)["import_ms"]
    return {"without_bytecode_ratio": round(ratio, 2)}


def _middle(samples: list[Sample]) -> Sample:
    return {name: median(sample[name] for sample in samples) for name in samples[0]}


def _layer(layer: Path) -> dict[str, int]:
    files = [path for path in layer.rglob("*") if path.is_file()]
    return {
        "zip_bytes": _zip_bytes(layer),
        "unzipped_bytes": sum(path.stat().st_size for path in files if path.suffix != ".pyc"),
        "bytecode_bytes": sum(path.stat().st_size for path in files if path.suffix == ".pyc"),
    }


def _zip_bytes(built: Path) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        return Path(shutil.make_archive(f"{scratch}/code", "zip", built)).stat().st_size


def _requests(function: str | None) -> list[Any]:
    """Return two requests for a function, with keys of their own where they take any."""
    if function is FLOOR:
        return [None, None]
    text = Path("events", f"{EVENTS[function]}.json").read_text(encoding="utf-8")
    requests = [json.loads(text), json.loads(text)]
    for request in requests:
        if "idempotency-key" in request.get("headers", {}):
            request["headers"]["idempotency-key"] = uuid4().hex
    return requests


def _environments(stack: LocalStack) -> dict[str, dict[str, str]]:
    """Return the environment of each function as it was deployed, the local AWS's address in it."""
    functions, found = stack.client("lambda"), {}
    for resource in stack.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)[
        "StackResources"
    ]:
        if resource["ResourceType"] == "AWS::Lambda::Function":
            name = resource["LogicalResourceId"].removesuffix("Function").lower()
            told = functions.get_function_configuration(FunctionName=resource["PhysicalResourceId"])
            found[name] = {**told["Environment"]["Variables"], **stack.aws_environment()}
    return found


@contextmanager
def _stack() -> Iterator[LocalStack]:
    """Bring up a stack of our own, and put it down again."""
    with tempfile.TemporaryDirectory() as state:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        stack = find_stack(port, Path(state))
        where = ["--port", str(stack.port), "--state", state]
        up = [SCRIP, "local", "up", "--detach", *where]
        down = [SCRIP, "local", "down", *where]
        subprocess.run(up, cwd=stack.root, check=True, stdout=subprocess.DEVNULL)
        try:
            yield stack
        finally:
            subprocess.run(down, cwd=stack.root, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    print(json.dumps(measure(quick=True), indent=1))
