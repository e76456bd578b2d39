"""Secrets: one secret of the stack lists those of every provider, and the key for Stripe's API.

    {"stripe": ["whsec_new", "whsec_old"], "standard": ["whsec_..."], "stripe_api_key": "rk_..."}

All that are listed are valid. To rotate one, add the new one, then remove the old one.
"""

from time import monotonic

from aws_lambda_powertools.utilities import parameters

from scrip.settings import settings

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
        """
        if monotonic() - self._read_at > within:
            listed = parameters.get_secret(
                settings().webhook_secrets,
                transform="json",
                force_fetch=True,
            )
            self._secrets = {
                key: [secrets] if isinstance(secrets, str) else list(secrets)
                for key, secrets in listed.items()
            }
            self._read_at = monotonic()
        return self._secrets.get(name, [])
