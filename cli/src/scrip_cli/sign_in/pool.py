"""The stack's user pool, as an operator uses it: makes admins, and signs people and programs in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import httpx

from scrip.http.principals import ADMIN_GROUP, SERVICE_SCOPE
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.session import Session
from scrip_cli.typed import typed_secret

NEW_PASSWORD = "FORCE_CHANGE_PASSWORD"  # noqa: S105 - Cognito's name for a status
CODE = "SOFTWARE_TOKEN_MFA"


class UserPool:
    """The user pool of a stack. Every method raises CommandError if Cognito refuses."""

    def __init__(self, session: Session) -> None:
        """Find the pool. Raises CommandError if the stack takes tokens of another issuer."""
        if issuer := session.parameters().get("JwtIssuer"):
            raise CommandError(
                f"The stack {session.name} takes tokens of {issuer}, not of its own user pool.",
                "Get tokens and make admins there: docs/how-to/own-oidc-provider.md",
            )
        self.session = session
        self.outputs = session.outputs()
        self.cognito = session.client("cognito-idp")

    def has_password(self, email: str) -> bool:
        """Return whether a user exists and has a password of their own."""
        try:
            user = self.cognito.admin_get_user(**self._user(email))
        except self.cognito.exceptions.UserNotFoundException:
            return False
        return bool(user["UserStatus"] != NEW_PASSWORD)

    def set_password(self, email: str, password: str) -> None:
        """Set the password of a user, who is created if there is none. No email is sent."""
        user = self._user(email)
        attributes = {"email": email, "email_verified": "true"}
        with self._plain_refusals():
            # An earlier run may have been interrupted, or its password refused.
            with suppress(self.cognito.exceptions.UsernameExistsException):
                self.cognito.admin_create_user(
                    **user,
                    MessageAction="SUPPRESS",
                    UserAttributes=[
                        {"Name": name, "Value": value} for name, value in attributes.items()
                    ],
                )
            self.cognito.admin_set_user_password(**user, Password=password, Permanent=True)

    def make_admin(self, email: str) -> None:
        """Add a user to the group of admins."""
        self.cognito.admin_add_user_to_group(**self._user(email), GroupName=ADMIN_GROUP)

    def user_token(self, email: str, password: str) -> str:
        """Sign a user in to your app."""
        client = {"ClientId": self.outputs["ClientId"]}
        with self._plain_refusals():
            answer = self.cognito.initiate_auth(
                **client,
                AuthFlow="USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": email, "PASSWORD": password},
            )
            respond = partial(self.cognito.respond_to_auth_challenge, **client)
            return _access_token(answer, email, respond)

    def admin_token(self, email: str, password: str) -> str:
        """Sign a user in to the console: only there is an admin one."""
        client = {
            "UserPoolId": self.outputs["UserPoolId"],
            "ClientId": self.outputs["ConsoleClientId"],
        }
        with self._plain_refusals():
            answer = self.cognito.admin_initiate_auth(
                **client,
                AuthFlow="ADMIN_USER_PASSWORD_AUTH",
                AuthParameters={"USERNAME": email, "PASSWORD": password},
            )
            respond = partial(self.cognito.admin_respond_to_auth_challenge, **client)
            return _access_token(answer, email, respond)

    def service_token(self) -> str:
        """Get a token for back ends, with the secret of the stack's client for them."""
        if "ServiceClientId" not in self.outputs:
            raise CommandError(
                f"The stack {self.session.name} has no client for back ends.",
                "Deploy it with ServiceTokens=yes, or call under IAM: "
                "docs/how-to/call-under-iam.md",
            )
        client = self.cognito.describe_user_pool_client(
            UserPoolId=self.outputs["UserPoolId"], ClientId=self.outputs["ServiceClientId"]
        )["UserPoolClient"]
        return service_token(self.session.token_url(), client)

    def _user(self, email: str) -> dict[str, str]:
        return {"UserPoolId": self.outputs["UserPoolId"], "Username": email}

    @contextmanager
    def _plain_refusals(self) -> Iterator[None]:
        exceptions = self.cognito.exceptions
        try:
            yield
        except exceptions.InvalidPasswordException as exc:
            raise _refused(exc, "Choose another password.") from exc
        except (
            exceptions.NotAuthorizedException,
            exceptions.UserNotFoundException,
            exceptions.CodeMismatchException,
        ) as exc:
            raise _refused(
                exc, "Try again. `scrip admin create` makes an admin; users sign up in your app."
            ) from exc


def service_token(token_url: str, client: dict[str, Any]) -> str:
    """Return a token for a client of the user pool, as Cognito describes it, with its secret.

    Raises CommandError if Cognito returns none.
    """
    # The person's proxy is not for what runs on this machine.
    proxied = httpx.URL(token_url).host != "127.0.0.1"
    with httpx.Client(trust_env=proxied) as http:
        answer = http.post(
            token_url,
            auth=(client["ClientId"], client["ClientSecret"]),
            data={"grant_type": "client_credentials", "scope": SERVICE_SCOPE},
        )
    if not answer.is_success:
        raise CommandError(
            "Cognito returned no token for the service client.",
            f"Check in template.yaml that ServiceClient may request the scope {SERVICE_SCOPE}.",
            output=answer.text,
        )
    return str(answer.json()["access_token"])


def _access_token(answer: Any, email: str, respond: Callable[..., Any]) -> str:
    """Return the access token of an answer to a sign-in, after the code that it may ask for."""
    if answer.get("ChallengeName") == CODE:
        code = typed_secret("Code of the authenticator app")
        answer = respond(
            ChallengeName=CODE,
            Session=answer["Session"],
            ChallengeResponses={"USERNAME": email, f"{CODE}_CODE": code},
        )
    if challenge := answer.get("ChallengeName"):
        raise CommandError(
            f"Cognito asks {email} for more than a password: {challenge}.",
            "Sign in at the console once, which sets it up.",
            exit_code=ExitCode.REFUSED,
        )
    return str(answer["AuthenticationResult"]["AccessToken"])


def _refused(error: Any, remedy: str) -> CommandError:
    message = error.response["Error"]["Message"].rstrip(".")
    return CommandError(f"Cognito refused: {message}.", remedy, exit_code=ExitCode.REFUSED)
