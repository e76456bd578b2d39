"""Every problem that the API documents has an error class with typed data."""

import pickle
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, get_type_hints

import pytest

import scrip_client
from scrip_client import errors
from tests.unit.clients.conftest import openapi

USED = {
    ("get", "/v1/accounts/{account_id}"),
    ("get", "/v1/accounts/{account_id}/upcoming"),
    ("get", "/v1/accounts/{account_id}/entries"),
    ("get", "/v1/accounts/{account_id}/statement"),
    ("get", "/v1/accounts/{account_id}/entries/{entry_id}"),
    ("post", "/v1/accounts/{account_id}/quote"),
    ("post", "/v1/accounts/{account_id}/consume"),
    ("post", "/v1/accounts/{account_id}/consume/batch"),
    ("get", "/v1/accounts/{account_id}/holds"),
    ("post", "/v1/accounts/{account_id}/holds"),
    ("post", "/v1/accounts/{account_id}/holds/{hold_id}/capture"),
    ("post", "/v1/accounts/{account_id}/holds/{hold_id}/extend"),
    ("post", "/v1/accounts/{account_id}/holds/{hold_id}/release"),
    ("get", "/v1/catalog"),
    ("post", "/v1/accounts/{account_id}/refunds"),
}
ALWAYS = {"type", "title", "status", "detail", "instance", "code"}

UNTYPED = {errors.InvalidRequestError, errors.ServerError}
"""Errors of the program and of Scrip itself, whose data is only for people, in `problem`."""


def problems(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the problems that a schema of the OpenAPI document allows."""
    if "$ref" in schema:
        schema = openapi()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    for one in schema.get("anyOf", []):
        yield from problems(one)
    if "code" in schema.get("properties", {}):
        yield schema["properties"]


def documented() -> list[tuple[int, str, set[str]]]:
    """Return status, code and data of every problem that the client's calls can get."""
    found = {}
    for method, path in USED:
        responses = openapi()["paths"][path][method]["responses"].items()
        for status, response in responses:
            for content in response.get("content", {}).values():
                for problem in problems(content["schema"]):
                    assert problem["status"]["const"] == int(status)
                    found[problem["code"]["const"]] = (int(status), set(problem) - ALWAYS)
    return [(status, code, data) for code, (status, data) in sorted(found.items())]


@pytest.mark.parametrize(("status", "code", "data"), documented())
def test_every_documented_problem_has_a_class_with_its_data(
    status: int,
    code: str,
    data: set[str],
) -> None:
    error = errors.api_error(status, {"code": code, "status": status, "detail": "said"})
    kind = type(error)
    assert kind is not errors.ApiError
    assert (error.status, error.code, error.detail) == (status, code, "said")
    named = set(get_type_hints(kind)) - set(get_type_hints(errors.ApiError))
    assert named == (set() if kind in UNTYPED else data)


def test_every_class_is_in_the_tree_and_can_be_imported_from_the_package() -> None:
    classes = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.ScripError)
    }
    assert errors.__doc__ is not None
    assert {word for word in errors.__doc__.split() if word.endswith("Error")} == classes
    assert classes <= set(scrip_client.__all__)


def test_insufficient_credits_has_the_shortfall_and_the_next_reset() -> None:
    problem = {
        "code": "insufficient_credits",
        "detail": "Not enough credits.",
        "required": 25,
        "available": 5,
        "shortfall": 20,
        "unit": "credits",
        "next_reset_at": "2026-12-01T00:00:00+00:00",
        "top_up_url": None,
        "credits_url": "https://credits.example.com/me",
    }
    error = errors.api_error(402, problem)
    assert isinstance(error, errors.InsufficientCreditsError)
    assert (error.required, error.available, error.shortfall) == (25, 5, 20)
    assert error.next_reset_at == datetime(2026, 12, 1, tzinfo=UTC)
    assert error.top_up_url is None
    assert error.credits_url == "https://credits.example.com/me"
    assert str(error) == "402 insufficient_credits: Not enough credits."


@pytest.mark.parametrize(
    ("status", "problem", "kind"),
    [
        (401, {"message": "Unauthorized"}, errors.UnauthorizedError),
        (404, {"message": "Not Found"}, errors.NotFoundError),
        (429, {"message": "Too Many Requests"}, errors.TooManyRequestsError),
        (503, {"message": "Service Unavailable"}, errors.BusyError),
        (502, {}, errors.ServerError),
        (403, {"code": "of_tomorrow"}, errors.ApiError),
        (418, {}, errors.ApiError),
        (403, {"code": []}, errors.ForbiddenError),
    ],
)
def test_answers_of_the_gateway_and_unknown_codes_have_a_class(
    status: int,
    problem: dict[str, Any],
    kind: type[errors.ApiError],
) -> None:
    error = errors.api_error(status, problem)
    assert type(error) is kind
    assert error.code == (problem.get("code") or f"http_{status}")


def test_errors_can_be_pickled() -> None:
    refused = errors.api_error(402, {"code": "insufficient_credits", "shortfall": 3})
    again = pickle.loads(pickle.dumps(refused))
    assert (type(again), again.shortfall) == (errors.InsufficientCreditsError, 3)
    away = errors.UnavailableError("away")
    away.may_have_taken_effect, away.idempotency_key = True, "k"
    again = pickle.loads(pickle.dumps(away))
    assert (str(again), again.may_have_taken_effect, again.idempotency_key) == ("away", True, "k")
    unpaid = errors.NotPaidError("u1", 200, 1, "e", "h")
    again = pickle.loads(pickle.dumps(unpaid))
    assert (str(again), vars(again)) == (str(unpaid), vars(unpaid))
