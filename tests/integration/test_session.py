"""From a sign-up to a balance with its entries, as a user, an app and support see it."""

import re

from openapi_spec_validator import validate

from tests.functional.conftest import documented
from tests.integration.conftest import Api
from tests.unit.domain.test_invariants import hash_chain

ACCOUNT, JSON = "/v1/accounts/{account_id}", "application/json"


def test_a_new_user_gets_credits_spends_them_and_reads_the_entries(
    user: Api,
    service: Api,
    admin: Api,
) -> None:
    account = user.get("/me")
    documented(f"GET {ACCOUNT}", 200, JSON).validate(account.json())
    assert account.json()["balance"] == 10_100
    assert account.json()["account_id"] == user.account_id

    spent = user.post("/me/consume", {"feature": "image-generation"}, key="image-1")
    assert spent.status_code == 200, spent.text
    documented(f"POST {ACCOUNT}/consume", 200, JSON).validate(spent.json())
    assert spent.json()["account"]["balance"] == 10_075

    body = {"entry_id": "user:image-1", "reason": "the model failed"}
    refunded = service.post(f"/{user.account_id}/refunds", body, key="refund-1")
    assert refunded.status_code == 201, refunded.text
    assert refunded.json()["account"]["balance"] == 10_100

    added = {"action": "add", "amount": 50, "reason": "sorry"}
    adjusted = admin.post(f"/{user.account_id}/adjustments", added)
    assert adjusted.status_code == 201, adjusted.text
    assert adjusted.json()["account"]["balance"] == 10_150

    ledger = user.get("/me/entries").json()
    documented(f"GET {ACCOUNT}/entries", 200, JSON).validate(ledger)
    assert [(entry["type"], entry["amount"]) for entry in ledger["entries"]] == [
        ("admin_grant", 50),
        ("refund", 25),
        ("usage", -25),
        ("plan", 100),
        ("signup", 10_000),
    ]
    whole = service.get(f"/{user.account_id}/entries").json()
    hash_chain(whole["entries"][::-1])
    assert user.get("/me/entries/user:image-1").json()["refunded"] == 25


def test_a_retry_of_the_request_that_emptied_the_account_gets_the_same_response(user: Api) -> None:
    first = user.post("/me/consume", {"amount": 10_100}, key="all-1")
    again = user.post("/me/consume", {"amount": 10_100}, key="all-1")
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert user.post("/me/consume", {"amount": 1}).status_code == 402


def test_the_public_pages_need_no_token(user: Api) -> None:
    public = {path: user.http.get(f"/v1/{path}") for path in ("health", "openapi.json", "docs")}
    assert {path: page.status_code for path, page in public.items()} == dict.fromkeys(public, 200)
    validate(public["openapi.json"].json())
    [redoc] = re.findall(r'from "\./(docs/.*?)"', public["docs"].text)
    assert user.http.get(f"/v1/{redoc}").headers["Content-Type"].startswith("text/javascript")
