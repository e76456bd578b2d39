"""The usual alternative: PostgreSQL with a lock on the account's row and a unique key per entry.

BEGIN and COMMIT are explicit, so that every statement sent to the server is in this module.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP

from bench.designs.endpoint import consume_api, not_enough
from scrip.observability import logger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from scrip.store.client import Table

NAME = "PostgreSQL FOR UPDATE"
SCHEMA = "scrip_bench"
TABLES = """
DROP SCHEMA IF EXISTS scrip_bench CASCADE;
CREATE SCHEMA scrip_bench;
CREATE TABLE scrip_bench.accounts (account_id text PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE scrip_bench.entries (
  account_id text NOT NULL REFERENCES scrip_bench.accounts,
  entry_id text NOT NULL,
  amount bigint NOT NULL,
  balance_after bigint NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (account_id, entry_id)
);
"""
LOCK = "SELECT balance FROM scrip_bench.accounts WHERE account_id = %s FOR UPDATE"
ENTER = """
INSERT INTO scrip_bench.entries (account_id, entry_id, amount, balance_after)
VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
FIND = "SELECT 1 FROM scrip_bench.entries WHERE account_id = %s AND entry_id = %s"
CHANGE = "UPDATE scrip_bench.accounts SET balance = balance - %s WHERE account_id = %s"

_connections: dict[str, psycopg.Connection[Any]] = {}


def use(url: str) -> None:
    """Connect to a server, as a function does when its process starts."""
    _connections["own"] = psycopg.connect(url, autocommit=True)


def connection() -> Any:
    """Return this process's connection."""
    return _connections["own"]


def take(account_id: str, key: str, amount: int) -> None:
    """Lock the account, insert an entry unless its key exists, and take the credits."""
    with _transaction(connection()) as server:
        [balance] = server.execute(LOCK, (account_id,)).fetchone()
        if balance < amount:
            if server.execute(FIND, (account_id, key)).fetchone():
                return
            raise not_enough(amount, balance)
        entered = server.execute(ENTER, (account_id, key, -amount, balance - amount))
        if entered.rowcount:
            server.execute(CHANGE, (amount, account_id))


@contextmanager
def _transaction(server: Any) -> Iterator[Any]:
    server.execute("BEGIN")
    try:
        yield server
    except psycopg.OperationalError:
        raise  # the connection is lost, and the transaction with it
    except Exception:
        server.execute("ROLLBACK")
        raise
    server.execute("COMMIT")


app = consume_api(take)


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)


def open_account(_: Table, account_id: str, credits_: int, __: datetime) -> None:
    """Write an account."""
    _connections["own"].execute(
        "INSERT INTO scrip_bench.accounts VALUES (%s, %s)", (account_id, credits_)
    )


def credits_left(_: Table, account_id: str) -> int:
    """Return the balance."""
    found = _connections["own"].execute(
        "SELECT balance FROM scrip_bench.accounts WHERE account_id = %s", (account_id,)
    )
    row = found.fetchone()
    assert row
    return int(row[0])
