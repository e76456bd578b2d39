"""Coroutines in tests."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


def run[Result](coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine and return its result.

    It runs in another thread: once a test has used a browser, Playwright's event loop stays in
    this one until all tests have finished.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
