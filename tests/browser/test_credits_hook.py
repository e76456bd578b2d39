"""The hook of docs/how-to/show-credits-in-a-browser.md, on a page of another origin than the API's.

The console's Preact replaces React here; its hooks work the same way.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import expect

from scrip_cli.local import demo
from scrip_client import USER_ERRORS, Retries, Scrip, problem_answer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page, Route

    from scrip_cli.local.demo import Details
    from scrip_cli.local.stack import LocalStack

ROOT = Path(__file__).parents[2]
VENDOR = ROOT / "functions/console/static/vendor"
[HOOK] = re.findall(
    r"```js\n(.*?)```",
    (ROOT / "docs/how-to/show-credits-in-a-browser.md").read_text(),
    re.DOTALL,
)

# A name of this machine, because a page of the internet may not call a local API.
APP = "http://app.localhost"
PATIENT = Retries(deadline_seconds=120, try_seconds=60)
WAIT_MILLISECONDS = 60_000
"""A local function can be slow to start."""

INDEX = """<!doctype html>
<script src="/preact.min.umd.js"></script>
<script src="/hooks.umd.js"></script>
<script type="importmap">{"imports": {"react": "/react.js"}}</script>
<script type="module">
  import { useCredits } from "/hook.js";
  const { h, render } = preact;
  const config = await (await fetch("/config.json")).json();
  const getToken = async () => config.token;
  function Credits({ name }) {
    const { account, error, shortage, spend, dismiss } = useCredits(config.apiUrl, getToken);
    return h("section", { id: name }, [
      h("output", {}, account && account.available),
      h("em", {}, error && error.message),
      h("strong", {}, shortage && `${shortage.shortfall} short`),
      h("button", { onClick: () => spend("/images", { method: "POST" }) }, "Draw"),
      h("a", { onClick: dismiss }, "Dismiss"),
    ]);
  }
  render([h(Credits, { name: "one" }), h(Credits, { name: "two" })], document.body);
</script>
"""


@dataclass
class App:
    """A page that shows a user's credits twice, and a back end that charges them for images."""

    page: Page
    account_id: str

    def credits(self, name: str) -> Locator:
        """Return where a component shows the balance."""
        return self.page.locator(f"#{name} output")

    def shortage(self, name: str) -> Locator:
        """Return where a component shows a 402."""
        return self.page.locator(f"#{name} strong")


@pytest.fixture
def app(browser: Browser, stack: LocalStack, details: Details) -> Iterator[App]:
    """The app of a user who has just signed up."""
    email = f"{uuid4()}@example.com"
    account_id = demo.sign_up(stack, email)
    config = {"apiUrl": details.api_url, "token": demo.user_token(stack, email)}
    react = "export const { useCallback, useEffect, useRef, useState } = preactHooks;"
    files = {
        "/": ("text/html", INDEX),
        "/config.json": ("application/json", json.dumps(config)),
        "/hook.js": ("text/javascript", HOOK),
        "/react.js": ("text/javascript", react),
    }
    for name in ("preact.min.umd.js", "hooks.umd.js"):
        files[f"/{name}"] = ("text/javascript", (VENDOR / name).read_text())
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


def shows(where: Locator, text: str) -> None:
    expect(where).to_have_text(text, timeout=WAIT_MILLISECONDS)


def test_the_hook_shows_the_current_balance_and_explains_a_402(
    app: App,
    details: Details,
) -> None:
    shows(app.credits("one"), "10100")
    app.page.locator("#one button").click()
    # Every component that shows credits is updated.
    shows(app.credits("one"), "10075")
    shows(app.credits("two"), "10075")

    answer = app.page.request.post(
        f"{details.api_url}/v1/accounts/{app.account_id}/adjustments",
        data={"action": "set", "amount": 20, "reason": "nearly nothing"},
        headers={"Authorization": f"Bearer {details.admin_token}"},
    )
    assert answer.status == 201, answer.text()
    app.page.evaluate("window.dispatchEvent(new Event('focus'))")
    shows(app.credits("one"), "20")

    app.page.locator("#one button").click()
    shows(app.shortage("one"), "5 short")
    shows(app.shortage("two"), "")
    app.page.locator("#one a").click()
    shows(app.shortage("one"), "")

    # The last known balance stays while the API is unreachable.
    app.page.route(f"{details.api_url}/**", lambda route: route.abort())
    app.page.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(app.page.locator("#one em")).not_to_be_empty(timeout=WAIT_MILLISECONDS)
    shows(app.credits("one"), "20")


def test_the_hook_has_at_most_40_lines() -> None:
    assert len(HOOK.splitlines()) <= 40
