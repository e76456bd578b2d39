"""The fastest alternative: Redis with a script, which nothing else can interrupt.

A key is remembered for a day, as is usual, since each takes memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import redis
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP

from bench.designs.endpoint import consume_api, not_enough
from scrip.observability import logger

if TYPE_CHECKING:
    from datetime import datetime

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from scrip.store.client import Table

NAME = "Redis script"
TAKE = """
if redis.call('EXISTS', KEYS[2]) == 1 then return false end
local balance, amount = tonumber(redis.call('GET', KEYS[1])), tonumber(ARGV[1])
if balance >= amount then
  redis.call('DECRBY', KEYS[1], amount)
  redis.call('SET', KEYS[2], amount, 'EX', 86400)
  return false
end
return balance
"""
"""Returns nothing if the credits are taken, now or before, and otherwise the balance."""

DURABLE = {"appendonly": "yes", "appendfsync": "always"}
"""The settings without which Redis can lose what it has answered."""

_servers: dict[str, redis.Redis] = {}


def use(url: str) -> None:
    """Connect to a server, as a function does when its process starts.

    Raises:
        SystemExit: the server can lose what it has answered, so that it would be no comparison.
    """
    server = redis.Redis.from_url(url, single_connection_client=True, decode_responses=True)
    if server.config_get(*DURABLE) != DURABLE:
        words = " ".join(f"--{name} {value}" for name, value in DURABLE.items())
        raise SystemExit(f"Redis may lose data. Start it with: redis-server {words}")
    _servers["own"] = server


def connection() -> redis.Redis:
    """Return this process's connection."""
    return _servers["own"]


def take(account_id: str, key: str, amount: int) -> None:
    """Take the credits, unless the key is known."""
    names = [_account(account_id), f"{_account(account_id)}:{key}"]
    balance: Any = connection().register_script(TAKE)(keys=names, args=[amount])
    if balance is not None:
        raise not_enough(amount, balance)


app = consume_api(take)


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)


def open_account(_: Table, account_id: str, credits_: int, __: datetime) -> None:
    """Write an account."""
    connection().set(_account(account_id), credits_)


def credits_left(_: Table, account_id: str) -> int:
    """Return the balance."""
    balance: Any = connection().get(_account(account_id))
    return int(balance)


def _account(account_id: str) -> str:
    """Return an account's key; a cluster keeps what has the same part in braces together."""
    return f"scrip_bench:{{{account_id}}}"
