"""The signing secrets of a local stack's webhooks: random, made once, kept with its data."""

import base64
import json
import secrets
import string
from collections.abc import Callable

from scrip_cli.local.deploy import outputs
from scrip_cli.local.stack import LocalStack


def ensure_webhook_secrets(stack: LocalStack) -> None:
    """Give each provider a secret that has none yet. Safe to repeat."""
    manager, secret_id = stack.client("secretsmanager"), outputs(stack)["WebhookSecretsArn"]
    told = json.loads(manager.get_secret_value(SecretId=secret_id)["SecretString"])
    lacking = {name: [make()] for name, make in _MAKERS.items() if not told.get(name)}
    if lacking:
        manager.put_secret_value(SecretId=secret_id, SecretString=json.dumps(told | lacking))


def webhook_secrets(stack: LocalStack) -> dict[str, str]:
    """Return a secret for each provider; none if the stack was deployed before there were any."""
    secret_id = outputs(stack).get("WebhookSecretsArn")
    if secret_id is None:
        return {}
    answer = stack.client("secretsmanager").get_secret_value(SecretId=secret_id)
    told = json.loads(answer["SecretString"])
    return {provider: told[provider][0] for provider in _MAKERS if told.get(provider)}


def _encoded() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()


def _letters() -> str:
    return "polar_whs_" + "".join(secrets.choice(string.ascii_letters) for _ in range(32))


_MAKERS: dict[str, Callable[[], str]] = {
    "stripe": _encoded,
    "clerk": _encoded,
    "standard": _encoded,
    "polar": _letters,
}
"""How each provider's secrets look."""
