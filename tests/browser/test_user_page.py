"""What users see of their credits at `/me`, and on the pages of apps."""

from __future__ import annotations

import csv
import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from scrip_cli.local import demo
from tests.browser.conftest import PHONE
from tests.browser.files import AT_ONCE_MAX, BYTES_MAX, at_once, loaded
from tests.documentation import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Locator, Page

    from scrip_cli.local.demo import Details
    from scrip_cli.local.stack import LocalStack
    from tests.browser.conftest import NewUser, Seen

APP = "http://app.localhost"
STREAM_SECONDS = 90
MINUS = "\u2212"

FORGE = """(accountId) => {
    const [[name, value]] = Object.entries(sessionStorage).filter(([key]) => /^oidc/.test(key));
    const user = JSON.parse(value);
    const [head, payload, signature] = user.access_token.split(".");
    const claims = btoa(JSON.stringify({ ...JSON.parse(atob(payload)), sub: accountId }));
    user.access_token = [head, claims.replaceAll("=", ""), signature].join(".");
    sessionStorage.setItem(name, JSON.stringify(user));
}"""
"""Make the token's payload say that it is somebody else's; its signature does not."""


@pytest.fixture
def opened(sign_in: Callable[..., Page], details: Details) -> Callable[..., Page]:
    """Return a function that signs a user in to the users' page."""
    return partial(sign_in, url=details.user_page_url)


@pytest.fixture
def service_api(details: Details) -> Iterator[httpx.Client]:
    """The API as the back end of an app sees it, below /v1/accounts."""
    headers = {"Authorization": f"Bearer {details.service_token}"}
    url = f"{details.api_url}/v1/accounts"
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=60) as api:
        yield api


def figure(page: Page, name: str) -> Locator:
    """Return a figure at the top of the page."""
    figures = page.get_by_role("region", name="Right now").locator(".figure")
    return figures.filter(has_text=name).locator(".figure-value")


def changes(page: Page) -> Locator:
    """Return the rows of the month's changes."""
    return page.get_by_role("table", name="Changes to your balance").locator("tbody tr")


def adjust(admin_api: httpx.Client, somebody: NewUser, **change: Any) -> None:
    """Change a user's credits, as support does."""
    url = f"{str(admin_api.base_url).removesuffix('admin/')}accounts/{somebody.account_id}"
    answer = admin_api.post(f"{url}/adjustments", json={"reason": "a test", **change})
    assert answer.status_code == 201, answer.text


def put_on(admin_api: httpx.Client, somebody: NewUser, plan_id: str) -> None:
    """Put a user on a plan, as support does."""
    url = f"{str(admin_api.base_url).removesuffix('admin/')}accounts/{somebody.account_id}"
    answer = admin_api.put(f"{url}/quota", json={"plan_id": plan_id, "reason": "a test"})
    assert answer.is_success, answer.text


def test_a_user_sees_what_they_have_what_is_set_aside_and_what_happens_next(
    opened: Callable[..., Page], somebody: NewUser
) -> None:
    somebody.consume("image-generation")
    assert somebody.api.post("/me/holds", json={"amount": 50, "expires_in": 3600}).is_success
    page = opened(somebody.email)
    expect(figure(page, "Balance")).to_have_text("10,075")
    expect(figure(page, "Ready to use")).to_have_text("10,025")
    made_of = page.get_by_role("table", name="Your credits, in the order they are used")
    expect(made_of.get_by_role("row").nth(1)).to_contain_text("Your plan")
    expect(made_of.get_by_role("row").nth(1)).to_contain_text("25 of 100")
    expect(made_of.get_by_role("row").nth(2)).to_contain_text("Welcome credits")
    expect(made_of.get_by_role("row").nth(2)).to_contain_text("Never")
    in_progress = page.get_by_role("table", name="Credits set aside").get_by_role("row")
    expect(in_progress.nth(1)).to_contain_text("Work in progress")
    expect(in_progress.nth(1)).to_contain_text("50")
    upcoming = page.get_by_role("region", name="What happens next").get_by_role("listitem")
    expect(upcoming.nth(0)).to_contain_text("50 credits are no longer set aside")
    expect(upcoming.nth(1)).to_contain_text("100 new credits arrive")

    somebody.consume("image-generation")
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator("p.notice")).to_have_text("Up to date: your balance is 10,050 credits.")
    expect(figure(page, "Balance")).to_have_text("10,050")


