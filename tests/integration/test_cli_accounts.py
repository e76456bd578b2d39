"""Work on one account from the command line: `scrip accounts` and `scrip entries`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from scrip_cli.exit_codes import ExitCode
from scrip_cli.local.stack import STACK_NAME
from tests.integration.terminal import terminal
from tests.integration.test_operators import operator

if TYPE_CHECKING:
    from scrip_cli.local.stack import LocalStack
    from tests.integration.conftest import Api

WHY = ["--reason", "a late answer", "--yes"]
ARN = "arn:aws:iam::000000000000:root"


def answered(stack: LocalStack, *words: str) -> Any:
    """Run a command that must succeed; return the JSON that it prints."""
    done = operator(stack, *words, "--json")
    assert done.exit_code == ExitCode.DONE, done.stderr
    return json.loads(done.stdout)


def test_credits_are_granted_once_per_key_and_the_ledger_names_the_operator(
    stack: LocalStack, user: Api, admin: Api
) -> None:
    grant = ["accounts", "grant", user.account_id, "50", *WHY, "--idempotency-key", "ticket-1"]
    first = answered(stack, *grant, "--note", "ticket 4711")
    assert (first["account"]["balance"], first["entry"]["type"]) == (10_150, "admin_grant")
    assert first["entry"]["actor"] == {"type": "admin", "id": ARN}
    assert answered(stack, *grant) == first
    assert user.get("/me").json()["balance"] == 10_150
    # The same request through the API is a replay.
    body = {"action": "add", "amount": 50, "reason": "a late answer"}
    again = admin.post(f"/{user.account_id}/adjustments", body, key="ticket-1")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first
    [record] = admin.get(f"/{user.account_id}/audit").json()["audit"]
    assert (record["actor"]["id"], record["reason"]) == (ARN, "a late answer")
    assert record["note"] == "ticket 4711"
    seen = user.get("/me/entries").json()["entries"][0]
    assert (seen["reason"], seen["actor"]) == ("a late answer", {"type": "admin"})

    reused = operator(stack, *grant[:3], "51", *grant[4:])
    assert (reused.exit_code, "idempotency_key_reused" in reused.stderr) == (4, True)


def test_a_refused_command_is_reported_and_changes_nothing(stack: LocalStack, user: Api) -> None:
    deduct = ["accounts", "deduct", user.account_id]
    refused = operator(stack, *deduct, "10101", *WHY)
    assert (refused.exit_code, refused.stdout) == (ExitCode.REFUSED, "")
    assert "required: 10101, available: 10100, shortfall: 1" in refused.stderr
    past = ["accounts", "grant", user.account_id, "1", *WHY, "--expires-at", "2020-01-01"]
    assert "expiry_in_the_past" in operator(stack, *past).stderr
    unknown = operator(stack, "accounts", "deduct", "nobody@example.com", "1", *WHY)
    assert (unknown.exit_code, "account_not_found" in unknown.stderr) == (ExitCode.NOT_FOUND, True)
    assert len(user.get("/me/entries").json()["entries"]) == 2
    done = operator(stack, *deduct, "10100", *WHY, by_name=STACK_NAME)
    assert done.exit_code == ExitCode.DONE, done.stderr
    assert user.get("/me").json()["balance"] == 0


def test_a_frozen_account_cannot_consume_until_it_is_unfrozen(stack: LocalStack, user: Api) -> None:
    for action, status in (("freeze", 403), ("unfreeze", 200)):
        answered(stack, "accounts", action, user.account_id, *WHY, "--note", "ticket 4711")
        assert user.post("/me/consume", {"feature": "chat"}).status_code == status


def test_a_forgotten_hold_is_found_and_released(stack: LocalStack, user: Api) -> None:
    user.post("/me/holds", {"feature": "chat", "quantity": 12}, key="job-1")
    listed = operator(stack, "accounts", "holds", user.account_id, "--json")
    [hold] = map(json.loads, listed.stdout.splitlines())
    assert (hold["hold_id"], hold["amount"], hold["opened_by"]) == ("user:job-1", 60, "user")
    release = ["accounts", "release", user.account_id, hold["hold_id"], *WHY]
    release += ["--idempotency-key", "t-1"]
    first = answered(stack, *release)
    assert (first["account"]["available"], first["entry"]["type"]) == (10_100, "release")
    assert answered(stack, *release) == first
    ended = operator(stack, *release[:4], "--reason", "another", "--yes")
    assert (ended.exit_code, "hold_ended" in ended.stderr) == (ExitCode.REFUSED, True)
    assert user.get("/me/holds").json() == {"holds": []}


def test_a_use_is_refunded_once(stack: LocalStack, user: Api) -> None:
    user.post("/me/consume", {"feature": "chat", "quantity": 2}, key="chat-1")
    refund = ["accounts", "refund", user.account_id, "user:chat-1", *WHY]
    part = answered(stack, *refund, "--amount", "4")
    assert (part["entry"]["type"], part["entry"]["amount"]) == ("refund", 4)
    assert answered(stack, *refund, "--idempotency-key", "t-1")["entry"]["amount"] == 6
    assert answered(stack, *refund, "--idempotency-key", "t-1")["entry"]["amount"] == 6
    again = operator(stack, *refund)
    assert (again.exit_code, "already_refunded" in again.stderr) == (ExitCode.REFUSED, True)
    assert user.get("/me").json()["balance"] == 10_100


def test_a_plan_and_an_allowance_are_given_and_taken_back(
    stack: LocalStack, user: Api, admin: Api
) -> None:
    pro = ["accounts", "plan", user.account_id, "pro", *WHY]
    shown = answered(stack, *pro, "--note", "ticket 4711")
    assert (shown["plan_id"], shown["monthly_credits"], shown["balance"]) == ("pro", 2_000, 12_000)
    assert answered(stack, *pro) == shown, "repeating it changes nothing"
    own = ["accounts", "quota", user.account_id, "--credits", "3000", "--limit", "seats=5", *WHY]
    assert answered(stack, *own, "--dry-run")["balance"] == 13_000
    assert user.get("/me").json()["balance"] == 12_000
    answered(stack, *own)
    quota = admin.get(f"/{user.account_id}/quota").json()
    assert (quota["monthly_credits"], quota["limits"]) == (3_000, {"seats": 5})
    assert quota["audit"][-1]["note"] == "ticket 4711"
    answered(stack, "accounts", "plan", user.account_id, "free", *WHY)
    assert admin.get(f"/{user.account_id}/quota").json()["next"]["plan_id"] == "free"
    unknown = operator(stack, "accounts", "plan", user.account_id, "gold", *WHY)
    assert (unknown.exit_code, "unknown_plan" in unknown.stderr) == (ExitCode.REFUSED, True)


def test_usage_is_reset(stack: LocalStack, user: Api) -> None:
    user.post("/me/consume", {"feature": "chat", "quantity": 2})
    reset = answered(stack, "accounts", "reset", user.account_id, *WHY)
    assert (reset["entry"]["type"], reset["entry"]["amount"]) == ("reset", 10)
    assert user.get("/me").json()["balance"] == 10_100


def test_a_closed_account_leads_to_no_person(stack: LocalStack, user: Api) -> None:
    [email] = answered(stack, "accounts", "show", user.account_id)["emails"]
    closed = {"account_id": user.account_id, "status": "closed"}
    assert answered(stack, "accounts", "close", email, *WHY) == closed
    gone = operator(stack, "accounts", "show", email)
    assert (gone.exit_code, "account_not_found" in gone.stderr) == (ExitCode.NOT_FOUND, True)
    assert answered(stack, "accounts", "close", user.account_id, *WHY) == closed
    assert user.post("/me/consume", {"feature": "chat"}).status_code == 403


def test_the_prompt_shows_the_effect_and_nothing_happens_without_a_yes(
    stack: LocalStack, user: Api
) -> None:
    grant = ["accounts", "grant", user.account_id, "50", "--reason", "a late answer"]
    for answer, code, balance in (("\x04", 130, 10_100), ("y\n", 0, 10_150)):
        with terminal(stack, *grant) as screen:
            screen.wait_for("Do it?")
            assert "now 10 100 credits; after this 10 150 credits." in screen.shown
            assert screen.type(answer) == code
        assert user.get("/me").json()["balance"] == balance


def test_accounts_are_shown_as_the_api_shows_them(
    stack: LocalStack, user: Api, service: Api
) -> None:
    shown = answered(stack, "accounts", "show", user.account_id)
    [email] = shown.pop("emails")
    assert shown == service.get(f"/{user.account_id}").json()
    assert operator(stack, "accounts", "show", email).stdout.splitlines()[1].split() == [
        "balance",
        "10100",
    ]
    opened = ["accounts", "open", f"opened|{user.account_id}", "--email", f"x{email}", "--yes"]
    once, again = answered(stack, *opened), answered(stack, *opened)
    del once["opened_at"], again["opened_at"]  # null until the account is in the list
    assert once == again
    taken = operator(stack, *opened[:4], email, "--yes")
    assert (taken.exit_code, "email_taken" in taken.stderr) == (ExitCode.REFUSED, True)

    lines = operator(stack, "accounts", "list", "--all", "--json").stdout.splitlines()
    listed = {account["account_id"]: account for account in map(json.loads, lines)}
    assert listed[user.account_id]["emails"] == [email]
    assert listed[f"opened|{user.account_id}"]["balance"] == 10_100
    some = operator(stack, "accounts", "list", "--limit", "2")
    assert (len(some.stdout.splitlines()), "--all" in some.stderr) == (3, True)


def test_the_ledger_is_shown_newest_first_and_filtered_as_in_the_api(
    stack: LocalStack, user: Api, service: Api
) -> None:
    for _ in range(3):
        user.post("/me/consume", {"feature": "chat"})
    usage = {"input": 1_200, "output": 350}
    user.post("/me/consume", {"feature": "anthropic.claude-sonnet-5-5", "usage": usage})
    entries = ["entries", user.account_id]
    lines = operator(stack, *entries, "--json").stdout.splitlines()
    whole = service.get(f"/{user.account_id}/entries").json()["entries"]
    assert [json.loads(line) for line in lines] == whole
    chat = operator(stack, *entries, "--type", "usage", "--feature", "chat", "--limit", "2")
    header, *rows = (line.split("\t") for line in chat.stdout.splitlines())
    shown = [dict(zip(header, row, strict=True)) for row in rows]
    assert [(entry["seq"], entry["used"]) for entry in shown] == [("5", "1"), ("4", "1")]
    assert "--all" in chat.stderr
    newest = operator(stack, *entries, "--limit", "1").stdout
    assert "\t1200 input, 350 output\t" in newest
    assert operator(stack, *entries, "--until", "2020-01-01").stdout.count("\n") == 1
