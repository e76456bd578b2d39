"""What support does with the console, from signing in to being turned away."""

from __future__ import annotations

import re
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from playwright.sync_api import expect

from scrip.store.client import Table
from scrip.store.ran_out import note_ran_out
from scrip_cli.local import demo
from tests.browser.conftest import SCREENSHOTS, SECONDS_MAX
from tests.browser.files import AT_ONCE_MAX, BYTES_MAX, at_once, loaded
from tests.conftest import SCRIP

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from playwright.sync_api import Locator, Page, Route

    from scrip_cli.local.demo import Details
    from scrip_cli.local.stack import LocalStack
    from tests.browser.conftest import NewUser, Seen

FILES_MAX = 80
STREAM_SECONDS = 90
PRICE_SECONDS = 40
"""A new price takes effect everywhere within 30; some more for the request."""


def search(page: Page, text: str) -> None:
    page.get_by_role("search").get_by_role("combobox").fill(text)
    page.keyboard.press("Enter")


def open_account(page: Page, somebody: NewUser, tab: str = "Overview") -> None:
    search(page, somebody.account_id)
    # A page may have other links of that name, such as one to the ledger's uses.
    link = page.get_by_role("navigation", name="Account").get_by_role("link", name=tab, exact=True)
    if tab != "Overview":
        link.click()
    expect(link).to_have_attribute("aria-current", "page")


def figure(page: Page, name: str) -> Locator:
    """Return a figure at the top of an account's page."""
    figures = page.get_by_role("region", name="The account now")
    return figures.locator(".figure").filter(has_text=name).locator(".figure-value")


def choose(page: Page, action: str) -> None:
    """Choose an action from the account's menu."""
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name=action, exact=True).click()


def expect_status(page: Page, text: str) -> None:
    """Expect a message in the console's status, which screen readers announce."""
    expect(page.locator("p[role=status]")).to_have_text(re.compile(text))


def reload_until(page: Page, wanted: Locator) -> None:
    """Reload a page until it has what the stream brings."""
    for _ in range(STREAM_SECONDS):
        expect(page.get_by_role("heading").first).to_be_visible()
        expect(page.locator(".skeleton")).to_have_count(0)
        page.wait_for_timeout(500)  # Addresses are read after that.
        if wanted.count():
            return
        page.wait_for_timeout(500)
        page.reload()
    expect(wanted.first).to_be_visible()


def grouped(number: int) -> str:
    """Write a number as the console does."""
    return f"{number:,}"


def test_an_admin_finds_a_user_by_email_and_sees_what_the_balance_consists_of(
    page: Page, somebody: NewUser
) -> None:
    somebody.consume("image-generation")
    search(page, somebody.email)
    expect(page).to_have_url(re.compile(f"#/accounts/{somebody.account_id}$"))
    expect(figure(page, "Balance")).to_have_text(grouped(10_075))
    expect(
        page.get_by_role("heading", name=f"Why is the balance {grouped(10_075)}?")
    ).to_be_visible()

    # 75 of the plan's 100 and 10 000 of the sign-up grant are left; nothing is held or owed.
    equation = page.locator(".equation dd")
    expect(equation).to_have_text([grouped(10_075), grouped(10_075)])
    grants = page.get_by_role("region", name="Grants").get_by_role("row")
    expect(grants.nth(1)).to_contain_text("Plan")
    expect(grants.nth(1).get_by_role("cell")).to_have_text([re.compile("in "), "100", "25", "75"])
    expect(grants.nth(2).get_by_role("cell")).to_have_text(
        ["Never", grouped(10_000), "0", grouped(10_000)]
    )
    history = page.get_by_role("region", name="How it got here")
    totals = history.locator(".sums dd")
    expect(totals).to_have_text([f"+{grouped(10_100)}", "\u221225", grouped(10_075)])
    expect(history.get_by_role("listitem").first).to_contain_text("Image generation")


def test_a_long_history_is_explained_by_the_account_alone(
    page: Page, somebody: NewUser, seen: Seen, details: Details
) -> None:
    for _ in range(4):
        somebody.consume("image-generation")
    somebody.consume("chat")
    seen.requests.clear()
    open_account(page, somebody)
    grants = page.get_by_role("region", name="Grants")
    expect(grants.get_by_text("1 used-up grant")).to_be_visible()
    expect(grants.get_by_role("row", name="Plan")).to_be_hidden()
    grants.get_by_text("1 used-up grant").click()
    expect(grants.get_by_role("row", name="Plan")).to_be_visible()
    expect(page.get_by_role("region", name="How it got here")).to_contain_text("\u2212105")
    listed = [request for request in seen.requests if "/entries?" in request.url]
    assert [request.url.partition("?")[2] for request in listed] == ["limit=6"]


def test_an_admin_sees_what_happens_next_and_lets_it_happen(page: Page, somebody: NewUser) -> None:
    somebody.consume("image-generation")
    open_account(page, somebody)
    upcoming = page.get_by_role("region", name="What happens next").get_by_role("row")
    expect(upcoming.nth(1)).to_contain_text(
        "New period starts, 100 credits added, 75 credits expire"
    )
    expect(upcoming.nth(1)).to_contain_text(f"+25{grouped(10_100)}")

    choose(page, "Set clock")
    dialog = page.get_by_role("dialog", name="Set clock")
    expect(dialog.locator(".preview")).to_contain_text(grouped(10_100))
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_role("button", name="Set clock").click()
    expect_status(page, "Account clock set to")
    expect(page.get_by_text("This account runs on its own clock")).to_be_visible()
    expect(figure(page, "Balance")).to_have_text(grouped(10_100))
    assert [entry["amount"] for entry in somebody.entries("expiry")] == [-75]


