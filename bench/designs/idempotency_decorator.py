"""The usual advice: a conditional update, made idempotent by Powertools' decorator.

The key's record is in the same table and lives for the decorator's default of an hour. It has the
function's deadline, so that a function that died does not block its key any longer than that.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

import scrip.ledger
from bench.designs.balance_item import credits_left, key, open_account
from bench.designs.endpoint import consume_api, not_enough
from scrip.observability import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from scrip.store.client import Table


__all__ = ["NAME", "app", "credits_left", "lambda_handler", "open_account"]

NAME = "idempotency decorator"
CONFIG = IdempotencyConfig()


def take(account_id: str, key: str, amount: int) -> None:
    """Take the credits, once per key while the decorator remembers it."""
    _charge(scrip.ledger.ledger().table)(
        request={"account_id": account_id, "key": key, "amount": amount}
    )


@cache
def _charge(table: Table) -> Callable[..., dict[str, int]]:
    store = DynamoDBPersistenceLayer(
        table_name=table.name, key_attr="pk", sort_key_attr="sk", boto3_client=table.client
    )

    def charge(request: dict[str, Any]) -> dict[str, int]:
        amount = request["amount"]
        try:
            table.client.update_item(
                TableName=table.name,
                Key=key(request["account_id"]),
                UpdateExpression="SET balance = balance - :amount",
                ConditionExpression="balance >= :amount",
                ExpressionAttributeValues={":amount": {"N": str(amount)}},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except table.client.exceptions.ConditionalCheckFailedException as exc:
            response: Any = exc.response
            raise not_enough(amount, int(response["Item"]["balance"]["N"])) from exc
        return {"taken": amount}

    once: Callable[..., dict[str, int]] = idempotent_function(
        charge, data_keyword_argument="request", persistence_store=store, config=CONFIG
    )
    return once


app = consume_api(take)


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    CONFIG.register_lambda_context(context)
    return app.resolve(event, context)
