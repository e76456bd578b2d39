"""Translation: from a provider's message to the facts that it tells."""

from collections.abc import Callable, Mapping

from scrip.domain.entries import is_text
from scrip.domain.errors import PayloadError
from scrip.webhooks import clerk, polar, standard, stripe
from scrip.webhooks.facts import Fact
from scrip.webhooks.messages import Message, Provider

TRANSLATORS: Mapping[Provider, Callable[[Message], tuple[Fact, ...]]] = {
    Provider.STRIPE: stripe.facts,
    Provider.CLERK: clerk.facts,
    Provider.STANDARD: standard.facts,
    Provider.POLAR: polar.facts,
}


def facts_of(message: Message) -> tuple[Fact, ...]:
    """Return what a message tells, at least one fact.

    Raises:
        IgnoredError: it tells nothing about credits; its reason says why not.
        PayloadError: it lacks what such a message should have, its reason says where; or it has
            half a character, which neither a key nor an entry can hold.
    """
    if not is_text(message.payload):
        raise PayloadError("half a character (a lone surrogate) is no text")
    return TRANSLATORS[message.provider](message)
