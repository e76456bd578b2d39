"""docs/how-to/own-oidc-provider.md: the permissions of the claims that it shows."""

import json
from typing import Any

from scrip.store.client import Table
from tests.documentation import examples
from tests.functional.conftest import event, invoke

PAGE = "docs/how-to/own-oidc-provider.md"


def test_the_documented_claims_make_a_user_a_service_and_an_admin(table: Table) -> None:
    shown = [json.loads(text) for text in examples(PAGE, "json")]
    user, service, admin = (claims for claims in shown if "sub" in claims)
    for claims, another_account, all_plans in (
        (user, 403, 403),
        (service, 404, 403),
        (admin, 404, 200),
    ):
        assert call("account/other", claims)["statusCode"] == another_account, claims
        assert call("catalog/list_plans", claims)["statusCode"] == all_plans, claims


def test_the_first_call_with_the_documented_claims_opens_an_account(table: Table) -> None:
    user = json.loads(examples(PAGE, "json")[0])
    answer = call("account/me", user)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["account_id"] == user["sub"]


def call(name: str, claims: dict[str, Any]) -> dict[str, Any]:
    """Call with a token's claims as API Gateway passes them: a list as `[a b]`."""
    sent = event(name)
    sent["requestContext"]["authorizer"]["jwt"]["claims"] = {
        claim: f"[{' '.join(value)}]" if isinstance(value, list) else value
        for claim, value in claims.items()
    }
    answer: dict[str, Any] = invoke(name.split("/", maxsplit=1)[0], sent)
    return answer
