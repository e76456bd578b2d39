"""The lines of the report."""

import re
from pathlib import Path

from scrip_cli.smoke.checks import CHECKS

REFERENCE = Path(__file__).parents[4] / "docs/reference/smoke.md"


def test_the_reference_explains_every_line_in_its_order() -> None:
    explained = re.findall(r"^\| `([^`]+)` \| .+ \| .+ \|$", REFERENCE.read_text(), re.MULTILINE)
    assert explained == [*(name for name, _ in CHECKS), "clean-up"]