def test_home_says_who_ran_out_what_was_used_and_what_needs_attention(
    page: Page, stack: LocalStack, details: Details, somebody: NewUser, admin_api: httpx.Client
) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    table = Table(stack.client("dynamodb"), details.table_name)
    note_ran_out(table, somebody.account_id, yesterday)
    somebody.consume("image-generation", quantity=300)
    reason = {"reason": "chargeback"}
    url = f"{details.api_url}/v1/accounts/{somebody.account_id}/freeze"
    assert admin_api.post(url, json=reason).is_success
    page.get_by_role("link", name="Home").click()
    top = page.get_by_role("region", name="Top accounts")
    reload_until(page, top.get_by_role("link", name=somebody.email))
    ran_out = page.get_by_role("region", name="Ran out of credits: Yesterday")
    expect(ran_out.get_by_role("link", name=somebody.email)).to_be_visible()

    used = [day["used"] for day in admin_api.get("/totals").json()["days"]]
    assert used[-1] >= 7_500
    trend = page.get_by_role("region", name="Credits", exact=True)
    expect(trend.get_by_role("button", name="Used")).to_contain_text(grouped(sum(used)))
    page.keyboard.press("Tab")  # The focus was moved by a key, so it is visible.
    trend.get_by_role("group", name=re.compile("credits used in 30 days")).focus()
    expect(trend.get_by_role("status")).to_contain_text(f"Used {grouped(used[-1])}")

    frozen = page.get_by_role("region", name="Needs attention").get_by_role("link", name="frozen")
    reload_until(page, frozen)
    frozen.click()
    expect(page).to_have_url(re.compile(r"#/accounts[?]state=frozen$"))


def test_activity_lists_entries_of_all_accounts_newest_first(
    page: Page, details: Details, somebody: NewUser, admin_api: httpx.Client
) -> None:
    somebody.consume("chat")
    thanks = {"action": "add", "amount": 50, "kind": "promo", "reason": "thanks for the report"}
    url = f"{details.api_url}/v1/accounts/{somebody.account_id}/adjustments"
    granted = admin_api.post(url, json=thanks, headers={"Idempotency-Key": uuid4().hex})
    assert granted.is_success, granted.text
    page.get_by_role("link", name="Activity").click()
    rows = page.get_by_role("table", name="Entries").get_by_role("row")
    mine = rows.filter(has=page.get_by_role("link", name=somebody.email))
    reload_until(page, mine.filter(has_text="thanks for the report"))
    expect(mine.nth(0)).to_contain_text("Promotional credits")
    expect(mine.nth(0)).to_contain_text(demo.ADMIN_EMAIL)
    expect(mine.nth(1)).to_contain_text("Chat")

    page.get_by_role("textbox", name="Account").fill(somebody.email)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"account={somebody.account_id}"))
    page.get_by_label("Type").select_option("usage")
    expect(mine).to_have_count(1)
    mine.get_by_role("link", name="Chat").click()
    expect(page.get_by_role("heading", name="Entry user:")).to_be_visible()


def test_the_list_of_accounts_loads_more_and_links_to_each(
    page: Page, admin_api: httpx.Client
) -> None:
    for number in range(51):
        account = {"account_id": f"listed-{number}", "email": f"listed-{number}@example.com"}
        assert admin_api.post("/accounts", json=account).is_success
    # The stream lists them some seconds later.
    deadline = time.monotonic() + SECONDS_MAX
    while len(admin_api.get("/accounts", params={"limit": 100}).json()["accounts"]) <= 50:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    page.reload()
    rows = page.get_by_role("table", name="Accounts").locator("tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    expect(rows).not_to_have_count(50)
    link = rows.first.get_by_role("link")
    name = link.inner_text()
    link.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(figure(page, "Balance")).to_be_visible()


def test_a_search_without_a_result_says_so_in_plain_words(page: Page) -> None:
    search(page, "nobody@example.com")
    expect(page.get_by_text("No account begins with “nobody@example.com”")).to_be_visible()
    page.evaluate("location.hash = '#/accounts/no-such-account'")
    expect(page.get_by_text("No account with the ID no-such-account")).to_be_visible()


def test_credits_are_added_after_a_preview_and_once_despite_a_double_click(
    page: Page, somebody: NewUser
) -> None:
    open_account(page, somebody)
    page.get_by_role("button", name="Adjust credits").click()
    dialog = page.get_by_role("dialog", name="Adjust credits")
    dialog.get_by_label("Amount").fill("50")
    expect(dialog.locator(".preview")).to_contain_text(grouped(10_150))
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog.get_by_text("Enter a reason.")).to_be_visible()
    assert somebody.balance() == 10_100

    dialog.get_by_label("Reason").fill("sorry for the outage")
    dialog.get_by_label("Kind").select_option("promo")
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog.locator(".effect")).to_contain_text("Adds 50 credits")
    expect(dialog.locator(".effect")).to_contain_text(grouped(10_150))
    dialog.get_by_role("button", name="Add 50 credits").dblclick()
    expect_status(page, f"50 credits added; balance {grouped(10_150)}")
    expect(figure(page, "Balance")).to_have_text(grouped(10_150))

    [entry] = somebody.entries("promo")
    assert (entry["amount"], entry["reason"]) == (50, "sorry for the outage")
    assert entry["actor"] == {"type": "admin"}


def test_the_balance_is_edited_in_place_with_a_preview(page: Page, somebody: NewUser) -> None:
    open_account(page, somebody)
    page.get_by_role("button", name="Edit", exact=True).click()
    form = page.get_by_role("form", name="Adjust the balance")
    form.get_by_label("Change").fill("-1,100")
    expect(form.locator(".quick-preview")).to_have_text(
        re.compile(f"Balance {grouped(10_100)} .* {grouped(9_000)}")
    )
    form.get_by_role("button", name=f"Deduct {grouped(1_100)} credits").click()
    expect(form.get_by_text("Enter a reason.")).to_be_visible()
    assert somebody.balance() == 10_100
    form.get_by_label("Reason").fill("added twice")
    form.get_by_role("button", name="Deduct").click()
    expect_status(page, f"{grouped(1_100)} credits deducted; balance {grouped(9_000)}")
    expect(figure(page, "Balance")).to_have_text(grouped(9_000))
    expect(form).to_have_count(0)


def test_an_account_is_opened_and_closed(page: Page) -> None:
    account_id = f"walk-in-{uuid4().hex[:8]}"
    page.get_by_role("link", name="Accounts", exact=True).click()
    page.get_by_role("button", name="New account").click()
    dialog = page.get_by_role("dialog", name="New account")
    dialog.get_by_label("Account ID").fill(account_id)
    dialog.get_by_label("Email").fill(f"{account_id}@example.com")
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog.locator(".effect")).to_contain_text(f"{grouped(10_100)} credits")
    dialog.get_by_role("button", name="Open account").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"{account_id}@example.com")

    choose(page, "Close account")
    dialog = page.get_by_role("dialog", name="Close account")
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_label(f"Type {account_id}").fill(account_id)
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog.locator(".effect")).to_contain_text(f"{grouped(10_100)} credits will be lost")
    dialog.get_by_role("button", name="Close account").click()
    expect_status(page, "Account closed and personal data erased")
    expect(page.get_by_role("heading", level=1)).to_have_text(account_id)
    expect(page.get_by_text("Closed", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="More", exact=True)).to_have_count(0)


