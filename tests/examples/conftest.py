"""The apps of examples/, started as their pages say, with users who sign in to them in Chromium."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.sync_api import expect

from scrip_cli.local import demo
from tests.browser.conftest import ROOT, NewUser, browser_type_launch_args, details, somebody
from tests.conftest import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Locator, Page

    from scrip_cli.local.demo import Details

__all__ = ["browser_type_launch_args", "details", "somebody"]

START_SECONDS = 180
"""The first start of the app of Next.js builds it."""


@pytest.fixture(scope="class")
def address(request: pytest.FixtureRequest, details: Details) -> Iterator[str]:
    """Where the app of the test class's `target` answers."""
    port = free_port()
    app = subprocess.Popen(
        ["make", "--no-print-directory", request.cls.target, f"APP_PORT={port}"],
        cwd=ROOT,
        env={**os.environ, **details.variables, "NO_PROXY": "*"},
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, app)
        yield address
    finally:
        if app.poll() is None:
            os.killpg(app.pid, signal.SIGINT)  # as Ctrl-C does
        app.wait(10)


def _wait_for(address: str, app: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            assert httpx.get(address, trust_env=False).is_success
        except httpx.TransportError:
            assert app.poll() is None, "the app ended"
            assert time.monotonic() < deadline, "the app does not answer"
            time.sleep(0.1)
        else:
            return


@dataclass
class App:
    """An example's page, in which `user` is signed in."""

    page: Page
    user: NewUser

    @property
    def answer(self) -> Locator:
        return self.page.get_by_role("status", name="Answer")

    @property
    def charges(self) -> Locator:
        return self.page.get_by_role("table", name="What was charged").locator("tbody tr")

    def ask(self, question: str) -> None:
        self.page.get_by_label("Question").fill(question)
        self.page.get_by_role("button", name="Ask").click()

    def shows(self, balance: int) -> None:
        expect(self.page.get_by_text(f"{balance:,} credits", exact=True)).to_be_visible()

    def wait_until_charged(self) -> dict[str, Any]:
        """Wait until the account has one charge and nothing is held; return the charge's entry."""
        deadline = time.monotonic() + 10
        while (
            not (entries := self.user.entries("usage")) or self.user.api.get("/me").json()["held"]
        ):
            assert time.monotonic() < deadline, "nothing was charged"
            time.sleep(0.1)
        [entry] = entries
        return entry


@pytest.fixture
def sign_in(browser: Browser, address: str) -> Iterator[Callable[[NewUser], App]]:
    """Return a function that signs a user in to the app."""
    contexts = []

    def signed_in(user: NewUser) -> App:
        contexts.append(browser.new_context())
        page = contexts[-1].new_page()
        page.goto(address)
        page.get_by_label("Email").fill(user.email)
        page.get_by_label("Password").fill(demo.PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        return App(page, user)

    yield signed_in
    for context in contexts:
        context.close()


@pytest.fixture
def app(sign_in: Callable[[NewUser], App], somebody: NewUser) -> App:
    """The app of a user who has just signed up."""
    app = sign_in(somebody)
    app.shows(10_100)
    return app
