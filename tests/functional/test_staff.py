"""Users see the type of an actor and the reason for a change, but never who on staff made it."""

from __future__ import annotations

import gzip
import json
import re
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from tests.functional.conftest import ROOT, USER, documented, event, invoke, items
from tests.functional.test_correlation import stream_of
from tests.functional.test_http import routes

if TYPE_CHECKING:
    from scrip.store.client import Table
    from tests.functional.outside import Outside

ADMIN = {"sub": "marked-admin", "scope": "scrip/admin"}
SERVICE = {"sub": "marked-service", "scope": "scrip/service"}
OWNER = {"sub": USER}
NOTE = "marked-note: the third refund this week"
MARKS = ("marked-admin", "marked-service", "marked-note")

FUNCTIONS = {f"{method} {path}": function for function, method, path in routes()}

ACCOUNT = "/v1/accounts/{account_id}"
HOLD = f"{ACCOUNT}/holds/{{hold_id}}"

BODIES: dict[str, dict[str, Any]] = {
    f"POST {ACCOUNT}/consume": {"amount": 1},
    f"POST {ACCOUNT}/consume/batch": {"uses": [{"amount": 1}, {"amount": 1}]},
    f"POST {ACCOUNT}/holds": {"amount": 1},
    f"POST {ACCOUNT}/quote": {"amount": 1},
    f"POST {HOLD}/capture": {"amount": 1, "final": False},
    f"POST {HOLD}/extend": {"expires_in": 600},
    f"POST {HOLD}/release": {},
}
"""The bodies for the routes that a user may call and that take one."""

NOTED: dict[str, dict[str, Any]] = {
    f"POST {ACCOUNT}/adjustments": {"action": "add", "amount": 5, "reason": "sorry"},
    f"PUT {ACCOUNT}/quota": {"limits": {"seats": 5}, "reason": "asked for"},
    f"POST {ACCOUNT}/reset": {"reason": "it was our fault"},
    f"POST {ACCOUNT}/freeze": {"reason": "looks odd"},
    f"POST {ACCOUNT}/unfreeze": {"reason": "is all right"},
    f"POST {ACCOUNT}/refunds": {"entry_id": "spent", "amount": 1, "reason": "it failed"},
    f"DELETE {ACCOUNT}": {"reason": "asked to be forgotten"},
}
"""Every change that an admin can add a note to; only the last closes the account."""

INVALID_NOTES = ("", "x" * 1025, "a\0b", 5)

EACH_LINE = re.MULTILINE | re.DOTALL

numbers = count()


def ask(
    route: str,
    claims: dict[str, str],
    body: dict[str, Any] | None = None,
    key: str | None = None,
    **named: str,
) -> tuple[int, dict[str, Any], str]:
    """Call a route; return the status, the body, and the whole answer as text."""
    method, path = route.split()
    account_id = "me" if claims is OWNER else USER
    parameters = {"account_id": account_id, **named}
    raw_path = path.format(**parameters)
    sent = event("account/me")
    sent |= {"routeKey": route, "rawPath": raw_path, "pathParameters": parameters}
    sent["requestContext"]["http"] |= {"method": method, "path": raw_path}
    sent["requestContext"]["authorizer"]["jwt"]["claims"] = claims
    sent["headers"]["content-type"] = "application/json"
    if key is not None:
        sent["headers"]["idempotency-key"] = key
    if body is not None:
        sent["body"] = json.dumps(body)
    answer = invoke(FUNCTIONS[route], sent)
    content = json.loads(answer["body"])
    documented(route, answer["statusCode"], answer["headers"]["Content-Type"]).validate(content)
    return answer["statusCode"], content, json.dumps(answer)


def done(
    route: str,
    claims: dict[str, str],
    body: dict[str, Any] | None = None,
    key: str | None = None,
    **named: str,
) -> dict[str, Any]:
    """Call a route, which must succeed; return the body."""
    status, content, text = ask(route, claims, body, key, **named)
    assert status < 300, text
    return content


