"""The app of docs/how-to/show-credits-in-a-browser.md, on another origin than the API."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from scrip_cli.local import demo
from scrip_client import USER_ERRORS, Retries, Scrip, problem_answer
from tests.documentation import examples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route

    from scrip_cli.local.demo import Details
    from scrip_cli.local.stack import LocalStack

# A name of this machine, because a page of the internet may not call a local API.
APP = "http://app.localhost"
PATIENT = Retries(deadline_seconds=120, try_seconds=60)
WAIT_MILLISECONDS = 60_000
"""A local function can be slow to start."""

MOUNT = """
import { createRoot } from "react-dom/client";

const config = await (await fetch("/config.json")).json();
const getToken = async () => config.token;
createRoot(document.querySelector("main")!).render(
  <App apiUrl={config.apiUrl} getToken={getToken} />,
);
"""
INDEX = """<!doctype html>
<html lang="en">
<title>An app</title>
<main></main>
<script type="module" src="/app.js"></script>
"""


@pytest.fixture(scope="module")
def script(workspace: Path) -> str:
    """The page's app, bundled as its own tools would."""
    source = "\n".join(examples("docs/how-to/show-credits-in-a-browser.md", "tsx")) + MOUNT
    esbuild = "node_modules/.bin/esbuild --bundle --format=esm --loader=tsx --jsx=automatic"
    bundled = subprocess.run(
        esbuild.split(), cwd=workspace, input=source, capture_output=True, text=True, check=False
    )
    assert bundled.returncode == 0, bundled.stderr
    return bundled.stdout


@dataclass
class App:
    """A page that shows a user's credits, and a back end that charges them for images."""

    page: Page
    account_id: str

    def shows(self, text: str) -> None:
        expect(self.page.locator("[aria-live]")).to_have_text(text, timeout=WAIT_MILLISECONDS)

    def draw(self) -> None:
        self.page.get_by_role("button", name="Draw (25 credits)").click()


@pytest.fixture
def app(browser: Browser, stack: LocalStack, details: Details, script: str) -> Iterator[App]:
    """The app of a user who has just signed up."""
    email = f"{uuid4()}@example.com"
    account_id = demo.sign_up(stack, email)
    config = {"apiUrl": details.api_url, "token": demo.user_token(stack, email)}
    files = {
        "/": ("text/html", INDEX),
        "/config.json": ("application/json", json.dumps(config)),
        "/app.js": ("text/javascript", script),
    }
    http = httpx.Client(trust_env=False)
    scrip = Scrip(details.api_url, token=details.service_token, retries=PATIENT, http=http)

    def served(route: Route) -> None:
        path = route.request.url.removeprefix(APP)
        if path != "/images":
            content_type, body = files[path]
            route.fulfill(content_type=content_type, body=body)
            return
        try:
            with scrip.charge("image-generation", account_id):
                route.fulfill(content_type="image/png", body=b"")
        except USER_ERRORS as error:
            answer = problem_answer(error)
            route.fulfill(status=answer.status, headers={**answer.headers}, body=answer.body)

    page = browser.new_page(permissions=["local-network-access"])
    page.set_default_timeout(WAIT_MILLISECONDS)
    page.route(f"{APP}/**", served)
    page.goto(f"{APP}/")
    with scrip:
        yield App(page, account_id)
    page.close()


def test_the_app_shows_the_current_balance_and_explains_a_402(app: App, details: Details) -> None:
    app.shows("10,100 credits")
    app.draw()
    app.shows("10,075 credits")
    expect(app.page.get_by_role("meter", name="25 of 10,100 credits used")).to_be_visible()

    answer = app.page.request.post(
        f"{details.api_url}/v1/accounts/{app.account_id}/adjustments",
        data={"action": "set", "amount": 20, "reason": "nearly nothing"},
        headers={"Authorization": f"Bearer {details.admin_token}"},
    )
    assert answer.status == 201, answer.text()
    app.page.evaluate("window.dispatchEvent(new Event('focus'))")
    app.shows("20 credits")

    app.draw()
    dialog = app.page.get_by_role("dialog", name="Not enough credits")
    expect(dialog).to_be_visible(timeout=WAIT_MILLISECONDS)
    expect(dialog).to_contain_text("This needs 25 credits, and you have 20.")
    violations = Axe().run(app.page).response["violations"]
    assert not violations, violations
    expect(dialog.get_by_role("button", name="Close")).to_be_focused()
    app.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(app.page.get_by_role("button", name="Draw (25 credits)")).to_be_focused()

    # The last known balance stays while the API is unreachable.
    app.page.route(f"{details.api_url}/**", lambda route: route.abort())
    app.page.evaluate("window.dispatchEvent(new Event('focus'))")
    app.shows("20 credits")