def test_the_menu_says_what_the_server_would_refuse(
    page: Page, somebody: NewUser, admin_api: httpx.Client
) -> None:
    open_account(page, somebody)
    expect(figure(page, "Balance")).to_be_visible()
    account = admin_api.base_url.join(f"../accounts/{somebody.account_id}")
    assert admin_api.delete(account).is_success
    page.get_by_role("button", name="More", exact=True).click()
    reset = page.get_by_role("menuitem", name="Reset usage")
    expect(reset).to_contain_text("closed permanently")
    expect(reset).to_be_disabled()


def test_a_preview_is_the_servers_response_and_writes_nothing(
    page: Page, somebody: NewUser
) -> None:
    open_account(page, somebody)
    before = somebody.api.get("/me/entries").json()
    answers: list[dict[str, Any]] = []

    def change_the_response(route: Route) -> None:
        answer = route.fetch().json()
        answer["account"]["balance"] += 1
        answers.append(answer)
        route.fulfill(json=answer)

    page.route("**/adjustments?dry_run=true", change_the_response)
    page.get_by_role("button", name="Adjust credits").click()
    dialog = page.get_by_role("dialog", name="Adjust credits")
    dialog.get_by_label("Amount").press_sequentially("1234", delay=20)
    preview = dialog.locator(".preview")
    expect(preview).to_contain_text(f"Adds {grouped(1_234)} credits")
    expect(preview).to_contain_text(grouped(11_335))
    assert [answer["entry"]["amount"] for answer in answers] == [1234], "once typing has paused"

    dialog.get_by_label("Set").check()
    expect(preview).to_contain_text("Deducts")
    dialog.get_by_label("New balance").fill("")
    expect(preview).not_to_contain_text("Deducts")
    page.keyboard.press("Escape")
    assert somebody.api.get("/me/entries").json() == before


def test_a_preview_of_earlier_values_of_the_form_is_dropped(page: Page, somebody: NewUser) -> None:
    open_account(page, somebody)
    late: list[Route] = []

    def delay_the_first(route: Route) -> None:
        if late:
            route.continue_()
        else:
            late.append(route)

    page.route("**/adjustments?dry_run=true", delay_the_first)
    page.get_by_role("button", name="Adjust credits").click()
    dialog = page.get_by_role("dialog", name="Adjust credits")
    with page.expect_request("**/adjustments?dry_run=true"):
        dialog.get_by_label("Amount").fill("1")
    dialog.get_by_label("Amount").fill("50")
    preview = dialog.locator(".preview")
    expect(preview).to_contain_text(grouped(10_150))
    late[0].continue_()
    page.wait_for_timeout(1_000)
    expect(preview).to_contain_text(grouped(10_150))


def test_a_preview_of_an_allowance_shows_what_changes_now_and_with_the_next_period(
    page: Page, somebody: NewUser
) -> None:
    open_account(page, somebody)
    choose(page, "Allowance and limits")
    dialog = page.get_by_role("dialog", name="Allowance and limits")
    dialog.get_by_label("Custom").check()
    dialog.get_by_label("Credits per period").fill("40")
    preview = dialog.locator(".preview")
    expect(preview).to_contain_text("with the next period")
    rows = preview.locator("dl > div")
    later = rows.filter(has_text="Credits per period").locator("strong")
    expect(later).to_have_text("40")
    dialog.get_by_label("Credits per period").fill("150")
    expect(preview).to_contain_text("immediately")
    balance = rows.filter(has_text="Balance").locator("strong")
    expect(balance).to_have_text(grouped(10_150))
    assert somebody.balance() == 10_100


def test_a_change_whose_response_was_lost_is_made_once(page: Page, somebody: NewUser) -> None:
    open_account(page, somebody)
    lost: list[str] = []

    def lose_the_first(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(route.request.headers["idempotency-key"])
        assert route.fetch().status == 201
        route.abort()

    page.route("**/adjustments", lose_the_first)
    page.get_by_role("button", name="Adjust credits").click()
    dialog = page.get_by_role("dialog", name="Adjust credits")
    dialog.get_by_label("Amount").fill("7")
    dialog.get_by_label("Reason").fill("lucky")
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_role("button", name="Add 7 credits").click()
    expect(dialog.get_by_role("alert")).to_contain_text("may or may not have been made")
    dialog.get_by_role("button", name="Try again").click()
    expect_status(page, "7 credits added")
    assert [entry["entry_id"] for entry in somebody.entries("admin_grant")] == lost


def test_an_admin_who_leaves_a_change_whose_response_was_lost_sees_its_effect(
    page: Page, somebody: NewUser
) -> None:
    open_account(page, somebody)

    def lose(route: Route) -> None:
        assert route.fetch().status == 201
        route.abort()

    page.route("**/adjustments", lose)
    page.get_by_role("button", name="Adjust credits").click()
    dialog = page.get_by_role("dialog", name="Adjust credits")
    dialog.get_by_label("Amount").fill("7")
    dialog.get_by_label("Reason").fill("lucky")
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_role("button", name="Add 7 credits").click()
    expect(dialog.get_by_role("alert")).to_contain_text("may or may not have been made")
    expect(dialog.get_by_role("button", name="Back")).to_have_count(0)
    page.keyboard.press("Escape")
    expect_status(page, "may have been made")
    expect(figure(page, "Balance")).to_have_text(grouped(10_107))


def test_a_deactivation_shows_another_admins_edit_and_survives_a_lost_response(
    sign_in: Callable[..., Page], admin_api: httpx.Client
) -> None:
    name = f"Dream {uuid4().hex[:8]}"
    feature_id = name.lower().replace(" ", "-")
    at = f"/features/{feature_id}"
    feature = {"name": name, "cost": 5, "per": 1, "unit": "use", "active": True}
    created = admin_api.post("/features", json={"feature_id": feature_id, **feature})
    assert created.status_code == 201
    page = sign_in(demo.ADMIN_EMAIL, "#/catalog/features")
    page.get_by_role("button", name=f"Deactivate {name}").click()
    edited = admin_api.put(at, json={**feature, "cost": 6}, headers={"If-Match": '"1"'})
    assert edited.is_success, edited.text
    dialog = page.get_by_role("dialog", name=f"Deactivate {name}")
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_role("button", name="Deactivate").click()
    cost = dialog.get_by_role("alert").get_by_role("row").filter(has_text="Cost")
    expect(cost.get_by_role("cell")).to_have_text(["5", "6"])

    def lose(route: Route) -> None:
        assert route.fetch().ok
        route.abort()

    page.route(f"**{at}*", lose, times=1)
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog.get_by_role("alert")).to_contain_text("may or may not have been made")
    dialog.get_by_role("button", name="Try again").click()
    expect_status(page, f"{name} deactivated")


