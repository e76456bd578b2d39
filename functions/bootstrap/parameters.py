"""The stack's parameters: checked before any function gets them, and condensed."""

import json
import urllib.request
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from scrip.domain.catalog import Catalog
from scrip.settings import known_time_zone

ISSUER_SECONDS = 10


class WrongParameterError(Exception):
    """A parameter has a value with which the stack would not work; the message is for operators."""


def check_time_zone(time_zone: str) -> None:
    """Raise WrongParameterError unless it is a time zone."""
    try:
        known_time_zone(time_zone)
    except ValueError as exc:
        raise WrongParameterError(
            f"TimeZone is {time_zone}, which is not an IANA time zone such as Europe/Berlin."
        ) from exc


def check_default_plan(plan_id: str, catalog: Catalog) -> None:
    """Raise WrongParameterError unless it is an active plan, or may be one of a newer version."""
    active = sorted(plan.plan_id for plan in catalog.plans.values() if plan.active)
    if plan_id not in active and not catalog.is_partial:
        raise WrongParameterError(
            f"DefaultPlan is {plan_id}, which is not an active plan in the catalog. "
            f"Create it first, or use one of these: {', '.join(active)}."
        )


def check_issuer(issuer: str) -> None:
    """Raise WrongParameterError unless it is an OIDC issuer that calls itself by this name."""
    url = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    try:
        # The parameter's pattern has the scheme. Cloudflare refuses Python's own user agent.
        request = urllib.request.Request(url, headers={"User-Agent": "scrip"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=ISSUER_SECONDS) as answer:  # noqa: S310
            name = json.load(answer)["issuer"]
    except (OSError, ValueError, LookupError, TypeError) as exc:
        raise WrongParameterError(
            f"JwtIssuer is {issuer}, but {url} is not the configuration of an OIDC issuer."
        ) from exc
    if name != issuer:
        raise WrongParameterError(f"JwtIssuer is {issuer}, but the issuer calls itself {name}.")


def digest(properties: Mapping[str, Any]) -> str:
    """Return a text that is another one if any property is."""
    return sha256(json.dumps(properties, sort_keys=True).encode()).hexdigest()[:16]
