"""Tokens of another issuer at the HTTP API: valid ones, and ones that differ in one way.

What API Gateway does with them on AWS is in docs/explanation/security.md. The local one ignores
`alg` and assumes RS256, so the signature of a token that is signed in another way is invalid.
"""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from dataclasses import dataclass
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from scrip_cli.local.deploy import outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrip_cli.local.stack import LocalStack
    from tests.integration.conftest import Api

HOUR = 3600
AUDIENCE = "scrip-tests"


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def number(value: int) -> str:
    return encoded(value.to_bytes(256).lstrip(b"\0"))


def new_key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class Issuer:
    """An issuer of tokens, which publishes its key at `url`."""

    url: str
    key: RSAPrivateKey
    key_id: str = "key-1"

    def claims(self, **other: Any) -> dict[str, Any]:
        """Return the claims of a user's token, with replacements; None removes a claim."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": f"user-{uuid4().hex}",
            "scope": "openid",
            "iat": now,
            "nbf": now,
            "exp": now + HOUR,
        }
        return {name: value for name, value in (claims | other).items() if value is not None}

    def token(
        self,
        header: dict[str, Any] | None = None,
        key: RSAPrivateKey | None = None,
        **claims: Any,
    ) -> str:
        """Return a user's token that is valid except for the arguments."""
        signed = self.unsigned(header or {"alg": "RS256", "kid": self.key_id}, **claims)
        signature = (key or self.key).sign(signed.encode(), PKCS1v15(), SHA256())
        return f"{signed}.{encoded(signature)}"

    def unsigned(self, header: dict[str, Any], **claims: Any) -> str:
        """Return the part of a token that its signature covers."""
        parts = (header, self.claims(**claims))
        return ".".join(encoded(json.dumps(part).encode()) for part in parts)

    def confused(self) -> str:
        """Return a token with an HMAC whose secret is the public key, which anyone can read."""
        public = self.key.public_key()
        secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        signed = self.unsigned({"alg": "HS256", "kid": self.key_id})
        return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), sha256))}"

    def documents(self) -> dict[str, Any]:
        """Return the documents that the issuer serves, by path."""
        public = self.key.public_key().public_numbers()
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.key_id}
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/keys",
            },
            "/keys": {"keys": [{**key, "n": number(public.n), "e": number(public.e)}]},
        }


