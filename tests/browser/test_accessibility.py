"""Every page and dialog is accessible: axe-core, a phone's width, light and dark.

Both widths and both schemes are in two runs, as a rule of the style depends on one of them only.

The screenshots are kept in .screenshots, for people to look at.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from scrip_cli.local import demo
from tests.browser.conftest import DESKTOP, PHONE, SCREENSHOTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from scrip_cli.local.demo import Details
    from tests.browser.conftest import NewUser

PAGES = {
    "home": "#/",
    "activity": "#/activity",
    "accounts": "#/accounts",
    "no-match": "#/accounts?q=nobody@example.com",
    "account": "#/accounts/{account_id}",
    "ledger": "#/accounts/{account_id}/ledger",
    "entry": "#/accounts/{account_id}/entries/user:picture-1",
    "metered-entry": "#/accounts/{account_id}/entries/user:call-1",
    "usage": "#/accounts/{account_id}/usage",
    "audit": "#/accounts/{account_id}/audit",
    "no-account": "#/accounts/no-such-account",
    "plans": "#/catalog/plans",
    "features": "#/catalog/features",
    "feature": "#/catalog/features/openai.gpt-6.1-sol",
    "inbox": "#/inbox",
    "health": "#/health",
}
MENU = (
    "Change plan",
    "Allowance and limits",
    "Reset usage",
    "Freeze",
    "Set clock",
    "Close account",
)


@pytest.mark.parametrize(("width", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_every_page_and_dialog_is_accessible(
    sign_in: Callable[..., Page], details: Details, somebody: NewUser, scheme: str, width: str
) -> None:
    somebody.consume("image-generation", key="picture-1")
    somebody.consume("openai.gpt-6.1-sol", key="call-1", usage={"input": 1_200, "output": 351})
    viewport = {"desktop": DESKTOP, "phone": PHONE}[width]
    page = sign_in(demo.ADMIN_EMAIL, viewport=viewport, color_scheme=scheme)
    for name, address in PAGES.items():
        page.goto(details.console_url + address.format(account_id=somebody.account_id))
        settled(page)
        check(page, f"{name}-{width}-{scheme}")
    page.goto(details.console_url + PAGES["account"].format(account_id=somebody.account_id))
    page.get_by_role("button", name="Edit", exact=True).click()
    check(page, f"edit-credits-{width}-{scheme}")
    page.get_by_role("button", name="Adjust credits", exact=True).click()
    settled(page)
    check(page, f"adjust-credits-{width}-{scheme}", whole=False)
    page.keyboard.press("Escape")
    for name in MENU:
        page.get_by_role("button", name="More", exact=True).click()
        page.get_by_role("menuitem", name=name, exact=True).click()
        settled(page)
        check(page, f"{name.lower().replace(' ', '-')}-{width}-{scheme}", whole=False)
        page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option").first).to_be_visible()
    check(page, f"palette-{width}-{scheme}", whole=False)
    page.keyboard.press("Escape")
    page.goto(details.console_url + PAGES["accounts"])
    # A page takes the focus when it comes, which closes the suggestions.
    expect(page.get_by_role("heading", name="Accounts", level=1)).to_be_focused()
    page.get_by_role("search").get_by_role("combobox").fill(somebody.account_id)
    expect(page.get_by_role("option").first).to_be_visible()
    check(page, f"search-{width}-{scheme}", whole=False)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="edit the balance").first.click()
    page.get_by_label("Select all on this page").check()
    check(page, f"edit-in-list-{width}-{scheme}", whole=False)
    page.get_by_role("button", name="Adjust credits", exact=True).click()
    dialog = page.get_by_role("dialog", name=re.compile("^Adjust credits of"))
    dialog.get_by_label("Amount").fill("50")
    dialog.get_by_label("Reason").fill("sorry")
    dialog.get_by_role("button", name="Preview").click()
    expect(dialog.get_by_role("table", name="Accounts")).to_be_visible()
    check(page, f"several-{width}-{scheme}", whole=False)
    page.keyboard.press("Escape")
    page.goto(details.console_url + PAGES["features"])
    page.get_by_role("button", name="Edit GPT-6.1 Sol", exact=True).click()
    expect(page.get_by_role("group", name="Meter 1", exact=True)).to_be_visible()
    check(page, f"edit-feature-{width}-{scheme}", whole=False)


@pytest.mark.parametrize(("width", "scheme"), [("desktop", "light"), ("phone", "dark")])
def test_the_users_page_is_accessible(
    sign_in: Callable[..., Page], details: Details, somebody: NewUser, scheme: str, width: str
) -> None:
    somebody.consume("image-generation", reference="session-2026-11-29-of-a-rather-long-name")
    somebody.consume("openai.gpt-6.1-sol", usage={"input": 1_200, "output": 351})
    assert somebody.api.post("/me/holds", json={"amount": 50, "expires_in": 3600}).is_success
    viewport = {"desktop": DESKTOP, "phone": PHONE}[width]
    url = details.user_page_url
    page = sign_in(somebody.email, url=url, viewport=viewport, color_scheme=scheme)
    expect(page.get_by_role("heading", name="Statement")).to_be_visible()
    for name, at in {"me": "#", "me-by-day": "#by=day", "me-empty": "#month=2026-01"}.items():
        page.goto(url + at)
        expect(page.get_by_role("heading", name="Statement")).to_be_visible()
        expect(page.locator(".skeleton")).to_have_count(0)
        check(page, f"{name}-{width}-{scheme}")


def settled(page: Page) -> None:
    """Wait until nothing is loading."""
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    expect(page.get_by_role("heading").first).to_be_visible()
    expect(page.locator(".skeleton")).to_have_count(0)


def check(page: Page, name: str, *, whole: bool = True) -> None:
    """Check a page and keep a screenshot of all of it or of the visible part."""
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=whole)
    too_wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert too_wide <= 0, f"{name} is {too_wide} pixels too wide"
    serious = [
        (found["id"], found["help"], [node["html"] for node in found["nodes"]][:3])
        for found in Axe().run(page).response["violations"]
        if found["impact"] in {"serious", "critical"}
    ]
    assert serious == [], name
