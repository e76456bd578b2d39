"""Signing in where a password is not enough."""

import base64
from functools import partial
from typing import Any

import boto3
import pytest
from moto import mock_aws

from scrip_cli.smoke.people import access_token, one_time_password

SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("at", "shown"), [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")]
)
def test_an_authenticator_app_shows_the_numbers_of_rfc_6238(at: int, shown: str) -> None:
    assert one_time_password(SECRET, at) == shown
    assert one_time_password(SECRET.rstrip("="), at) == shown


@mock_aws
def test_a_user_whose_pool_wants_an_authenticator_app_gets_one() -> None:
    cognito: Any = boto3.client("cognito-idp", region_name="eu-central-1")
    pool = cognito.create_user_pool(PoolName="pool")["UserPool"]["Id"]
    cognito.set_user_pool_mfa_config(
        UserPoolId=pool, SoftwareTokenMfaConfiguration={"Enabled": True}, MfaConfiguration="ON"
    )
    made = cognito.create_user_pool_client(UserPoolId=pool, ClientName="console")
    client = {"UserPoolId": pool, "ClientId": made["UserPoolClient"]["ClientId"]}
    password = {"USERNAME": "alice", "PASSWORD": "Correct-horse-9"}
    cognito.admin_create_user(
        UserPoolId=pool, Username="alice", TemporaryPassword=password["PASSWORD"]
    )
    # moto asks for an app only after a new password.
    new = cognito.admin_initiate_auth(
        **client, AuthFlow="ADMIN_NO_SRP_AUTH", AuthParameters=password
    )
    asked = cognito.admin_respond_to_auth_challenge(
        **client,
        ChallengeName="NEW_PASSWORD_REQUIRED",
        Session=new["Session"],
        ChallengeResponses={"USERNAME": "alice", "NEW_PASSWORD": "Correct-horse-9-battery"},
    )
    assert asked["ChallengeName"] == "MFA_SETUP"
    asked["ChallengeParameters"]["USER_ID_FOR_SRP"] = "alice"  # Cognito's own answers have it
    respond = partial(cognito.admin_respond_to_auth_challenge, **client)
    token = access_token(cognito, asked, respond)
    user = cognito.get_user(AccessToken=token)
    assert user["Username"] == "alice"
