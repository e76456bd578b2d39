"""The stack's user pool in Cognito: who has signed up, and where users can sign in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from scrip.aws import client
from scrip.domain.errors import BusyError, InvalidCursorError, ProviderBusyError
from scrip.settings import settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from types_boto3_cognito_idp import CognitoIdentityProviderClient
    from types_boto3_cognito_idp.type_defs import AttributeTypeTypeDef, UserTypeTypeDef

PAGE = 60
"""How many users Cognito returns at once at most."""

SIGNED_IN_HOURS_MAX = 12
"""How long an admin stays signed in to the console at most."""

UNREADABLE = frozenset({"InvalidParameterException", "InvalidPaginationTokenException"})
"""The error codes with which Cognito refuses a token that is older than an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUser:
    """A user. `email` is an address that Cognito has verified.

    Only users who signed up themselves can be unconfirmed, and anyone can create any number of
    those. Users who were added by an admin or another provider count as confirmed, even if they
    have not finished signing in.
    """

    account_id: str
    email: str | None
    is_confirmed: bool
    name: str | None = None


def user_of(user: UserTypeTypeDef) -> PoolUser:
    """Return a user from a result of Cognito's ListUsers."""
    return _user(user["Attributes"], user["UserStatus"])


def _user(items: Sequence[AttributeTypeTypeDef], status: str) -> PoolUser:
    attributes = {item["Name"]: item.get("Value", "") for item in items}
    is_verified = attributes.get("email_verified") == "true"
    return PoolUser(
        account_id=attributes["sub"],
        email=attributes.get("email") if is_verified else None,
        is_confirmed=status != "UNCONFIRMED",
        name=name_in(attributes),
    )


def name_in(attributes: Mapping[str, str]) -> str | None:
    """Return the name of a user whose attributes have one."""
    parts = [attributes.get(part, "") for part in ("given_name", "family_name")]
    return attributes.get("name") or " ".join(parts).strip() or None


@dataclass(frozen=True)
class UserPool:
    """A user pool: its client and its ID."""

    client: CognitoIdentityProviderClient
    pool_id: str

    def page(self, token: str | None) -> tuple[list[PoolUser], str | None]:
        """Return a page of users and the token of the next page, None at the end.

        Raises:
            InvalidCursorError: Cognito no longer accepts the token.
            ProviderBusyError: Cognito did not answer.
        """
        asked: dict[str, Any] = {"UserPoolId": self.pool_id, "Limit": PAGE}
        if token is not None:
            asked["PaginationToken"] = token
        try:
            answer = self.client.list_users(**asked)
        except ClientError as exc:
            if token is not None and exc.response["Error"]["Code"] in UNREADABLE:
                raise InvalidCursorError from exc
            raise ProviderBusyError from exc
        except BotoCoreError as exc:
            raise ProviderBusyError from exc
        return [user_of(user) for user in answer["Users"]], answer.get("PaginationToken")

    def user(self, username: str) -> PoolUser | None:
        """Return a user; None if the user no longer exists.

        Raises:
            BusyError: Cognito did not answer.
        """
        try:
            user = self.client.admin_get_user(UserPoolId=self.pool_id, Username=username)
        except self.client.exceptions.UserNotFoundException:
            return None
        except (ClientError, BotoCoreError) as exc:
            raise BusyError from exc
        return _user(user["UserAttributes"], user["UserStatus"])

    def let_sign_in(self, client_id: str, urls: Sequence[str]) -> None:
        """Let users sign in with a public client at these addresses: the code flow, with PKCE.

        Administrators of the pool can also get a user's token with the user's password, for the
        command line. Settings that are not named here fall back to Cognito's defaults. The client
        has no scopes of Scrip, because Cognito grants a client's scopes to everyone who signs in.
        Group membership decides who is an admin.
        """
        self.client.update_user_pool_client(
            UserPoolId=self.pool_id,
            ClientId=client_id,
            ClientName="console",
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthFlows=["code"],
            AllowedOAuthScopes=["openid", "email"],
            CallbackURLs=urls,
            LogoutURLs=urls,
            SupportedIdentityProviders=["COGNITO"],
            ExplicitAuthFlows=["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_ADMIN_USER_PASSWORD_AUTH"],
            PreventUserExistenceErrors="ENABLED",
            RefreshTokenValidity=SIGNED_IN_HOURS_MAX,
            TokenValidityUnits={"RefreshToken": "hours"},
        )


@cache
def open_user_pool(pool_id: str) -> UserPool:
    """Return a user pool."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 3},
        connect_timeout=1,
        read_timeout=3,
    )
    return UserPool(client("cognito-idp", config), pool_id)


def user_pool() -> UserPool:
    """Return the user pool of this process's stack."""
    return open_user_pool(settings().user_pool_id)
