"""Stripe's API: current subscriptions, in the shapes of its messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import stripe

from scrip.domain.errors import InvalidCursorError, NotConfiguredError, ProviderBusyError
from scrip.webhooks.secrets import STRIPE_API_KEY

if TYPE_CHECKING:
    from stripe.params import SubscriptionListParams

PAGE = 100
"""How many subscriptions are in a page; Stripe returns no more."""

SECONDS_MAX = 8
"""How long Stripe may take. There are no retries: the caller of a sync continues at its cursor."""


@dataclass(frozen=True, slots=True)
class StripeApi:
    """Stripe's API at an address, with a key that may read subscriptions and invoices."""

    api_key: str
    url: str

    def subscriptions(self, after: str | None) -> tuple[list[dict[str, Any]], bool]:
        """Return a page of all subscriptions, newest first, and whether it is the last.

        Each has its whole `latest_invoice`, that one's payments included.

        Raises:
            NotConfiguredError: Stripe does not accept the key.
            InvalidCursorError: there is no subscription `after`.
            ProviderBusyError: it did not answer.
        """
        client = stripe.StripeClient(
            self.api_key,
            base_addresses={"api": self.url},
            http_client=stripe.RequestsClient(timeout=SECONDS_MAX),
            max_network_retries=0,
        )
        query: SubscriptionListParams = {
            "status": "all",
            "limit": PAGE,
            "expand": ["data.latest_invoice.payments"],
        }
        if after is not None:
            query["starting_after"] = after
        try:
            page = client.v1.subscriptions.list(query)
        except (stripe.AuthenticationError, stripe.PermissionError) as exc:
            raise NotConfiguredError(STRIPE_API_KEY) from exc
        except stripe.InvalidRequestError as exc:
            if after is None:
                raise
            raise InvalidCursorError from exc
        except stripe.StripeError as exc:
            raise ProviderBusyError from exc
        return [item.to_dict(for_json=True) for item in page.data], not page.has_more