def user_routes() -> list[str]:
    """Return every route that users may call, according to the reference."""
    page = (ROOT / "docs/reference/api.md").read_text()
    found = re.findall(r"^`([A-Z]+ /\S+)`$(?:(?!^#).)*?^Allowed for: (.*?)\.$", page, EACH_LINE)
    return [
        route
        for route, callers in found
        if "owner" in callers or (callers == "anyone" and route.startswith("GET"))
    ]


@pytest.fixture
def account(table: Table) -> Table:
    """A user's account with every change by an admin and a service but its closing."""
    done(f"GET {ACCOUNT}", OWNER)
    for staff, claims in (("service", SERVICE), ("admin", ADMIN)):
        for path in ("consume", "consume/batch", "holds"):
            key = f"{staff}-{path.replace('/', '-')}"
            done(f"POST {ACCOUNT}/{path}", claims, BODIES[f"POST {ACCOUNT}/{path}"], key)
        for end in ("capture", "extend", "release"):
            hold_id = opened_hold(claims)
            done(f"POST {HOLD}/{end}", claims, BODIES[f"POST {HOLD}/{end}"], hold_id=hold_id)
    spent = done(f"POST {ACCOUNT}/consume", OWNER, {"amount": 5})["entry"]["entry_id"]
    for claims, note in ((ADMIN, {"note": NOTE}), (SERVICE, {})):
        back = {"entry_id": spent, "amount": 1, "reason": "it failed", **note}
        done(f"POST {ACCOUNT}/refunds", claims, back)
    for change in (
        {"action": "add", "amount": 90},
        {"action": "deduct", "amount": 5},
        {"action": "set", "amount": 120},
    ):
        reason_and_note = {"reason": "sorry", "note": NOTE}
        done(f"POST {ACCOUNT}/adjustments", ADMIN, {**change, **reason_and_note})
    for route in ("PUT quota", "POST reset", "POST freeze", "POST unfreeze"):
        whole = route.replace(" ", f" {ACCOUNT}/")
        done(whole, ADMIN, {**NOTED[whole], "note": NOTE})
    return table


def opened_hold(claims: dict[str, str]) -> str:
    opened = done(f"POST {ACCOUNT}/holds", claims, {"amount": 2})
    return str(opened["hold"]["hold_id"])


def walk(*, is_open: bool = True) -> dict[str, list[tuple[int, str]]]:
    """Call every route that a user may, for every entry and hold; return the answers by route."""
    entries = done(f"GET {ACCOUNT}/entries", OWNER)["entries"]
    answers: dict[str, list[tuple[int, str]]] = {}
    for route in user_routes():
        named: list[dict[str, str]] = [{}]
        if "{entry_id}" in route:
            named = [{"entry_id": entry["entry_id"]} for entry in entries]
        if "{hold_id}" in route and is_open:
            named = [{"hold_id": opened_hold(claims)} for claims in (OWNER, SERVICE, ADMIN)]
        elif "{hold_id}" in route:
            holds = [entry["entry_id"] for entry in entries if entry["type"] == "hold"]
            named = [{"hold_id": hold_id} for hold_id in holds]
        # With keys that staff have used for the same, and with new ones.
        used = [f"admin-{path}" for path in ("consume", "consume-batch", "holds")]
        for key in [*used, None] if route in BODIES else [None]:
            for parameters in named:
                status, _, text = ask(route, OWNER, BODIES.get(route), key, **parameters)
                answers.setdefault(route, []).append((status, text))
    return answers


def marks_in(answers: dict[str, list[tuple[int, str]]]) -> list[str]:
    return [
        f"{route}: {text}"
        for route, of_route in answers.items()
        for _, text in of_route
        if any(mark in text for mark in MARKS)
    ]


def test_no_answer_to_a_user_names_staff_or_contains_a_note(account: Table) -> None:
    answers = walk()
    assert marks_in(answers) == []
    assert len(answers) >= 13
    for route, of_route in answers.items():
        assert min(status for status, _ in of_route) < 300, f"{route} was always refused"


