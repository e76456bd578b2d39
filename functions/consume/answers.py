"""The answers to a batch and to a quote."""

from typing import TypedDict

from aws_lambda_powertools.event_handler import Response

from scrip.domain.commands import Command
from scrip.domain.spending import Quote
from scrip.http.answers import (
    AccountSummary,
    EntryAnswer,
    answer,
    entry_json,
    replayed,
    summary_after,
)
from scrip.ledger import Outcome


class BatchAnswer(TypedDict):
    """The entries of a batch, in its order, the balance before the first, and the account after."""

    entries: list[EntryAnswer]
    balance_before: int
    account: AccountSummary


class QuoteAnswer(TypedDict):
    """What a consume would cost, and whether it would be allowed. Credits."""

    cost: int
    feature_version: int | None
    available: int
    shortfall: int
    unlimited: bool
    allowed: bool


def posted_batch(command: Command, outcome: Outcome) -> Response[BatchAnswer]:
    """Return the answer to a batch. It follows from the entries, so replays get it, too."""
    assert outcome.entry is not None
    entries = (outcome.entry, *outcome.others)
    body: BatchAnswer = {
        "entries": [entry_json(entry, command.actor.type) for entry in entries],
        "balance_before": outcome.entry.balance_before,
        "account": summary_after(command.account_id, entries[-1]),
    }
    return answer(body, headers=replayed(outcome))


def quote_json(quote: Quote) -> QuoteAnswer:
    """Return a quote as the API shows it."""
    return {
        "cost": quote.cost,
        "feature_version": quote.feature_version,
        "available": quote.available,
        "shortfall": quote.shortfall,
        "unlimited": quote.unlimited,
        "allowed": quote.allowed,
    }