def test_too_large_a_deduction_shows_a_warning_and_then_the_servers_refusal(
    page: Page, somebody: NewUser
) -> None:
    open_account(page, somebody)
    page.get_by_role("button", name="Adjust credits").click()
    dialog = page.get_by_role("dialog", name="Adjust credits")
    dialog.get_by_label("Deduct").check()
    dialog.get_by_label("Amount").fill("20 000")
    dialog.get_by_label("Reason").fill("a mistake")
    expect(dialog.locator(".preview")).to_contain_text("enough")
    dialog.get_by_role("button", name="Continue").click()
    refusal = dialog.get_by_role("alert")
    expect(refusal).to_contain_text("enough")
    expect(refusal).to_contain_text("urn:scrip:request:")
    # The form keeps its values.
    dialog.get_by_label("Amount").fill("100")
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog.locator(".effect")).to_contain_text("Deducts 100 credits")
    dialog.get_by_role("button", name="Back").click()
    expect(dialog.get_by_label("Reason")).to_have_value("a mistake")
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_role("button", name="Deduct 100 credits").click()
    expect_status(page, f"100 credits deducted; balance {grouped(10_000)}")
    assert len(somebody.entries("admin_deduct")) == 1


def test_an_entry_shows_its_story_and_can_be_refunded_in_part_and_then_fully(
    page: Page, somebody: NewUser
) -> None:
    somebody.consume("image-generation", key="picture-1")
    open_account(page, somebody, "Ledger")
    page.get_by_role("button", name="Image generation", exact=True).click()
    story = page.locator(".story")
    for words in ("user:picture-1", "25 credits", "created by", "Not refunded"):
        expect(story).to_contain_text(words)
    story.get_by_role("button", name="Refund").click()
    dialog = page.get_by_role("dialog", name="Refund")
    dialog.get_by_label("Partial refund").check()
    dialog.get_by_label("Amount").fill("10")
    dialog.get_by_label("Reason").fill("half of it was black")
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog.locator(".effect")).to_contain_text("15 credits will still be refundable")
    dialog.get_by_role("button", name="Refund 10 credits").click()
    expect_status(page, f"10 credits refunded; balance {grouped(10_085)}")

    expect(page.locator(".story")).to_contain_text("10 of 25 credits refunded")
    page.locator(".story").get_by_role("button", name="Refund").click()
    dialog.get_by_label("Reason").fill("so was the rest")
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_role("button", name="Refund 15 credits").click()
    expect_status(page, f"15 credits refunded; balance {grouped(10_100)}")
    expect(page.locator(".story")).to_contain_text("Fully refunded")
    expect(page.locator(".story").get_by_role("button", name="Refund")).to_have_count(0)
    assert [entry["amount"] for entry in somebody.entries("refund")] == [15, 10]


def test_the_ledger_can_be_filtered_and_loads_more_on_scrolling(
    page: Page, somebody: NewUser
) -> None:
    for _ in range(60):
        somebody.consume("chat")
    somebody.consume("pdf-chat")
    open_account(page, somebody, "Ledger")
    rows = page.get_by_role("region", name="Ledger").locator("tbody tr")
    expect(rows.first).to_be_visible()
    while rows.count() < 63:
        before = rows.count()
        page.mouse.wheel(0, 20_000)
        expect(rows).not_to_have_count(before)
    expect(page.get_by_text("63 entries")).to_be_visible()

    page.get_by_label("Feature").select_option("pdf-chat")
    expect(rows).to_have_count(1)
    # A filtered ledger has a URL of its own.
    page.reload()
    expect(rows).to_have_count(1)
    page.get_by_role("link", name="Clear filters").click()
    page.get_by_label("Type").select_option("signup")
    expect(rows).to_have_count(1)
    page.get_by_label("From").fill("2026-01-01")
    page.get_by_label("To", exact=True).fill("2026-01-02")
    expect(page.get_by_text("No entries match these filters.")).to_be_visible()


def test_a_change_of_plan_is_in_the_audit_records(page: Page, somebody: NewUser) -> None:
    open_account(page, somebody)
    choose(page, "Change plan")
    dialog = page.get_by_role("dialog", name="Change plan")
    dialog.get_by_label("Pro").check()
    dialog.get_by_label("Reason").fill("won it")
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog.locator(".effect")).to_contain_text("immediately")
    dialog.get_by_role("button", name="Change to Pro").click()
    expect_status(page, "Plan changed to Pro")
    expect(figure(page, "Balance")).to_have_text(grouped(12_000))
    expect(figure(page, "Plan")).to_have_text("Pro")
    page.get_by_role("link", name="Audit").click()
    records = page.get_by_role("region", name="Audit records")
    expect(records).to_contain_text("won it")
    plan = records.locator("dl > div").filter(has_text=re.compile("^Plan id"))
    expect(plan).to_have_text(re.compile("Plan id ?free .*becomes pro"))


