"""The caller of a request: a user, a service or an admin, from the claims of a verified token.

API Gateway's JWT authorizer has checked the token. It passes every claim on as a string, a list as
`[a b]`, so a name with a space in it reads as two. Groups are therefore trusted only from the
stack's own user pool, whose group names have no spaces; and only from the console's client, because
the pages of the app can use any token that the app has, an admin's too.

A request to a function URL has no token. Lambda has checked its signature, and names the caller's
role or user in AWS, which counts as a service.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_lambda_powertools.event_handler import Request

from scrip.domain.entries import Actor, ActorType
from scrip.domain.errors import UnusableAccountIdError
from scrip.http.problems import ForbiddenError
from scrip.settings import settings

ADMIN_GROUP = "admin"
ADMIN_SCOPE = "scrip/admin"
SERVICE_SCOPE = "scrip/service"

OWN_ID_CHARACTERS_MAX = 500
"""No account has a longer ID, not even those older than the rule for IDs."""

ID_TOKEN = "id"  # noqa: S105 - a word, no secret
"""Cognito's name for a token that identifies a user to an app; it authorizes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who makes a request, and the account that it is about; `is_owner` if that is their own.

    `pool_username` is their username in the stack's own user pool; None with another issuer.
    `email` is their verified email address, if the token has it.
    """

    actor: Actor
    account_id: str
    is_owner: bool
    pool_username: str | None = None
    email: str | None = None


def any_caller(request: Request) -> Caller:
    """Return the caller of an operation that users may call for their own account.

    Raises:
        ForbiddenError: the account is another user's, or the token identifies no caller.
    """
    return _caller(request, ActorType.USER, ActorType.SERVICE, ActorType.ADMIN)


def service_caller(request: Request) -> Caller:
    """Return the caller of an operation that services may call for any account.

    Raises:
        ForbiddenError: the caller is a user.
    """
    return _caller(request, ActorType.SERVICE, ActorType.ADMIN)


def admin_caller(request: Request) -> Caller:
    """Return the caller of an operation on an account that only admins may call.

    Raises:
        ForbiddenError: the caller is a user or a service.
    """
    return _caller(request, ActorType.ADMIN)


def admin_actor(request: Request) -> Actor:
    """Return the caller of an operation that only admins may call and that is about no account.

    Raises:
        ForbiddenError: the caller is a user or a service.
    """
    actor = _actor(_claims(request))
    if actor.type is not ActorType.ADMIN:
        raise ForbiddenError
    return actor


def _caller(request: Request, *allowed: ActorType) -> Caller:
    claims = _claims(request)
    actor = _actor(claims)
    if actor.type not in allowed:
        raise ForbiddenError
    own = None if _is_machine(claims) else claims["sub"]
    account_id = request.path_parameters["account_id"]
    if account_id == "me":
        if own is None:
            raise ForbiddenError
        account_id = own
    elif actor.type is ActorType.USER and account_id != own:
        # The same for every account that is not the user's own, so no user learns which exist.
        raise ForbiddenError
    is_key = account_id.isprintable() and len(account_id) <= OWN_ID_CHARACTERS_MAX
    if account_id == own and not is_key:
        raise UnusableAccountIdError  # no table has such a key; others are refused when they open
    return Caller(
        actor=actor,
        account_id=account_id,
        is_owner=account_id == own,
        pool_username=_pool_username(claims),
        email=claims.get("email") if claims.get("email_verified") == "true" else None,
    )


def _claims(request: Request) -> Mapping[str, str]:
    authorizer = request.resolved_event["requestContext"]["authorizer"]
    if iam := authorizer.get("iam"):
        return iam_claims(iam["userArn"])
    claims: Mapping[str, str] = authorizer["jwt"]["claims"]
    return claims


def iam_claims(user_arn: str) -> Mapping[str, str]:
    """Return the claims that a service's token would have for a caller under IAM.

    A role is one caller. The name of its session is left out: who assumes the role chooses it.

    Raises:
        ForbiddenError: there is no ARN, so Lambda has checked no signature.
    """
    if not user_arn.startswith("arn:"):
        raise ForbiddenError
    is_session = user_arn.split(":", 5)[-1].startswith("assumed-role/")
    caller = user_arn.rpartition("/")[0] if is_session else user_arn
    return {"sub": caller, "client_id": caller, "scope": SERVICE_SCOPE}


def actor_of(claims: Mapping[str, str], *, pool_issuer: str, console_client_id: str) -> Actor:
    """Return the caller that a token's claims identify.

    Raises:
        ForbiddenError: they identify no caller, a machine without a scope, or are an ID token's.
    """
    if "sub" not in claims or claims.get("token_use") == ID_TOKEN:
        raise ForbiddenError
    scopes = claims.get("scope", "").split(" ")
    is_from_console = (claims.get("iss"), claims.get("client_id")) == (
        pool_issuer,
        console_client_id,
    )
    if ADMIN_SCOPE in scopes or (is_from_console and ADMIN_GROUP in _groups(claims)):
        return Actor(ActorType.ADMIN, claims["sub"])
    if SERVICE_SCOPE in scopes:
        return Actor(ActorType.SERVICE, claims["sub"])
    if _is_machine(claims):
        raise ForbiddenError
    return Actor(ActorType.USER, claims["sub"])


def _actor(claims: Mapping[str, str]) -> Actor:
    return actor_of(
        claims,
        pool_issuer=settings().pool_issuer,
        console_client_id=settings().console_client_id,
    )


def _groups(claims: Mapping[str, str]) -> list[str]:
    """Return the groups in a token from the stack's own pool; none if the claim is no list."""
    groups = claims.get("cognito:groups", "")
    return groups[1:-1].split(" ") if groups.startswith("[") and groups.endswith("]") else []


def _pool_username(claims: Mapping[str, str]) -> str | None:
    pool_id = settings().user_pool_id
    is_own = bool(pool_id) and claims.get("iss", "").endswith(f"/{pool_id}")
    return claims.get("username", claims["sub"]) if is_own else None


def _is_machine(claims: Mapping[str, str]) -> bool:
    """Whether a token was issued to a client for itself, not for a person who uses it."""
    return claims["sub"] == claims.get("client_id")
