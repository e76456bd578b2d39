"""The API's reference in a real browser: what readers find there, and what it does not load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import DESKTOP, PHONE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ViewportSize

    from scrip_cli.local.demo import Details

BLOCKED = "violates the following Content Security Policy directive"


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_reader_finds_an_operation_and_its_python(
    browser: Browser, details: Details, viewport: ViewportSize
) -> None:
    page = browser.new_page(viewport=viewport)
    errors, loaded = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.on("response", lambda response: loaded.append(response.url))
    page.goto(f"{details.api_url}/v1/docs")
    page.get_by_role("link", name="/consume", exact=False).first.click()
    expect(page.get_by_role("heading", name="Spend credits").first).to_be_visible()
    page.get_by_text("curl", exact=True).first.click()
    page.get_by_text("Python", exact=True).first.click()
    expect(page.get_by_text("scrip.consume").first).to_be_visible()
    assert all(url.startswith((details.api_url, "data:")) for url in loaded)
    # Redoc's badge has a logo from its maker's host.
    assert [error for error in errors if BLOCKED not in error] == []
    page.close()