def test_a_user_reads_the_reasons_and_only_staff_read_the_notes(
    page: Page, somebody: NewUser
) -> None:
    somebody.consume("image-generation", key="picture-1")
    open_account(page, somebody)
    for button, title, fill, confirm in (
        ("Change plan", "Change plan", {"Pro": None}, "Change to Pro"),
        ("Allowance and limits", "Allowance and limits", {"Custom": None}, "Save"),
        ("Reset usage", "Reset usage", {}, "Reset usage"),
        ("Freeze", "Freeze account", {}, "Freeze"),
        ("Unfreeze", "Unfreeze account", {}, "Unfreeze"),
    ):
        choose(page, button)
        dialog = page.get_by_role("dialog", name=title)
        for label, text in fill.items():
            field = dialog.get_by_label(label)
            if text is None:
                field.check()
            else:
                field.fill(text)
        if title == "Allowance and limits":
            dialog.get_by_label("Credits per period").fill("3000")
        fill_in(dialog, f"{confirm}: reason", f"{confirm}: note")
        dialog.get_by_role("button", name="Continue").click()
        dialog.get_by_role("button", name=confirm, exact=True).click()
        expect(dialog).to_have_count(0)
    page.get_by_role("link", name="Ledger", exact=True).click()
    page.get_by_role("button", name="Image generation", exact=True).click()
    page.locator(".story").get_by_role("button", name="Refund").click()
    dialog = page.get_by_role("dialog", name="Refund")
    fill_in(dialog, "Refund: reason", "Refund: note")
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog.locator(".effect")).to_contain_text("Visible to the user: Refund: reason")
    expect(dialog.locator(".effect")).to_contain_text("Staff only: Refund: note")
    dialog.get_by_role("button", name="Refund 25 credits").click()
    expect_status(page, "25 credits refunded")

    page.get_by_role("link", name="Audit").click()
    records = page.get_by_role("region", name="Audit records").get_by_role("listitem")
    expect(records).to_have_count(6)
    for number in range(6):
        record = records.nth(number)
        expect(record).to_contain_text(": reason")
        expect(record).to_contain_text(re.compile("Internal note: .*: note"))
    page.screenshot(path=SCREENSHOTS / "notes.png", full_page=True)
    seen = somebody.api.get("/me/entries").text
    assert "Refund: reason" in seen
    assert ": note" not in seen


def fill_in(dialog: Locator, reason: str, note: str) -> None:
    """Fill in a reason and a note, whose labels say who reads them."""
    dialog.get_by_label("Reason (visible to the user)").fill(reason)
    dialog.get_by_label("Internal note (staff only)").fill(note)
    dialog.page.screenshot(path=SCREENSHOTS / f"why-{reason.partition(' ')[0].lower()}.png")


def test_a_frozen_account_spends_nothing_until_it_is_unfrozen(
    page: Page, somebody: NewUser
) -> None:
    open_account(page, somebody)
    for verb, status in (("Freeze", 403), ("Unfreeze", 200)):
        choose(page, verb)
        dialog = page.get_by_role("dialog", name=f"{verb} account")
        dialog.get_by_label("Reason").fill("looked odd")
        dialog.get_by_role("button", name="Continue").click()
        dialog.get_by_role("button", name=verb, exact=True).click()
        expect(dialog).to_have_count(0)
        assert somebody.api.post("/me/consume", json={"feature": "chat"}).status_code == status


def test_a_forgotten_hold_can_be_released(page: Page, somebody: NewUser) -> None:
    body = {"feature": "image-generation", "quantity": 2, "expires_in": 3_600}
    somebody.api.post("/me/holds", json=body, headers={"Idempotency-Key": "job-1"})
    open_account(page, somebody)
    expect(page.locator(".equation dd").nth(1)).to_have_text("+50")
    held = page.get_by_role("region", name="Holds").get_by_role("row").nth(1)
    expect(held).to_contain_text(
        re.compile(r"user:job-1.*by the user.*image-generation.*in \d+ .*50")
    )
    held.get_by_role("button", name="Release user:job-1").click()
    dialog = page.get_by_role("dialog", name="Release hold")
    dialog.get_by_label("Reason").fill("the job died")
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog).to_contain_text("Makes 50 credits available")
    dialog.get_by_role("button", name="Release").click()
    expect_status(page, "Hold released")
    expect(page.get_by_role("region", name="Holds")).to_be_hidden()
    expect(figure(page, "Available")).to_have_text(grouped(10_100))
    [entry] = somebody.entries("release")
    assert (entry["hold_id"], entry["reason"]) == ("user:job-1", "the job died")


def test_an_account_allowance_and_a_reset_take_effect_at_once(
    page: Page, somebody: NewUser
) -> None:
    somebody.consume("image-generation")
    open_account(page, somebody)
    choose(page, "Allowance and limits")
    dialog = page.get_by_role("dialog", name="Allowance and limits")
    dialog.get_by_label("Custom").check()
    dialog.get_by_label("Credits per period").fill("150")
    dialog.get_by_role("button", name="Add limit").click()
    dialog.get_by_label("Limit 1 name").fill("storage_bytes")
    dialog.get_by_label("Limit 1 value").fill("5000")
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_role("button", name="Save").click()
    expect(figure(page, "Balance")).to_have_text(grouped(10_125))
    expect(page.get_by_role("region", name="Plan and quota")).to_contain_text("storage_bytes")

    choose(page, "Reset usage")
    dialog = page.get_by_role("dialog", name=re.compile("Reset"))
    dialog.get_by_role("button", name="Continue").click()
    dialog.locator("[type=submit]").click()
    expect(figure(page, "Balance")).to_have_text(grouped(10_150))
    expect(figure(page, "Used this period")).to_contain_text(re.compile("^0"))


def test_a_reset_and_an_allowance_show_their_effect_on_the_current_account(
    page: Page, somebody: NewUser, admin_api: httpx.Client
) -> None:
    open_account(page, somebody)
    expect(figure(page, "Used this period")).to_have_text("0")
    somebody.consume("image-generation")
    choose(page, "Reset usage")
    dialog = page.get_by_role("dialog", name="Reset usage")
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog.locator(".effect")).to_contain_text("from 25 to 0")
    expect(dialog.locator(".effect")).to_contain_text("Refills the plan grant with 25 credits")
    page.keyboard.press("Escape")

    # An allowance of its own also grants the difference on an unlimited plan, but limits nothing.
    plan = {"plan_id": f"free-{uuid4().hex[:8]}", "name": "Free for all", "unlimited": True}
    assert admin_api.post("/plans", json={**plan, "monthly_credits": 0}).status_code == 201
    quota = admin_api.base_url.join(f"../accounts/{somebody.account_id}/quota")
    for _ in range(2 * PRICE_SECONDS):
        if admin_api.put(quota, json={"plan_id": plan["plan_id"]}).is_success:
            break
        page.wait_for_timeout(500)
    choose(page, "Allowance and limits")
    dialog = page.get_by_role("dialog", name="Allowance and limits")
    dialog.get_by_label("Custom").check()
    dialog.get_by_label("Credits per period").fill("500")
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog.locator(".effect")).to_contain_text("immediately")
    expect(dialog.locator(".effect")).to_contain_text(f"becomes {grouped(10_475)}")
    dialog.get_by_role("button", name="Save").click()
    expect(figure(page, "Balance")).to_have_text(grouped(10_475))
    choose(page, "Allowance and limits")
    dialog.get_by_role("button", name="Add limit").click()
    dialog.get_by_label("Limit 1 name").fill("constructor")
    dialog.get_by_label("Limit 1 value").fill("5")
    dialog.get_by_role("button", name="Continue").click()
    rows = dialog.locator(".effect dl > div")
    expect(rows.filter(has_text="Limit constructor")).to_contain_text("none")
    expect(rows.filter(has_text="Balance").locator("dd")).to_have_text(grouped(10_475))


