"""The API's operations on all accounts together, as the deployed function `admin` does them.

The operator invokes the function with their own AWS credentials, so they need no token. The
function gets the request that API Gateway would pass on for a machine with the scope `scrip/admin`.
"""

import json
import time
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from scrip.http.principals import ADMIN_SCOPE
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.session import Session

FAILURE, NOT_FOUND, REFUSAL = 500, 404, 400


class AdminApi:
    """The function `admin` of a stack."""

    def __init__(self, session: Session) -> None:
        """Find the function. Raises CommandError if the stack has none."""
        name = session.resource("AdminFunction")
        if name is None:
            raise CommandError(
                f"The stack {session.name} has no function `admin`.",
                "Name a stack of Scrip with --stack-name.",
            )
        self._lambda, self._name = session.client("lambda"), name
        self._operator = session.operator().id

    def get(self, path: str, **query: Any) -> Any:
        """Return the answer to a GET of a path below /v1/admin, without parameters that are None.

        Raises CommandError if it is refused or fails.
        """
        given = {name: str(value) for name, value in query.items() if value is not None}
        return self._ask("GET", path, given, None)

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the answer to a POST. Raises CommandError if it is refused or fails."""
        return self._ask("POST", path, {}, body)

    def _ask(
        self, method: str, path: str, query: dict[str, str], body: dict[str, Any] | None
    ) -> Any:
        address = f"/v1/admin/{path}"
        request_id = f"scrip-cli-{uuid4()}"
        event = {
            "version": "2.0",
            "routeKey": f"{method} {address}",
            "rawPath": address,
            "rawQueryString": urlencode(query),
            "queryStringParameters": query,
            "headers": {"content-type": "application/json"},
            "requestContext": {
                "http": {"method": method, "path": address, "sourceIp": "127.0.0.1"},
                "requestId": request_id,
                "stage": "$default",
                "timeEpoch": int(time.time() * 1000),
                "authorizer": {
                    "jwt": {"claims": {"sub": self._operator, "scope": ADMIN_SCOPE}, "scopes": []}
                },
            },
            "isBase64Encoded": False,
            **({"body": json.dumps(body)} if body is not None else {}),
        }
        answer = self._lambda.invoke(FunctionName=self._name, Payload=json.dumps(event))
        answered = json.load(answer["Payload"])
        if "FunctionError" in answer:
            raise CommandError(
                f"The function `admin` failed: {answered.get('errorMessage', answered)}.",
                f"See its log: scrip logs --request-id {request_id}",
            )
        return _result(answered["statusCode"], json.loads(answered["body"]), request_id)


def _result(status: int, body: Any, request_id: str) -> Any:
    if status < REFUSAL:
        return body
    if status >= FAILURE:
        raise CommandError(
            f"Scrip gave up ({body['code']}): {body['detail']}",
            f"Running the command again is safe. Its log: scrip logs --request-id {request_id}",
        )
    raise CommandError(
        f"Refused ({body['code']}):",
        body["detail"],
        exit_code=ExitCode.NOT_FOUND if status == NOT_FOUND else ExitCode.REFUSED,
    )