def test_every_change_has_its_price_and_a_file_has_all_of_a_month(
    opened: Callable[..., Page], somebody: NewUser
) -> None:
    formula = '=HYPERLINK("https://evil.example")'
    somebody.consume("image-generation", reference=formula)
    somebody.consume("chat", quantity=3, reference="run-1")
    somebody.consume("openai.gpt-6.1-sol", usage={"input": 1_200, "output": 351})
    page = opened(somebody.email)
    expect(changes(page)).to_have_count(5)
    expect(changes(page).nth(0)).to_contain_text("1,200 input at")
    expect(changes(page).nth(1)).to_contain_text("3 uses at 5 each")
    expect(changes(page).nth(1)).to_contain_text("run-1")
    expect(changes(page).nth(1)).to_contain_text(f"{MINUS}15")
    expect(changes(page).nth(4)).to_contain_text("Welcome credits")

    with page.expect_download() as download:
        activity = page.get_by_role("region", name="Activity")
        activity.get_by_role("button", name="Download CSV").click()
    assert re.fullmatch(r"credits-\d{4}-\d\d\.csv", download.value.suggested_filename)
    text = download.value.path().read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["What"] for row in rows[:2]] == ["Welcome credits", "Credits from your plan"]
    assert sum(int(row["Credits"]) for row in rows) == somebody.balance()
    assert int(rows[-1]["Balance"]) == somebody.balance()
    # A spreadsheet shows the text instead of running it.
    assert rows[2]["Reference"] == f"'{formula}"


def test_a_statement_adds_up_by_feature_day_model_and_reference(
    opened: Callable[..., Page], somebody: NewUser
) -> None:
    somebody.consume("chat", quantity=3, reference="run-1")
    somebody.consume("chat", reference="run-2")
    somebody.consume("image-generation", reference="run-1", metadata={"model": "gpt-6.1-sol"})
    page = opened(somebody.email)
    statement = page.get_by_role("region", name="Statement")
    rows = statement.get_by_role("table").locator("tbody tr")
    expect(rows.filter(has_text="Image generation")).to_contain_text("25 credits per use")
    expect(rows.filter(has_text="Chat")).to_contain_text(f"2{MINUS}20")
    expect(rows.filter(has_text="Welcome credits")).to_contain_text("+10,000")
    expect(statement.locator("dd")).to_have_text(["0", "+10,055", "10,055"])

    statement.get_by_label("Day").check()
    expect(page).to_have_url(re.compile("by=day"))
    expect(rows.filter(has_text="Used")).to_contain_text(f"3{MINUS}45")
    statement.get_by_label("Model").check()
    expect(rows.filter(has_text="gpt-6.1-sol")).to_contain_text(f"1{MINUS}25")
    expect(rows.filter(has_text="No model")).to_contain_text(f"2{MINUS}20")
    statement.get_by_label("Reference").check()
    expect(rows.filter(has_text="run-1")).to_contain_text(f"2{MINUS}40")
    expect(statement.locator("dd")).to_have_text(["0", "+10,055", "10,055"])
    with page.expect_download() as download:
        statement.get_by_role("button", name="Download CSV").click()
    assert re.fullmatch(r"statement-.+-by-reference\.csv", download.value.suggested_filename)
    text = download.value.path().read_text(encoding="utf-8-sig")
    lines = list(csv.DictReader(text.splitlines()))
    assert {"What": "Used", "Reference": "run-1", "Times": "2", "Credits": "-40"} in lines
    assert sum(int(line["Credits"]) for line in lines) == somebody.balance()

    # A reference leads to its own charges, which the stream lists a few seconds after the charge.
    rows.get_by_role("link", name="run-1").click()
    for _ in range(STREAM_SECONDS):
        expect(page.get_by_role("heading", name="Activity for run-1")).to_be_visible()
        expect(page.get_by_role("region", name="Activity").locator(".skeleton")).to_have_count(0)
        if changes(page).count() == 2:
            break
        page.wait_for_timeout(1_000)
        page.reload()
    expect(changes(page)).to_have_count(2)


def test_a_user_finds_the_run_that_cost_most_on_a_day(
    opened: Callable[..., Page], somebody: NewUser
) -> None:
    somebody.consume("chat", reference="cheap-run")
    somebody.consume("image-generation", reference="dear-run")
    page = opened(somebody.email, "#by=day")
    statement = page.get_by_role("region", name="Statement")
    statement.get_by_role("link").first.click()
    expect(statement.get_by_label("Reference")).to_be_checked()
    expect(statement.get_by_role("link")).to_have_text(["dear-run", "cheap-run"])
    expect(page.get_by_role("heading", level=2).last).to_have_text(re.compile("^[A-Z][a-z]{2}, "))
    page.get_by_role("link", name=re.compile("^All of ")).click()
    expect(page).not_to_have_url(re.compile("day="))