@pytest.mark.parametrize("change", [f"POST {ACCOUNT}/freeze", f"DELETE {ACCOUNT}"])
def test_no_answer_about_a_frozen_or_closed_account_names_staff_or_contains_a_note(
    account: Table,
    change: str,
) -> None:
    done(change, ADMIN, {**NOTED[change], "note": NOTE})
    answers = walk(is_open=False)
    assert marks_in(answers) == []
    assert {403, 409} & {status for of_route in answers.values() for status, _ in of_route}


def test_a_user_sees_the_type_of_an_actor_and_services_and_admins_the_id(
    account: Table,
) -> None:
    def entries_for(claims: dict[str, str]) -> list[dict[str, Any]]:
        entries = done(f"GET {ACCOUNT}/entries", claims)["entries"]
        for entry in entries:
            one = done(f"GET {ACCOUNT}/entries/{{entry_id}}", claims, entry_id=entry["entry_id"])
            assert one.pop("refunded") >= 0
            assert one == entry
        return list(entries)

    whole = entries_for(ADMIN)
    assert entries_for(SERVICE) == whole
    ids = {entry["actor"]["id"] for entry in whole}
    assert {ADMIN["sub"], SERVICE["sub"], USER} <= ids
    assert entries_for(OWNER) == [
        {**entry, "actor": {"type": entry["actor"]["type"]}} for entry in whole
    ]


def test_the_answer_to_a_change_names_its_actor_to_services_and_admins_only(table: Table) -> None:
    done(f"GET {ACCOUNT}", OWNER)
    for claims, actor in (
        (OWNER, {"type": "user"}),
        (SERVICE, {"type": "service", "id": SERVICE["sub"]}),
        (ADMIN, {"type": "admin", "id": ADMIN["sub"]}),
    ):
        for path in ("consume", "holds", "consume/batch"):
            answer = done(f"POST {ACCOUNT}/{path}", claims, BODIES[f"POST {ACCOUNT}/{path}"])
            entries = answer["entries"] if path == "consume/batch" else [answer["entry"]]
            assert all(entry["actor"] == actor for entry in entries), path


def test_an_event_may_be_forwarded_to_its_user_and_the_archive_keeps_the_actors_id(
    account: Table,
    outside: Outside,
) -> None:
    invoke("events", stream_of(account))
    shown = {entry["seq"]: entry for entry in done(f"GET {ACCOUNT}/entries", OWNER)["entries"]}
    details = [detail for _, detail in outside.received if "entry_id" in detail]
    assert len(details) == len(shown)
    for detail in details:
        added = {name: detail.pop(name) for name in ("account_id", "correlation_id")}
        assert added["account_id"] == USER
        assert detail == shown[detail["seq"]]
    archived = ""
    for key in outside.archived():
        stored = outside.archive.client.get_object(Bucket=outside.archive.bucket, Key=key)
        archived += gzip.decompress(stored["Body"].read()).decode()
    assert ADMIN["sub"] in archived
    assert NOTE not in archived


def audit_of(claims: dict[str, str]) -> list[dict[str, Any]]:
    return list(done(f"GET {ACCOUNT}/audit", claims)["audit"])


def spent(table: Table) -> None:
    done(f"GET {ACCOUNT}", OWNER)
    done(f"POST {ACCOUNT}/consume", SERVICE, {"amount": 5}, "spent")


def test_a_note_is_stored_in_the_audit_record_and_nowhere_else(
    table: Table,
    subtests: pytest.Subtests,
) -> None:
    spent(table)
    for number, (route, body) in enumerate(NOTED.items()):
        with subtests.test(route=route):
            note = f"{NOTE} {number}"
            text = json.dumps(done(route, ADMIN, {**body, "note": note}))
            newest, *_ = audit_of(ADMIN)
            assert (newest["reason"], newest["note"]) == (body["reason"], note)
            if not route.endswith("quota"):  # its answer to an admin has the newest audit records
                assert "marked-note" not in text
            [noted] = [item for item in items(table) if note in json.dumps(item, default=repr)]
            assert noted["sk"]["S"].startswith("AUDIT#")


