"""Part `cold`: each function's cold start, with and without bytecode, beside a bare boto3 client.

Times are CPU times of new processes, which take turns so that other load on the machine affects all
of them alike. Init and first request make up a cold start, without Lambda's own share: fetching the
code and starting Python. Both are measured apart, because Lambda gives them different shares of a
CPU, with the variables that Lambda sets, and over TLS.
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
from samcli.yamlhelper import yaml_parse

from bench.goals import at_most
from bench.progress import report
from bench.tls import tls_front
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
    "refund": "refund/whole",
    "renew": "renew/account",
    "reset": "reset/schedule",
    "signup": "signup/confirmed",
    "wake": "wake/account_opened",
    "webhook": "webhook/request",
}
"""The first request of each function; bootstrap has none, since no one waits for it."""

RUNTIME = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3")
"""What Lambda's Python runtime includes."""

REPEATS, REPEATS_QUICK = 9, 3
QUICKLY = ("consume", "signup", "webhook")
"""The functions of a quick run."""

ON_LAMBDA = {
    "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    "AWS_LAMBDA_FUNCTION_VERSION": "1",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/function",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[1]b2f7c1de11114c5e9f0a6d5e4c3b2a19",
    "LANG": "en_US.UTF-8",
    "TZ": ":UTC",
}
"""What Lambda sets that the code or the SDK reads."""

FOR_SNAPSHOT = ON_LAMBDA | {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
    "TABLE_NAME": "scrip",
}
"""The variables of a start that needs no table, since it reads nothing."""

PROMISED = "consume"
INIT_AND_FIRST_MAX, FIRST_CPU_MS_MAX = 1.5, 12
INIT_AND_FIRST_NOISE, FIRST_CPU_NOISE = 0.05, 0.25
"""Ratios vary less between runs than milliseconds, which another load lengthens, too."""

KB = 1_000
NOTES = [
    "Processor time of new processes, without Lambda's share: fetching code, starting Python.",
    "init: import, and what a function prepares when Lambda starts it; the bare client's creation.",
    "Over TLS, with as many roots as on AWS: Amazon's five for the table, botocore's for all else.",
    "AWS sends longer chains of certificates.",
    "without_bytecode: without Scrip's own; boto3 keeps its bytecode, as in Lambda's runtime.",
    "A layer's unzipped size excludes its bytecode, which has a column of its own.",
    "Only webhook and admin have the layer of providers' libraries.",
]
SCRIP = str(Path(sys.executable).parent / "scrip")
PROCESS = Path(__file__).with_name("cold_process.py")
FLOOR = None
"""Stands for the bare boto3 client, in place of a function's name."""

type Sample = dict[str, float]


class Cold:
    """Cold starts from a build folder."""

    def __init__(self, build_dir: Path, scratch: Path) -> None:
        """Take the build; copies without bytecode are made when they are needed."""
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
        """Start a function in a new process; return its CPU milliseconds and peak memory."""
        places = places_of(self.build_dir, function) if function else []
        if not bytecode:
            places = [self._bare(place) for place in places]
        settings = {
            "places": [str(place) for place in [*places, self._runtime]],
            "function": function,
            "table": environment["TABLE_NAME"],
            "events": list(events),
        }
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-B", str(PROCESS)],
            input=json.dumps(settings),
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        took: Sample = json.loads(done.stdout.splitlines()[-1])
        return took

    def _bare(self, place: Path) -> Path:
        """Return a copy of a function or a layer without bytecode."""
        bare = self._scratch / "bare" / place.relative_to(self.build_dir)
        if not bare.exists():
            shutil.copytree(place, bare, ignore=shutil.ignore_patterns("__pycache__"))
        return bare


def folder(build_dir: Path, function: str) -> Path:
    """Return the folder into which SAM builds a function, named by its logical ID."""
    [handler] = build_dir.glob(f"*/functions/{function}/handler.py")
    return handler.parents[2]


def places_of(build_dir: Path, function: str) -> list[Path]:
    """Return the built folders from which a function imports: its own, then those of its layers."""
    own = folder(build_dir, function)
    template = yaml_parse((build_dir / "template.yaml").read_text(encoding="utf-8"))
    declared = (template["Globals"]["Function"], template["Resources"][own.name]["Properties"])
    layers = [layer["Ref"] for one in declared for layer in one.get("Layers", [])]
    return [own, *(build_dir / layer / "python" for layer in layers)]


def start_ratios(build_dir: Path, function: str, repeats: int) -> dict[str, float]:
    """Compare a function's start with the bare client's, and with the start without bytecode.

    It is a start for a snapshot, so it needs no table. The fastest of `repeats` counts: other load
    can only make a run slower.
    """
    with tempfile.TemporaryDirectory() as scratch:
        cold = Cold(build_dir, Path(scratch))
        rounds = [
            [
                cold.start(FLOOR, environment=FOR_SNAPSHOT)["init_ms"],
                cold.start(function, environment=FOR_SNAPSHOT)["init_ms"],
                cold.start(function, environment=FOR_SNAPSHOT, bytecode=False)["init_ms"],
            ]
            for _ in range(repeats)
        ]
    floor, with_bytecode, without = map(min, zip(*rounds, strict=True))
    return {
        "start_to_floor_ratio": with_bytecode / floor,
        "without_bytecode_ratio": without / with_bytecode,
    }


