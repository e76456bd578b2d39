"""Secrets: one secret of the stack lists those of every provider, and the key for Stripe's API.

    {"stripe": ["whsec_new", "whsec_old"], "standard": ["whsec_..."], "stripe_api_key": "rk_..."}

All that are listed are valid. To rotate one, add the new one, then remove the old one.
"""

import json
from functools import cache
from time import monotonic
from typing import Any

from scrip.aws import client
from scrip.settings import settings
from scrip.store.client import CONFIG, answered

STRIPE_API_KEY = "stripe_api_key"
"""The name of the key for Stripe's API, which sync uses."""

FRESH_SECONDS = 30
"""How long it takes at most until a new secret is accepted."""

TRUSTED_SECONDS = 300
"""How long the secrets are cached: a removed one may be accepted for that long."""


class Secrets:
    """The secrets, cached in this process."""

    def __init__(self) -> None:
        """Start with an empty cache."""
        self._read_at = float("-inf")
        self._secrets: dict[str, list[str]] = {}

    def of(self, name: str, *, within: int = TRUSTED_SECONDS) -> list[str]:
        """Return the secrets of that name, as they were at most `within` seconds ago.

        The name is a provider's for its signing secrets, or `STRIPE_API_KEY`.

        Raises:
            BusyError: the Secrets Manager did not answer.
        """
        if monotonic() - self._read_at > within:
            self._secrets = read_secrets()
            self._read_at = monotonic()
        return self._secrets.get(name, [])


@cache
def secrets_manager() -> Any:
    """Return this process's client of the Secrets Manager. Creating it is slower than a call."""
    return client("secretsmanager", CONFIG)


def read_secrets() -> dict[str, list[str]]:
    """Return all secrets by their names.

    Raises:
        BusyError: the Secrets Manager did not answer.
    """
    with answered():
        answer = secrets_manager().get_secret_value(SecretId=settings().webhook_secrets)
    listed = json.loads(answer["SecretString"])
    return {
        name: [secrets] if isinstance(secrets, str) else list(secrets)
        for name, secrets in listed.items()
    }
