"""The pages of docs/reference are what the code says."""

import runpy

import pytest

from tests.documentation import ROOT

GENERATORS = {"api": "api_reference", "configuration": "configuration_reference"}
GENERATORS |= {"errors": "errors_reference"}


@pytest.mark.parametrize("page", GENERATORS)
def test_every_page_that_is_made_from_the_code_is_in_step_with_it(page: str) -> None:
    made = runpy.run_path(str(ROOT / f"scripts/{GENERATORS[page]}.py"))["page"]()
    assert (ROOT / f"docs/reference/{page}.md").read_text() == made, "run make reference"
