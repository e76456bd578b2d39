"""What users see of staff: what kind of actor made a change and why, and never who it was."""

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
"""What is asked of the routes that take a body and that a user may call."""

NOTED: dict[str, dict[str, Any]] = {
    f"POST {ACCOUNT}/adjustments": {"action": "add", "amount": 5, "reason": "sorry"},
    f"PUT {ACCOUNT}/quota": {"limits": {"seats": 5}, "reason": "asked for"},
    f"POST {ACCOUNT}/reset": {"reason": "it was our fault"},
    f"POST {ACCOUNT}/freeze": {"reason": "looks odd"},
    f"POST {ACCOUNT}/unfreeze": {"reason": "is all right"},
    f"POST {ACCOUNT}/refunds": {"entry_id": "spent", "amount": 1, "reason": "it failed"},
    f"DELETE {ACCOUNT}": {"reason": "asked to be forgotten"},
}
"""Every change that an admin can leave a note with; the account stays open until the last."""

NOT_NOTES = ("", "x" * 1025, "a\0b", 5)

EACH_LINE = re.MULTILINE | re.DOTALL

numbers = count()


def ask(
    route: str,
    claims: dict[str, str],
    body: dict[str, Any] | None = None,
    key: str | None = None,
    **named: str,
) -> tuple[int, dict[str, Any], str]:
    """Call a route; return the status, the answer's body, and all of the answer as text."""
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
    told = json.loads(answer["body"])
    documented(route, answer["statusCode"], answer["headers"]["Content-Type"]).validate(told)
    return answer["statusCode"], told, json.dumps(answer)


def done(
    route: str,
    claims: dict[str, str],
    body: dict[str, Any] | None = None,
    key: str | None = None,
    **named: str,
) -> dict[str, Any]:
    """Call a route that must succeed; return the answer's body."""
    status, answered, text = ask(route, claims, body, key, **named)
    assert status < 300, text
    return answered


def routes_of_users() -> list[str]:
    """Every route that answers a user, by what the reference says of who may call it."""
    page = (ROOT / "docs/reference/api.md").read_text()
    found = re.findall(r"^`([A-Z]+ /\S+)`$(?:(?!^#).)*?^Allowed for: (.*?)\.$", page, EACH_LINE)
    return [
        route
        for route, who in found
        if "owner" in who or (who == "anyone" and route.startswith("GET"))
    ]


@pytest.fixture
def account(table: Table) -> Table:
    """A user's account that an admin and a service have done everything to but close it."""
    done(f"GET {ACCOUNT}", OWNER)
    for who, claims in (("service", SERVICE), ("admin", ADMIN)):
        for path in ("consume", "consume/batch", "holds"):
            key = f"{who}-{path.replace('/', '-')}"
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
        why = {"reason": "sorry", "note": NOTE}
        done(f"POST {ACCOUNT}/adjustments", ADMIN, {**change, **why})
    for route in ("PUT quota", "POST reset", "POST freeze", "POST unfreeze"):
        whole = route.replace(" ", f" {ACCOUNT}/")
        done(whole, ADMIN, {**NOTED[whole], "note": NOTE})
    return table


def opened_hold(claims: dict[str, str]) -> str:
    opened = done(f"POST {ACCOUNT}/holds", claims, {"amount": 2})
    return str(opened["hold"]["hold_id"])


def walk(*, is_open: bool = True) -> dict[str, list[tuple[int, str]]]:
    """Call everything that a user may, about everything there is; return the answers by route."""
    entries = done(f"GET {ACCOUNT}/entries", OWNER)["entries"]
    answers: dict[str, list[tuple[int, str]]] = {}
    for route in routes_of_users():
        named: list[dict[str, str]] = [{}]
        if "{entry_id}" in route:
            named = [{"entry_id": entry["entry_id"]} for entry in entries]
        if "{hold_id}" in route and is_open:
            named = [{"hold_id": opened_hold(claims)} for claims in (OWNER, SERVICE, ADMIN)]
        elif "{hold_id}" in route:
            holds = [entry["entry_id"] for entry in entries if entry["type"] == "hold"]
            named = [{"hold_id": hold_id} for hold_id in holds]
        # Under keys that staff have used for the same, and under new ones.
        used = [f"admin-{path}" for path in ("consume", "consume-batch", "holds")]
        for key in [*used, None] if route in BODIES else [None]:
            for parameters in named:
                status, _, text = ask(route, OWNER, BODIES.get(route), key, **parameters)
                answers.setdefault(route, []).append((status, text))
    return answers


def marks_in(answers: dict[str, list[tuple[int, str]]]) -> list[str]:
    return [
        f"{route}: {text}"
        for route, told in answers.items()
        for _, text in told
        if any(mark in text for mark in MARKS)
    ]


def test_no_answer_to_a_user_names_who_of_staff_acted_or_tells_a_note(account: Table) -> None:
    answers = walk()
    assert marks_in(answers) == []
    assert len(answers) >= 13
    for route, told in answers.items():
        assert min(status for status, _ in told) < 300, f"{route} answered nothing but refusals"


@pytest.mark.parametrize("change", [f"POST {ACCOUNT}/freeze", f"DELETE {ACCOUNT}"])
def test_no_refusal_does_either_when_an_admin_has_frozen_or_closed_the_account(
    account: Table,
    change: str,
) -> None:
    done(change, ADMIN, {**NOTED[change], "note": NOTE})
    answers = walk(is_open=False)
    assert marks_in(answers) == []
    assert {403, 409} & {status for told in answers.values() for status, _ in told}


