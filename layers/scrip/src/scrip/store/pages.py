"""Pages: how much of a list goes into one answer."""

import json
from typing import Any

PAGE_BYTES_MAX = 4 * 1024 * 1024
"""How many bytes of items fill a page. Lambda returns at most 6 MB, and API Gateway 10 MB."""


def sent_bytes(shown: Any) -> int:
    """Return how many bytes a part of an answer takes as Lambda returns it.

    That is JSON in ASCII, as a string within JSON: a letter of two bytes can take seven.
    """
    return len(json.dumps(json.dumps(shown, separators=(",", ":"))))


class Page[Item]:
    """The items of one answer, in order, until there are as many as were asked for or enough bytes.

    The first one always fits, whatever it holds.
    """

    def __init__(self, limit: int) -> None:
        """Begin without any; at most `limit` are wanted."""
        self.items: list[Item] = []
        self._limit = limit
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Tell whether what follows belongs to the next page."""
        return len(self.items) >= self._limit or self._bytes >= PAGE_BYTES_MAX

    def add(self, item: Item, shown: Any) -> None:
        """Add an item, which the answer shows as this JSON."""
        self.items.append(item)
        self._bytes += sent_bytes(shown)
