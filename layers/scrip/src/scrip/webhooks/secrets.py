"""The secrets: one secret of the stack holds several for each provider, and Stripe's API key.

    {"stripe": ["whsec_new", "whsec_old"], "standard": ["whsec_..."], "stripe_api_key": "rk_..."}

All that are listed are valid, so that one is rotated by adding the new one, then removing the old.
"""

from time import monotonic

from aws_lambda_powertools.utilities import parameters

from scrip.settings import settings

STRIPE_API_KEY = "stripe_api_key"
"""What Stripe's API key is listed under; sync asks with it."""

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

    def of(self, name: str, *, within: int = TRUSTED_SECONDS) -> list[str]:
        """Return the secrets of that name, as they were at most `within` seconds ago.

        The name is a provider's, for those that sign its messages, or `STRIPE_API_KEY`.
        """
        if monotonic() - self._read_at > within:
            told = parameters.get_secret(
                settings().webhook_secrets,
                transform="json",
                force_fetch=True,
            )
            self._secrets = {
                key: [secrets] if isinstance(secrets, str) else list(secrets)
                for key, secrets in told.items()
            }
            self._read_at = monotonic()
        return self._secrets.get(name, [])
