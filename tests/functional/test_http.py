"""What holds for every route: how an answer is to be treated, and what is read of a request."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY
from urllib.parse import urlencode

from scrip.http.problems import CONTENT_TYPE
from tests.functional.conftest import documented, event, invoke, openapi, queried, resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from scrip.store.client import Table

EVERYWHERE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000",
    "X-Content-Type-Options": "nosniff",
}

BUT: dict[str, dict[str, Any]] = {
    "/v1/catalog": {"Cache-Control": "public, max-age=30"},
    "/v1/docs": {"Content-Security-Policy": ANY},
    "/console/": {"Cache-Control": "no-cache", "Content-Security-Policy": ANY},
}
"""What is public, and the two pages, which have files or scripts of their own."""

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
    """Function, method and path of every route of the template."""
    for name, resource in resources().items():
        for trigger in resource.get("Properties", {}).get("Events", {}).values():
            if trigger["Type"] == "HttpApi":
                told = trigger["Properties"]
                yield name.removesuffix("Function").lower(), told["Method"], told["Path"]


def parameters_of(method: str, path: str) -> set[str]:
    """The names of the query parameters that the document has of a route."""
    operation = openapi()["paths"].get(path, {}).get(method.lower(), {})
    return {told["name"] for told in operation.get("parameters", []) if told["in"] == "query"}


def ask(
    function: str,
    method: str,
    path: str,
    body: bytes = b"",
    query: str | None = None,
    **named: str,
) -> Any:
    """Ask a route as an admin. What the path names is the provider `stripe`, or does not exist."""
    if query is None:  # an empty list takes long to look for
        query = "limit=none" if "limit" in parameters_of(method, path) else ""
    names = [part.strip("{}+") for part in path.split("/") if part.startswith("{")]
    parameters = dict.fromkeys(names, "nothing") | {"provider": "stripe"} | named
    raw_path = path.replace("+}", "}").format(**parameters)
    asked = event("adjust/add") | {
        "routeKey": f"{method} {path}",
        "rawPath": raw_path,
        "pathParameters": parameters,
        **queried(query),
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }
    asked["requestContext"]["http"] |= {"method": method, "path": raw_path}
    return invoke(function, asked)


def test_every_answer_says_how_it_is_to_be_treated(
    table: Table,
    subtests: pytest.Subtests,
) -> None:
    for function, method, path in routes():
        with subtests.test(route=f"{method} {path}"):
            headers = ask(function, method, path)["headers"]
            assert {name: headers[name] for name in EVERYWHERE} == EVERYWHERE | BUT.get(path, {})
            content_type = headers["Content-Type"]
            assert content_type in JSON or content_type.endswith("; charset=utf-8")


def test_a_body_that_cannot_be_taken_is_a_clear_answer_on_every_route_and_changes_nothing(
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
                told = json.loads(answer["body"])
                assert (answer["statusCode"], told["code"]) == (status, code), told
                content_type = answer["headers"]["Content-Type"]
                documented(f"{method} {path}", status, content_type).validate(told)
    assert table.client.scan(TableName=table.name)["Count"] == before


def test_an_unknown_or_repeated_query_parameter_is_refused_on_every_route_and_changes_nothing(
    table: Table,
    subtests: pytest.Subtests,
) -> None:
    before = table.client.scan(TableName=table.name)["Count"]
    for function, method, path in routes():
        if function == "console":  # the page that a sign-in comes back to
            continue
        known = parameters_of(method, path)
        for name in ({"limt", "Limit", "cursor ", "limit"} - known) | {""}:
            with subtests.test(route=f"{method} {path}", unknown=name):
                answer = ask(function, method, path, query=urlencode({name: "5000"}))
                told = json.loads(answer["body"])
                assert (answer["statusCode"], told["code"]) == (422, "invalid")
                assert told["errors"] == [f"query.{name}: unknown parameter"]
        for name in known:
            with subtests.test(route=f"{method} {path}", repeated=name):
                answer = ask(
                    function, method, path, query=f"{name}=1&%{ord(name[0]):x}{name[1:]}=1"
                )
                told = json.loads(answer["body"])
                assert (answer["statusCode"], told["code"]) == (422, "invalid")
                assert told["errors"] == [f"query.{name}: given 2 times"]
    assert table.client.scan(TableName=table.name)["Count"] == before


def test_where_nothing_is_a_query_does_not_matter(table: Table) -> None:
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


def test_what_is_wrong_with_a_request_is_told_in_few_words_however_much_it_is(
    table: Table,
) -> None:
    consume = ("consume", "POST", "/v1/accounts/{account_id}/consume")
    many = json.dumps({f"field {number}": number for number in range(3_000)}).encode()
    long = json.dumps({"x" * 50_000: 1, "amount": 1}).encode()
    for body, count in ((many, 20), (long, 1)):
        answer = ask(*consume, body)
        told = json.loads(answer["body"])
        assert (answer["statusCode"], told["code"]) == (422, "invalid")
        assert len(told["errors"]) == count
        assert len(answer["body"]) < 6_000
        assert len(told["detail"]) <= 1_000
        assert all(len(text) <= 300 for text in told["errors"])
        documented("POST /v1/accounts/{account_id}/consume", 422, CONTENT_TYPE).validate(told)
    many_told = json.loads(ask(*consume, many)["body"])["errors"]
    assert many_told[0].startswith("body.field 0: ")
    assert many_told[-1] == "and 2981 more"


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


def test_a_body_of_the_largest_size_that_lambda_takes_is_refused_or_not_looked_at(
    table: Table,
) -> None:
    body = b"[" * MB_6
    consume = ("consume", "POST", "/v1/accounts/{account_id}/consume")
    assert ask(*consume, body)["statusCode"] == 413
    quota = ("adjust", "GET", "/v1/accounts/{account_id}/quota")
    assert ask(*quota, body)["statusCode"] == ask(*quota)["statusCode"] == 404


def test_patterns_of_the_document_mean_the_same_to_every_reader() -> None:
    patterns = re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(openapi()))
    assert patterns
    assert not [one for one in patterns if re.search(r"\\[bBdDsSwW]", json.loads(one))]
