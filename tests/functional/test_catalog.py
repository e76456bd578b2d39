"""The catalog over HTTP: what everyone can read, and how admins edit it."""

from dataclasses import replace
from typing import Any

import pytest

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.domain.catalog import Feature
from scrip.domain.commands import SetQuota
from scrip.domain.editing import Editor
from scrip.domain.entries import Actor, ActorType
from scrip.domain.errors import (
    AlreadyExistsError,
    BusyError,
    StaleVersionError,
    UnknownPlanError,
)
from scrip.ledger import Ledger, ledger, opening, utc_now
from scrip.store.catalogs import commit_edit, read_catalog
from scrip.store.client import Table
from scrip.store.items import from_wire
from tests.functional.conftest import EVENTS, USER, event, invoke, send
from tests.functional.faults import CONFLICT, THROTTLED, instead_of

CREATE, CHANGE = "catalog/create_plan", "catalog/change_plan"
DEACTIVATE, LIST = "catalog/deactivate_plan", "catalog/list_plans"

TEAM: dict[str, Any] = {
    "plan_id": "team",
    "name": "Team",
    "monthly_credits": 5_000,
    "unlimited": False,
    "rollover": {"max": 2_000, "periods": 2},
    "overdraft_limit": 100,
    "limits": {"storage_bytes": 10_000_000_000},
    "provider_ids": ["price_team_monthly", "prod_team"],
    "active": True,
    "version": 1,
}
PLAN = {"name": "Team", "monthly_credits": 6_000}
FEATURE = {"name": "Chat", "cost": 7}


def stored(table: Table) -> list[dict[str, Any]]:
    """Return all items of the catalog's partition."""
    query = "pk = :pk"
    values: Any = {":pk": {"S": "CATALOG"}}
    answer = table.client.query(
        TableName=table.name,
        KeyConditionExpression=query,
        ExpressionAttributeValues=values,
    )
    return [from_wire(item) for item in answer["Items"]]


def audit_records(table: Table) -> list[dict[str, Any]]:
    return [item for item in stored(table) if item["sk"].startswith("AUDIT#")]


def plan_of(plan_id: str) -> dict[str, Any]:
    [found] = [plan for plan in send(LIST).body["plans"] if plan["plan_id"] == plan_id]
    return found  # type: ignore[no-any-return]


def editor(table: Table) -> Editor:
    return Editor(
        catalog=read_catalog(table),
        default_plan="free",
        actor=Actor(ActorType.ADMIN, "a1"),
        reason=None,
        now=utc_now(),
    )


def test_everyone_can_read_prices_but_no_fields_for_admins(table: Table) -> None:
    send(CREATE)
    send("catalog/deactivate_feature")
    answer = send("catalog/public")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "public, max-age=30")
    assert [plan["plan_id"] for plan in answer.body["plans"]] == [
        "free",
        "pro",
        "team",
        "unlimited",
    ]
    assert answer.body["plans"][2] == {
        name: value for name, value in TEAM.items() if name != "active"
    }
    assert "chat" not in {feature["feature_id"] for feature in answer.body["features"]}
    assert answer.body["features"][-1] == {
        "feature_id": "text-to-speech",
        "name": "Text to speech",
        "cost": 10,
        "per": 1,
        "unit": "use",
        "meters": {},
        "version": 1,
    }


def test_a_plan_is_created_changed_deactivated_and_activated_again(table: Table) -> None:
    created = send(CREATE)
    assert (created.status, created.body, created.headers["ETag"]) == (201, TEAM, '"1"')
    changed = send(CHANGE)
    assert (changed.status, changed.headers["ETag"]) == (200, '"2"')
    assert changed.body == {**TEAM, "monthly_credits": 6_000, "version": 2}
    gone = send(DEACTIVATE, version='"2"')
    assert gone.body == {**changed.body, "active": False, "version": 3}
    assert plan_of("team") == gone.body
    assert "team" not in {plan["plan_id"] for plan in send("catalog/public").body["plans"]}
    back = send(CHANGE, body=PLAN, version="3")
    assert back.body == {
        **TEAM,
        **PLAN,
        "rollover": None,
        "overdraft_limit": 0,
        "limits": {},
        "provider_ids": [],
        "version": 4,
    }
    assert plan_of("team") == back.body


def test_a_feature_is_created_changed_and_deactivated(table: Table) -> None:
    created = send("catalog/create_feature")
    assert (created.status, created.headers["ETag"]) == (201, '"1"')
    assert created.body == {
        "feature_id": "tokens",
        "name": "Tokens",
        "cost": 3,
        "per": 1_000,
        "unit": "token",
        "meters": {},
        "active": True,
        "version": 1,
    }
    assert send("catalog/change_feature").body["cost"] == 7
    gone = send("catalog/deactivate_feature", version='"2"')
    assert (gone.status, gone.body["active"], gone.headers["ETag"]) == (200, False, '"3"')
    assert gone.body in send("catalog/list_features").body["features"]


