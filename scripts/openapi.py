"""Prints the OpenAPI document of all HTTP functions, from their code."""

import json
from importlib import import_module
from pathlib import Path

from aws_lambda_powertools.event_handler.openapi.merge import OpenAPIMerge
from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, Server

from scrip.http.operations import OPERATIONS

FUNCTIONS = Path(__file__).parent.parent / "functions"

WEBHOOKS = "/v1/webhooks/{provider}"

DESCRIPTION = """\
Credits for apps that sell AI features: sign-up credits, metered use, refunds, adjustments, and a
ledger that explains every change.

Credits are whole numbers. Instants are ISO 8601 in UTC. Every POST to an account accepts an
`Idempotency-Key`, which is unique within the account and never expires: the same request again gets
the first answer, with `Idempotency-Replayed: true`. Edits of the catalog name the version that they
replace in `If-Match`. Errors are RFC 9457 problems; switch on `code`. Every answer by Scrip itself
has an `X-Request-Id`, which is also in logs, entries and events.
"""


def openapi() -> str:
    """Return the document as JSON."""
    merge = OpenAPIMerge(
        title="Scrip",
        version="1",
        description=DESCRIPTION,
        servers=[Server(url="..", description="The stack that serves this document.")],
        security_schemes={
            "token": HTTPBearer(
                bearerFormat="JWT",
                description="The token of a user, of a service (scope `scrip/service`), or of an "
                "admin (scope `scrip/admin`, or group `admin` after signing in to the console).",
            ),
        },
        security=[{"token": []}],
        on_conflict="error",
    )
    for path in sorted(FUNCTIONS.glob("*/handler.py")):
        handler = import_module(f"functions.{path.parent.name}.handler")
        if hasattr(handler, "app"):
            handler.app.describe(OPERATIONS)
            merge.add_schema(handler.app.get_openapi_schema())
    document = json.loads(merge.get_openapi_json_schema())
    for method, public in (("get", "/v1/health"), ("get", "/v1/catalog"), ("post", WEBHOOKS)):
        document["paths"][public][method]["security"] = []  # Powertools drops an empty list
    return json.dumps(document, indent=1) + "\n"


if __name__ == "__main__":
    print(openapi(), end="")
