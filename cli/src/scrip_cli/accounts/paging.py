"""Long lists, read page by page, with a limit unless all of it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from scrip_cli.report import Record, note
from scrip_cli.work import patiently

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT = 50
"""How many records a list shows by default."""

PAGE_MAX = 100
"""How many records are read at once."""

type Page = tuple[Sequence[Record], str | None]
"""Records, and the cursor of the next page; None at the end."""


def paged(read: Callable[[int, str | None], Page], *, limit: int | None) -> Iterator[Record]:
    """Yield up to `limit` records of a list, or all of them, and note when there may be more.

    `read` takes the largest size of a page and a cursor.
    """
    shown, cursor = 0, None
    while limit is None or shown < limit:
        size = PAGE_MAX if limit is None else min(PAGE_MAX, limit - shown)
        page, cursor = patiently(partial(read, size, cursor))
        yield from page
        shown += len(page)
        if cursor is None:
            return
    note(f"There may be more than these {limit}; use --limit or --all.")