def test_a_new_price_applies_to_later_uses_only(table: Table) -> None:
    first = send("consume/feature", key="before").body["entry"]
    assert (first["cost"], first["feature_version"]) == (5, 1)
    send("catalog/change_feature")
    ledger.cache_clear()
    after = send("consume/feature", key="after").body["entry"]
    assert (after["cost"], after["feature_version"]) == (7, 2)
    assert send("consume/feature", key="before").body["entry"] == first
    send("catalog/deactivate_feature", version='"2"')
    ledger.cache_clear()
    assert send("consume/feature", key="too-late").body["code"] == "unknown_feature"


def put_on_team(account_id: str) -> None:
    actor = Actor(ActorType.ADMIN, "a1")
    ledger().execute(
        SetQuota(account_id=account_id, entry_id="quota-1", actor=actor, plan_id="team"),
    )


def test_a_new_plan_can_be_used_at_once(table: Table) -> None:
    send("account/me")
    early = Ledger(table, utc_now)
    assert set(early.catalog().plans) == {"free", "pro", "unlimited"}
    send(CREATE)
    put_on_team(USER)  # by a process that read the catalog before
    assert early.entitled(early.account(USER)).plan.plan_id == "team"


def test_an_inactive_plan_keeps_its_accounts_and_accepts_no_others(table: Table) -> None:
    send("account/me")
    send(CREATE)
    put_on_team(USER)
    send(DEACTIVATE)
    ledger.cache_clear()
    assert send("account/me").body["plan_id"] == "team"
    ledger().execute(opening("other"))
    with pytest.raises(UnknownPlanError):
        put_on_team("other")


def test_every_edit_writes_one_audit_record_with_both_values(table: Table) -> None:
    send(CREATE)
    send(CHANGE)
    send(DEACTIVATE, version='"2"', query={"reason": "no one wanted it"})
    send("catalog/change_feature")
    send(CHANGE)  # refused: it is stale
    created, changed, gone, dearer = audit_records(table)
    fields = {name: value for name, value in TEAM.items() if name != "plan_id"}
    assert created["action"] == "plan.create"
    assert (created["before"], created["after"]) == ({}, {"plan_id": "team", **fields})
    assert created["actor"] == {"type": "admin", "id": "0b2e7a54-61c5-4f0c-9a3e-7d5c4b3a2f10"}
    assert abs(created["recorded_at"] - utc_now().timestamp() * 1000) < 60_000
    assert (changed["action"], changed["reason"]) == ("plan.change", "more for the same price")
    assert changed["before"] == created["after"]
    assert changed["after"]["monthly_credits"] == 6_000
    assert (gone["action"], gone["reason"]) == ("plan.deactivate", "no one wanted it")
    assert (gone["before"]["active"], gone["after"]["active"]) == (True, False)
    assert (dearer["action"], dearer["before"]["cost"]) == ("feature.change", 5)
    assert dearer["after"]["cost"] == 7


def test_reading_the_catalog_does_not_read_its_audit_records(table: Table) -> None:
    read: list[int] = []
    table.client.meta.events.register(
        "after-call.dynamodb.Query",
        count := lambda parsed, **_: read.append(parsed["ScannedCount"]),
    )
    try:
        send(CREATE)
        send(CHANGE)
        read.clear()
        assert len(read_catalog(table).plans) == 4
    finally:
        table.client.meta.events.unregister("after-call.dynamodb.Query", count)
    items = 4 + len(DEFAULT_CATALOG.features)
    assert read == [items]
    assert len(stored(table)) == items + 2


def test_an_id_is_created_once(table: Table) -> None:
    send(CREATE)
    before = stored(table)
    again = send(CREATE)
    assert (again.status, again.body["code"]) == (409, "already_exists")
    chat = send("catalog/create_feature", body={**FEATURE, "feature_id": "chat"})
    assert (chat.status, chat.body["code"]) == (409, "already_exists")
    assert stored(table) == before


def test_an_edit_of_a_stale_version_is_refused_with_the_current_one(table: Table) -> None:
    send(CREATE)
    send(CHANGE)
    before = stored(table)
    for answer in (send(CHANGE), send(DEACTIVATE)):  # the retry of what succeeded, too
        assert (answer.status, answer.body["code"]) == (412, "stale_version")
        assert answer.body["version"] == 2
    assert send("catalog/change_feature", version='"2"').body["version"] == 1
    assert stored(table) == before


