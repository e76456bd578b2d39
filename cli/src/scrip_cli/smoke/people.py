"""Lets callers in: a user, an admin and a back end of the stack's user pool, and one under IAM.

A new user gets an email with a code. Their address is one of Amazon's mailbox simulator, where no
email bounces. Nobody reads the code: the operator confirms the sign-up, which calls the pool's
trigger just the same.
"""

import hmac
import secrets
import time
from base64 import b32decode
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from scrip.http.principals import ADMIN_GROUP
from scrip.store.keys import account_key
from scrip_cli.smoke.trial import REASON, Trial, UnprovenError, must
from scrip_client import ClientCredentials


def sign_up(trial: Trial) -> str:
    """A user signs up and signs in."""
    cognito, pool = _pool(trial)
    user, password = {"UserPoolId": pool, "Username": _email(trial, "user")}, _password()
    trial.undo(f"user {user['Username']}", lambda: _delete(cognito, user))
    signed_up = cognito.sign_up(
        ClientId=trial.outputs["ClientId"],
        Username=user["Username"],
        Password=password,
        UserAttributes=[{"Name": "email", "Value": user["Username"]}],
    )
    trial.undo_account(signed_up["UserSub"])
    verified = [{"Name": "email_verified", "Value": "true"}]
    cognito.admin_update_user_attributes(**user, UserAttributes=verified)
    cognito.admin_confirm_sign_up(**user)
    client = {"ClientId": trial.outputs["ClientId"]}
    answer = cognito.initiate_auth(
        **client,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": user["Username"], "PASSWORD": password},
    )
    respond = partial(cognito.respond_to_auth_challenge, **client)
    trial.made_user = trial.caller(token=access_token(cognito, answer, respond))
    trial.made_account = signed_up["UserSub"]
    return user["Username"]


def trigger(trial: Trial) -> str:
    """Cognito's trigger opened the account, before the user's first call could."""
    cognito, pool = _pool(trial)
    configured = cognito.describe_user_pool(UserPoolId=pool)["UserPool"].get("LambdaConfig", {})
    function = trial.outputs["SignupFunction"]
    must(
        configured.get("PostConfirmation") == function,
        f"The pool's trigger PostConfirmation is {configured.get('PostConfirmation')}.",
    )
    if trial.session.is_local:
        raise UnprovenError("It is configured, but the local Cognito does not call triggers.")
    item = trial.session.table().get(account_key(trial.account_id))
    must(item, "The trigger opened no account. See the log of SignupFunction.")
    return f"opened account {trial.account_id}"


def user_token(trial: Trial) -> str:
    """The user's token reads the user's account."""
    account = trial.user.scrip.balance("me")
    must(account.account_id == trial.account_id, f"It is the account {account.account_id}.")
    return f"plan {account.plan_id}, {account.balance} credits"


def service_token(trial: Trial) -> str:
    """A back end gets a token with its credentials, and reads the account with it."""
    if "ServiceClientId" not in trial.outputs:
        raise UnprovenError("The stack has no client for services.")
    cognito, pool = _pool(trial)
    client = cognito.describe_user_pool_client(
        UserPoolId=pool, ClientId=trial.outputs["ServiceClientId"]
    )["UserPoolClient"]
    credentials = ClientCredentials(
        token_url=trial.session.token_url(),
        client_id=client["ClientId"],
        client_secret=client["ClientSecret"],
    )
    service = trial.caller(credentials=credentials)
    service.scrip.balance(trial.account_id)
    trial.made_service = service
    return "client credentials"


