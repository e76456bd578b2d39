"""Rules for every route: the headers of its answers, and the validation of its requests."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY
from urllib.parse import urlencode

from scrip.http.problems import CONTENT_TYPE
from tests.functional.conftest import documented, event, invoke, openapi, query_fields, resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from scrip.store.client import Table

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
}

EXCEPTIONS: dict[str, dict[str, Any]] = {
    "/v1/catalog": {"Cache-Control": "public, max-age=30"},
    "/v1/docs": {"Content-Security-Policy": ANY},
    "/console": {"Cache-Control": "no-cache", "Content-Security-Policy": ANY},
    "/me": {"Cache-Control": "no-cache", "Content-Security-Policy": ANY},
}
"""The public catalog, and the pages, which have files or scripts of their own."""

JSON = {"application/json", "application/problem+json"}

KIB_64 = 64 * 1024
MB_1 = 1_000_000
MB_6 = 6 * 1024 * 1024

BAD_BODIES: dict[str, tuple[bytes, int, str]] = {
    "a byte too many": (b'"' + b"x" * (KIB_64 - 1) + b'"', 413, "body_too_large"),
    "a megabyte and a byte": (b" " * (MB_1 + 1), 413, "body_too_large"),
    "100 000 levels": (b"[" * 100_000, 413, "body_too_large"),
    "as many levels as fit": (b"[" * KIB_64, 400, "malformed"),
    "a number of 5 000 digits": (b'{"amount": ' + b"9" * 5_000 + b"}", 400, "malformed"),
    "no UTF-8": (b'{"reason": "\xff"}', 400, "malformed"),
    "a name twice": (b'{"amount": 1, "amount": 1}', 400, "malformed"),
    "a NUL character": (b'{"reason": "\0"}', 400, "malformed"),
    "no object": (b"[null, null]", 422, "invalid"),
    "half a character": (b'{"reason": "\\ud800"}', 422, "invalid"),
    "half a character in a name": (b'{"\\udfff": 1, "name": "a"}', 422, "invalid"),
    "half a character deep inside": (
        b'{"amount": 1, "metadata": {"a": [{"b": "\\uD800\\uD801"}]}}',
        422,
        "invalid",
    ),
    "an escaped NUL character": (b'{"reason": "\\u0000", "name": "\\u0000"}', 422, "invalid"),
}


def routes() -> Iterator[tuple[str, str, str]]:
    """Yield the function, method and path of every route in the template."""
    for name, resource in resources().items():
        for trigger in resource.get("Properties", {}).get("Events", {}).values():
            if trigger["Type"] == "HttpApi":
                properties = trigger["Properties"]
                yield (
                    name.removesuffix("Function").lower(),
                    properties["Method"],
                    properties["Path"],
                )


def parameters_of(method: str, path: str) -> set[str]:
    """Return the names of a route's query parameters in the OpenAPI document."""
    operation = openapi()["paths"].get(path, {}).get(method.lower(), {})
    parameters = operation.get("parameters", [])
    return {parameter["name"] for parameter in parameters if parameter["in"] == "query"}