@pytest.fixture(scope="module")
def issuer(stack: LocalStack) -> Iterator[Issuer]:
    """An issuer that the API trusts during the tests of this file."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(trusted.documents()[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    trusted = Issuer(f"http://127.0.0.1:{server.server_port}", new_key())
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    gateway, api_id = stack.client("apigatewayv2"), outputs(stack)["ApiId"]
    [authorizer] = gateway.get_authorizers(ApiId=api_id)["Items"]
    place = {"ApiId": api_id, "AuthorizerId": authorizer["AuthorizerId"]}
    gateway.update_authorizer(
        **place, JwtConfiguration={"Issuer": trusted.url, "Audience": ["another-app", AUDIENCE]}
    )
    yield trusted
    gateway.update_authorizer(**place, JwtConfiguration=authorizer["JwtConfiguration"])
    server.shutdown()
    server.server_close()


def test_a_valid_token_is_accepted(
    issuer: Issuer,
    caller: Callable[..., Api],
    subtests: pytest.Subtests,
) -> None:
    right = {
        "unchanged": f"Bearer {issuer.token()}",
        "without a scheme": issuer.token(),
        "for several audiences": f"Bearer {issuer.token(aud=['other', AUDIENCE])}",
        "for a client": f"Bearer {issuer.token(aud=None, client_id=AUDIENCE)}",
        "without a scope": f"Bearer {issuer.token(scope=None)}",
    }
    for case, authorization in right.items():
        with subtests.test(case):
            answer = caller(None).http.get(
                "/v1/accounts/me", headers={"Authorization": authorization}
            )
            assert (answer.status_code, answer.json()["balance"]) == (200, 10_100)


def test_an_invalid_token_is_refused(
    issuer: Issuer,
    caller: Callable[..., Api],
    subtests: pytest.Subtests,
) -> None:
    now = int(time.time())
    header, claims, signature = issuer.token().split(".")
    stranger = Issuer(issuer.url, new_key())
    wrong = {
        "another issuer": issuer.token(iss="https://issuer.example"),
        "the issuer with a slash behind it": issuer.token(iss=f"{issuer.url}/"),
        "no issuer": issuer.token(iss=None),
        "another audience": issuer.token(aud="another"),
        "another audience and the right client": issuer.token(aud="another", client_id=AUDIENCE),
        "no audience": issuer.token(aud=None),
        "expired": issuer.token(exp=now - 1),
        "not valid yet": issuer.token(nbf=now + HOUR),
        "issued in the future": issuer.token(iat=now + HOUR),
        "the key of a stranger": stranger.token(),
        "a key that is not published": issuer.token({"alg": "RS256", "kid": "key-2"}),
        "no key id": issuer.token({"alg": "RS256"}),
        "no algorithm and no signature": f"{issuer.unsigned({'alg': 'none', 'kid': 'key-1'})}.",
        "no algorithm and no key": f"{issuer.unsigned({'alg': 'none'})}.",
        "signed with the public key": issuer.confused(),
        "the signature of another token": issuer.token().rpartition(".")[0] + f".{signature}",
        "no signature": f"{header}.{claims}.",
        "two parts": f"{header}.{claims}",
        "four parts": f"{header}.{claims}.{signature}.{signature}",
        "a header that is not JSON": f"{encoded(b'{')}.{claims}.{signature}",
        "claims that are not JSON": f"{header}.{encoded(b'{')}.{signature}",
        "not base64": "*.*.*",
        "not a token": "x",
        "nothing": "",
    }
    for case, token in wrong.items():
        with subtests.test(case):
            answer = caller(None).http.get(
                "/v1/accounts/me", headers={"Authorization": f"Bearer {token}".strip()}
            )
            assert answer.status_code == 401
    for scheme in ("Basic", "Digest"):
        with subtests.test(scheme):
            sent = {"Authorization": f"{scheme} {issuer.token()}"}
            assert caller(None).http.get("/v1/accounts/me", headers=sent).status_code == 401


def test_a_token_allows_nothing_beyond_its_claims(
    issuer: Issuer,
    caller: Callable[..., Api],
    user: Api,
    subtests: pytest.Subtests,
) -> None:
    machine = {"sub": "machine", "client_id": "machine"}
    service = {**machine, "scope": "scrip/service"}
    own, other = "/v1/accounts/me", f"/v1/accounts/{user.account_id}"
    lists = "/v1/admin/accounts"
    refused: dict[str, tuple[str, dict[str, Any]]] = {
        "another user's account": (other, {}),
        "an account that does not exist": ("/v1/accounts/nobody", {}),
        "a service's own account": (own, service),
        "a machine without a scope": (other, {**machine, "scope": None}),
        "a machine with another scope": (other, {**machine, "scope": "scrip/services"}),
        "an id token": (own, {"token_use": "id"}),
        "a token without a subject": (own, {"sub": None}),
        "a user at the lists": (lists, {}),
        "a service at the lists": (lists, service),
        "a scope like an admin's": (lists, {"scope": "scrip/administer xscrip/admin"}),
        "a group of another issuer": (lists, {"cognito:groups": ["admin"]}),
        "one group that reads as three": (lists, {"cognito:groups": ["x admin y"]}),
        "scopes with another space between": (lists, {"scope": "x\u00a0scrip/admin"}),
    }
    for case, (path, claims) in refused.items():
        with subtests.test(case):
            sent = {"Authorization": f"Bearer {issuer.token(**claims)}"}
            answer = caller(None).http.get(path, headers=sent)
            assert (answer.status_code, answer.json().get("code")) == (403, "forbidden")


def test_the_admin_scope_counts_from_any_trusted_issuer(
    issuer: Issuer,
    caller: Callable[..., Api],
) -> None:
    sent = {"Authorization": f"Bearer {issuer.token(scope='openid scrip/admin')}"}
    assert caller(None).http.get("/v1/admin/plans", headers=sent).status_code == 200


def test_a_token_of_the_stacks_own_pool_is_refused_with_another_issuer(
    issuer: Issuer,
    user: Api,
) -> None:
    assert user.get("/me").status_code == 401
