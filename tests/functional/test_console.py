"""The serving of the console's files; tests/browser tests the console itself."""

import gzip
import json
import re
from base64 import b64decode
from typing import Any

import pytest

from scrip.settings import settings
from scrip.store.client import Table
from tests.functional.conftest import ROOT, event, invoke, query_fields

STATIC = ROOT / "functions/console/static"
ISSUER = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Ab1Cd2Ef3"


@pytest.fixture(autouse=True)
def sign_in(aws: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SIGN_IN_AUTHORITY": ISSUER,
        "SIGN_IN_CLIENT_ID": "3n4b5urk1ft4fl3mg5e62d9ado",
        "SIGN_IN_TOKEN_URL": "https://scrip.auth.eu-central-1.amazoncognito.com/oauth2/token",
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()


def get(name: str, path: str | None = None, **headers: str) -> dict[str, Any]:
    sent = event(f"console/{name}")
    if path is not None:
        sent["rawPath"] = sent["requestContext"]["http"]["path"] = path
    sent["headers"].update(headers)
    return invoke("console", sent)  # type: ignore[no-any-return]


def text(answer: dict[str, Any]) -> str:
    assert answer["headers"]["Content-Encoding"] == "gzip"
    return gzip.decompress(b64decode(answer["body"])).decode()


def version() -> str:
    found = re.search(r'src="console/([0-9a-f]{16})/start\.js"', text(get("page")))
    assert found
    return found[1]


def test_the_pages_policy_allows_only_its_own_files_the_api_and_the_sign_in() -> None:
    policy = dict(
        rule.split(" ", 1) for rule in get("page")["headers"]["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"].split() == [
        "'self'",
        "https://cognito-idp.eu-central-1.amazonaws.com",
        "https://scrip.auth.eu-central-1.amazoncognito.com",
    ]
    assert policy["frame-ancestors"] == "'none'"


def test_the_page_is_revalidated_each_time_and_sent_only_if_it_changed() -> None:
    first = get("page")
    assert first["headers"]["Cache-Control"] == "no-cache"
    again = get("page", **{"if-none-match": f"W/{first['headers']['ETag']}"})
    assert (again["statusCode"], again["body"]) == (304, "")
    assert again["headers"]["ETag"] == first["headers"]["ETag"]
    assert get("page", **{"if-none-match": '"0123456789abcdef"'})["statusCode"] == 200


def test_every_file_of_the_page_has_a_type_and_is_cached_for_a_year() -> None:
    types = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    for path in re.findall(r'(?:href|src)="console/[0-9a-f]{16}/([^"]+)"', text(get("page"))):
        answer = get("file", f"/console/{version()}/{path}")
        assert answer["statusCode"] == 200, path
        assert answer["headers"]["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer["headers"]["X-Content-Type-Options"] == "nosniff"
        assert answer["headers"]["Content-Type"].startswith(types[path.rpartition(".")[2]])
        assert text(answer) == (STATIC / path).read_text(encoding="utf-8")


def test_the_page_preloads_what_it_starts_with_a_few_at_a_time() -> None:
    page = text(get("page"))
    [template] = re.findall(
        r'<template id="modules" data-app="app.js">(.*?)</template>', page, re.DOTALL
    )
    preloaded = re.findall(
        r'<link rel="modulepreload" href="console/[0-9a-f]{16}/([^"]+)">', template
    )
    assert {"app.js", "lib/vendor.js", "pages/account.js", "dialogs/credits.js"} < {*preloaded}
    assert len(preloaded) == len({*preloaded})
    assert not {"pages/catalog.js", "dialogs/edit.js", "components/chart.js"} & {*preloaded}
    size = sum((STATIC / path).stat().st_size for path in preloaded)
    assert size < 180_000, "with the libraries and the style, a page has at most 300 KB"
    at_once = page.replace(template, "").count(f'="console/{version()}/')
    assert at_once <= 8, "each calls the function, and the browser sends all at once"


def test_the_libraries_licences_are_served() -> None:
    answer = get("file", f"/console/{version()}/vendor/htm.LICENSE.txt")
    assert "Apache License" in text(answer)


def test_other_paths_are_not_found() -> None:
    for path in (
        "/console/0123456789abcdef/app.js",
        f"/console/{version()}/",
        f"/console/{version()}/nothing.js",
        f"/console/{version()}/../handler.py",
        f"/console/{version()}//etc/passwd",
        "/console/handler.py",
    ):
        answer = get("file", path)
        assert (path, answer["statusCode"]) == (path, 404)
        assert answer["headers"]["Content-Type"] == "application/problem+json"


def test_the_configuration_says_where_to_sign_in() -> None:
    assert json.loads(get("config")["body"]) == {
        "authority": ISSUER,
        "client_id": "3n4b5urk1ft4fl3mg5e62d9ado",
        "audience": "",
        "scope": "openid email",
        "stage": "dev",
    }


def test_the_address_with_a_slash_redirects_to_the_page() -> None:
    answer = get("with_slash")
    assert (answer["statusCode"], answer["headers"]["Location"]) == (308, "../console")


def test_the_page_is_served_after_a_sign_in_with_any_query_of_the_issuer() -> None:
    sent = event("console/page")
    sent |= query_fields("code=abc&state=x%20y&session_state=1&iss=https%3A%2F%2Fissuer&code=again")
    assert invoke("console", sent)["statusCode"] == 200