def test_the_next_use_pays_the_edited_price_and_a_conflict_is_shown(
    sign_in: Callable[..., Page], somebody: NewUser, admin_api: httpx.Client
) -> None:
    name = f"Dream {uuid4().hex[:8]}"
    feature = {"feature_id": name.lower().replace(" ", "-"), "name": name, "cost": 5}
    assert admin_api.post("/features", json=feature).status_code == 201
    one, other = (sign_in(demo.ADMIN_EMAIL, "#/catalog/features") for _ in range(2))
    dialogs = []
    for page, cost in ((one, "6"), (other, "8")):
        page.get_by_role("button", name=f"Edit {name}").click()
        dialogs.append(page.get_by_role("dialog", name=f"Edit {name}"))
        dialogs[-1].get_by_label("Cost").fill(cost)
        dialogs[-1].get_by_role("button", name="Continue").click()
    dialogs[0].get_by_role("button", name="Save").click()
    expect_status(one, f"{name} saved as version 2")

    dialogs[1].get_by_role("button", name="Save").click()
    conflict = dialogs[1].get_by_role("alert")
    expect(conflict).to_contain_text("Another admin changed this")
    expect(conflict.get_by_role("row").filter(has_text="Cost").get_by_role("cell")).to_have_text(
        ["5", "6", "8"]
    )
    dialogs[1].get_by_role("button", name="Overwrite with mine").click()
    expect_status(other, f"{name} saved as version 3")

    for _ in range(2 * PRICE_SECONDS):
        quote = somebody.api.post("/me/quote", json={"feature": feature["feature_id"]}).json()
        if quote.get("feature_version") == 3:
            break
        one.wait_for_timeout(500)
    assert somebody.consume(str(feature["feature_id"]))["cost"] == 8


def test_an_old_entry_and_a_metered_one_show_why_they_cost_what_they_cost(
    page: Page, somebody: NewUser, admin_api: httpx.Client
) -> None:
    name = f"Dream {uuid4().hex[:8]}"
    feature_id = name.lower().replace(" ", "-")
    feature = {"feature_id": feature_id, "name": name, "cost": 5, "reason": "launch"}
    assert admin_api.post("/features", json=feature).status_code == 201
    quote = {"feature": feature_id}
    wait_for_price(page, somebody, quote, cost=5)
    somebody.consume(feature_id, key="old", quantity=3)

    page.get_by_role("link", name="Catalog").click()
    page.get_by_role("link", name="Features").click()
    page.get_by_role("button", name=f"Edit {name}").click()
    dialog = page.get_by_role("dialog", name=f"Edit {name}")
    dialog.get_by_label("Price per meter").check()
    dialog.get_by_role("button", name="Add meter").click()
    dialog.get_by_role("button", name="Add meter").click()
    dialog.get_by_role("button", name="Remove meter 3").click()
    for number, counts, per in ((1, "input", "4,000"), (2, "input", "0")):
        row = dialog.get_by_role("group", name=f"Meter {number}")
        row.get_by_label("Meter").fill(counts)
        row.get_by_label("Credits").fill("1")
        row.get_by_label("Per").fill(per)
    dialog.get_by_role("button", name="Continue").click()
    expect(row.get_by_label("Meter")).to_have_accessible_description(
        "Another meter already has this name."
    )
    expect(row.get_by_label("Per")).to_have_accessible_description(
        "Enter a whole number, 1 or more."
    )
    row.get_by_label("Meter").fill("output")
    row.get_by_label("Per").fill("500")
    dialog.get_by_label("Reason").fill("pay by token")
    dialog.get_by_role("button", name="Continue").click()
    expect(dialog.get_by_role("row", name="Meters output per none 500")).to_be_visible()
    dialog.get_by_role("button", name="Save").click()
    expect_status(page, f"{name} saved as version 2")
    row = page.get_by_role("row").filter(has_text=name)
    prices = [f"1 credit per {grouped(4_000)} input", "1 credit per 500 output"]
    expect(row.get_by_role("listitem")).to_have_text(prices)

    row.get_by_role("link", name="version 2").click()
    versions = page.get_by_role("table", name="Versions").get_by_role("row")
    expect(versions.nth(1)).to_contain_text(re.compile(f"{prices[0]}.*An admin.*pay by token"))
    expect(versions.nth(2)).to_contain_text(re.compile("5 credits per use.*launch"))

    usage = {"input": 1_200, "output": 351}
    wait_for_price(page, somebody, {**quote, "usage": usage}, cost=2)
    somebody.consume(feature_id, key="new", usage=usage)
    for key, why in (
        (
            "new",
            f"{grouped(1_200)} input at 1 per {grouped(4_000)} + 351 output at 1 per 500, round",
        ),
        ("old", f"price version 1: 5 credits per use. Now version 2: {prices[0]}"),
    ):
        page.evaluate(f"location.hash = '#/accounts/{somebody.account_id}/entries/user:{key}'")
        expect(page.locator(".story")).to_contain_text(re.compile(re.sub(r"\+", r"\+", why)))


def wait_for_price(page: Page, somebody: NewUser, used: dict[str, Any], *, cost: int) -> None:
    """Wait until a use has this price."""
    for _ in range(2 * PRICE_SECONDS):
        if somebody.api.post("/me/quote", json=used).json().get("cost") == cost:
            return
        page.wait_for_timeout(500)
    raise AssertionError(f"the price is not {cost}")


