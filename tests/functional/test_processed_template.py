"""The template as CloudFormation gets it from SAM: what AWS would refuse, now or at an update."""

import subprocess
import sys
from functools import cache
from typing import Any

from samcli.yamlhelper import yaml_parse

from tests.functional.conftest import ROOT


@cache
def processed() -> dict[str, Any]:
    """Return the template that CloudFormation gets."""
    made = [sys.executable, "scripts/processed_template.py"]
    text = subprocess.run(made, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return yaml_parse(text)  # type: ignore[no-any-return]


def test_no_route_ends_in_a_slash_because_an_http_api_has_no_such_routes() -> None:
    paths = processed()["Resources"]["Api"]["Properties"]["Body"]["paths"]
    assert "/console" in paths
    assert not [path for path in paths if path.endswith("/")]
