"""What the OpenAPI document promises holds for whatever anybody sends, found by Schemathesis.

`make fuzz SECONDS=600` looks for longer, each time from another seed.
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
"""How much of the time each token gets."""

PHASES = {
    "user": "fuzzing,stateful",
    "service": "fuzzing,stateful",
    "admin": "coverage,fuzzing,stateful",
}
"""Boundaries of every field (coverage) are the same for all, and an admin gets to all of them."""


@pytest.fixture
def accounts(admin: Api) -> list[str]:
    """Accounts that nobody else has."""
    found = [f"fuzzed-{uuid4()}" for _ in range(8)]
    for account_id in found:
        opened = admin.http.post(
            "/v1/admin/accounts", json={"account_id": account_id}, headers=admin.headers()
        )
        assert opened.status_code == 201, opened.text
    return found


@pytest.fixture
def callers(stack: LocalStack, user: Api, caller: Callable[..., Api]) -> dict[str, Api]:
    """One of each kind, and none that another test asks as."""
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
def test_whatever_is_sent_is_answered_as_documented_and_is_no_fault(
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
    # It prints its seed and, of what failed, how to send it again.
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
