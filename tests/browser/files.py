"""The files that a page has loaded, as the browser reports them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

BYTES_MAX = 300_000
"""How large all files of a page may be, uncompressed."""

AT_ONCE_MAX = 8
"""How many files a page may request at once: each is a call of the function."""


@dataclass(frozen=True)
class File:
    """A file that a page has loaded: bytes, bytes in transit, and begin and end in milliseconds."""

    name: str
    size: int
    sent: int
    is_cached: bool
    begin: float
    end: float


def loaded(page: Page) -> list[File]:
    """Return the files that a page has loaded, without the API's responses."""
    found = page.evaluate(
        r"""() => [...performance.getEntriesByType("navigation"),
                  ...performance.getEntriesByType("resource")]
            .filter(({ name }) => /\/(console|me$|me#)/.test(name) && !name.includes("/v1/"))
            .map((file) => ({
                name: file.name.split("#")[0],
                size: file.decodedBodySize,
                sent: file.encodedBodySize,
                is_cached: file.transferSize === 0,
                begin: file.startTime,
                end: file.responseEnd,
            }))"""
    )
    return [File(**file) for file in found]


def at_once(files: list[File]) -> int:
    """Return the largest number of concurrent requests."""
    return max(sum(other.begin <= file.begin < other.end for other in files) for file in files)