def test_of_two_edits_of_the_same_version_only_the_first_takes_effect(table: Table) -> None:
    one, other = editor(table), editor(table)
    chat = one.feature("chat")
    commit_edit(table, one.change(chat, replace(chat, cost=6), seen=1))
    with pytest.raises(StaleVersionError) as stale:
        commit_edit(table, other.change(chat, replace(chat, cost=9), seen=1))
    assert stale.value.version == 2
    commit_edit(table, one.create(Feature(feature_id="new", name="One", cost=1)))
    with pytest.raises(AlreadyExistsError):
        commit_edit(table, other.create(Feature(feature_id="new", name="Other", cost=2)))
    features = read_catalog(table).features
    assert (features["chat"].cost, features["new"].cost) == (6, 1)
    assert len(audit_records(table)) == 2


@pytest.mark.parametrize("error", [CONFLICT, THROTTLED])
def test_an_edit_while_the_table_is_busy_gets_503_and_writes_nothing(
    table: Table,
    error: dict[str, Any],
) -> None:
    before = stored(table)
    with instead_of(table, "TransactWriteItems", error, times=2):
        answer = send(CREATE)
    assert (answer.status, answer.body["code"]) == (503, BusyError.code)
    assert answer.headers["Retry-After"] == "1"
    assert stored(table) == before


@pytest.mark.parametrize("version", ["", "*", "one", '"1', '"1", "2"', 'W/"1"', "-1", '"1.0"'])
def test_a_version_that_is_not_a_number_is_refused(aws: Table, version: str) -> None:
    answer = send(CHANGE, version=version)
    assert (answer.status, answer.body["code"]) == (422, "invalid")


def test_an_edit_without_a_version_is_refused(aws: Table) -> None:
    for name in ("change_plan", "deactivate_plan", "change_feature", "deactivate_feature"):
        sent = event(f"catalog/{name}")
        del sent["headers"]["if-match"]
        assert invoke("catalog", sent)["statusCode"] == 422


def test_the_plan_of_new_accounts_cannot_be_deactivated(table: Table) -> None:
    refused = send("catalog/deactivate_default_plan")
    assert (refused.status, refused.body["code"]) == (409, "default_plan")
    sent = event("catalog/deactivate_default_plan")
    sent["requestContext"]["http"]["method"] = "PUT"
    sent["headers"]["content-type"] = "application/json"
    sent["body"] = '{"name": "Free", "monthly_credits": 100, "active": false}'
    assert invoke("catalog", sent)["statusCode"] == 409
    assert plan_of("free")["active"]


def test_a_providers_id_belongs_to_one_plan(table: Table) -> None:
    send(CREATE)
    other = {**PLAN, "plan_id": "other", "provider_ids": ["price_other", "prod_team"]}
    refused = send(CREATE, body=other)
    assert (refused.status, refused.body["code"]) == (409, "provider_id_taken")
    assert (refused.body["provider_id"], refused.body["plan_id"]) == ("prod_team", "team")
    assert send(CHANGE).status == 200


def test_a_plan_is_found_by_its_id_at_a_provider(table: Table) -> None:
    assert send("catalog/plan_by_provider_id").body == {"plans": []}
    send(CREATE)
    assert send("catalog/plan_by_provider_id").body == {"plans": [TEAM]}
    send(DEACTIVATE)
    [retired] = send("catalog/plan_by_provider_id").body["plans"]
    assert not retired["active"]


def test_an_unknown_plan_or_feature_cannot_be_edited(table: Table) -> None:
    for name in (CHANGE, DEACTIVATE):
        answer = send(name)
        assert (answer.status, answer.body["code"]) == (404, "plan_not_found")
        assert answer.body["plan_id"] == "team"
    table.client.delete_item(
        TableName=table.name,
        Key={"pk": {"S": "CATALOG"}, "sk": {"S": "FEATURE#chat"}},
    )
    for name in ("catalog/change_feature", "catalog/deactivate_feature"):
        answer = send(name)
        assert (answer.status, answer.body["code"]) == (404, "feature_not_found")
    assert not audit_records(table)