def test_a_statement_can_be_printed_without_the_rest_of_the_page(
    opened: Callable[..., Page], somebody: NewUser
) -> None:
    page = opened(somebody.email, color_scheme="dark")
    statement = page.get_by_role("region", name="Statement")
    expect(statement.get_by_role("table")).to_be_visible()
    page.evaluate("window.print = () => document.body.classList.add('printed')")
    statement.get_by_role("button", name="Print").click()
    expect(page.locator("body.printed")).to_be_visible()
    page.emulate_media(media="print")
    expect(statement.get_by_role("table")).to_be_visible()
    expect(page.locator(".for-print")).to_have_text(somebody.email)
    for name in ("Right now", "What you used", "Activity"):
        expect(page.get_by_role("region", name=name)).to_be_hidden()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


def test_a_mail_can_lead_to_a_month(opened: Callable[..., Page], somebody: NewUser) -> None:
    page = opened(somebody.email, "#month=2026-01")
    expect(page.get_by_role("heading", name="January 2026")).to_be_visible()
    expect(page.get_by_text("No usage", exact=True)).to_be_visible()
    expect(page.get_by_text("Your balance didn't change in this period.")).to_be_visible()
    page.get_by_role("link", name="February 2026").press("Enter")
    expect(page.get_by_role("heading", name="February 2026")).to_be_visible()
    expect(page).to_have_url(re.compile("#month=2026-02$"))


def test_nonsense_in_the_address_leads_to_the_current_month(
    opened: Callable[..., Page], somebody: NewUser
) -> None:
    page = opened(somebody.email, "#month=2999-13&by=nothing&%%%")
    expect(changes(page)).to_have_count(2)


def test_a_user_without_credits_reads_when_more_arrive(
    opened: Callable[..., Page], somebody: NewUser, admin_api: httpx.Client
) -> None:
    adjust(admin_api, somebody, action="set", amount=0)
    page = opened(somebody.email)
    expect(figure(page, "Balance")).to_have_text("0")
    expect(page.get_by_text("0 of 100", exact=True)).to_be_visible()
    upcoming = page.get_by_role("region", name="What happens next").get_by_role("listitem")
    expect(upcoming.first).to_contain_text("100 new credits arrive")


def test_a_user_can_get_more_where_the_stack_has_a_page_for_that(
    opened: Callable[..., Page], somebody: NewUser
) -> None:
    page = opened(somebody.email)
    expect(figure(page, "Balance")).to_be_visible()
    more = page.get_by_role("link", name="Get more credits")
    expect(more).to_have_count(0)
    with_top_up = {"top_up_url": "https://app.example/credits"}
    page.route(
        "**/console/config.json",
        lambda route: route.fulfill(json=route.fetch().json() | with_top_up),
    )
    page.reload()
    expect(more).to_have_attribute("href", with_top_up["top_up_url"])


def test_use_on_an_unlimited_plan_costs_nothing(
    opened: Callable[..., Page], somebody: NewUser, admin_api: httpx.Client
) -> None:
    put_on(admin_api, somebody, "unlimited")
    somebody.consume("image-generation")
    page = opened(somebody.email)
    expect(figure(page, "Ready to use")).to_have_text("Unlimited")
    expect(changes(page).first).to_contain_text("25 credits, included in your plan")


def test_a_user_in_debt_reads_how_much_and_how_it_is_paid(
    opened: Callable[..., Page], somebody: NewUser, admin_api: httpx.Client
) -> None:
    plan_id = f"tab-{uuid4().hex[:8]}"
    plan = {"plan_id": plan_id, "name": "Tab", "monthly_credits": 200, "overdraft_limit": 40}
    assert admin_api.post("/plans", json=plan).is_success
    put_on(admin_api, somebody, plan_id)
    adjust(admin_api, somebody, action="set", amount=0)
    somebody.consume("image-generation")
    page = opened(somebody.email)
    expect(
        page.get_by_text("You owe 25 credits. The next credits you get pay this first.")
    ).to_be_visible()
    expect(figure(page, "Balance")).to_have_text(f"{MINUS}25")


def test_a_user_sees_nothing_of_others_whatever_token_or_address_they_send(
    opened: Callable[..., Page],
    somebody: NewUser,
    stack: LocalStack,
    details: Details,
    seen: Seen,
) -> None:
    other = f"eve-{uuid4().hex[:8]}@example.com"
    demo.sign_up(stack, other)
    somebody.consume("chat", reference="secret-run")
    page = opened(other, f"#account_id={somebody.account_id}&reference=../{somebody.account_id}")
    expect(figure(page, "Balance")).to_have_text("10,100")
    page.goto(f"{details.user_page_url}#month=2026-11")
    page.evaluate(FORGE, somebody.account_id)
    with page.expect_response(lambda answer: answer.url.endswith("/v1/accounts/me")) as refused:
        page.get_by_role("button", name="Refresh").click()
    assert refused.value.status == 401
    expect(page.locator("input[name=username]")).to_be_visible()
    assert not page.get_by_text("secret-run").count()
    asked = {request.url for request in seen.requests if "/v1/accounts/" in request.url}
    assert all(re.search(r"/v1/accounts/me(/|\?|$)", url) for url in asked)