def ask(
    function: str,
    method: str,
    path: str,
    body: bytes = b"",
    query: str | None = None,
    **named: str,
) -> Any:
    """Call a route as an admin; its path names the provider `stripe` and no other known ID."""
    if query is None:  # searching for an empty list is slow
        query = "limit=none" if "limit" in parameters_of(method, path) else ""
    names = [part.strip("{}+") for part in path.split("/") if part.startswith("{")]
    parameters = dict.fromkeys(names, "nothing") | {"provider": "stripe"} | named
    raw_path = path.replace("+}", "}").format(**parameters)
    sent = event("adjust/add") | {
        "routeKey": f"{method} {path}",
        "rawPath": raw_path,
        "pathParameters": parameters,
        **query_fields(query),
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
    sent["requestContext"]["http"] |= {"method": method, "path": raw_path}
    return invoke(function, sent)


def test_every_answer_has_headers_for_caching_and_security(
    table: Table,
    subtests: pytest.Subtests,
) -> None:
    for function, method, path in routes():
        with subtests.test(route=f"{method} {path}"):
            headers = ask(function, method, path)["headers"]
            assert {name: headers[name] for name in HEADERS} == HEADERS | EXCEPTIONS.get(path, {})
            content_type = headers["Content-Type"]
            assert content_type in JSON or content_type.endswith("; charset=utf-8")


def test_an_unusable_body_gets_a_problem_on_every_route_and_changes_nothing(
    table: Table,
    subtests: pytest.Subtests,
) -> None:
    before = table.client.scan(TableName=table.name)["Count"]
    for function, method, path in routes():
        if "requestBody" not in openapi()["paths"].get(path, {}).get(method.lower(), {}):
            continue
        for case, (body, status, code) in BAD_BODIES.items():
            with subtests.test(route=f"{method} {path}", body=case):
                answer = ask(function, method, path, body)
                problem = json.loads(answer["body"])
                assert (answer["statusCode"], problem["code"]) == (status, code), problem
                content_type = answer["headers"]["Content-Type"]
                documented(f"{method} {path}", status, content_type).validate(problem)
    assert table.client.scan(TableName=table.name)["Count"] == before


def test_an_unknown_or_repeated_query_parameter_is_refused_on_every_route_and_changes_nothing(
    table: Table,
    subtests: pytest.Subtests,
) -> None:
    before = table.client.scan(TableName=table.name)["Count"]
    for function, method, path in routes():
        if function == "console":  # the pages that a sign-in comes back to
            continue
        known = parameters_of(method, path)
        for name in ({"limt", "Limit", "cursor ", "limit"} - known) | {""}:
            with subtests.test(route=f"{method} {path}", unknown=name):
                answer = ask(function, method, path, query=urlencode({name: "5000"}))
                problem = json.loads(answer["body"])
                assert (answer["statusCode"], problem["code"]) == (422, "invalid")
                assert problem["errors"] == [f"query.{name}: unknown parameter"]
        for name in known:
            with subtests.test(route=f"{method} {path}", repeated=name):
                answer = ask(
                    function, method, path, query=f"{name}=1&%{ord(name[0]):x}{name[1:]}=1"
                )
                problem = json.loads(answer["body"])
                assert (answer["statusCode"], problem["code"]) == (422, "invalid")
                assert problem["errors"] == [f"query.{name}: given 2 times"]
    assert table.client.scan(TableName=table.name)["Count"] == before


def test_an_unknown_path_is_not_found_with_any_query(table: Table) -> None:
    for query in ("", "limit=1"):
        answer = ask("account", "GET", "/v1/accounts/{account_id}/nothing", query=query)
        assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (404, "not_found")


def test_a_limit_above_what_a_route_allows_is_refused(table: Table) -> None:
    limited = [route for route in routes() if "limit" in parameters_of(*route[1:])]
    assert len(limited) > 4
    for function, method, path in limited:
        operation = openapi()["paths"][path][method.lower()]
        [limit] = [one for one in operation["parameters"] if one["name"] == "limit"]
        for wrong in (0, limit["schema"]["maximum"] + 1, 5000, "1,2", "", "ten"):
            answer = ask(function, method, path, query=urlencode({"limit": wrong}))
            assert answer["statusCode"] == 422, (path, wrong)


def test_a_problem_stays_short_however_many_faults_a_request_has(
    table: Table,
) -> None:
    consume = ("consume", "POST", "/v1/accounts/{account_id}/consume")
    many = json.dumps({f"field {number}": number for number in range(3_000)}).encode()
    long = json.dumps({"x" * 50_000: 1, "amount": 1}).encode()
    for body, count in ((many, 20), (long, 1)):
        answer = ask(*consume, body)
        problem = json.loads(answer["body"])
        assert (answer["statusCode"], problem["code"]) == (422, "invalid")
        assert len(problem["errors"]) == count
        assert len(answer["body"]) < 6_000
        assert len(problem["detail"]) <= 1_000
        assert all(len(text) <= 300 for text in problem["errors"])
        documented("POST /v1/accounts/{account_id}/consume", 422, CONTENT_TYPE).validate(problem)
    errors = json.loads(ask(*consume, many)["body"])["errors"]
    assert errors[0].startswith("body.field 0: ")
    assert errors[-1] == "and 2981 more"


def test_no_answer_echoes_a_long_text_of_the_request(
    table: Table,
    subtests: pytest.Subtests,
) -> None:
    text = "x" * 8_000
    for function, method, path in routes():
        if function == "console":
            continue
        queries = [urlencode({name: text}) for name in parameters_of(method, path)]
        for query in (*queries, urlencode({text: 1})):
            with subtests.test(route=f"{method} {path}", query=query[:20]):
                answer = ask(function, method, path, query=query)
                assert 400 <= answer["statusCode"] < 500
                assert len(answer["body"]) < 3_000
        names = {part.strip("{}") for part in path.split("/") if part.startswith("{")}
        for name in names:
            with subtests.test(route=f"{method} {path}", name=name):
                answer = ask(function, method, path, b"", None, **{name: text})
                assert 400 <= answer["statusCode"] < 500
                assert len(answer["body"]) < 3_000


def test_a_body_of_lambdas_maximum_size_is_refused_or_not_read(
    table: Table,
) -> None:
    body = b"[" * MB_6
    consume = ("consume", "POST", "/v1/accounts/{account_id}/consume")
    assert ask(*consume, body)["statusCode"] == 413
    quota = ("adjust", "GET", "/v1/accounts/{account_id}/quota")
    assert ask(*quota, body)["statusCode"] == ask(*quota)["statusCode"] == 404


def test_the_documents_patterns_mean_the_same_in_every_regex_dialect() -> None:
    patterns = re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(openapi()))
    assert patterns
    assert not [one for one in patterns if re.search(r"\\[bBdDsSwW]", json.loads(one))]
