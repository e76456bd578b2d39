"""A plain read, and then a write of the remainder. The key is not stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP

import scrip.ledger
from bench.designs.balance_item import credits_left, key, open_account
from bench.designs.endpoint import consume_api, not_enough
from scrip.observability import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


__all__ = ["NAME", "app", "credits_left", "lambda_handler", "open_account"]

NAME = "read, then write"


def take(account_id: str, _: str, amount: int) -> None:
    """Read the balance, and write the remainder."""
    table = scrip.ledger.ledger().table
    item = table.client.get_item(TableName=table.name, Key=key(account_id))["Item"]
    balance = int(item["balance"]["N"])
    if balance < amount:
        raise not_enough(amount, balance)
    left = {**item, "balance": {"N": str(balance - amount)}}
    table.client.put_item(TableName=table.name, Item=left)


app = consume_api(take)


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)
