"""One ID leads from a request to the entry that it wrote, its log line, archive and event."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.functional.conftest import Context, event, invoke, items, send
from tests.functional.renewals import NOW

if TYPE_CHECKING:
    import io

    from scrip.store.client import Table
    from tests.functional.outside import Outside
    from tests.functional.renewals import Renewals

REQUEST_ID = "JKJaXmPLvHcESHA="
"""The ID of every request of events/*.json."""


def whole_day(instant: str) -> dict[str, str]:
    """Return the query for the day of an instant."""
    return {"from": f"{instant[:10]}T00:00:00Z", "to": f"{instant[:10]}T23:59:59.999Z"}


def correlation_ids(table: Table) -> dict[str, str | None]:
    """Return the correlation ID of each entry, by the entry's ID."""
    return {
        item["sk"]["S"].removeprefix("ENTRY#"): item.get("correlation_id", {}).get("S")
        for item in items(table)
        if item["sk"]["S"].startswith("ENTRY#")
    }


def stream_of(table: Table, **attributes: Any) -> dict[str, Any]:
    """Return the stream's records of all entries, with further attributes, as Lambda does."""

    def encoded(value: Any) -> Any:
        match value:
            case bytes():
                return base64.b64encode(value).decode()
            case dict():
                return {name: encoded(part) for name, part in value.items()}
            case list():
                return [encoded(part) for part in value]
        return value

    entries = (item for item in items(table) if item["sk"]["S"].startswith("ENTRY#"))
    records = [
        {
            "eventName": "INSERT",
            "dynamodb": {
                "Keys": {"pk": item["pk"], "sk": item["sk"]},
                "NewImage": encoded({**item, **attributes}),
                "SequenceNumber": f"{number:021}",
            },
        }
        for number, item in enumerate(entries, start=1)
    ]
    return {"Records": records}


def test_an_id_leads_from_the_answer_to_the_entry_the_log_the_archive_and_the_event(
    table: Table,
    outside: Outside,
    logged: io.StringIO,
) -> None:
    answer = send("consume/feature")
    assert answer.headers["X-Request-Id"] == REQUEST_ID
    entry_id, seq = answer.body["entry"]["entry_id"], answer.body["entry"]["seq"]
    assert correlation_ids(table)[entry_id] == REQUEST_ID

    invoke("events", stream_of(table))
    [line] = map(json.loads, logged.getvalue().splitlines())
    assert (line["entries"], line["correlation_ids"]) == (seq, [REQUEST_ID])
    [(name, detail)] = [one for one in outside.received if one[1]["seq"] == seq]
    assert (name, detail["correlation_id"]) == ("credits.consumed", REQUEST_ID)
    window = whole_day(answer.body["entry"]["recorded_at"])
    archived = send("admin/entries", query=window).body["entries"]
    assert {line["correlation_id"] for line in archived} == {REQUEST_ID}


def test_every_answer_has_the_requests_id_and_a_problem_has_it_as_its_instance(
    table: Table,
) -> None:
    for name in ("account/me", "consume/feature", "consume/too_much", "refund/by_user"):
        answer = send(name)
        assert answer.headers["X-Request-Id"] == REQUEST_ID, name
        assert answer.body.get("instance", f"urn:scrip:request:{REQUEST_ID}").endswith(REQUEST_ID)
    unknown = event("admin/health")
    unknown["rawPath"] = unknown["requestContext"]["http"]["path"] = "/v1/nowhere"
    response = invoke("admin", unknown)
    assert (response["statusCode"], response["headers"]["X-Request-Id"]) == (404, REQUEST_ID)
    malformed = {**event("consume/feature"), "body": "{"}
    response = invoke("consume", malformed)
    assert (response["statusCode"], response["headers"]["X-Request-Id"]) == (400, REQUEST_ID)


def test_a_replay_answers_with_its_own_id_and_the_entry_keeps_the_first(table: Table) -> None:
    first = send("consume/feature", key="k1")
    again = event("consume/feature")
    again["headers"]["idempotency-key"] = "k1"
    again["requestContext"]["requestId"] = "another"
    response = invoke("consume", again)
    assert response["headers"]["X-Request-Id"] == "another"
    assert json.loads(response["body"]) == first.body
    assert correlation_ids(table)["user:k1"] == REQUEST_ID


def test_an_entry_that_no_request_wrote_has_the_invocations_id(table: Table) -> None:
    send("catalog/public")  # its ID must not stay in the process
    invoke("signup", event("signup/confirmed"))
    assert set(correlation_ids(table).values()) == {Context.aws_request_id}


def test_the_entries_of_a_renewal_have_the_id_of_its_message(renewals: Renewals) -> None:
    sent = event("renew/account")
    message = sent["Records"][0]
    account_id = json.loads(message["body"])["account_id"]
    renewals.open({account_id: NOW - timedelta(days=40)})
    invoke("renew", sent)
    written = {name: by for name, by in correlation_ids(renewals.table).items() if by}
    assert written
    assert set(written.values()) == {message["messageId"]}


def test_restored_entries_are_counted_but_not_published_again(
    table: Table,
    outside: Outside,
) -> None:
    recorded_at = send("consume/feature").body["entry"]["recorded_at"]
    invoke("events", stream_of(table, restored_at={"N": "1795338000000"}))
    assert (outside.received, outside.archived()) == ([], [])
    [used] = send("account/usage", query=whole_day(recorded_at)).body["usage"]
    assert used["count"] == 1
