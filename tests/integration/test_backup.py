"""A stack's whole table is lost and restored, with every idempotency key and credit."""

from __future__ import annotations

import json
from itertools import batched
from typing import TYPE_CHECKING, Any

from scrip_cli.exit_codes import ExitCode
from scrip_cli.local import demo
from tests.integration.conftest import items_of
from tests.integration.test_events import until
from tests.integration.test_operators import items_below, operator

if TYPE_CHECKING:
    from pathlib import Path

    from scrip_cli.local.stack import LocalStack
    from tests.integration.conftest import Api


def wipe(stack: LocalStack) -> None:
    """Delete everything except what every new stack has."""
    client, table = stack.client("dynamodb"), demo.details(stack).table_name
    keys = [
        {name: item[name] for name in ("pk", "sk")}
        for item in items_below(stack, "")
        if "#" in item["pk"]["S"]
    ]
    for some in batched(keys, 25, strict=False):
        deletes = [{"DeleteRequest": {"Key": key}} for key in some]
        assert not client.batch_write_item(RequestItems={table: deletes})["UnprocessedItems"]


def account_view(user: Api, admin: Api) -> dict[str, Any]:
    """Return everything that the API shows of a user's account."""
    return {
        **{path: user.get(f"/me{path}").json() for path in ("", "/entries", "/usage")},
        **{path: admin.get(f"/{user.account_id}{path}").json() for path in ("/quota", "/audit")},
        "refunded": user.get("/me/entries/user:image-1").json()["refunded"],
        "list": admin.http.get(
            "/v1/admin/accounts",
            params={"account_id": user.account_id},
            headers=admin.headers(),
        ).json(),
    }


def test_a_lost_table_is_restored_and_an_old_key_still_gets_its_old_response(
    stack: LocalStack,
    user: Api,
    service: Api,
    admin: Api,
    tmp_path: Path,
) -> None:
    image = {"feature": "image-generation"}
    first = user.post("/me/consume", image, key="image-1").json()
    part = {"entry_id": "user:image-1", "amount": 10, "reason": "the model failed"}
    assert service.post(f"/{user.account_id}/refunds", part, key="r1").is_success
    more = {"action": "add", "amount": 50, "reason": "sorry"}
    assert admin.post(f"/{user.account_id}/adjustments", more, key="a1").is_success
    payment = ["webhooks", "send", "stripe/checkout_payment"]
    bought = f"data.object.client_reference_id={user.account_id}"
    assert operator(stack, *payment, "--set", bought).exit_code == 0
    until(lambda: user.get("/me/usage").json()["usage"], bool)
    before = account_view(user, admin)

    folder = str(tmp_path / "backup")
    assert operator(stack, "backup", folder).exit_code == ExitCode.DONE
    assert operator(stack, "restore", folder).exit_code == ExitCode.FAILED, "the table is in use"
    wipe(stack)
    assert items_of(stack, user.account_id) == []
    restored = operator(stack, "restore", folder)
    assert restored.exit_code == ExitCode.DONE, restored.stderr

    assert account_view(user, admin) == before
    again = user.post("/me/consume", image, key="image-1")
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (first, "true")
    too_much = service.post(f"/{user.account_id}/refunds", {**part, "amount": 16}, key="r2")
    assert too_much.json()["code"] == "refund_too_large"
    assert operator(stack, *payment, "--set", bought).exit_code == 0
    assert account_view(user, admin) == before, (
        "a payment from before the backup adds nothing again"
    )
    audited = operator(stack, "audit", "--account", user.account_id, "--json")
    assert audited.exit_code == ExitCode.DONE, audited.stdout
    assert json.loads(audited.stdout)["findings"] == 0