def admin_token(trial: Trial) -> str:
    """A member of the admin group signs in to the console's client, and reads an admin's list."""
    cognito, pool = _pool(trial)
    user, password = {"UserPoolId": pool, "Username": _email(trial, "admin")}, _password()
    trial.undo(f"user {user['Username']}", lambda: _delete(cognito, user))
    attributes = {"email": user["Username"], "email_verified": "true"}
    cognito.admin_create_user(
        **user,
        MessageAction="SUPPRESS",
        UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
    )
    cognito.admin_set_user_password(**user, Password=password, Permanent=True)
    cognito.admin_add_user_to_group(**user, GroupName=ADMIN_GROUP)
    client = {"UserPoolId": pool, "ClientId": trial.outputs["ConsoleClientId"]}
    answer = cognito.admin_initiate_auth(
        **client,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": user["Username"], "PASSWORD": password},
    )
    respond = partial(cognito.admin_respond_to_auth_challenge, **client)
    admin = trial.caller(token=access_token(cognito, answer, respond))
    admin.ask("GET", "/v1/admin/plans")
    trial.made_admin = admin
    return user["Username"]


def under_iam(trial: Trial) -> str:
    """A request that the operator signed spends credits; one that nobody signed is refused.

    The account's ID is one as other issuers than Cognito have, which a path must encode. If no user
    has signed up, the checks that follow use this account.
    """
    urls = trial.resources.get("AWS::Lambda::Url")
    if not urls:
        raise UnprovenError("The stack has no function URLs: it was deployed with IamCallers=Off.")
    with trial.session.http() as http:
        for name in urls:
            # No function has this path. One that is called answers 404, so 403 is Lambda's answer.
            status = http.get(trial.outputs[name]).status_code
            must(status == HTTPStatus.FORBIDDEN, f"{name} answered {status} without a signature.")
    account_id, signer = f"scrip-smoke|{trial.run}", trial.signer()
    trial.open_account(account_id)
    actor = signer.scrip.consume(account_id, amount=1, reason=REASON).entry.actor
    must(actor.type == "service", f"The caller is the {actor.type} {actor.id}.")
    trial.made_signer = signer
    if trial.made_user is None:
        trial.made_account = account_id
    return f"as {actor.id}"


def access_token(cognito: Any, answer: Any, respond: Callable[..., Any]) -> str:
    """Return the access token of an answer to a sign-in.

    Where the pool wants one, the user gets an authenticator app, which `respond` says. Raises
    UnprovenError if Cognito asks for something else.
    """
    if answer.get("ChallengeName") == "MFA_SETUP":
        app = cognito.associate_software_token(Session=answer["Session"])
        verified = cognito.verify_software_token(
            Session=app["Session"], UserCode=one_time_password(app["SecretCode"], time.time())
        )
        answer = respond(
            ChallengeName="MFA_SETUP",
            Session=verified["Session"],
            ChallengeResponses={"USERNAME": answer["ChallengeParameters"]["USER_ID_FOR_SRP"]},
        )
    if "ChallengeName" in answer:
        raise UnprovenError(f"Cognito asks for more than a password: {answer['ChallengeName']}.")
    return str(answer["AuthenticationResult"]["AccessToken"])


def one_time_password(secret: str, at: float) -> str:
    """Return what an authenticator app shows at an epoch time in seconds (RFC 6238)."""
    key = b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
    digest = hmac.digest(key, int(at // 30).to_bytes(8), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFF_FFFF
    return f"{number % 10**6:06}"


def _pool(trial: Trial) -> tuple[Any, str]:
    """Return a client of Cognito and the ID of the stack's pool."""
    if trial.session.parameters().get("JwtIssuer"):
        raise UnprovenError(
            "Tokens come from your own issuer, where this command can sign up no one."
        )
    return trial.client("cognito-idp"), trial.outputs["UserPoolId"]


def _email(trial: Trial, role: str) -> str:
    return f"success+scrip-smoke-{trial.run}-{role}@simulator.amazonses.com"


def _password() -> str:
    """Return a random password with every kind of letter that a pool may want."""
    return f"Aa1-{secrets.token_urlsafe(24)}"


def _delete(cognito: Any, user: dict[str, str]) -> None:
    try:
        cognito.admin_delete_user(**user)
    except cognito.exceptions.UserNotFoundException:
        return
