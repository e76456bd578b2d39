"""What environment variables name: a stack, and the credentials of its service client."""

from __future__ import annotations

import os

from scrip_client.tokens import ClientCredentials

VARIABLES = (
    "SCRIP_API_URL",
    "SCRIP_TOKEN_URL",
    "SCRIP_SERVICE_CLIENT_ID",
    "SCRIP_SERVICE_CLIENT_SECRET",
)


def named_in_environment() -> tuple[str, ClientCredentials]:
    """Return the API's address and the credentials.

    Raises:
        ValueError: a variable is missing or empty.
    """
    missing = [name for name in VARIABLES if not os.environ.get(name)]
    if missing:
        raise ValueError(
            f"set {', '.join(missing)}; for a local stack `scrip local env` prints what to set"
        )
    url, token_url, client_id, client_secret = (os.environ[name] for name in VARIABLES)
    return url, ClientCredentials(
        token_url=token_url, client_id=client_id, client_secret=client_secret
    )
