"""What the table's stream triggers on the deployed stack."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from scrip_cli.local import demo
from tests.integration.conftest import Api, items_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip_cli.local.stack import LocalStack

SECONDS_MAX = 20


def until[T](ask: Callable[[], T], right: Callable[[T], bool]) -> T:
    """Call a function until its result is right; return the last result."""
    deadline = time.monotonic() + SECONDS_MAX
    while not right(answer := ask()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return answer


def logged(stack: LocalStack, function: str, words: str) -> list[dict[str, Any]]:
    """Return the lines of a function's log that contain a text."""
    group, name = (
        stack.client("cloudformation").describe_stack_resource(
            StackName=demo.details(stack).stack_name, LogicalResourceId=logical_id
        )["StackResourceDetail"]["PhysicalResourceId"]
        for logical_id in ("FunctionLogs", f"{function}Function")
    )
    found = stack.client("logs").filter_log_events(
        logGroupName=group, filterPattern=f'"{name}" "{words}"'
    )["events"]
    return [json.loads(event["message"]) for event in found]


def all_pages(admin: Api, query: dict[str, str]) -> list[dict[str, Any]]:
    """Return the entries of all accounts that match a query, from every page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = admin.http.get(
            "/v1/admin/entries",
            params={**query, **cursor},
            headers={"Authorization": f"Bearer {admin.token}"},
        ).json()
        found += answer["entries"]
        if answer["cursor"] is None:
            return found
        cursor = {"cursor": answer["cursor"]}


def test_a_use_is_counted_archived_and_published(
    stack: LocalStack,
    user: Api,
    service: Api,
    admin: Api,
    heard: Callable[[], list[dict[str, Any]]],
) -> None:
    user.post("/me/consume", {"feature": "image-generation"}, key="image-1")
    user.post("/me/consume", {"amount": 10_075}, key="rest-1")
    refund = {"entry_id": "user:image-1", "amount": 10, "reason": "the model failed"}
    service.post(f"/{user.account_id}/refunds", refund, key="refund-1")
    entries = service.get(f"/{user.account_id}/entries").json()["entries"][::-1]
    assert len(entries) == 5

    def usage() -> list[dict[str, Any]]:
        return user.get("/me/usage", group_by="feature").json()["usage"]  # type: ignore[no-any-return]

    counted = [
        {"feature": "image-generation", "credits": 25, "count": 1, "refunded": 10, "meters": {}},
        {"feature": None, "credits": 10_075, "count": 1, "refunded": 0, "meters": {}},
    ]
    assert until(usage, lambda rows: rows == counted) == counted
    items = items_of(stack, user.account_id)
    [item] = [item for item in items if item["sk"]["S"].startswith("USAGE#")]
    assert item["counted"] == {"L": [{"L": [{"N": "1"}, {"N": "5"}]}]}

    began = datetime.fromisoformat(entries[0]["recorded_at"])
    window = {"from": began.isoformat(), "to": (began + timedelta(days=1)).isoformat()}
    query = {**window, "account_id": user.account_id}
    archived = until(lambda: all_pages(admin, query), lambda lines: len(lines) == len(entries))
    assert all(line.pop("correlation_id") for line in archived)
    assert archived == [{**entry, "account_id": user.account_id} for entry in entries]

    def own() -> list[tuple[int, str]]:
        events = [event for event in heard() if event["detail"]["account_id"] == user.account_id]
        return sorted((event["detail"]["seq"], event["detail-type"]) for event in events)

    expected = [
        (3, "credits.consumed"),
        (4, "credits.consumed"),
        (4, "credits.depleted"),
        (4, "credits.low"),
        (5, "credits.recovered"),
        (5, "credits.refunded"),
    ]
    # The events of the sign-up may have been published before the rule existed.
    assert until(own, lambda events: events[-6:] == expected)[-6:] == expected


def test_a_request_id_leads_to_the_entry_the_streams_log_and_the_event(
    stack: LocalStack,
    user: Api,
    heard: Callable[[], list[dict[str, Any]]],
) -> None:
    answer = user.post("/me/consume", {"feature": "chat"}, key="chat-1")
    request_id = answer.headers["X-Request-Id"]
    written = {item["sk"]["S"]: item for item in items_of(stack, user.account_id)}
    assert written["ENTRY#user:chat-1"]["correlation_id"] == {"S": request_id}
    [line] = until(lambda: logged(stack, "Events", request_id), bool)
    assert request_id in line["correlation_ids"]

    def published() -> list[dict[str, Any]]:
        return [event for event in heard() if event["detail"].get("correlation_id") == request_id]

    [event] = until(published, bool)
    assert (event["detail-type"], event["detail"]["entry_id"]) == (
        "credits.consumed",
        "user:chat-1",
    )
    refused = user.post("/me/consume", {"amount": 10**9})
    refused_id = refused.headers["X-Request-Id"]
    assert refused.json()["instance"] == f"urn:scrip:request:{refused_id}"
    [line] = until(lambda: logged(stack, "Consume", refused_id), bool)
    assert (line["correlation_id"], line["code"]) == (refused_id, "insufficient_credits")
