"""The console in a real Chromium, on the local stack, its users signed in through the real page."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

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


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The machine's own Chromium, or else Playwright's; kept from calling anybody."""
    return {
        **browser_type_launch_args,
        "executable_path": shutil.which("chromium"),
        "args": ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    }


@pytest.fixture(scope="session")
def details(stack: LocalStack) -> Details:
    """Where the stack answers, and tokens for it."""
    return demo.details(stack)


@dataclass
class Seen:
    """What a page asked for and complained of."""

    asked: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def calls(self, api_url: str) -> set[str]:
        """Return the API's operations that were asked for, such as `GET /v1/catalog`."""
        paths = [
            (request.method, urlsplit(request.url).path.removeprefix(urlsplit(api_url).path))
            for request in self.asked
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
    """The OpenAPI document that is served."""
    return json.loads((ROOT / "functions/docs/openapi.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture
def seen() -> Seen:
    """What the test's page asks for and complains of."""
    return Seen()


@pytest.fixture
def sign_in(browser: Browser, details: Details, seen: Seen) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a browser of its own and signs somebody in to the console.

    When the test is over, all that the pages asked for must have been the public API's, and none
    may have complained: of its policy, of a script, of a file that is not there.
    """
    contexts = []

    def signed_in(email: str, at: str = "", **context: Any) -> Page:
        contexts.append(browser.new_context(**{"viewport": DESKTOP, **context}))
        page = contexts[-1].new_page()
        page.on("request", seen.asked.append)
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on(
            "console",
            lambda said: seen.complaints.append(said.text) if said.type == "error" else None,
        )
        page.goto(details.console_url + at)
        page.get_by_role("button", name="Sign in").click()
        page.locator("input[name=username]").fill(email)
        page.locator("input[name=password]").fill(demo.PASSWORD)
        page.locator("[type=submit]").click()
        page.wait_for_url(f"{details.console_url}**")
        return page

    yield signed_in
    for context in contexts:
        context.close()
    seen.calls(details.api_url)
    # A refusal is an answer; that the browser notes its status down is not the page's complaint.
    refused = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")
    assert [said for said in seen.complaints if not refused.match(said)] == []


@pytest.fixture
def page(sign_in: Callable[..., Page]) -> Page:
    """The console with the admin signed in."""
    return sign_in(demo.ADMIN_EMAIL)


@pytest.fixture
def account_id(stack: LocalStack, request: pytest.FixtureRequest) -> str:
    """Somebody who has just signed up; their address is the test's name."""
    return demo.sign_up(stack, f"{request.node.name.replace('_', '-')[:60]}@example.com")
