"""The generated pages of docs/reference, compared with the code."""

import inspect
import runpy

import pytest

from scrip.domain.errors import RefusalError, ScripError
from scrip.http import problems
from tests.documentation import ROOT

GENERATORS = {"api": "api_reference", "configuration": "configuration_reference"}
GENERATORS |= {"benchmark": "benchmark_reference", "costs": "costs_reference"}
GENERATORS |= {"errors": "errors_reference"}


@pytest.mark.parametrize("page", GENERATORS)
def test_every_generated_page_is_up_to_date_with_the_code(page: str) -> None:
    made = runpy.run_path(str(ROOT / f"scripts/{GENERATORS[page]}.py"))["page"]()
    assert (ROOT / f"docs/reference/{page}.md").read_text() == made, "run make reference"


def test_every_error_has_a_title_and_a_remedy() -> None:
    errors = [*ScripError.__subclasses__(), *RefusalError.__subclasses__()]
    assert problems.InvalidError in errors
    for error in {*errors, ScripError} - {RefusalError}:
        title, _, remedy = inspect.cleandoc(error.__doc__ or "").partition("\n\n")
        assert title.endswith("."), error
        assert remedy.endswith("."), error
