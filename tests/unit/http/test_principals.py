"""The actor that a token's claims describe."""

import pytest

from scrip.domain.entries import ActorType
from scrip.http.principals import actor_of, iam_claims
from scrip.http.problems import ForbiddenError

POOL = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE01"
OTHER = "https://issuer.example/"
CONSOLE, APP = "console-client", "app-client"

USER, SERVICE, ADMIN = ActorType.USER, ActorType.SERVICE, ActorType.ADMIN

ANN = {"sub": "ann", "iss": POOL, "client_id": CONSOLE, "token_use": "access"}
"""A user who has signed in to the console."""

MACHINE = {"sub": "machine", "iss": POOL, "client_id": "machine", "token_use": "access"}

KINDS: dict[str, tuple[dict[str, str], ActorType | None]] = {
    "no subject": ({"iss": POOL}, None),
    "an id token": (ANN | {"token_use": "id", "cognito:groups": "[admin]"}, None),
    "a user of the app": (ANN | {"client_id": APP}, USER),
    "a user in the console": (ANN, USER),
    "a user of another issuer": ({"sub": "auth0|1", "iss": OTHER}, USER),
    # Groups count only from the stack's own pool and the console's client.
    "a group": (ANN | {"cognito:groups": "[admin]"}, ADMIN),
    "a group among others": (ANN | {"cognito:groups": "[support admin eu]"}, ADMIN),
    "an admin in the app": (ANN | {"client_id": APP, "cognito:groups": "[admin]"}, USER),
    "an admin without a client": (
        {"sub": "ann", "iss": POOL, "aud": CONSOLE, "cognito:groups": "[admin]"},
        USER,
    ),
    "a group of another issuer": (ANN | {"iss": OTHER, "cognito:groups": "[admin]"}, USER),
    "a group of no issuer": (
        {"sub": "ann", "client_id": CONSOLE, "cognito:groups": "[admin]"},
        USER,
    ),
    "an issuer that begins like the pool's": (
        ANN | {"iss": f"{POOL}2", "cognito:groups": "[admin]"},
        USER,
    ),
    "one group named x admin y, elsewhere": (
        ANN | {"iss": OTHER, "cognito:groups": "[x admin y]"},
        USER,
    ),
    "a group named like a list": (ANN | {"cognito:groups": "[[admin]]"}, USER),
    "a group with a similar name": (ANN | {"cognito:groups": "[no-admin adminx]"}, USER),
    "a group in capitals": (ANN | {"cognito:groups": "[Admin]"}, USER),
    "no list of groups": (ANN | {"cognito:groups": "admin"}, USER),
    "half a list of groups": (ANN | {"cognito:groups": "[admin"}, USER),
    "no group at all": (ANN | {"cognito:groups": "[]"}, USER),
    "an empty text for groups": (ANN | {"cognito:groups": ""}, USER),
    "groups with another space between": (ANN | {"cognito:groups": "[x\u00a0admin]"}, USER),
    "groups with a line break between": (ANN | {"cognito:groups": "[x\nadmin\ty]"}, USER),
    # Scopes count from any issuer and client.
    "an admin's scope": (ANN | {"client_id": APP, "scope": "openid scrip/admin"}, ADMIN),
    "an admin's scope elsewhere": ({"sub": "u", "iss": OTHER, "scope": "scrip/admin"}, ADMIN),
    "a machine that is an admin": (MACHINE | {"scope": "scrip/admin"}, ADMIN),
    "both scopes": (MACHINE | {"scope": "scrip/service scrip/admin"}, ADMIN),
    "a service": (MACHINE | {"scope": "scrip/service"}, SERVICE),
    "a service elsewhere": ({"sub": "x@clients", "iss": OTHER, "scope": "scrip/service"}, SERVICE),
    "a scope like an admin's": (ANN | {"scope": "scrip/administer xscrip/admin"}, USER),
    "scopes with another space between": (ANN | {"scope": "x\u2003scrip/admin\u00a0y"}, USER),
    "scopes with a tab between": (ANN | {"scope": "x\tscrip/admin"}, USER),
    "scopes as a list": (ANN | {"scope": "[scrip/admin]"}, USER),
    "a machine without a scope": (MACHINE, None),
    "a machine in a group": (MACHINE | {"cognito:groups": "[admin]"}, None),
}


@pytest.mark.parametrize("case", KINDS)
def test_a_tokens_claims_decide_the_type_of_actor(case: str) -> None:
    claims, kind = KINDS[case]
    if kind is None:
        with pytest.raises(ForbiddenError):
            actor_of(claims, pool_issuer=POOL, console_client_id=CONSOLE)
    else:
        actor = actor_of(claims, pool_issuer=POOL, console_client_id=CONSOLE)
        assert (actor.type, actor.id) == (kind, claims["sub"])


@pytest.mark.parametrize("claims", [ANN, {"sub": "ann"}])
def test_without_a_pool_no_group_makes_an_admin(claims: dict[str, str]) -> None:
    with_group = claims | {"cognito:groups": "[admin]"}
    assert actor_of(with_group, pool_issuer="", console_client_id="").type is USER


@pytest.mark.parametrize(
    ("user_arn", "actor_id"),
    [
        # Who assumes a role names the session.
        (
            "arn:aws:sts::123456789012:assumed-role/backend/scrip@admin",
            "arn:aws:sts::123456789012:assumed-role/backend",
        ),
        (
            "arn:aws-cn:sts::123456789012:assumed-role/a.b=c/x",
            "arn:aws-cn:sts::123456789012:assumed-role/a.b=c",
        ),
        ("arn:aws:iam::123456789012:user/team/ci", "arn:aws:iam::123456789012:user/team/ci"),
        ("arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:root"),
        (
            "arn:aws:iam::123456789012:user/:assumed-role/x/ci",
            "arn:aws:iam::123456789012:user/:assumed-role/x/ci",
        ),
    ],
)
def test_a_caller_under_iam_is_a_service_with_the_arn_of_its_role_or_user(
    user_arn: str, actor_id: str
) -> None:
    actor = actor_of(iam_claims(user_arn), pool_issuer="", console_client_id="")
    assert (actor.type, actor.id) == (SERVICE, actor_id)


@pytest.mark.parametrize("user_arn", ["", "anonymous"])
def test_without_an_arn_there_is_no_caller_under_iam(user_arn: str) -> None:
    with pytest.raises(ForbiddenError):
        iam_claims(user_arn)
