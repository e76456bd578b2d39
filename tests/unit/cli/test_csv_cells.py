"""Text in CSV cells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrip_cli.csv_cells import marked, unmarked


@pytest.mark.parametrize("start", list("=+-@\t\r\n"))
def test_text_that_looks_like_a_formula_is_marked(start: str) -> None:
    assert marked(start) == f"'{start}"
    assert marked(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("text", ["", "'", "a=1", "'quoted'", " =1", "1-1", "it's"])
def test_other_text_is_written_and_read_unchanged(text: str) -> None:
    assert (marked(text), unmarked(text)) == (text, text)


@given(st.text() | st.from_regex(r"'*[=+\-@\t\r\n].*"))
def test_reading_removes_the_mark(text: str) -> None:
    assert unmarked(marked(text)) == text