def test_a_webhook_waits_for_its_plan_and_can_be_replayed_once_that_is_known(
    page: Page, stack: LocalStack, somebody: NewUser
) -> None:
    price, customer = f"price_{uuid4().hex}", f"data.customer_id={somebody.account_id}"
    for fixture, change in (
        ("account_linked", f"data.account_id={somebody.account_id}"),
        ("subscription_renewed", f"data.plan={price}"),
    ):
        words = ["--set", customer, "--set", change]
        if fixture == "subscription_renewed":
            for fact in ("invoice_id", "payment_id", "subscription_id"):
                words += ["--set", f"data.{fact}={uuid4()}"]
        at = ["--port", str(stack.port), "--state", str(stack.state_dir)]
        subprocess.run(
            [SCRIP, "webhooks", "send", f"standard/{fixture}", *words, *at],
            check=True,
            capture_output=True,
        )
    page.get_by_role("link", name="Inbox").click()
    page.get_by_label("Status").select_option("unmatched")
    row = page.get_by_role("row").filter(has_text=price)
    expect(row).to_contain_text("Unmatched")
    row.get_by_role("link").first.click()
    expect(page.get_by_label("Payload")).to_contain_text(price)
    message = page.url
    page.get_by_role("button", name="Replay").click()
    expect_status(page, "Replayed: unmatched")

    page.get_by_role("link", name="Catalog").click()
    page.get_by_role("button", name="Edit Pro").click()
    dialog = page.get_by_role("dialog", name="Edit Pro")
    dialog.get_by_label("Provider IDs").press_sequentially(f"\n{price}")
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_role("button", name="Save").click()
    expect_status(page, "Pro saved")

    page.goto(message)
    for _ in range(PRICE_SECONDS):
        page.get_by_role("button", name="Replay").click()
        expect(page.get_by_role("button", name="Replay")).to_be_enabled()
        if page.get_by_text("Applied", exact=True).count():
            break
        page.wait_for_timeout(1_000)
    expect_status(page, "Replayed: applied")
    search(page, somebody.account_id)
    expect(figure(page, "Plan")).to_have_text("Pro")


def test_a_message_says_what_it_did_and_those_that_wait_are_counted(
    page: Page, stack: LocalStack, somebody: NewUser
) -> None:
    at = ["--port", str(stack.port), "--state", str(stack.state_dir)]
    for fixture, change in (
        ("credits_purchased", f"data.account_id={somebody.account_id}"),
        ("credits_purchased", "data.account_id=nobody-yet"),
    ):
        words = ["--set", change, "--set", f"data.payment_id={uuid4()}"]
        words += ["--set", "data.credits=500"]
        sent = subprocess.run(
            [SCRIP, "webhooks", "send", f"standard/{fixture}", *words, *at],
            check=False,
            capture_output=True,
            text=True,
        )
        assert sent.returncode == 0, sent.stdout + sent.stderr
    page.reload()
    inbox = page.get_by_role("navigation", name="Main").get_by_role("link", name="Inbox")
    expect(inbox).to_have_accessible_name(re.compile(r"Inbox ?\d+ need attention"))
    inbox.click()
    row = page.get_by_role("row").filter(has_text=somebody.account_id)
    expect(row).to_contain_text("Applied")
    row.get_by_role("link").first.click()
    did = page.get_by_role("region", name="What it did")
    expect(did.get_by_role("row").nth(1)).to_contain_text("+500")
    expect(page.get_by_role("link", name=somebody.email)).to_be_visible()
    message = page.url
    did.get_by_role("link", name="Credits purchased").click()
    story = page.locator(".story")
    expect(story).to_contain_text("+500")
    story.get_by_role("link", name="standard:msg").click()
    expect(page).to_have_url(message)


def test_usage_is_shown_as_a_chart_and_as_a_table_by_feature(page: Page, somebody: NewUser) -> None:
    for feature in ("chat", "chat", "image-generation"):
        somebody.consume(feature)
    somebody.consume("openai.gpt-6.1-sol", usage={"input": 1_200, "output": 0})
    open_account(page, somebody, "Usage")
    table = page.get_by_role("table", name="Usage by feature")
    for _ in range(STREAM_SECONDS):
        # The stream, which counts usage, lags behind the ledger.
        used = table.inner_text() if table.count() else ""
        if all(number in used for number in ("10", "25", "36")):
            break
        page.wait_for_timeout(1_000)
        page.reload()
        expect(page.get_by_role("region", name="Usage").locator(".loaded")).to_be_visible()
    expect(table.get_by_role("row").filter(has_text="Image")).to_contain_text("25")
    expect(table.get_by_role("row").filter(has_text="Chat")).to_contain_text("10")
    model = table.get_by_role("row").filter(has_text="GPT-6.1 Sol")
    expect(model.get_by_role("cell")).to_have_text(["1", f"{grouped(1_200)} input", "36", "0"])
    expect(page.locator(".uplot canvas")).to_be_visible()

    # A date can be typed: a partial one has no effect, and none is a step in the browser's history.
    day = datetime.now(UTC) - timedelta(days=3)
    page.get_by_label("Custom", exact=True).check()
    expect(page.get_by_label("From")).to_be_visible()
    steps = page.evaluate("history.length")
    page.keyboard.press("Tab")
    page.keyboard.type(f"{day:%m%d%Y}", delay=50)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"from={day:%Y-%m-%d}&"))
    expect(page.get_by_label("From")).to_have_value(f"{day:%Y-%m-%d}")
    expect(page.get_by_text("in 4 days")).to_be_visible()
    assert page.evaluate("history.length") == steps
    # Invalid parameters in a URL are ignored.
    page.evaluate("location.hash = location.hash.replace(/[?].*/, '?days=abc&from=1&to=2')")
    expect(page.get_by_label("30 days")).to_be_checked()
    expect(table).to_be_visible()


def test_usage_is_read_by_keyboard_by_week_and_compared_with_the_period_before(
    page: Page, somebody: NewUser
) -> None:
    somebody.consume("image-generation")
    open_account(page, somebody, "Usage")
    chart = page.get_by_role("group", name=re.compile("^Credits used"))
    for _ in range(STREAM_SECONDS):
        expect(page.get_by_role("region", name="Usage").locator(".loaded")).to_be_visible()
        if page.locator(".uplot canvas").count():
            break
        page.wait_for_timeout(1_000)
        page.reload()
    page.keyboard.press("Tab")  # The focus was moved by a key, so it is visible.
    chart.focus()
    today = datetime.now(UTC)
    tip = chart.get_by_role("status")
    expect(tip).to_contain_text(f"{today:%b} {today.day}, {today.year}: 25")
    expect(tip).to_contain_text("Image generation 25")
    page.keyboard.press("ArrowLeft")
    expect(tip).to_contain_text(": 0")
    page.keyboard.press("Escape")
    expect(tip).to_have_count(0)

    page.get_by_label("Week", exact=True).check()
    expect(page).to_have_url(re.compile("by=week"))
    page.get_by_text("By week", exact=True).click()
    weeks = page.get_by_role("table", name="Credits used by week and feature")
    expect(weeks.locator("tbody tr")).to_have_count(1)
    # From tomorrow on, today is in the period before.
    tomorrow = f"{today + timedelta(days=1):%Y-%m-%d}"
    page.evaluate(
        f"location.hash = location.hash.replace(/[?].*/, '?from={tomorrow}&to={tomorrow}')"
    )
    expect(page.get_by_text("No usage", exact=True)).to_be_visible()


