"""`dry_run=true`: the answer that the command would get, and nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scrip.ledger import ledger, utc_now
from tests.functional.conftest import Answer, event, items, openapi, send

if TYPE_CHECKING:
    from scrip.store.client import Table

REASON = {"reason": "support"}

LIFE: list[tuple[str, dict[str, Any] | None]] = [
    ("admin/add_account", None),
    ("consume/amount", {"amount": 7}),
    ("consume/amount", {"amount": 10**9}),
    ("consume/feature", {"feature": "unknown"}),
    ("consume/batch", {"uses": [{"amount": 2}, {"feature": "chat"}]}),
    ("consume/hold", {"amount": 20}),
    ("consume/extend", {"expires_in": 7_200}),
    ("consume/capture", {"amount": 5, "final": False}),
    ("consume/release", None),
    ("refund/whole", {"entry_id": "used", **REASON}),
    ("refund/whole", {"entry_id": "unknown", **REASON}),
    ("adjust/add", {"action": "add", "amount": 9, **REASON}),
    ("adjust/change_quota", {"plan_id": "pro", **REASON}),
    ("adjust/change_quota", {"plan_id": "unknown", **REASON}),
    ("adjust/reset", REASON),
    ("adjust/freeze", REASON),
    ("consume/amount", {"amount": 1}),
    ("adjust/unfreeze", REASON),
    ("adjust/clock", {"now": "2126-01-01"}),
    ("adjust/close", REASON),
]
"""Requests in an order in which most are executed; some are refused."""


def test_a_dry_run_gets_the_answer_that_the_command_gets_and_writes_nothing(
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = utc_now()
    monkeypatch.setattr(ledger(), "clock", lambda: now)
    send("consume/amount", body={"amount": 30}, key="used")
    for number, (name, body) in enumerate(LIFE):
        key = "hold-1" if name == "consume/hold" else f"key-{number}"
        for _ in ("new", "a replay"):
            before = items(table)
            dry = send(name, body=body, key=key, query={"dry_run": "true"})
            assert items(table) == before, name
            assert comparable(dry) == comparable(send(name, body=body, key=key)), name


def comparable(answer: Answer) -> tuple[int, dict[str, Any], str | None]:
    """Return an answer without its request's ID and audit records, which a dry run lacks."""
    different = {"instance", "audit"}
    body = {name: value for name, value in answer.body.items() if name not in different}
    return answer.status, body, answer.headers.get("Idempotency-Replayed")


def test_a_users_first_call_can_be_a_dry_run_and_opens_no_account(table: Table) -> None:
    dry = send("consume/amount", body={"amount": 7}, key="k", query={"dry_run": "true"})
    assert items(table) == []
    real = send("consume/amount", body={"amount": 7}, key="k")
    assert dry.body["account"] == real.body["account"]


def test_every_request_that_changes_an_account_takes_dry_run() -> None:
    sent = {event(name)["routeKey"] for name, _ in LIFE}
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            is_command = path.startswith("/v1/accounts/") and method != "get"
            takes = "dry_run" in {
                parameter["name"] for parameter in operation.get("parameters", [])
            }
            if is_command and operation["operationId"] != "quote":
                assert takes, operation["operationId"]
            assert not takes or f"{method.upper()} {path}" in sent, f"LIFE lacks {method} {path}"


@pytest.mark.usefixtures("table")
def test_another_value_of_dry_run_is_refused() -> None:
    refused = send("consume/amount", query={"dry_run": "perhaps"})
    assert (refused.status, refused.body["code"]) == (422, "invalid")
