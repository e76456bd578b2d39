"""The signing secrets: one secret of the stack holds several for each provider.

    {"stripe": ["whsec_new", "whsec_old"], "standard": ["whsec_..."]}

All that are listed are valid, so that one is rotated by adding the new one, then removing the old.
"""

import time

from aws_lambda_powertools.utilities import parameters

from scrip.settings import settings
from scrip.webhooks.messages import Provider

FRESH_SECONDS = 30
"""A secret that was just added is found within so long, even while old ones are remembered."""

TRUSTED_SECONDS = 300
"""How long secrets are used without asking again; so long a removed one may still be valid."""


class Secrets:
    """The secrets as this process read them last."""

    def __init__(self) -> None:
        """Know none yet."""
        self._read_at = float("-inf")
        self._secrets: dict[str, list[str]] = {}

    def of(self, provider: Provider, *, within: int = TRUSTED_SECONDS) -> list[str]:
        """Return the secrets of a provider, as they were at most `within` seconds ago."""
        if time.monotonic() - self._read_at > within:
            told = parameters.get_secret(
                settings().webhook_secrets,
                transform="json",
                force_fetch=True,
            )
            self._secrets = {
                name: [secrets] if isinstance(secrets, str) else list(secrets)
                for name, secrets in told.items()
            }
            self._read_at = time.monotonic()
        return self._secrets.get(provider, [])
