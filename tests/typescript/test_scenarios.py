"""The TypeScript client plays the scenarios of every client on the local stack."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from scrip_cli.local.demo import Details


def test_every_scenario_ends_on_the_stack_as_the_table_says(
    workspace: Path, details: Details
) -> None:
    environment = {
        **os.environ,
        "NO_PROXY": "*",
        "SCRIP_API_URL": details.api_url,
        "SCRIP_SERVICE_TOKEN": details.service_token,
        "SCRIP_ADMIN_TOKEN": details.admin_token,
    }
    vitest = ["node", "node_modules/vitest/vitest.mjs", "run", "scenarios"]
    played = subprocess.run(
        vitest, cwd=workspace, env=environment, capture_output=True, text=True, check=False
    )
    assert played.returncode == 0, played.stdout + played.stderr