def test_what_others_wrote_is_shown_as_text(
    opened: Callable[..., Page], somebody: NewUser, admin_api: httpx.Client
) -> None:
    script = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    adjust(admin_api, somebody, action="add", amount=5, reason=script)
    somebody.consume("chat", reference=script)
    page = opened(somebody.email)
    expect(page.get_by_text(script)).to_have_count(2)
    assert page.locator("main img").count() == 0


def test_a_long_history_is_read_a_page_at_a_time(
    opened: Callable[..., Page],
    somebody: NewUser,
    service_api: httpx.Client,
    seen: Seen,
) -> None:
    url = f"/{somebody.account_id}/consume/batch"
    for runs in range(8):
        uses = [{"amount": 1, "reference": f"run-{runs}-{n}"} for n in range(25)]
        assert service_api.post(url, json={"uses": uses}).status_code == 200
    page = opened(somebody.email)
    expect(changes(page)).to_have_count(50)
    page.mouse.wheel(0, 50_000)
    page.wait_for_timeout(1_000)
    asked = [request.url for request in seen.requests if "/v1/accounts/me/entries" in request.url]
    assert len(asked) == 1
    page.get_by_role("button", name="Show more").click()
    expect(changes(page)).to_have_count(100)

    page.goto(f"{page.url.partition('#')[0]}#by=reference")
    statement = page.get_by_role("region", name="Statement")
    expect(statement).to_contain_text("100 of 202 lines")
    statement.get_by_role("button", name="Show more").click()
    expect(statement.get_by_role("table").locator("tbody tr")).to_have_count(200)


def test_the_page_is_small_and_loads_few_files_at_once(
    opened: Callable[..., Page], somebody: NewUser
) -> None:
    somebody.consume("chat")
    page = opened(somebody.email)
    for _ in range(STREAM_SECONDS):
        expect(page.get_by_role("region", name="What you used").locator(".loaded")).to_be_visible()
        if page.locator(".uplot canvas").count():
            break
        page.wait_for_timeout(1_000)
        page.reload()
    page.context.new_cdp_session(page).send("Network.clearBrowserCache")
    page.reload()
    expect(page.locator(".uplot canvas")).to_be_visible()
    files = loaded(page)
    assert any("uPlot.iife" in file.name for file in files)
    assert sum(file.size for file in files) < BYTES_MAX
    assert 0 < sum(file.sent for file in files) < BYTES_MAX / 2
    assert at_once(files) <= AT_ONCE_MAX


def test_the_page_can_be_used_with_the_keyboard_on_a_phone(
    opened: Callable[..., Page], somebody: NewUser
) -> None:
    page = opened(somebody.email, viewport=PHONE)
    expect(changes(page)).to_have_count(2)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to your credits")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Refresh")).to_be_focused()


def test_the_custom_element_shows_the_balance_on_the_page_of_an_app(
    browser: Browser, details: Details, somebody: NewUser, stack: LocalStack
) -> None:
    [embedded] = examples("docs/how-to/show-credits-in-a-browser.md", "html")
    token = json.dumps(demo.user_token(stack, somebody.email))
    page_of_app = (
        "<!doctype html><html lang=en><title>An app</title><main><h1>An app</h1>"
        f"<script>const getAccessToken = async () => {token};</script>{embedded}</main>"
    ).replace("https://credits.example.com", details.api_url)
    page = browser.new_page(permissions=["local-network-access"])
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route(f"{APP}/", lambda route: route.fulfill(content_type="text/html", body=page_of_app))
    page.goto(f"{APP}/")
    element = page.locator("scrip-credits")
    expect(element.get_by_role("status")).to_have_text("10,100 credits")
    expect(element.get_by_role("listitem").first).to_contain_text("100 credits will expire on")
    link = element.get_by_role("link")
    expect(link).to_have_attribute("href", f"{details.api_url}/me")

    somebody.consume("image-generation")
    element.evaluate("element => element.refresh()")
    expect(element.get_by_role("status")).to_have_text("10,075 credits")
    # A failure leaves what was known, and the app's page goes on.
    page.route("**/v1/accounts/**", lambda route: route.abort())
    element.evaluate("element => element.refresh()")
    expect(element.get_by_role("status")).to_have_text("10,075 credits")
    assert page.evaluate("['preact', 'htm', 'uPlot'].filter((name) => name in globalThis)") == []
    assert [one["id"] for one in Axe().run(page).response["violations"]] == []
    assert errors == []
    page.close()
