"""Who is calling: a user, a service or an admin, told by the claims of a verified token.

API Gateway's JWT authorizer has checked the token. It hands every claim over as a string, a list
as `[a b]`: a list of names with spaces in them reads as another list. So groups are believed only
of the stack's own user pool, whose groups have no spaces in their names; and only from the
console's client, because an admin's token in the app is in the hands of the app's pages.
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
"""More than any account has that is older than the rule for ids."""

ID_TOKEN = "id"  # noqa: S105 - a word, no secret
"""What Cognito calls a token that tells an app who has signed in; it is no key to anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who makes a request, and about which account. `is_owner`: it is the caller's own.

    `pool_username` is what the stack's own user pool calls them; None for a caller of another
    issuer. `email` is their verified address, where the token has it.
    """

    actor: Actor
    account_id: str
    is_owner: bool
    pool_username: str | None = None
    email: str | None = None


def any_caller(request: Request) -> Caller:
    """Return the caller of what a user may do with their own account.

    Raises:
        ForbiddenError: the account is somebody else's, or the token is nobody's.
    """
    return _caller(request, ActorType.USER, ActorType.SERVICE, ActorType.ADMIN)


def service_caller(request: Request) -> Caller:
    """Return the caller of what a service may do with any account.

    Raises:
        ForbiddenError: a user asks.
    """
    return _caller(request, ActorType.SERVICE, ActorType.ADMIN)


def admin_caller(request: Request) -> Caller:
    """Return the caller of what only an admin may do.

    Raises:
        ForbiddenError: a user or a service asks.
    """
    return _caller(request, ActorType.ADMIN)


def admin_actor(request: Request) -> Actor:
    """Return who asks for what only an admin may do and what is about no account.

    Raises:
        ForbiddenError: a user or a service asks.
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
    named = request.path_parameters["account_id"]
    if named == "me":
        if own is None:
            raise ForbiddenError
        named = own
    elif actor.type is ActorType.USER and named != own:
        # The same for every account that is not the user's own, so nobody learns which exist.
        raise ForbiddenError
    if named == own and not (named.isprintable() and len(named) <= OWN_ID_CHARACTERS_MAX):
        raise UnusableAccountIdError  # no table has such a key; others are refused when they open
    return Caller(
        actor=actor,
        account_id=named,
        is_owner=named == own,
        pool_username=_pool_username(claims),
        email=claims.get("email") if claims.get("email_verified") == "true" else None,
    )


def _claims(request: Request) -> Mapping[str, str]:
    claims: Mapping[str, str]
    claims = request.resolved_event["requestContext"]["authorizer"]["jwt"]["claims"]
    return claims


def actor_of(claims: Mapping[str, str], *, pool_issuer: str, console_client_id: str) -> Actor:
    """Return who a token's claims say is calling.

    Raises:
        ForbiddenError: it is nobody's token, a machine's without a scope, or an id token.
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
    """Return the groups of a token of the stack's own pool; what is no list names none."""
    told = claims.get("cognito:groups", "")
    return told[1:-1].split(" ") if told.startswith("[") and told.endswith("]") else []


def _pool_username(claims: Mapping[str, str]) -> str | None:
    pool_id = settings().user_pool_id
    is_own = bool(pool_id) and claims.get("iss", "").endswith(f"/{pool_id}")
    return claims.get("username", claims["sub"]) if is_own else None


def _is_machine(claims: Mapping[str, str]) -> bool:
    """Whether a token was issued to a client by itself, not to a person through one."""
    return claims["sub"] == claims.get("client_id")
