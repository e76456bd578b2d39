"""The API keeps the promises of its OpenAPI document whatever a caller sends, by Schemathesis.

`make fuzz SECONDS=600` runs longer, each time with another seed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip_cli.local import demo
from scrip_cli.local.deploy import outputs
from tests.integration.test_audit import audited

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip_cli.local.stack import LocalStack
    from tests.integration.conftest import Api

HERE = Path(__file__).parent
STARTED_SECONDS_MAX = 120

SECONDS = int(os.environ.get("FUZZ_SECONDS", "15"))
SEED = os.environ.get("FUZZ_SEED", "1")

SHARES = {"user": 0.2, "service": 0.2, "admin": 0.6}
"""Each token's share of the time."""

PHASES = {
    "user": "fuzzing,stateful",
    "service": "fuzzing,stateful",
    "admin": "coverage,fuzzing,stateful",
}
"""Boundaries of fields (coverage) are the same for all, and an admin reaches all of them."""


@pytest.fixture
def accounts(admin: Api) -> list[str]:
    """Accounts that no other test uses."""
    found = [f"fuzzed-{uuid4()}" for _ in range(8)]
    for account_id in found:
        opened = admin.http.post(
            "/v1/admin/accounts", json={"account_id": account_id}, headers=admin.headers()
        )
        assert opened.status_code == 201, opened.text
    return found


@pytest.fixture
def callers(stack: LocalStack, user: Api, caller: Callable[..., Api]) -> dict[str, Api]:
    """One caller of each kind, which no other test uses."""
    email = f"{uuid4()}@example.com"
    account_id = demo.sign_up(stack, email)
    stack.client("cognito-idp").admin_add_user_to_group(
        UserPoolId=outputs(stack)["UserPoolId"], Username=email, GroupName="admin"
    )
    return {
        "user": user,
        "service": caller(demo.details(stack).service_token),
        "admin": caller(demo.user_token(stack, email), account_id),
    }


@pytest.mark.parametrize("who", SHARES)
def test_every_request_gets_a_documented_response_and_leaves_valid_accounts(
    stack: LocalStack,
    callers: dict[str, Api],
    accounts: list[str],
    tmp_path: Path,
    who: str,
) -> None:
    known = {"user": ["me"], "service": accounts, "admin": ["me", *accounts]}[who]
    kept = [*known, *DEFAULT_CATALOG.plans, *DEFAULT_CATALOG.features]
    shutil.copy(HERE / "schemathesis.toml", tmp_path)
    (tmp_path / "accounts.txt").write_text("".join(f'"{account_id}"\n' for account_id in known))
    url = demo.details(stack).api_url
    seconds = round(SECONDS * SHARES[who])
    # It prints its seed and, for each failure, how to reproduce it.
    ran = subprocess.run(
        [
            *(Path(sys.executable).parent / "st", "--config-file", tmp_path / "schemathesis.toml"),
            *("--no-color", "run", f"{url}/v1/openapi.json", "--url", url),
            *("--header", f"Authorization: Bearer {callers[who].token}"),
            *("--phases", PHASES[who], "--seed", SEED),
            *("--max-time", str(seconds), "--workers", "2"),
        ],
        env={**os.environ, "FUZZ_KEPT": " ".join(kept)},
        cwd=HERE.parents[1],
        timeout=seconds + STARTED_SECONDS_MAX,
        check=False,
    )
    assert ran.returncode == 0
    for account_id in accounts:
        assert audited(stack, "--account", account_id)[:2] == (0, [])
