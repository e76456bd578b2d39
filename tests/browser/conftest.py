"""The pages of the local stack in a real Chromium, with users who sign in on the real page."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import expect

from scrip_cli.local import demo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page, Request

    from scrip_cli.local.demo import Details
    from scrip_cli.local.stack import LocalStack

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / ".screenshots"
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}

# The first call of a function starts a process.
SECONDS_MAX = 30
expect.set_options(timeout=SECONDS_MAX * 1000)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Use the machine's own Chromium, or else Playwright's, without background requests."""
    return {
        **browser_type_launch_args,
        "executable_path": shutil.which("chromium"),
        "args": ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    }


@pytest.fixture(scope="session")
def details(stack: LocalStack) -> Details:
    """The stack's URLs, and tokens for it."""
    return demo.details(stack)


@dataclass
class Seen:
    """The requests and the errors of pages."""

    requests: list[Request] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def record(self, request: Request) -> None:
        """Record a request."""
        self.requests.append(request)

    def calls(self, api_url: str) -> set[str]:
        """Return the requested operations of the API, such as `GET /v1/catalog`."""
        paths = [
            (request.method, urlsplit(request.url).path.removeprefix(urlsplit(api_url).path))
            for request in self.requests
            if request.url.startswith(f"{api_url}/v1/")
        ]
        return {operation(method, path) for method, path in paths}


def operation(method: str, path: str) -> str:
    """Return the operation of the public API that a request is for; there must be one."""
    for documented, methods in openapi()["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", documented)
        if re.fullmatch(pattern, path) and method.lower() in methods:
            return f"{method} {documented}"
    raise AssertionError(f"{method} {path} is not in the public API")


@cache
def openapi() -> dict[str, Any]:
    """Return the OpenAPI document that the stack serves."""
    return json.loads((ROOT / "functions/docs/openapi.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture
def seen() -> Seen:
    """The requests and the errors of the test's pages."""
    return Seen()


@pytest.fixture
def sign_in(browser: Browser, details: Details, seen: Seen) -> Iterator[Callable[..., Page]]:
    """Return a function that signs a user in to a page, in a browser context of its own.

    The page is the console unless `url` says otherwise.

    At the end of the test, every API request must belong to the public API, and no page may have
    had an error, such as a violated policy, a failed script or a missing file.
    """
    contexts = []

    def signed_in(email: str, at: str = "", *, url: str = "", **context: Any) -> Page:
        url = url or details.console_url
        contexts.append(browser.new_context(**{"viewport": DESKTOP, **context}))
        page = contexts[-1].new_page()
        page.set_default_timeout(SECONDS_MAX * 1000)
        # The first visit loads every module, each by a call of the function.
        page.set_default_navigation_timeout(2 * SECONDS_MAX * 1000)
        page.on("request", seen.record)
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        page.on(
            "console",
            lambda line: seen.errors.append(line.text) if line.type == "error" else None,
        )
        page.goto(url + at)
        page.locator("input[name=username]").fill(email)
        page.locator("input[name=password]").fill(demo.PASSWORD)
        page.locator("[type=submit]").click()
        # The page first removes the pool's response from the URL.
        page.wait_for_url(re.compile(rf"{re.escape(url)}(#.*)?$"))
        return page

    yield signed_in
    for context in contexts:
        context.close()
    seen.calls(details.api_url)
    # The browser logs the status of a refusal, which is no error of the page, and of an API that is
    # busy, which the page asks again.
    refused = re.compile(r"Failed to load resource: .* responded with a status of (4\d\d|503)")
    # Neither is a connection that a test cut.
    cut = re.compile(r"Failed to load resource: net::ERR_(FAILED|INTERNET_DISCONNECTED)")
    errors = [error for error in seen.errors if not refused.match(error)]
    assert [error for error in errors if not cut.match(error)] == []


@pytest.fixture
def page(sign_in: Callable[..., Page]) -> Page:
    """The console with the admin signed in, at the accounts: Home makes ten requests."""
    return sign_in(demo.ADMIN_EMAIL, "#/accounts")


@pytest.fixture
def admin_api(details: Details) -> Iterator[httpx.Client]:
    """The API as an admin sees it, below /v1/admin."""
    headers = {"Authorization": f"Bearer {details.admin_token}"}
    url = f"{details.api_url}/v1/admin"
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as api:
        yield api


@dataclass
class NewUser:
    """A user who has just signed up, with the API as their app uses it."""

    account_id: str
    email: str
    api: httpx.Client

    def consume(self, feature: str, key: str | None = None, **used: Any) -> dict[str, Any]:
        """Use a feature, once unless `used` says otherwise; return the entry."""
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.api.post("/me/consume", json={"feature": feature, **used}, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["entry"]  # type: ignore[no-any-return]

    def entries(self, of_type: str) -> list[dict[str, Any]]:
        """Return the entries of a type, newest first."""
        return self.api.get("/me/entries", params={"type": of_type}).json()["entries"]  # type: ignore[no-any-return]

    def balance(self) -> int:
        """Return the balance."""
        return int(self.api.get("/me").json()["balance"])


@pytest.fixture
def somebody(stack: LocalStack, details: Details) -> Iterator[NewUser]:
    """A user who has just signed up."""
    email = f"ada-{uuid4().hex[:8]}@example.com"
    account_id = demo.sign_up(stack, email)
    headers = {"Authorization": f"Bearer {demo.user_token(stack, email)}"}
    url = f"{details.api_url}/v1/accounts"
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as api:
        yield NewUser(account_id, email, api)
