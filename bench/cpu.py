"""Part `cpu`: processor time of a consume in the handler, in the ledger, and in boto3 alone.

All three send the same requests to a server in another process with canned answers. They take
turns, so that other load on the machine affects all alike. Only this process's time counts.
"""

import json
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import Any

import boto3

from bench.canned import canned_dynamodb
from bench.goals import Goal, at_most
from bench.requests import CONTEXT
from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.domain.account import Account
from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    Command,
    Consume,
    OpenAccount,
    Purchase,
    ResetAnchor,
)
from scrip.domain.decide import decide
from scrip.domain.entries import Actor, ActorType
from scrip.domain.grants import GrantKind
from scrip.ledger import ledger, utc_now
from scrip.store.items import account_item, feature_item, plan_item, to_wire

EVENT = Path(__file__).parents[1] / "events" / "consume" / "feature.json"
HISTORIES = (10, 1_000)
"""Numbers of entries in the accounts' ledgers."""

CREDITS = 10**6
"""Enough for all consumes."""

type Operation = Callable[[], object]
"""Something that is measured again and again."""

WHOLE, QUICK = 2_000, 60
"""How often each operation is measured."""

LEAST = 10
"""The first decile counts: the fastest tenth is luck, and most of the others are disturbed."""


def measure(*, quick: bool) -> dict[str, Any]:
    """Return a row for each length of history. Takes a minute, or 4 s if quick."""
    # A process of its own has nothing else of the benchmark loaded.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        rows = pool.submit(_rows, QUICK if quick else WHOLE).result()
    return {
        "rows": rows,
        "goals": _goals(*rows),
        "notes": [
            "User and system processor time of the process that answers, boto3 included.",
            "bare: the same two requests by a plain boto3 client, in the same run.",
            "loop: a sum of a thousand numbers, in the same run, as a measure of the machine.",
        ],
    }


def _goals(short: dict[str, Any], long: dict[str, Any]) -> list[Goal]:
    ratios = short["handler_to_bare_ratio"], long["handler_to_bare_ratio"]
    flat = ratios[1] / ratios[0]
    return [
        at_most("cpu: a consume, to its bare calls", max(ratios), 1.3, "times", noise=0.05),
        at_most("cpu: with a long history, to a short one", flat, 1, "times", noise=0.1),
    ]


def _rows(rounds: int) -> list[dict[str, Any]]:
    accounts = {entries: _account(entries) for entries in HISTORIES}
    items = [
        *map(account_item, accounts.values()),
        *map(plan_item, DEFAULT_CATALOG.plans.values()),
        *map(feature_item, DEFAULT_CATALOG.features.values()),
    ]
    with canned_dynamodb(map(to_wire, items)) as address:
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": address,
            "TABLE_NAME": "scrip",
            "POWERTOOLS_SERVICE_NAME": "scrip",
        }
        operations: dict[tuple[int, str], Operation] = {(0, "loop"): lambda: sum(range(1_000))}
        for entries, account in accounts.items():
            for name, operation in _operations(account.account_id).items():
                operations[entries, name] = operation
        took = _took(operations, rounds)
    return [_row(entries, took) for entries in HISTORIES]


def _row(entries: int, took: dict[tuple[int, str], float]) -> dict[str, Any]:
    each = {name: took[entries, name] for name in ("bare", "ledger", "handler")}
    return {
        "entries": entries,
        **{f"{name}_cpu_ms_here": round(1e3 * seconds, 3) for name, seconds in each.items()},
        "ledger_to_bare_ratio": round(each["ledger"] / each["bare"], 3),
        "handler_to_bare_ratio": round(each["handler"] / each["bare"], 3),
        "handler_to_loop_ratio": round(each["handler"] / took[0, "loop"]),
    }


def _account(entries: int) -> Account:
    """Return an account with four grants and a number of ledger entries."""
    names = map("entry-{}".format, count())

    def common() -> dict[str, Any]:
        owner = Actor(ActorType.USER, f"user-{entries}")
        return {"account_id": owner.id, "entry_id": next(names), "actor": owner}

    now = utc_now()
    signup = OpenAccount(
        **common(),
        plan_id="free",
        signup_credits=100,
        reset_anchor=ResetAnchor.SIGNUP,
        time_zone="UTC",
    )
    commands: list[Command] = [
        signup,
        Purchase(**common(), credits=CREDITS, money=100),
        Adjust(**common(), action=AdjustAction.ADD, amount=50, kind=GrantKind.PROMO),
    ]
    account = None
    while account is None or account.seq_last < entries:
        command = commands.pop(0) if commands else Consume(**common(), feature="chat", quantity=1)
        account = decide(account, command, catalog=DEFAULT_CATALOG, now=now).after
    return account


def _operations(account_id: str) -> dict[str, Operation]:
    """Return the operations to measure on an account. Each has run once and is connected."""
    handle = import_module("functions.consume.handler").lambda_handler
    event = json.loads(EVENT.read_text())
    event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = account_id
    command = Consume(
        account_id=account_id,
        entry_id="chat-1",
        actor=Actor(ActorType.USER, account_id),
        feature="chat",
        quantity=1,
    )
    requests: list[tuple[str, dict[str, Any]]] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        requests.append((model.name, params))

    events = ledger().table.client.meta.events
    ledger().catalog()
    events.register("provide-client-params.dynamodb", note)
    answer = handle(event, CONTEXT)
    events.unregister("provide-client-params.dynamodb", note)
    assert "entry" in json.loads(answer["body"]), answer
    [(_, read), (_, written)] = requests
    client = boto3.client("dynamodb")

    def bare() -> None:
        client.get_item(**read)
        client.transact_write_items(**written)

    bare()
    return {
        "bare": bare,
        "ledger": lambda: ledger().execute(command),
        "handler": lambda: handle(event, CONTEXT),
    }


def _took(
    operations: Mapping[tuple[int, str], Operation], rounds: int
) -> dict[tuple[int, str], float]:
    """Return the processor seconds that each operation takes when least disturbed."""
    times: dict[tuple[int, str], list[float]] = {name: [] for name in operations}
    for _ in range(rounds):
        for name, operation in operations.items():
            began = process_time()
            operation()
            times[name].append(process_time() - began)
    return {name: sorted(took)[rounds // LEAST] for name, took in times.items()}
