"""Pages: how every list is cut into answers, and how the next answer goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scrip.store.cursors import seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

PAGE_BYTES_MAX = 4 * 1024 * 1024
"""How many bytes of items fill a page. Lambda returns at most 6 MB, and API Gateway 10 MB."""

type Place = Any
"""A position in a list, as JSON; None before the first item."""

type Steps[Item] = Iterable[tuple[Item | None, Place]]
"""The items of a list in order, each with the place after it, or None if nothing comes after it.

A step without an item means that one request has read enough. The list ends where the steps end.
"""


def read_page[Item](
    query: object,
    steps_after: Callable[[Place], Steps[Item]],
    *,
    limit: int,
    cursor: str | None,
    shown: Callable[[Item], Any],
) -> tuple[list[Item], str | None]:
    """Return the items of a list after a cursor, and the cursor after them; None at the end.

    A page has up to `limit` items and is full after PAGE_BYTES_MAX of `shown`, the JSON that the
    answer shows of each. So the first item always fits. A page can be short before the end, even
    empty.

    Raises:
        InvalidCursorError: the cursor belongs to a different query.
    """
    items: list[Item] = []
    size = 0
    for item, place in steps_after(None if cursor is None else unseal(query, cursor)):
        if item is not None:
            items.append(item)
            size += sent_bytes(shown(item))
        if item is None or len(items) >= limit or size >= PAGE_BYTES_MAX:
            return items, None if place is None else seal(query, place)
    return items, None


def sent_bytes(shown: Any) -> int:
    """Return how many bytes a part of an answer takes when Lambda returns it.

    Lambda returns JSON in ASCII, as a string inside JSON: a letter of two bytes can take seven.
    """
    return len(json.dumps(json.dumps(shown, separators=(",", ":"))))
