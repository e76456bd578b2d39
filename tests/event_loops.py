"""Coroutines in tests."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


def run[Result](coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Return what a coroutine returns.

    It has a thread of its own: once a test has used a browser, Playwright's event loop is in this
    one until all tests are over.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
