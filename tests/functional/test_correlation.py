"""One id leads from a request to the entry that it wrote, and on to what was told of that."""

from __future__ import annotations

import base64
import io
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from scrip.observability import logger
from tests.functional.conftest import Context, event, invoke, items, send
from tests.functional.renewals import NOW

if TYPE_CHECKING:
    from scrip.store.client import Table
    from tests.functional.outside import Outside
    from tests.functional.renewals import Renewals

REQUEST_ID = "JKJaXmPLvHcESHA="
"""What every request of events/*.json is called."""


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is logged from now on."""
    written = io.StringIO()
    monkeypatch.setattr(logger.handlers[0], "stream", written)
    return written


def whole_day(instant: str) -> dict[str, str]:
    """Ask for the day that an instant is in, whatever day it is now."""
    return {"from": f"{instant[:10]}T00:00:00Z", "to": f"{instant[:10]}T23:59:59.999Z"}


def written_by(table: Table) -> dict[str, str | None]:
    """What wrote each entry, by the entry's id."""
    return {
        item["sk"]["S"].removeprefix("ENTRY#"): item.get("correlation_id", {}).get("S")
        for item in items(table)
        if item["sk"]["S"].startswith("ENTRY#")
    }


def stream_of(table: Table, **beside: Any) -> dict[str, Any]:
    """The stream's records of all entries, with further attributes, as Lambda hands them over."""

    def handed_over(value: Any) -> Any:
        match value:
            case bytes():
                return base64.b64encode(value).decode()
            case dict():
                return {name: handed_over(part) for name, part in value.items()}
            case list():
                return [handed_over(part) for part in value]
        return value

    entries = (item for item in items(table) if item["sk"]["S"].startswith("ENTRY#"))
    records = [
        {
            "eventName": "INSERT",
            "dynamodb": {
                "Keys": {"pk": item["pk"], "sk": item["sk"]},
                "NewImage": handed_over({**item, **beside}),
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
    assert written_by(table)[entry_id] == REQUEST_ID

    invoke("events", stream_of(table))
    [line] = map(json.loads, logged.getvalue().splitlines())
    assert (line["entries"], line["correlation_ids"]) == (seq, [REQUEST_ID])
    [(name, told)] = [(name, told) for name, told in outside.heard if told["seq"] == seq]
    assert (name, told["correlation_id"]) == ("credits.consumed", REQUEST_ID)
    window = whole_day(answer.body["entry"]["recorded_at"])
    archived = send("admin/entries", query=window).body["entries"]
    assert {line["correlation_id"] for line in archived} == {REQUEST_ID}


def test_every_answer_tells_the_id_and_a_problem_names_itself_by_it(table: Table) -> None:
    for name in ("account/me", "consume/feature", "consume/too_much", "refund/by_user"):
        answer = send(name)
        assert answer.headers["X-Request-Id"] == REQUEST_ID, name
        assert answer.body.get("instance", f"urn:scrip:request:{REQUEST_ID}").endswith(REQUEST_ID)
    lost = event("admin/health")
    lost["rawPath"] = lost["requestContext"]["http"]["path"] = "/v1/nowhere"
    told = invoke("admin", lost)
    assert (told["statusCode"], told["headers"]["X-Request-Id"]) == (404, REQUEST_ID)
    broken = {**event("consume/feature"), "body": "{"}
    told = invoke("consume", broken)
    assert (told["statusCode"], told["headers"]["X-Request-Id"]) == (400, REQUEST_ID)


def test_a_replay_answers_with_its_own_id_and_the_entry_keeps_the_first(table: Table) -> None:
    first = send("consume/feature", key="k1")
    again = event("consume/feature")
    again["headers"]["idempotency-key"] = "k1"
    again["requestContext"]["requestId"] = "another"
    told = invoke("consume", again)
    assert told["headers"]["X-Request-Id"] == "another"
    assert json.loads(told["body"]) == first.body
    assert written_by(table)["user:k1"] == REQUEST_ID


def test_what_no_request_wrote_names_the_invocation(table: Table) -> None:
    send("catalog/public")  # a function of the same process, whose id must not stay
    invoke("signup", event("signup/confirmed"))
    assert set(written_by(table).values()) == {Context.aws_request_id}


def test_a_renewal_names_the_message_that_asked_for_it(renewals: Renewals) -> None:
    sent = event("renew/account")
    message = sent["Records"][0]
    account_id = json.loads(message["body"])["account_id"]
    renewals.open({account_id: NOW - timedelta(days=40)})
    invoke("renew", sent)
    written = {name: by for name, by in written_by(renewals.table).items() if by}
    assert written
    assert set(written.values()) == {message["messageId"]}


def test_what_comes_from_a_backup_is_counted_and_not_told_again(
    table: Table,
    outside: Outside,
) -> None:
    recorded_at = send("consume/feature").body["entry"]["recorded_at"]
    invoke("events", stream_of(table, restored_at={"N": "1795338000000"}))
    assert (outside.heard, outside.archived()) == ([], [])
    [used] = send("account/usage", query=whole_day(recorded_at)).body["usage"]
    assert used["count"] == 1
