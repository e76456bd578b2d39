"""Over real HTTP: headers, limits, escaped IDs, parameters, and what is in the logs."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote
from uuid import uuid4

from scrip.webhooks.providers import Provider
from scrip_cli.local import demo
from scrip_cli.webhooks.signing import sign
from tests.integration.conftest import Api, items_of
from tests.leaks import CANARY, leaks, log_lines, secrets_of
from tests.unit.webhooks.examples import body

if TYPE_CHECKING:
    import httpx

    from scrip_cli.local.stack import LocalStack

MIB = 1024 * 1024


def test_every_response_has_its_security_headers(user: Api, service: Api) -> None:
    answers = {
        "an account": user.get("/me"),
        "a refusal": user.get("/nobody-at-all"),
        "an unknown account": service.get("/nobody-at-all"),
        "an invalid request": user.post("/me/consume", {}),
        "the console": user.http.get("/console"),
        "the documentation": user.http.get("/v1/docs"),
    }
    for what, answer in answers.items():
        assert answer.headers["X-Content-Type-Options"] == "nosniff", what
        assert answer.headers["Referrer-Policy"] == "no-referrer", what
        assert answer.headers["Strict-Transport-Security"] == "max-age=63072000", what
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"], what
        private = answer.headers["Content-Type"].startswith("application/")
        assert (answer.headers["Cache-Control"] == "no-store") >= private, what


def test_too_large_a_body_is_refused_and_changes_nothing(
    stack: LocalStack,
    user: Api,
) -> None:
    before = items_of(stack, user.account_id)
    for size in (64 * 1024 + 1, MIB + 1, 5 * MIB):
        answer = user.post("/me/consume", "[" * size)
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert items_of(stack, user.account_id) == before


def test_an_id_may_be_escaped_and_is_unescaped_once(
    admin: Api,
    service: Api,
) -> None:
    account_id = f"auth0|{uuid4().hex}+x@example.com"
    opened = admin.http.post(
        "/v1/admin/accounts", json={"account_id": account_id}, headers=admin.headers()
    )
    assert opened.status_code == 201
    escaped = quote(account_id, safe="")
    assert "%7C" in escaped
    for path in (account_id, escaped):
        answer = service.get(f"/{path}")
        assert (answer.status_code, answer.json()["account_id"]) == (200, account_id)
    for path in (
        escaped.replace("%", "%25"),
        "an%20na",
        "an%C3%BC",
        "an%00na",
        "team%2Fanna",
        "%2E%2E%2Faccounts",
    ):
        answer = service.get(f"/{path}")
        assert answer.status_code == 404, (path, answer.text)


def test_a_misspelled_or_repeated_parameter_is_refused_over_http(user: Api) -> None:
    def status(path: str) -> int:
        return user.http.get(path, headers=user.headers()).status_code

    entries = "/v1/accounts/me/entries"
    for query in ("limt=1", "limit=1&limit=2", "limit=5000", "limit=1,2", "limit=1&limt"):
        assert status(f"{entries}?{query}") == 422, query
    assert status(f"{entries}?limit=1&cursor") == 400
    assert status(f"{entries}?limit=1") == 200
    assert status("/v1/accounts/me?limit=5000") == 422
    assert status("/v1/health?x=1") == 422
    assert status("/console?code=1&state=2") == 200


def test_what_callers_send_is_in_no_log(
    stack: LocalStack,
    user: Api,
    service: Api,
    admin: Api,
) -> None:
    began = time.time()
    fields = {"reason": CANARY, "reference": CANARY, "metadata": {CANARY: CANARY}}
    own, event_id = f"/{user.account_id}", f"evt_{uuid4()}"
    assert user.post("/me/consume", {"amount": 5, **fields}, "taken").status_code == 200
    assert service.post(f"{own}/refunds", {"entry_id": "user:taken", **fields}).status_code == 201
    add = {"action": "add", "amount": 5, **fields}
    assert admin.post(f"{own}/adjustments", add).status_code == 201
    refused = [
        user.post("/me/consume", {"feature": CANARY}),
        user.post("/me/consume", {"amount": CANARY, CANARY: 5}),
        user.post("/me/consume", f'{{"reason": "{CANARY}'),
        user.post("/me/consume", {"amount": 5}, f"a key {CANARY}"),
        user.get("/me/entries", **{"cursor": CANARY, "from": CANARY}),
        service.get(f"/{CANARY}"),
        unreadable_payment(stack, user, event_id),
    ]
    assert all(answer.status_code >= 400 for answer in refused)
    replay = f"/v1/admin/webhooks/stripe:{event_id}/replay"
    replayed = admin.http.post(replay, headers=admin.headers())
    assert replayed.json()["status"] == "failed"

    lines = list(log_lines(stack, began))
    for answer in refused:
        request_id = answer.json()["instance"].rpartition(":")[2]
        assert any(request_id in line for _, line in lines), "the logs are not those of this stack"
    assert any("a kept message failed again" in line for _, line in lines)
    assert list(leaks(lines, secrets_of(stack))) == []


def unreadable_payment(stack: LocalStack, user: Api, event_id: str) -> httpx.Response:
    """Send a payment that cannot be read, as Stripe would."""
    payload = body(Provider.STRIPE, "checkout_payment") | {"id": event_id}
    payload["data"]["object"]["metadata"] = {"credits": CANARY}
    raw = json.dumps(payload).encode()
    secret = demo.details(stack).webhook_secrets["stripe"]
    signed = sign(Provider.STRIPE, raw, secret, message_id="", at=datetime.now(UTC))
    headers = {"Content-Type": "application/json", **signed}
    return user.http.post("/v1/webhooks/stripe", content=raw, headers=headers)
