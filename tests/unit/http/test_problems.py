"""Problems: titles and details are sentences that an app can show."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from scrip.domain.errors import InsufficientCreditsError, ScripError
from scrip.http import problems
from scrip.http.problems import InvalidError, problem
from scrip.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = {
    "int": 7,
    "str": "{example}",
    "str | None": None,
    "datetime": datetime(2026, 12, 1, tzinfo=UTC),
    "list": ["body.amount: it is missing"],
}


def errors(base: type[ScripError] = ScripError) -> Iterator[type[ScripError]]:
    yield base
    for error in base.__subclasses__():
        yield from errors(error)


@pytest.fixture(autouse=True)
def stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "settings", lambda: Settings(table_name="scrip"))


@pytest.mark.parametrize("error", list(errors()), ids=lambda error: error.__name__)
def test_titles_and_details_are_sentences_with_the_errors_data(error: type[ScripError]) -> None:
    data = {
        field.name: EXAMPLES[getattr(field.type, "__name__", str(field.type))]
        for field in fields(error)
    }
    shown = json.loads(problem(error(**data), "urn:example").body or "")
    for text in (shown["title"], shown["detail"].replace("{example}", "example")):
        assert text[0].isupper(), text
        assert "{" not in text
    assert shown["title"].endswith(".")


def test_the_detail_says_what_is_missing_or_invalid() -> None:
    refused = InsufficientCreditsError(25, 10, 15, datetime(2026, 12, 1, tzinfo=UTC))
    shown = json.loads(problem(refused, "urn:example").body or "")
    assert shown["detail"] == "Not enough credits: 25 needed, 10 available."
    invalid = InvalidError(["body.amount: it is missing", "query.x: there is no such parameter"])
    shown = json.loads(problem(invalid, "urn:example").body or "")
    assert shown["detail"] == (
        "The request is not valid: body.amount: it is missing; query.x: there is no such parameter"
    )


@pytest.mark.parametrize("page", ["https://credits.example.com/me", ""])
def test_who_runs_out_of_credits_finds_the_page_that_shows_where_they_went(
    monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    stack = Settings(table_name="scrip", user_page_url=page)
    monkeypatch.setattr(problems, "settings", lambda: stack)
    refused = InsufficientCreditsError(25, 5, 20, datetime(2026, 12, 1, tzinfo=UTC))
    body = json.loads(problem(refused, "urn:scrip:request:1").body or "")
    assert body["credits_url"] == (page or None)
