"""The pages of docs/reference are what the code says."""

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
def test_every_page_that_is_made_from_the_code_is_in_step_with_it(page: str) -> None:
    made = runpy.run_path(str(ROOT / f"scripts/{GENERATORS[page]}.py"))["page"]()
    assert (ROOT / f"docs/reference/{page}.md").read_text() == made, "run make reference"


def test_every_error_says_what_to_do_about_it() -> None:
    errors = [*ScripError.__subclasses__(), *RefusalError.__subclasses__()]
    assert problems.InvalidError in errors
    for error in {*errors, ScripError} - {RefusalError}:
        title, _, remedy = inspect.cleandoc(error.__doc__ or "").partition("\n\n")
        assert title.endswith("."), error
        assert remedy.endswith("."), error
