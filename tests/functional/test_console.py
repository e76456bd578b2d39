"""The serving of the pages' files; tests/browser tests the pages themselves."""

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
        "TOP_UP_URL": "https://app.example/credits",
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


def preloads(page: str) -> list[str]:
    """Return the modules that a page preloads, by their paths."""
    return re.findall(r'<link rel="modulepreload" href="console/[0-9a-f]{16}/([^"]+)">', page)


@pytest.fixture(params=["page", "user_page"])
def page(request: pytest.FixtureRequest) -> str:
    """The name of each page's event: the console's, and that of the page for users."""
    return str(request.param)


def test_a_pages_policy_allows_only_its_own_files_the_api_and_the_sign_in(page: str) -> None:
    policy = dict(
        rule.split(" ", 1) for rule in get(page)["headers"]["Content-Security-Policy"].split("; ")
    )
    assert policy["default-src"] == policy["form-action"] == policy["base-uri"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"].split() == [
        "'self'",
        "https://cognito-idp.eu-central-1.amazonaws.com",
        "https://scrip.auth.eu-central-1.amazoncognito.com",
    ]
    assert policy["frame-ancestors"] == "'none'"


@pytest.mark.parametrize("name", ["page", "user_page", "embedded"])
def test_what_keeps_its_address_is_revalidated_each_time_and_sent_only_if_it_changed(
    name: str,
) -> None:
    first = get(name)
    assert first["headers"]["Cache-Control"] == "no-cache"
    again = get(name, **{"if-none-match": f"W/{first['headers']['ETag']}"})
    assert (again["statusCode"], again["body"]) == (304, "")
    assert again["headers"]["ETag"] == first["headers"]["ETag"]
    assert get(name, **{"if-none-match": '"0123456789abcdef"'})["statusCode"] == 200


def test_pages_of_other_sites_may_load_the_custom_element() -> None:
    answer = get("embedded")
    assert answer["headers"]["Content-Type"].startswith("text/javascript")
    assert answer["headers"]["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert text(answer) == (STATIC / "me/credits.js").read_text(encoding="utf-8")


def test_every_file_of_a_page_has_a_type_and_is_cached_for_a_year(page: str) -> None:
    types = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    for path in re.findall(r'(?:href|src)="console/[0-9a-f]{16}/([^"]+)"', text(get(page))):
        answer = get("file", f"/console/{version()}/{path}")
        assert answer["statusCode"] == 200, path
        assert answer["headers"]["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer["headers"]["X-Content-Type-Options"] == "nosniff"
        assert answer["headers"]["Content-Type"].startswith(types[path.rpartition(".")[2]])
        assert text(answer) == (STATIC / path).read_text(encoding="utf-8")


def test_a_page_preloads_what_it_starts_with_a_few_at_a_time(page: str) -> None:
    sent = text(get(page))
    [(app, template)] = re.findall(
        r'<template id="modules" data-app="([^"]+)">(.*?)</template>', sent, re.DOTALL
    )
    preloaded = preloads(template)
    imported = {
        (STATIC / name).parent.joinpath(path).resolve().relative_to(STATIC).as_posix()
        for name in preloaded
        for path in re.findall(r' from "([^"]+)"', (STATIC / name).read_text())
    }
    assert preloaded[0] == app
    assert set(preloaded) == {app, *imported}
    assert len(preloaded) == len({*preloaded})
    size = sum((STATIC / path).stat().st_size for path in preloaded)
    assert size < 128_000, "with the libraries, the chart's too, a page has at most 300 KB"
    at_once = sent.replace(template, "").count(f'="console/{version()}/')
    assert at_once <= 8, "each calls the function, and the browser sends all at once"


def test_the_console_loads_its_other_pages_when_they_are_first_shown() -> None:
    preloaded = {*preloads(text(get("page")))}
    assert {"app.js", "lib/vendor.js", "pages/home.js", "components/chart.js"} < preloaded
    assert not {"pages/account.js", "pages/catalog.js", "dialogs/edit.js"} & preloaded


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
        "/me/handler.py",
    ):
        answer = get("file", path)
        assert (path, answer["statusCode"]) == (path, 404)
        assert answer["headers"]["Content-Type"] == "application/problem+json"


def test_the_configuration_says_where_to_sign_in_and_where_more_credits_are() -> None:
    assert json.loads(get("config")["body"]) == {
        "authority": ISSUER,
        "client_id": "3n4b5urk1ft4fl3mg5e62d9ado",
        "audience": "",
        "scope": "openid email",
        "stage": "dev",
        "top_up_url": "https://app.example/credits",
    }


@pytest.mark.parametrize("name", ["console", "me"])
def test_an_address_with_a_slash_redirects_to_the_page(name: str) -> None:
    answer = get("with_slash", f"/{name}/")
    assert (answer["statusCode"], answer["headers"]["Location"]) == (308, f"../{name}")


def test_a_page_is_served_after_a_sign_in_with_any_query_of_the_issuer(page: str) -> None:
    sent = event(f"console/{page}")
    sent |= query_fields("code=abc&state=x%20y&session_state=1&iss=https%3A%2F%2Fissuer&code=again")
    assert invoke("console", sent)["statusCode"] == 200
