"""The npm packages on the local stack and in a browser, as the Makefile has built them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import browser_type_launch_args, details

__all__ = ["browser_type_launch_args", "details"]

WORKSPACE = Path(__file__).parents[2] / "clients/typescript"


@pytest.fixture(scope="session")
def workspace() -> Path:
    """The npm workspace."""
    return WORKSPACE
