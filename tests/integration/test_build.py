"""What SAM built: complete without anything of this machine, and no larger than it need be."""

import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from scrip_cli.local.stack import LocalStack

FUNCTIONS = sorted(path.parent.name for path in Path("functions").glob("*/handler.py"))
# What Lambda's Python has by itself.
RUNTIME = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3")
LAYER_BYTES_MAX = 13 * 1024 * 1024


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_imports_with_nothing_but_its_layer_and_the_runtime(
    stack: LocalStack,
    tmp_path: Path,
    function: str,
) -> None:
    site_packages = Path(boto3.__file__).parents[1]
    for package in RUNTIME:
        (tmp_path / package).symlink_to(site_packages / package)
    places = [
        stack.build_dir / f"{function.capitalize()}Function",
        stack.build_dir / "Layer" / "python",
        tmp_path,
    ]
    # -S: without this machine's site-packages; -I: without its environment.
    code = f"import sys; sys.path[:0] = {[str(place) for place in places]}; "
    code += f"import functions.{function}.handler"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def test_the_layer_carries_only_what_runs_in_lambda(stack: LocalStack) -> None:
    layer = stack.build_dir / "Layer" / "python"
    assert not (layer / "boto3").exists()
    assert not (layer / "pytest").exists()
    files = [path for path in layer.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files) <= LAYER_BYTES_MAX
