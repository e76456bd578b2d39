"""Stripe's lists: a message has the first lines of an invoice, and Stripe's API has the others.

This goes without Stripe's library, which is not in the layer: it takes longer to import than the
request takes.
"""

import json
from collections.abc import Iterable, Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from scrip.domain.errors import PayloadError, ProviderBusyError
from scrip.settings import settings

PATHS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "lines": ("/v1/invoices/{id}/lines", {}),
    "payments": ("/v1/invoice_payments", {"invoice": "{id}"}),
}
"""Where the lists of an invoice are, by their names in it."""

PAGE = 100
PAGES_MAX = 20
SECONDS_MAX = 8
"""How long Stripe may take for a page. It sends the message again if that is too long."""

CLIENT_ERRORS = range(400, 500)
TOO_MANY_REQUESTS = 429


def with_whole_lists(payload: Mapping[str, Any], names: Iterable[str]) -> Mapping[str, Any]:
    """Return an event whose invoice has these lists as Stripe's API has them.

    Raises:
        PayloadError: the stack has no key to fetch them with, or Stripe refuses.
        ProviderBusyError: Stripe did not answer.
    """
    invoice = payload["data"]["object"]
    whole = {name: {"data": _fetched(payload, invoice, name)} for name in names}
    return {**payload, "data": {"object": {**invoice, **whole}}}


def _fetched(payload: Mapping[str, Any], invoice: Mapping[str, Any], name: str) -> list[Any]:
    # What reads secrets takes longer to import than all the rest, and few messages need it.
    from scrip.webhooks.secrets import STRIPE_API_KEY, Secrets  # noqa: PLC0415 - see above

    keys = Secrets().of(STRIPE_API_KEY)
    if not keys:
        raise PayloadError(
            f"its list of {name} goes on, and without {STRIPE_API_KEY} the rest cannot be fetched"
        )
    headers = {
        "Authorization": f"Bearer {keys[0]}",
        "Stripe-Version": payload.get("api_version"),
        "Stripe-Account": payload.get("account"),
    }
    path, query = PATHS[name]
    given = {key: value.format(id=invoice.get("id")) for key, value in query.items()}
    address = f"{settings().stripe_api_url}{path.format(id=invoice.get('id'))}"
    found: list[Any] = []
    for _ in range(PAGES_MAX):
        after = {"starting_after": found[-1]["id"]} if found else {}
        page = _page(f"{address}?{urlencode({'limit': PAGE, **given, **after})}", headers)
        found += page["data"]
        if not page["has_more"]:
            return found
    raise PayloadError(f"its list of {name} has more than {PAGE * PAGES_MAX} parts")


def _page(url: str, headers: Mapping[str, Any]) -> dict[str, Any]:
    request = Request(url, headers={name: value for name, value in headers.items() if value})  # noqa: S310 - the stack's own setting
    try:
        with urlopen(request, timeout=SECONDS_MAX) as answer:  # noqa: S310 - see above
            page: dict[str, Any] = json.load(answer)
    except HTTPError as exc:
        if exc.code in CLIENT_ERRORS and exc.code != TOO_MANY_REQUESTS:
            raise PayloadError(f"Stripe refused to list the rest of it: {exc.code}") from exc
        raise ProviderBusyError from exc
    except (OSError, HTTPException, ValueError) as exc:
        raise ProviderBusyError from exc
    return page
