"""The stack's secret with those of all providers, read and written without printing any."""

import json

from scrip.webhooks.providers import Provider
from scrip.webhooks.secrets import STRIPE_API_KEY
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.session import Session

BEGINNINGS: dict[str, tuple[str, ...]] = {
    Provider.STRIPE: ("whsec_",),
    STRIPE_API_KEY: ("sk_", "rk_"),
}
"""How Stripe's two secrets begin: they are easily confused, and nothing else distinguishes them."""


class Secrets:
    """The secrets of a stack, as they were read."""

    def __init__(self, session: Session) -> None:
        """Read them. Raises CommandError if somebody has edited them into something else."""
        self._manager, self._arn = (
            session.client("secretsmanager"),
            session.output("WebhookSecretsArn"),
        )
        text = self._manager.get_secret_value(SecretId=self._arn)["SecretString"]
        try:
            self._known: dict[str, list[str] | str] = dict(json.loads(text))
        except (ValueError, TypeError) as exc:
            raise CommandError(
                f"The secret {self._arn} is not a JSON object, so every webhook is refused.",
                "Put {} into it in the AWS console, then add each provider's secret.",
            ) from exc

    def of(self, name: str) -> list[str]:
        """Return the secrets of a name."""
        found = self._known.get(name, [])
        return [found] if isinstance(found, str) else found

    def check(self, name: str, secret: str) -> None:
        """Raise CommandError if a secret cannot be one of a name."""
        is_key = name == STRIPE_API_KEY
        try:
            is_usable = is_key or bool(Provider(name).scheme.key(secret))
        except ValueError:
            is_usable = False
        if not is_usable or not secret.startswith(BEGINNINGS.get(name, ("",))):
            what, page = (
                ("a key for Stripe's API", "Stripe's page with API keys")
                if is_key
                else (f"a signing secret of {name}", "the endpoint's page at the provider")
            )
            raise CommandError(
                f"This cannot be {what}.",
                f"Copy it again from {page}.",
                exit_code=ExitCode.USAGE,
            )

    def add(self, name: str, secret: str) -> None:
        """Write a secret behind the others of its name, unless it is there.

        Raises CommandError if it cannot be one, or if there is another key for Stripe's API.
        """
        self.check(name, secret)
        if secret in self.of(name):
            return
        if name == STRIPE_API_KEY and self.of(name):
            raise CommandError(
                "The stack has a key for Stripe's API, and only one can be in use.",
                f"Replace it with `scrip secrets rotate {STRIPE_API_KEY}`.",
                exit_code=ExitCode.REFUSED,
            )
        self._write(name, [*self.of(name), secret])

    def replace(self, name: str, secret: str) -> None:
        """Write a secret as the only one of its name."""
        self._write(name, [secret])

    def _write(self, name: str, secrets: list[str]) -> None:
        self._known[name] = secrets[0] if name == STRIPE_API_KEY else secrets
        self._manager.put_secret_value(SecretId=self._arn, SecretString=json.dumps(self._known))