NEW_PLAN = {**PLAN, "plan_id": "new"}
NEW_FEATURE = {**FEATURE, "feature_id": "new"}
BAD_PLANS: list[dict[str, Any]] = [
    PLAN,
    {"plan_id": "new", "name": "New"},
    {**NEW_PLAN, "plan_id": "a b"},
    {**NEW_PLAN, "plan_id": ""},
    {**NEW_PLAN, "plan_id": "x" * 129},
    {**NEW_PLAN, "plan_id": "new\n"},
    {**NEW_PLAN, "name": ""},
    {**NEW_PLAN, "name": "x" * 129},
    {**NEW_PLAN, "name": "\ud800"},
    {**NEW_PLAN, "monthly_credits": -1},
    {**NEW_PLAN, "monthly_credits": 10**12 + 1},
    {**NEW_PLAN, "monthly_credits": 100.0},
    {**NEW_PLAN, "monthly_credits": "100"},
    {**NEW_PLAN, "monthly_credits": True},
    {**NEW_PLAN, "unlimited": 1},
    {**NEW_PLAN, "active": None},
    {**NEW_PLAN, "rollover": {"max": 100}},
    {**NEW_PLAN, "rollover": {"max": -1, "periods": 1}},
    {**NEW_PLAN, "rollover": {"max": 100, "periods": 0}},
    {**NEW_PLAN, "rollover": {"max": 100, "periods": 13}},
    {**NEW_PLAN, "rollover": {"max": 100, "periods": 1, "min": 0}},
    {**NEW_PLAN, "overdraft_limit": -1},
    {**NEW_PLAN, "limits": {"storage_bytes": -1}},
    {**NEW_PLAN, "limits": {"storage_bytes": 1.5}},
    {**NEW_PLAN, "limits": {"": 1}},
    {**NEW_PLAN, "limits": {"\ud800": 1}},
    {**NEW_PLAN, "limits": {"storage\nbytes": 1}},
    {**NEW_PLAN, "limits": {"storage\x9f": 1}},
    {**NEW_PLAN, "limits": {f"limit-{n}": n for n in range(51)}},
    {**NEW_PLAN, "provider_ids": [""]},
    {**NEW_PLAN, "provider_ids": ["price_1", "price_1"]},
    {**NEW_PLAN, "provider_ids": "price_1"},
    {**NEW_PLAN, "provider_ids": [f"price_{n}" for n in range(51)]},
    {**NEW_PLAN, "version": 5},
    {**NEW_PLAN, "montly_credits": 5},
]
BAD_FEATURES: list[dict[str, Any]] = [
    FEATURE,
    {"feature_id": "new", "name": "New"},
    {**NEW_FEATURE, "feature_id": "a#b"},
    {**NEW_FEATURE, "cost": 0},
    {**NEW_FEATURE, "cost": 10**12 + 1},
    {**NEW_FEATURE, "cost": 0.5},
    {**NEW_FEATURE, "per": 0},
    {**NEW_FEATURE, "per": 10**12 + 1},
    {**NEW_FEATURE, "unit": ""},
    {**NEW_FEATURE, "cots": 5},
]


def test_invalid_plans_and_features_are_refused_and_change_nothing(
    table: Table, subtests: pytest.Subtests
) -> None:
    before = stored(table)
    bad = {"catalog/create_plan": BAD_PLANS, "catalog/create_feature": BAD_FEATURES}
    for name, bodies in bad.items():
        for body in bodies:
            with subtests.test(body=str(body)[:80]):
                answer = send(name, body=body)
                assert (answer.status, answer.body["code"]) == (422, "invalid"), answer.body
    assert stored(table) == before


def test_values_at_their_bounds_are_stored_unchanged(table: Table) -> None:
    plan = {
        "plan_id": "x" * 128,
        "name": "ü" * 128,
        "monthly_credits": 10**12,
        "unlimited": True,
        "rollover": {"max": 0, "periods": 12},
        "overdraft_limit": 10**12,
        "limits": {f"limit-{n}": 10**12 * (n % 2) for n in range(50)},
        "provider_ids": [f"price_{n}" for n in range(50)],
        "active": False,
    }
    feature = {**NEW_FEATURE, "cost": 10**12, "per": 10**12, "unit": "token", "active": False}
    feature["meters"] = {}
    assert send(CREATE, body=plan).body == {**plan, "version": 1}
    assert plan_of("x" * 128) == {**plan, "version": 1}
    assert send("catalog/create_feature", body=feature).body == {**feature, "version": 1}


def test_only_admins_use_the_admin_routes_of_the_catalog(aws: Table) -> None:
    names = {path.stem for path in (EVENTS / "catalog").iterdir()} - {"public"}
    for name in names:
        sent = event(f"catalog/{name}")
        for claims in ({}, {"cognito:groups": "[not-admin]"}, {"scope": "scrip/service"}):
            sent["requestContext"]["authorizer"]["jwt"]["claims"] = {"sub": "user-1", **claims}
            assert invoke("catalog", sent)["statusCode"] == 403, (name, claims)
