"""Own CPU of a consume: the handler's, the ledger's, and that of the boto3 calls that it makes.

All send the same requests to a server in another process that always answers the same, in turns,
so that whatever else the machine does hits all alike. What is counted is the processor time of
this process.
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
from scrip.default_catalog import DEFAULT_CATALOG
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
"""How many entries the ledgers have."""

CREDITS = 10**6
"""Enough for all of them."""

type Design = Callable[[], object]
"""Something that is done again and again."""


class Context:
    """What Lambda passes beside the event, as far as the logger reads it."""

    function_name = "consume"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:consume"
    aws_request_id = "b2f7c1de-1111-4c5e-9f0a-6d5e4c3b2a19"


WHOLE, QUICK = 2_000, 60
"""How often each is done."""

LEAST = 10
"""One in so many took less than what counts: the least is luck, and most are disturbed."""


def measure(*, quick: bool) -> dict[str, Any]:
    """Return a row of own CPU for each length of history. Takes a minute, quick 4 s."""
    # In a process of its own: nothing else of the benchmark is to be loaded there.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        rows = pool.submit(_rows, QUICK if quick else WHOLE).result()
    return {
        "rows": rows,
        "notes": [
            "Processor time of the process that answers, user's and system's, boto3's included.",
            "bare: the same two requests by a boto3 client as it comes, in the same run.",
            "loop: a sum over a thousand numbers, in the same run, as a measure of the machine.",
        ],
    }


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
        designs: dict[tuple[int, str], Design] = {(0, "loop"): lambda: sum(range(1_000))}
        for entries, account in accounts.items():
            for name, design in _designs(account.account_id).items():
                designs[entries, name] = design
        took = _took(designs, rounds)
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
    """Return an account with four grants and a ledger of so many entries."""
    names = map("entry-{}".format, count())

    def told() -> dict[str, Any]:
        owner = Actor(ActorType.USER, f"user-{entries}")
        return {"account_id": owner.id, "entry_id": next(names), "actor": owner}

    now = utc_now()
    signup = OpenAccount(
        **told(),
        plan_id="free",
        signup_credits=100,
        reset_anchor=ResetAnchor.SIGNUP,
        time_zone="UTC",
    )
    commands: list[Command] = [
        signup,
        Purchase(**told(), credits=CREDITS, money=100),
        Adjust(**told(), action=AdjustAction.ADD, amount=50, kind=GrantKind.PROMO),
    ]
    account = None
    while account is None or account.seq_last < entries:
        command = commands.pop(0) if commands else Consume(**told(), feature="chat", quantity=1)
        account = decide(account, command, catalog=DEFAULT_CATALOG, now=now).after
    return account


def _designs(account_id: str) -> dict[str, Design]:
    """Return what is measured of an account. Each has run already, so that connections stand."""
    handle, context = import_module("functions.consume.handler").lambda_handler, Context()
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
    answer = handle(event, context)
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
        "handler": lambda: handle(event, context),
    }


def _took(designs: Mapping[tuple[int, str], Design], rounds: int) -> dict[tuple[int, str], float]:
    """Return the processor seconds that each takes when it is disturbed least."""
    times: dict[tuple[int, str], list[float]] = {name: [] for name in designs}
    for _ in range(rounds):
        for name, design in designs.items():
            began = process_time()
            design()
            times[name].append(process_time() - began)
    return {name: sorted(took)[rounds // LEAST] for name, took in times.items()}
