"""Pages of lists: their items, and the cursors that continue them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scrip.domain.errors import InvalidCursorError
from scrip.store.cursors import seal
from scrip.store.pages import read_page

if TYPE_CHECKING:
    from scrip.store.pages import Place, Steps

LAST = 5


def numbers_after(place: Place) -> Steps[int]:
    """Yield the numbers up to LAST; a request reads no further than an even number."""
    for number in range((place or 0) + 1, LAST + 1):
        yield number, number if number < LAST else None
        if number % 2 == 0:
            yield None, number


def page(limit: int, cursor: str | None, query: str = "numbers") -> tuple[list[int], str | None]:
    return read_page(query, numbers_after, limit=limit, cursor=cursor, shown=str)


@pytest.mark.parametrize(
    ("limit", "pages"),
    [(1, [[1], [2], [3], [4], [5]]), (2, [[1, 2], [3, 4], [5]]), (3, [[1, 2], [3, 4], [5]])],
)
def test_a_page_ends_at_its_limit_or_when_enough_was_read_and_the_last_has_no_cursor(
    limit: int, pages: list[list[int]]
) -> None:
    items, cursor = page(limit, None)
    found = [items]
    while cursor:
        items, cursor = page(limit, cursor)
        found.append(items)
    assert found == pages


def test_a_cursor_of_a_different_query_is_refused() -> None:
    _, cursor = page(1, None)
    with pytest.raises(InvalidCursorError):
        page(1, cursor, "letters")


@pytest.mark.parametrize("changed", ["", "x", "####", "\ud800", "e30", "ü"])
def test_an_invalid_cursor_is_refused(changed: str) -> None:
    with pytest.raises(InvalidCursorError):
        page(1, changed)


def test_a_cursor_with_anything_added_is_refused() -> None:
    with pytest.raises(InvalidCursorError):
        page(1, seal("numbers", 1) + "!")
