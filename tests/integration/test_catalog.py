"""Editing the catalog over HTTP: who may, and how soon an edit takes effect."""

import json
import time
from typing import Any

import httpx

from tests.integration.conftest import Api

SEEN_SECONDS = 35
"""The 30 for which a process caches the catalog, and some more for the request."""


def ask(
    caller: Api,
    method: str,
    path: str,
    body: Any = None,
    etag: str | None = None,
) -> httpx.Response:
    """Send a request that is not about an account."""
    headers = {"Authorization": f"Bearer {caller.token}"} if caller.token else {}
    if etag:
        headers["If-Match"] = etag
    if body is not None:
        headers["Content-Type"] = "application/json"
    content = None if body is None else json.dumps(body)
    return caller.http.request(method, path, content=content, headers=headers)


def test_a_new_price_takes_effect_within_30_seconds_and_old_entries_keep_theirs(
    user: Api,
    admin: Api,
) -> None:
    old = user.post("/me/consume", {"feature": "speech-to-text"}, key="old").json()["entry"]
    [feature] = [
        feature
        for feature in ask(admin, "GET", "/v1/admin/features").json()["features"]
        if feature["feature_id"] == "speech-to-text"
    ]
    assert (old["cost"], old["feature_version"]) == (feature["cost"], feature["version"])
    dearer = {"name": feature["name"], "cost": feature["cost"] + 1, "reason": "a new model"}
    path, etag = "/v1/admin/features/speech-to-text", f'"{feature["version"]}"'
    changed = ask(admin, "PUT", path, dearer, etag)
    assert changed.status_code == 200, changed.text
    assert changed.headers["ETag"] == f'"{feature["version"] + 1}"'
    assert ask(admin, "PUT", path, dearer, etag).status_code == 412

    deadline = time.monotonic() + SEEN_SECONDS
    while True:
        entry = user.post("/me/consume", {"feature": "speech-to-text"}).json()["entry"]
        if entry["feature_version"] == feature["version"] + 1:
            break
        assert entry["cost"] == feature["cost"]
        assert time.monotonic() < deadline, "the old price lasts too long"
        time.sleep(0.5)
    assert (entry["cost"], entry["amount"]) == (feature["cost"] + 1, -feature["cost"] - 1)
    assert user.get("/me/entries/user:old").json() == {**old, "refunded": 0}


def test_only_admins_create_and_close_plans_and_the_public_catalog_lists_open_ones(
    admin: Api,
    service: Api,
    user: Api,
) -> None:
    plan = {"plan_id": "short-lived", "name": "Short-lived", "monthly_credits": 7}
    anonymous = Api(admin.http, None)
    plans, one = "/v1/admin/plans", "/v1/admin/plans/short-lived"
    assert ask(anonymous, "POST", plans, plan).status_code == 401
    assert ask(user, "POST", plans, plan).status_code == 403
    assert ask(service, "DELETE", one, etag='"1"').status_code == 403
    created = ask(admin, "POST", plans, plan)
    assert created.status_code == 201, created.text
    assert created.json()["active"]
    assert ask(admin, "POST", plans, plan).status_code == 409
    closed = ask(admin, "DELETE", one, etag=created.headers["ETag"])
    assert (closed.status_code, closed.json()["active"]) == (200, False)
    assert closed.json() in ask(admin, "GET", plans).json()["plans"]
    shown = ask(anonymous, "GET", "/v1/catalog")
    assert shown.headers["Cache-Control"] == "public, max-age=30"
    plan_ids = [plan["plan_id"] for plan in shown.json()["plans"]]
    assert {"free", "pro", "unlimited"} <= set(plan_ids)
    assert (plan_ids, "short-lived" in plan_ids) == (sorted(plan_ids), False)
