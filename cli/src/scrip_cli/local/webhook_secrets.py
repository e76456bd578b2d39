"""The signing secrets of a local stack's webhooks: random, made once, stored with its data."""

import base64
import json
import secrets

from scrip.webhooks.providers import Provider
from scrip_cli.local.deploy import outputs
from scrip_cli.local.stack import LocalStack


def ensure_webhook_secrets(stack: LocalStack) -> None:
    """Make a secret for each provider that has none. Safe to repeat."""
    manager, secret_id = stack.client("secretsmanager"), outputs(stack)["WebhookSecretsArn"]
    known = json.loads(manager.get_secret_value(SecretId=secret_id)["SecretString"])
    missing = {provider: [_random()] for provider in Provider if not known.get(provider)}
    if missing:
        manager.put_secret_value(SecretId=secret_id, SecretString=json.dumps(known | missing))


def webhook_secrets(stack: LocalStack) -> dict[str, str]:
    """Return a secret for each provider; none if the stack is older than the secrets."""
    secret_id = outputs(stack).get("WebhookSecretsArn")
    if secret_id is None:
        return {}
    answer = stack.client("secretsmanager").get_secret_value(SecretId=secret_id)
    known = json.loads(answer["SecretString"])
    return {provider: known[provider][0] for provider in Provider if known.get(provider)}


def _random() -> str:
    """Return a secret that every provider's scheme takes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
