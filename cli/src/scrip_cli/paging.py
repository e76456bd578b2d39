"""Long lists, read a page at a time and bounded unless all of it is asked for."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from scrip_cli.local import report
from scrip_cli.records import Record
from scrip_cli.work import patiently

LIMIT = 50
"""How much of a list is shown unless it is said."""

PAGE_MAX = 100
"""How much is read at once."""

type Page = tuple[Sequence[Record], str | None]
"""Some records, and the cursor behind them; None at the end."""


def paged(read: Callable[[int, str | None], Page], *, limit: int | None) -> Iterator[Record]:
    """Yield up to `limit` records of a list, or all of it; say so where there can be more.

    `read` returns a page of at most so many behind a cursor.
    """
    shown, cursor = 0, None
    while limit is None or shown < limit:
        size = PAGE_MAX if limit is None else min(PAGE_MAX, limit - shown)
        page, cursor = patiently(partial(read, size, cursor))
        yield from page
        shown += len(page)
        if cursor is None:
            return
    report.note(f"There can be more than these {limit}: say --limit or --all.")