def measure(*, quick: bool) -> dict[str, Any]:
    """Return a row for the bare client, one for each function, and one for each layer.

    Starts a local stack of its own.
    """
    repeats = REPEATS_QUICK if quick else REPEATS
    functions = QUICKLY if quick else sorted(EVENTS)
    with (
        _stack() as stack,
        tempfile.TemporaryDirectory() as scratch,
        tls_front(stack.port, Path(scratch)) as tls,
    ):
        cold = Cold(stack.build_dir, Path(scratch))
        environments = {
            name: variables | ON_LAMBDA | tls for name, variables in environments_of(stack).items()
        }
        kinds = [(FLOOR, True)] + [(name, kind) for name in functions for kind in (True, False)]
        samples: dict[tuple[str | None, bool], list[Sample]] = {kind: [] for kind in kinds}
        for turn in range(-1, repeats):
            for function, bytecode in kinds:
                sample = cold.start(
                    function,
                    environment=environments[function or "consume"],
                    events=_requests(function),
                    bytecode=bytecode,
                )
                if turn >= 0:  # the first round opens accounts and warms the file cache
                    samples[function, bytecode].append(sample)
            report(f"{turn + 1} of {repeats} rounds")
        floor, promised = _middle(samples[FLOOR, True]), _middle(samples[PROMISED, True])
        rows: list[dict[str, Any]] = [{"function": "(bare boto3 client)", **_row(floor, floor)}]
        for name in functions:
            with_bytecode, without = _middle(samples[name, True]), _middle(samples[name, False])
            gain = without["init_ms"] / with_bytecode["init_ms"]
            rows.append(
                {
                    "function": name,
                    **_row(with_bytecode, floor),
                    "without_bytecode_ratio": round(gain, 2),
                    "zip_kb": _zip_bytes(folder(stack.build_dir, name)) // KB,
                },
            )
        for name, layer in (("(layer)", "Layer"), ("(layer of providers)", "ProvidersLayer")):
            rows.append({"function": name, **_layer(stack.build_dir / layer)})
    start = at_most(
        f"cold: init and first request of {PROMISED}, to the bare client's",
        _start_ratio(promised, floor),
        INIT_AND_FIRST_MAX,
        "times",
        noise=INIT_AND_FIRST_NOISE,
    )
    first = at_most(
        f"cold: first request of {PROMISED}",
        promised["first_ms"],
        FIRST_CPU_MS_MAX,
        "CPU ms",
        noise=FIRST_CPU_NOISE,
    )
    return {"rows": rows, "notes": NOTES, "goals": [start, first]}


def _start_ratio(sample: Sample, floor: Sample) -> float:
    """Return the ratio of two cold starts, from the beginning to the first answer."""
    start, bare = (one["init_ms"] + one["first_ms"] for one in (sample, floor))
    return start / bare


def _row(sample: Sample, floor: Sample) -> dict[str, float]:
    return {
        "init_to_bare_ratio": round(sample["init_ms"] / floor["init_ms"], 2),
        "init_and_first_to_bare_ratio": round(_start_ratio(sample, floor), 2),
        "init_cpu_ms_here": round(sample["init_ms"]),
        "first_request_cpu_ms_here": round(sample["first_ms"], 1),
        "second_request_cpu_ms_here": round(sample["second_ms"], 1),
        "peak_memory_mib": round(sample["peak_mib"]),
    }


def _middle(samples: list[Sample]) -> Sample:
    return {name: median(sample[name] for sample in samples) for name in samples[0]}


def _layer(layer: Path) -> dict[str, int]:
    files = [path for path in layer.rglob("*") if path.is_file()]
    return {
        "zip_kb": _zip_bytes(layer) // KB,
        "unzipped_kb": sum(path.stat().st_size for path in files if path.suffix != ".pyc") // KB,
        "bytecode_kb": sum(path.stat().st_size for path in files if path.suffix == ".pyc") // KB,
    }


def _zip_bytes(built: Path) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        return Path(shutil.make_archive(f"{scratch}/code", "zip", built)).stat().st_size


def _requests(function: str | None) -> list[Any]:
    """Return two requests for a function, with keys of their own if they take keys."""
    if function is FLOOR:
        return [None, None]
    text = Path("events", f"{EVENTS[function]}.json").read_text(encoding="utf-8")
    requests = [json.loads(text), json.loads(text)]
    for request in requests:
        if "idempotency-key" in request.get("headers", {}):
            request["headers"]["idempotency-key"] = uuid4().hex
    return requests


def environments_of(stack: LocalStack) -> dict[str, dict[str, str]]:
    """Return the environment of each deployed function, including the local AWS's address."""
    functions, found = stack.client("lambda"), {}
    for resource in stack.client("cloudformation").describe_stack_resources(StackName=STACK_NAME)[
        "StackResources"
    ]:
        if resource["ResourceType"] == "AWS::Lambda::Function":
            deployed = functions.get_function_configuration(
                FunctionName=resource["PhysicalResourceId"]
            )
            _, name, *_ = deployed["Handler"].split(".")
            found[name] = {**deployed["Environment"]["Variables"], **stack.aws_environment()}
    return found


@contextmanager
def _stack() -> Iterator[LocalStack]:
    """Start a local stack, and stop it afterwards."""
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