def test_a_user_is_told_the_kind_of_who_acted_and_services_and_admins_the_id(
    account: Table,
) -> None:
    def told(claims: dict[str, str]) -> list[dict[str, Any]]:
        entries = done(f"GET {ACCOUNT}/entries", claims)["entries"]
        for entry in entries:
            one = done(f"GET {ACCOUNT}/entries/{{entry_id}}", claims, entry_id=entry["entry_id"])
            assert one.pop("refunded") >= 0
            assert one == entry
        return list(entries)

    whole = told(ADMIN)
    assert told(SERVICE) == whole
    ids = {entry["actor"]["id"] for entry in whole}
    assert {ADMIN["sub"], SERVICE["sub"], USER} <= ids
    assert told(OWNER) == [{**entry, "actor": {"type": entry["actor"]["type"]}} for entry in whole]


def test_the_answer_to_a_change_names_its_actor_to_services_and_admins_only(table: Table) -> None:
    done(f"GET {ACCOUNT}", OWNER)
    for claims, actor in (
        (OWNER, {"type": "user"}),
        (SERVICE, {"type": "service", "id": SERVICE["sub"]}),
        (ADMIN, {"type": "admin", "id": ADMIN["sub"]}),
    ):
        for path in ("consume", "holds", "consume/batch"):
            told = done(f"POST {ACCOUNT}/{path}", claims, BODIES[f"POST {ACCOUNT}/{path}"])
            entries = told["entries"] if path == "consume/batch" else [told["entry"]]
            assert all(entry["actor"] == actor for entry in entries), path


def test_an_event_can_be_forwarded_to_its_user_and_the_archive_keeps_who_acted(
    account: Table,
    outside: Outside,
) -> None:
    invoke("events", stream_of(account))
    shown = {entry["seq"]: entry for entry in done(f"GET {ACCOUNT}/entries", OWNER)["entries"]}
    heard = [detail for name, detail in outside.heard if "entry_id" in detail]
    assert len(heard) == len(shown)
    for detail in heard:
        beside = {name: detail.pop(name) for name in ("account_id", "correlation_id")}
        assert beside["account_id"] == USER
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


def test_a_note_goes_to_the_audit_record_and_nowhere_else(
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
            if not route.endswith("quota"):  # that answers its newest audit records, to an admin
                assert "marked-note" not in text
            [of_it] = [item for item in items(table) if note in json.dumps(item, default=repr)]
            assert of_it["sk"]["S"].startswith("AUDIT#")


def test_a_note_is_no_part_of_the_request_so_a_retry_needs_not_the_same_one(
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


def test_what_is_no_note_is_refused_and_changes_nothing(
    table: Table,
    subtests: pytest.Subtests,
) -> None:
    spent(table)
    before = items(table)
    for route, body in NOTED.items():
        for note in NOT_NOTES:
            with subtests.test(route=route, note=note):
                status, told, _ = ask(route, ADMIN, {**body, "note": note})
                assert (status, told["code"]) == (422, "invalid")
                assert "body.note" in told["errors"][0]
                assert items(table) == before


def test_a_note_of_1024_characters_is_kept_whole(table: Table) -> None:
    spent(table)
    [route, *_] = NOTED
    done(route, ADMIN, {**NOTED[route], "note": "é" * 1024})
    assert audit_of(ADMIN)[0]["note"] == "é" * 1024


def test_nobody_leaves_a_note_where_there_is_no_audit_record(account: Table) -> None:
    before = items(account)
    for route, body in BODIES.items():
        for claims in (OWNER, SERVICE, ADMIN):
            status, told, _ = ask(route, claims, {**body, "note": NOTE}, hold_id="h1")
            assert (status, told["code"]) == (422, "invalid"), route
    assert items(account) == before


REFUND = f"POST {ACCOUNT}/refunds"


def test_a_refund_by_an_admin_is_audited_with_the_totals_before_and_after(table: Table) -> None:
    spent(table)
    for amount, before, after in ((2, 0, 2), (3, 2, 5)):
        asked = {"entry_id": "spent", "amount": amount, "reason": "it failed", "note": NOTE}
        entry = done(REFUND, ADMIN, asked, f"back-{amount}")["entry"]
        assert done(REFUND, ADMIN, asked, f"back-{amount}")["entry"] == entry
        newest, *older = audit_of(ADMIN)
        assert len(older) == before // 2
        assert (newest["action"], newest["entry_id"]) == ("entry.refund", entry["entry_id"])
        assert (newest["before"], newest["after"]) == ({"refunded": before}, {"refunded": after})
        assert newest["actor"] == {"type": "admin", "id": ADMIN["sub"]}


def test_a_refused_refund_by_an_admin_leaves_no_record(table: Table) -> None:
    spent(table)
    before = items(table)
    asked = {"entry_id": "spent", "amount": 6, "reason": "x", "note": NOTE}
    assert ask(REFUND, ADMIN, asked)[0] == 409
    assert items(table) == before


def test_a_service_refunds_without_a_record_and_is_told_that_notes_are_for_admins(
    table: Table,
) -> None:
    spent(table)
    before = items(table)
    asked = {"entry_id": "spent", "amount": 2, "reason": "it failed"}
    status, told, _ = ask(REFUND, SERVICE, {**asked, "note": NOTE}, "back")
    assert (status, told["code"]) == (422, "invalid")
    assert "admin" in told["errors"][0]
    assert items(table) == before
    done(REFUND, SERVICE, asked, "back")
    assert audit_of(ADMIN) == []


def test_only_admins_read_audit_records(account: Table) -> None:
    for route in (f"GET {ACCOUNT}/audit", f"GET {ACCOUNT}/quota"):
        for claims in (OWNER, SERVICE):
            status, told, _ = ask(route, claims)
            assert (status, told["code"]) == (403, "forbidden")
