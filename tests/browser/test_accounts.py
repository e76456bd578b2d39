"""What support does with the list of accounts when there are 5 000 of them."""

from __future__ import annotations

import csv
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from playwright.sync_api import expect

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.domain.account import AccountStatus
from scrip.domain.commands import OpenAccount, ResetAnchor
from scrip.domain.decide import decide
from scrip.domain.entries import CLOCK
from scrip.store.aliases import account_alias_item
from scrip.store.items import account_item, to_wire
from scrip.store.keys import (
    addresses_key,
    listed_directory_keys,
    listed_key,
    name_directory_keys,
)
from scrip.store.listing import OPENED
from scrip_cli.local import demo
from tests.browser.test_console import expect_status, grouped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import httpx
    from playwright.sync_api import Locator, Page, Request, Route

    from scrip.domain.account import Account
    from scrip.store.items import Item
    from scrip_cli.local.stack import LocalStack

ACCOUNTS, FROZEN, SHOWN = 5_000, 120, 50
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
SEARCH_SECONDS_MAX = 3
"""On a slow machine; it is well below 1 on others."""

FORMULA = "=HYPERLINK(1)"


@pytest.fixture(scope="module")
def many(stack: LocalStack) -> Iterator[None]:
    """5 000 accounts, older than all others, in the lists and by address; some of them frozen.

    A list only reads the accounts that it shows, so only the frozen ones and the newest have an
    item. They have no entries, and other tests audit the table, so they are gone in the end; and so
    is the long list, in which the local table is slow.
    """
    items: list[Item] = []
    accounts: list[Item] = []
    frozen = {ACCOUNTS // 2, *range(FROZEN - 1)}
    for number in range(ACCOUNTS):
        account_id = f"many-{number}"
        at = FIRST + timedelta(hours=number)
        address = f"{'zqx' if number == ACCOUNTS // 2 else 'many'}-{number}@example.com"
        rows = [OPENED]
        if number in frozen:
            rows.append("frozen")
        if number in frozen or number >= ACCOUNTS - SHOWN:
            accounts.append(account_item(opened(account_id, at, is_frozen=number in frozen)))
            owner = {"name": FORMULA, **name_directory_keys(FORMULA)} if number == 0 else {}
            items.append({**addresses_key(account_id), "emails": {address}, **owner})
        items += [
            {**listed_key(account_id, row), **listed_directory_keys(account_id, row, at)}
            for row in rows
        ]
        items.append(account_alias_item(account_id, f"email:{address}"))
    puts = [{"PutRequest": {"Item": to_wire(item)}} for item in [*items, *accounts]]
    write(stack, puts)
    yield
    keys = [{"pk": item["pk"], "sk": item["sk"]} for item in [*accounts, *items]]
    write(stack, [{"DeleteRequest": {"Key": to_wire(key)}} for key in keys])


def opened(account_id: str, at: datetime, *, is_frozen: bool) -> Account:
    """Return an account that is not at its first version, as if it came from a backup."""
    opening = OpenAccount(
        account_id=account_id,
        entry_id="signup",
        actor=CLOCK,
        plan_id="free",
        signup_credits=0,
        reset_anchor=ResetAnchor.SIGNUP,
        time_zone="UTC",
    )
    after = decide(None, opening, catalog=DEFAULT_CATALOG, now=at).after
    return replace(after, version=2, status=AccountStatus.FROZEN if is_frozen else after.status)


def write(stack: LocalStack, requests: Iterable[Any]) -> None:
    """Put items into the table and delete others, many at once."""
    client, table = stack.client("dynamodb"), demo.details(stack).table_name
    with ThreadPoolExecutor(4) as pool:
        some = [{table: list(part)} for part in batched(requests, 25, strict=False)]
        answers = pool.map(lambda part: client.batch_write_item(RequestItems=part), some)
        assert not any(answer["UnprocessedItems"] for answer in answers)


@pytest.fixture
def page(sign_in: Callable[..., Page]) -> Page:
    """The list of accounts with the admin signed in."""
    return sign_in(demo.ADMIN_EMAIL, "#/accounts")


def rows(page: Page) -> Locator:
    return page.get_by_role("table", name="Accounts").locator("tbody tr")


def chip(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation", name="Filters").get_by_role(
        "link", name=re.compile(f"^{name} ")
    )


@dataclass(frozen=True)
class Crew:
    """Four accounts whose IDs and addresses begin alike."""

    beginning: str
    api: httpx.Client

    @property
    def account_ids(self) -> list[str]:
        """Their IDs, each the beginning of its address."""
        return [f"{self.beginning}-{number}" for number in range(4)]

    def given(self) -> list[list[int]]:
        """Return what admins have added to each of them."""
        urls = [
            self.api.base_url.join(f"../accounts/{id_}/entries?type=admin_grant")
            for id_ in self.account_ids
        ]
        return [[one["amount"] for one in self.api.get(url).json()["entries"]] for url in urls]


@pytest.fixture
def crew(admin_api: httpx.Client) -> Crew:
    """Four accounts that the list finds."""
    crew = Crew(f"crew-{uuid4().hex[:8]}", admin_api)
    for account_id in crew.account_ids:
        new = {"account_id": account_id, "email": f"{account_id}@example.com"}
        assert admin_api.post("/accounts", json=new).is_success
    return crew


def pick(page: Page, crew: Crew) -> Locator:
    """Select all of a crew in the list; return the dialog that adjusts their credits."""
    page.get_by_label("Accounts whose email").fill(crew.beginning)
    expect(rows(page)).to_have_count(4)
    page.get_by_label("Select all on this page").check()
    page.get_by_role("region", name="Selected").get_by_role("button", name="Adjust").click()
    return page.get_by_role("dialog", name="Adjust credits of 4 accounts")


def test_several_accounts_get_credits_once_each_however_often_it_is_tried(
    crew: Crew, page: Page
) -> None:
    lost, refused = failing = crew.account_ids[1:3]
    failed: list[str] = []

    def fail_once(route: Route) -> None:
        account_id = urlsplit(route.request.url).path.split("/")[-2]
        if account_id not in failing or account_id in failed:
            route.continue_()
            return
        failed.append(account_id)
        if account_id == lost:
            assert route.fetch().status == 201
            route.abort()
        else:
            route.fulfill(status=409, json={"detail": "Too many changes at once.", "code": "busy"})

    page.route("**/adjustments", fail_once)
    dialog = pick(page, crew)
    dialog.get_by_label("Amount").fill("1,050")
    dialog.get_by_role("button", name="Preview").click()
    expect(dialog.get_by_text("Enter a reason.")).to_be_visible()
    dialog.get_by_label("Reason").fill("sorry for the outage")
    dialog.get_by_label("Expires").fill("2099-12-31T12:00")
    dialog.get_by_role("button", name="Preview").click()
    expect(dialog).to_contain_text(
        f"to 4 accounts, {grouped(4_200)} in total. The credits expire on Dec"
    )
    expect(dialog.get_by_role("row").nth(1)).to_contain_text(grouped(11_150))
    assert crew.given() == [[]] * 4

    dialog.get_by_role("button", name=f"Add {grouped(1_050)} credits to 4 accounts").dblclick()
    expect(dialog).to_contain_text("2 of 4 accounts. 2 failed.")
    expect(dialog.get_by_role("row", name=lost)).to_contain_text("didn't respond")
    expect(dialog.get_by_role("row", name=refused)).to_contain_text("Too many changes")
    # It can be continued later on this page, which a reload would end.
    page.keyboard.press("Escape")
    with page.expect_event("dialog") as leaving:
        page.evaluate("setTimeout(() => location.reload())")
    assert leaving.value.type == "beforeunload"
    leaving.value.dismiss()
    left = page.get_by_role("region", name="Unfinished adjustment")
    expect(left).to_contain_text("2 of 4 accounts left")
    left.get_by_role("button", name="Continue").click()
    dialog.get_by_role("button", name="Retry the 2 that failed").dblclick()
    expect_status(page, f"{grouped(1_050)} credits added to 4 accounts")
    expect(rows(page).get_by_text(grouped(11_150)).first).to_be_visible()
    assert crew.given() == [[1_050]] * 4


def test_accounts_that_the_server_refuses_are_named_and_left_out(
    crew: Crew, page: Page, admin_api: httpx.Client
) -> None:
    dialog = pick(page, crew)
    closed = admin_api.base_url.join(f"../accounts/{crew.account_ids[0]}")
    assert admin_api.delete(closed).is_success
    dialog.get_by_label("Amount").fill("5")
    dialog.get_by_label("Reason").fill("a gift")
    dialog.get_by_role("button", name="Preview").click()
    expect(dialog).to_contain_text("1 account can't be adjusted.")
    expect(dialog.get_by_role("row", name=crew.account_ids[0])).to_contain_text("closed")
    dialog.get_by_role("button", name="Add 5 credits to 3 accounts").click()
    expect_status(page, "5 credits added to 3 accounts")


def test_a_balance_is_edited_in_the_list_with_a_preview(crew: Crew, page: Page) -> None:
    page.get_by_label("Accounts whose email").fill(crew.account_ids[2])
    expect(rows(page)).to_have_count(1)
    balance = page.get_by_role("button", name=f"edit the balance of {crew.account_ids[2]}")
    balance.focus()
    page.keyboard.press("Enter")
    form = page.get_by_role("form", name="Adjust the balance")
    page.keyboard.press("Escape")
    expect(form).to_have_count(0)
    expect(balance).to_be_focused()
    page.keyboard.press("Enter")
    expect(form.get_by_label("Change")).to_be_focused()
    page.keyboard.type("50")
    form.get_by_label("Reason").fill("a gift")
    expect(form.locator(".quick-preview")).to_contain_text(grouped(10_150))
    form.get_by_role("button", name="Add 50 credits").click()
    expect_status(page, f"50 credits added; balance {grouped(10_150)}")
    expect(balance).to_contain_text(grouped(10_150))
    expect(form).to_have_count(0)


def wait_for_page(page: Page) -> None:
    """Wait for a full page of accounts, for which the local table may be too busy at first."""
    again = page.get_by_role("button", name="Try again")
    expect(rows(page).nth(49).or_(again)).to_be_visible()
    if again.is_visible():
        again.click()
    expect(rows(page)).to_have_count(50)


@pytest.mark.usefixtures("many")
def test_one_of_5000_accounts_is_found_by_three_letters(page: Page) -> None:
    wait_for_page(page)
    expect(chip(page, "All")).to_have_text(f"All {grouped(1_000)}+")
    asked: list[Request] = []
    page.on("request", lambda one: asked.append(one) if "/admin/" in one.url else None)
    page.keyboard.press("/")
    page.keyboard.type("zqx", delay=30)
    typed = time.monotonic()
    option = page.get_by_role("option", name="zqx-2500@example.com")
    expect(option).to_contain_text("Account")
    assert time.monotonic() - typed < SEARCH_SECONDS_MAX
    assert [parse_qs(urlsplit(one.url).query) for one in asked] == [{"q": ["zqx"]}]
    assert len(asked[0].response().body()) < 1_000  # type: ignore[union-attr]
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#/accounts/many-2500$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("zqx-2500@example.com")


@pytest.mark.usefixtures("many")
def test_a_filter_is_in_the_address_and_all_of_its_accounts_are_exported(page: Page) -> None:
    wait_for_page(page)
    chip(page, "Frozen").click()
    expect(page).to_have_url(re.compile(r"#/accounts\?state=frozen$"))
    expect(rows(page).locator(".chip", has_text="Frozen")).to_have_count(50)
    page.reload()
    expect(chip(page, "Frozen")).to_have_attribute("aria-current", "true")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export CSV").click()
    expect(page.get_by_text(re.compile(r"^\d+ accounts exported$"))).to_be_visible()
    assert re.fullmatch(r"accounts-frozen-[\d-]+\.csv", download.value.suggested_filename)
    with Path(download.value.path()).open(encoding="utf-8-sig", newline="") as file:
        exported = {row["account_id"]: row for row in csv.DictReader(file)}
    many = [id_ for id_ in exported if id_.startswith("many-")]
    assert len(many) == FROZEN
    assert exported["many-0"] == {
        "account_id": "many-0",
        "email": "many-0@example.com",
        "name": f"'{FORMULA}",
        "plan": "free",
        "balance": "100",
        "available": "100",
        "debt": "0",
        "status": "frozen",
        "opened_at": "2020-01-01T00:00:00.000Z",
    }
    page.go_back()
    expect(chip(page, "All")).to_have_attribute("aria-current", "true")
    page.get_by_role("button", name="Export CSV").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Export CSV")).to_be_visible()