def test_a_page_that_fails_shows_an_error_and_the_next_page_works(page: Page, seen: Seen) -> None:
    expect(page.get_by_role("heading", name="Accounts")).to_be_visible()
    page.route("**/v1/admin/health", lambda route: route.fulfill(json={}))
    page.get_by_role("link", name="Health").click()
    failure = page.get_by_role("alert")
    expect(failure).to_contain_text("This page couldn't be displayed")
    expect(failure.get_by_role("button", name="Reload")).to_be_visible()
    page.get_by_role("link", name="Inbox").click()
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    expect(failure).to_have_count(0)
    assert all("TypeError" in error for error in seen.errors), seen.errors
    seen.errors.clear()


def test_health_is_described_in_words(page: Page) -> None:
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("heading", name="Queues")).to_be_visible()
    expect(page.get_by_role("region", name="Status")).to_be_visible()


def test_a_user_who_is_not_an_admin_is_turned_away(
    sign_in: Callable[..., Page], seen: Seen, details: Details
) -> None:
    page = sign_in(demo.USER_EMAIL, "#/accounts")
    expect(page.get_by_role("heading", name="This console is for admins")).to_be_visible()
    expect(page.get_by_text(demo.USER_EMAIL)).to_be_visible()
    assert seen.calls(details.api_url) == {"GET /v1/admin/health"}
    # They can sign out, and in as an admin.
    page.get_by_role("button", name="Sign in as someone else").click()
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("input[name=username]")).to_be_visible()


def test_a_sign_in_leads_to_the_requested_page_and_a_sign_out_leaves_nothing_behind(
    sign_in: Callable[..., Page], details: Details
) -> None:
    page = sign_in(demo.ADMIN_EMAIL, "#/health")
    expect(page.get_by_role("heading", name="Health", exact=True)).to_be_visible()
    assert page.url == f"{details.console_url}#/health"
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="You're signed out")).to_be_visible()
    left = page.evaluate("JSON.stringify([sessionStorage, localStorage])")
    assert "token" not in left
    # The next sign-in asks for the password again.
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("input[name=username]")).to_be_visible()


def test_the_console_asks_to_sign_in_again_when_the_session_has_ended(page: Page) -> None:
    expect(page.get_by_role("heading", name="Accounts")).to_be_visible()
    page.route("**/v1/admin/health", lambda route: route.fulfill(status=401, body="{}"))
    page.get_by_role("link", name="Health").click()
    expect(page.locator("input[name=username]")).to_be_visible()


def test_a_lost_connection_is_reported_and_can_be_retried(page: Page) -> None:
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("heading", name="Queues")).to_be_visible()
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    page.context.set_offline(True)
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_role("alert")).to_contain_text("didn't respond")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Queues")).to_be_visible()


def test_the_console_can_be_used_with_the_keyboard_alone(page: Page, somebody: NewUser) -> None:
    expect(page.get_by_role("heading", name="Accounts")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type(somebody.account_id)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    button = page.get_by_role("button", name="Adjust credits")
    for _ in range(20):
        page.keyboard.press("Tab")
        if button.evaluate("button => button === document.activeElement"):
            break
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Adjust credits")
    expect(dialog.get_by_label("Amount")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()


def test_the_command_palette_finds_accounts_pages_and_actions(
    page: Page, somebody: NewUser
) -> None:
    expect(page.get_by_role("heading", name="Accounts")).to_be_visible()
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="Commands")
    page.keyboard.type(somebody.email)
    expect(palette.get_by_role("option", name=somebody.email)).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(somebody.email)
    expect(figure(page, "Balance")).to_be_visible()

    page.keyboard.press("Control+k")
    page.keyboard.type("fre")
    expect(palette.get_by_role("option")).to_have_text(["FreezeThis account"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Freeze account")).to_be_visible()
    page.keyboard.press("Control+k")
    expect(palette).to_have_count(0)
    page.keyboard.press("Escape")

    page.keyboard.press("Control+k")
    expect(palette.get_by_role("option").first).to_be_visible()
    page.keyboard.press("ArrowUp")  # The last one: sign out.
    page.keyboard.press("ArrowUp")
    expect(palette.get_by_role("option", selected=True)).to_contain_text("Health")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Health", exact=True)).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("nothing at all")
    expect(palette.get_by_text("Nothing matches.")).to_be_visible()


def test_the_console_loads_small_files_few_at_a_time_and_only_once(
    page: Page, somebody: NewUser
) -> None:
    somebody.consume("chat")
    page.get_by_role("link", name="Home").click()
    reload_until(page, page.get_by_role("region", name="Credits", exact=True).locator("canvas"))
    page.context.new_cdp_session(page).send("Network.clearBrowserCache")
    page.reload()
    expect(page.locator(".uplot canvas")).to_be_visible()
    files = loaded(page)
    assert any("uPlot.iife" in file.name for file in files)
    assert sum(file.size for file in files) < BYTES_MAX
    assert at_once(files) <= AT_ONCE_MAX
    # All files are compressed in transit.
    open_account(page, somebody, "Usage")
    reload_until(page, page.get_by_role("region", name="Usage").locator("canvas"))
    files = loaded(page)
    assert len(files) <= FILES_MAX
    assert 0 < sum(file.sent for file in files) < BYTES_MAX / 2, files

    page.reload()
    expect(page.locator(".uplot canvas")).to_be_visible()
    requested = [file.name.rpartition("/")[2] for file in loaded(page) if not file.is_cached]
    assert sorted(requested) == ["config.json", "console"]


def test_a_file_that_was_refused_once_is_requested_again(page: Page) -> None:
    expect(page.get_by_role("heading", name="Accounts")).to_be_visible()
    page.route("**/lib/format.js", lambda route: route.fulfill(status=429), times=1)
    page.reload()
    expect(page.get_by_role("heading", name="Accounts")).to_be_visible()