def test_a_retry_may_have_another_note_or_none(
    table: Table,
    subtests: pytest.Subtests,
) -> None:
    spent(table)
    for route, body in NOTED.items():
        if not route.startswith("POST"):
            continue
        with subtests.test(route=route):
            key = f"key-{next(numbers)}"
            first = done(route, ADMIN, {**body, "note": NOTE}, key)
            before = items(table)
            for again in ({**body, "note": "another"}, body):
                assert done(route, ADMIN, again, key) == first
            assert items(table) == before


def test_an_invalid_note_is_refused_and_changes_nothing(
    table: Table,
    subtests: pytest.Subtests,
) -> None:
    spent(table)
    before = items(table)
    for route, body in NOTED.items():
        for note in INVALID_NOTES:
            with subtests.test(route=route, note=note):
                status, problem, _ = ask(route, ADMIN, {**body, "note": note})
                assert (status, problem["code"]) == (422, "invalid")
                assert "body.note" in problem["errors"][0]
                assert items(table) == before


def test_a_note_of_1024_characters_is_kept_whole(table: Table) -> None:
    spent(table)
    [route, *_] = NOTED
    done(route, ADMIN, {**NOTED[route], "note": "é" * 1024})
    assert audit_of(ADMIN)[0]["note"] == "é" * 1024


def test_a_command_without_an_audit_record_takes_no_note(account: Table) -> None:
    before = items(account)
    for route, body in BODIES.items():
        for claims in (OWNER, SERVICE, ADMIN):
            status, problem, _ = ask(route, claims, {**body, "note": NOTE}, hold_id="h1")
            assert (status, problem["code"]) == (422, "invalid"), route
    assert items(account) == before


REFUND = f"POST {ACCOUNT}/refunds"


def test_a_refund_by_an_admin_is_audited_with_the_totals_before_and_after(table: Table) -> None:
    spent(table)
    for amount, before, after in ((2, 0, 2), (3, 2, 5)):
        body = {"entry_id": "spent", "amount": amount, "reason": "it failed", "note": NOTE}
        entry = done(REFUND, ADMIN, body, f"back-{amount}")["entry"]
        assert done(REFUND, ADMIN, body, f"back-{amount}")["entry"] == entry
        newest, *older = audit_of(ADMIN)
        assert len(older) == before // 2
        assert (newest["action"], newest["entry_id"]) == ("entry.refund", entry["entry_id"])
        assert (newest["before"], newest["after"]) == ({"refunded": before}, {"refunded": after})
        assert newest["actor"] == {"type": "admin", "id": ADMIN["sub"]}


def test_a_refused_refund_by_an_admin_writes_no_audit_record(table: Table) -> None:
    spent(table)
    before = items(table)
    body = {"entry_id": "spent", "amount": 6, "reason": "x", "note": NOTE}
    assert ask(REFUND, ADMIN, body)[0] == 409
    assert items(table) == before


def test_a_services_refund_has_no_audit_record_and_takes_no_note(
    table: Table,
) -> None:
    spent(table)
    before = items(table)
    body = {"entry_id": "spent", "amount": 2, "reason": "it failed"}
    status, problem, _ = ask(REFUND, SERVICE, {**body, "note": NOTE}, "back")
    assert (status, problem["code"]) == (422, "invalid")
    assert "admin" in problem["errors"][0]
    assert items(table) == before
    done(REFUND, SERVICE, body, "back")
    assert audit_of(ADMIN) == []


def test_only_admins_read_audit_records(account: Table) -> None:
    for route in (f"GET {ACCOUNT}/audit", f"GET {ACCOUNT}/quota"):
        for claims in (OWNER, SERVICE):
            status, problem, _ = ask(route, claims)
            assert (status, problem["code"]) == (403, "forbidden")
