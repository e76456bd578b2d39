"""Account IDs: one that no path can contain opens no account, wherever it enters."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from scrip.domain.commands import OpenAccount
from scrip.domain.errors import UnusableAccountIdError
from scrip.ledger import Ledger, ledger, utc_now
from scrip.settings import Settings
from scrip.store.listing import bring_up_to_date
from scrip.users import add_account, open_account
from scrip_cli.accounts.backfill import Backfill, Result
from scrip_cli.accounts.names import account_named
from scrip_cli.accounts.people import Person
from tests.functional.conftest import event, invoke, items, send
from tests.functional.test_http import ask, routes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.store.client import Table

UNUSABLE = ("team/anna", "anna#1", "anna smith", "an\x00na", "50%", "müller", "me", "..", "a" * 129)

# Those that a path can contain as one part, without another meaning there.
IN_A_PATH = ("anna#1", "anna smith", "50%", "auth0%7Cabc", "müller", "a" * 129)


def call(name: str, sub: str, account_id: str = "me") -> dict[str, Any]:
    """Send a request of the user with a `sub`, about an account."""
    sent = event(name)
    sent["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = sub
    sent["pathParameters"]["account_id"] = account_id
    answer: dict[str, Any] = invoke(name.split("/", maxsplit=1)[0], sent)
    return answer


def account_routes() -> Iterator[tuple[str, str, str]]:
    for function, method, path in routes():
        if "{account_id}" in path:
            yield function, method, path


@pytest.mark.parametrize("sub", UNUSABLE)
def test_a_token_with_an_unusable_sub_opens_no_account(table: Table, sub: str) -> None:
    for name in ("account/me", "consume/feature"):
        answer = call(name, sub)
        problem = json.loads(answer["body"])
        assert (answer["statusCode"], problem["code"]) == (403, "unusable_account_id"), problem
        assert len(answer["body"]) < 1_000
    assert items(table) == []


def test_a_sub_from_any_provider_is_an_account_id(table: Table) -> None:
    for sub in ("auth0|5f7c8ec7", "o'brien+x@example.com", "org:team.member", "(a;b,c)=~!$&*"):
        answer = call("account/me", sub)
        assert (answer["statusCode"], json.loads(answer["body"])["account_id"]) == (200, sub)
        assert call("account/me", sub, sub)["statusCode"] == 200


def test_no_route_opens_an_account_with_an_unusable_id(
    table: Table,
    subtests: pytest.Subtests,
) -> None:
    for function, method, path in account_routes():
        for account_id in IN_A_PATH:
            with subtests.test(route=f"{method} {path}", account_id=account_id):
                answer = ask(function, method, path, account_id=account_id)
                assert answer["statusCode"] in {403, 404, 415, 422}
    assert items(table) == []


@pytest.mark.parametrize("account_id", ["anna smith", "müller", "50%"])
def test_an_account_older_than_the_rule_can_be_used_and_closed(
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
    account_id: str,
) -> None:
    with monkeypatch.context() as before:
        before.setattr(OpenAccount, "__post_init__", lambda _: None)
        add_account(ledger(), account_id, None)
    for name in ("account/me", "consume/amount"):
        assert call(name, account_id)["statusCode"] == 200
    path = "/v1/accounts/{account_id}"
    for function, method in (("account", "GET"), ("adjust", "DELETE")):
        answer = ask(function, method, path, account_id=account_id)
        assert answer["statusCode"] == 200, answer["body"]


@pytest.mark.parametrize("account_id", UNUSABLE)
def test_an_admin_cannot_open_an_account_with_an_unusable_id(table: Table, account_id: str) -> None:
    answer = send("admin/add_account", body={"account_id": account_id})
    assert (answer.status, answer.body["code"]) == (422, "invalid")
    with pytest.raises(UnusableAccountIdError):
        add_account(ledger(), account_id, None)
    assert items(table) == []


@pytest.mark.parametrize("sub", UNUSABLE)
def test_a_sign_up_with_an_unusable_id_succeeds_without_an_account(
    table: Table,
    capsys: pytest.CaptureFixture[str],
    sub: str,
) -> None:
    sent = event("signup/confirmed")
    sent["request"]["userAttributes"]["sub"] = sub
    assert invoke("signup", sent) == sent
    assert '"SignupFailed":[1.0]' in capsys.readouterr().out.replace(" ", "")
    assert items(table) == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_the_backfill_reports_unusable_ids_as_failures(
    table: Table,
    dry_run: bool,  # noqa: FBT001 - a parameter
) -> None:
    settings = Settings(table_name="scrip", signup_credits=50)
    work = Backfill(Ledger(table, utc_now), settings, dry_run=dry_run)
    work.open_one(Person(account_id="team/anna", email="anna@example.com"))
    assert (work.counts, work.failures) == (
        {Result.FAILED: 1},
        {"team/anna": "unusable_account_id"},
    )
    assert items(table) == []


@pytest.mark.parametrize("account_id", ["anna smith", "team/anna", "müller"])
def test_an_account_older_than_the_rule_can_be_found_by_operators(
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
    account_id: str,
) -> None:
    with monkeypatch.context() as before:
        before.setattr(OpenAccount, "__post_init__", lambda _: None)
        at = datetime(2026, 11, 21, tzinfo=UTC)
        open_account(ledger(), account_id, ["anna@example.com"], at=at)
    for name in (account_id, f"account:{account_id}", "anna@example.com"):
        assert account_named(table, name) == account_id
    assert ledger().account(account_id).balance == 150
    bring_up_to_date(table, account_id)  # as the stream or `scrip index` does
    [listed] = send("admin/accounts").body["accounts"]
    assert listed["account_id"] == account_id
