"""Lives through the webhook: everybody has what they paid for, in every order and shape.

The lives and the oracle are those of `tests/unit/domain/entitlement`, which lives many more of
them. Here Stripe's messages about them, in either shape, go to the function and its table.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from itertools import count, islice
from random import Random
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from functions.webhook import handler
from scrip.audit.accounts import audit_account
from scrip.domain.entries import EntryType
from scrip.domain.errors import RefusalError
from scrip.domain.settle import settle
from scrip.ledger import ledger, opening
from scrip.settings import settings
from scrip.store.items import plan_item, term_of, to_wire
from scrip.store.keys import TERM_PREFIX, account_key
from scrip.store.queries import read
from scrip.webhooks.providers import Provider
from scrip.webhooks.secrets import Secrets
from tests.functional.conftest import event, invoke
from tests.functional.deliveries import Clock, deliver
from tests.functional.stripe_messages import Stripe
from tests.unit.domain.entitlement.ledger import Ledger
from tests.unit.domain.entitlement.lives import ALLOWANCES, CATALOG, Habits, life
from tests.unit.domain.entitlement.oracle import Oracle, seconds
from tests.unit.webhooks.examples import SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from scrip.domain.commands import Command
    from scrip.store.client import Table

LIVES = 60
MESSAGES_MAX = 8
"""The simulated DynamoDB is slow, so that lives are short. Longer ones are lived in the domain."""

HABITS = Habits(holds=0, refunds=0, uses=3, plans=("starter", "growth", "odd"))
REPEATED = 0.2
ACCOUNT = "life"

type Brought = dict[str, list[list[int]]]
"""What the terms of each payment have brought less what they have lost, month by month."""


def short_lives() -> Iterator[int]:
    """Yield seeds of lives of a few messages, half of which have money that goes back."""
    for seed in count():
        lived = life(seed, HABITS)
        if len(lived.messages) <= MESSAGES_MAX and (lived.returns or seed % 4 == 0):
            yield seed


@pytest.fixture
def clock(empty_table: Table, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """The ledger's clock, beside the plans of the lives and Stripe's secret."""
    clock = Clock()
    monkeypatch.setattr("scrip.ledger.utc_now", clock)
    sold = [
        to_wire(plan_item(replace(plan, provider_ids=(f"prod_{plan.plan_id}",))))
        for plan in CATALOG.plans.values()
    ]
    empty_table.client.batch_write_item(
        RequestItems={empty_table.name: [{"PutRequest": {"Item": item}} for item in sold]}
    )
    client = boto3.client("secretsmanager")
    made = client.create_secret(Name="lives", SecretString=json.dumps(SECRETS))
    monkeypatch.setenv("WEBHOOK_SECRETS", made["ARN"])
    monkeypatch.setattr(handler, "secrets", Secrets())
    settings.cache_clear()
    yield clock
    settings.cache_clear()
    client.delete_secret(SecretId="lives", ForceDeleteWithoutRecovery=True)


@pytest.mark.parametrize("seed", [*islice(short_lives(), LIVES)])
def test_everybody_has_what_they_paid_for_in_any_order(clock: Clock, seed: int) -> None:
    lived, random = life(seed, HABITS), Random(seed)
    messages = Stripe(ACCOUNT, is_new=random.random() < 0.5).messages(lived)
    oracle = Oracle(ALLOWANCES, lived.zone, lived.opened)
    in_order = Ledger(lived.opened, lived.zone)
    clock.now = since = lived.opened
    ledger().execute(
        opening(ACCOUNT, stack=settings().model_copy(update={"time_zone": lived.zone}))
    )
    for until, act in [*((act.at, act.command) for act in lived.acts), (lived.end, None)]:
        heard = [one for one in lived.messages if since <= one.heard < until]
        clock.now = max([clock.now, *(one.heard for one in heard)])
        for one in heard:
            oracle.hear(one.command)
            in_order.do(one.command, clock.now)
        payloads = [payload for at, payload in messages if since <= at < until]
        payloads += [payload for payload in payloads if random.random() < REPEATED]
        for payload in random.sample(payloads, len(payloads)):
            assert deliver(Provider.STRIPE, payload).status == 200
        check(oracle, in_order, clock.now)
        clock.now = since = until
        if act is not None:
            assert is_allowed(act) is in_order.do(act, until)
    check(oracle, in_order, lived.end)
    # The stream counts usage, and there is none here. By this time no entry must be counted.
    audited = audit_account(ledger().table, ACCOUNT, lived.opened)
    assert audited is not None
    assert audited.findings == ()


def check(oracle: Oracle, in_order: Ledger, now: datetime) -> None:
    """Compare the account with the oracle, and with a ledger that heard the same in order."""
    right, found = due(oracle, now), brought(now)
    for payment_id in right | found:
        if not oracle.is_disputed(payment_id):  # the months to come wait for its end
            assert found.get(payment_id) == right.get(payment_id), payment_id
    shown = read_account()
    assert shown["plan_id"] == oracle.plan(seconds(now))
    # Of several allowances that could pay a debt, the order decides which does; and until a dispute
    # ends, it holds what was live when it was heard of.
    is_settled = not any(map(oracle.is_disputed, right | found))
    if is_settled and not any(
        one.type is EntryType.DEBT_SETTLED for one in in_order.entries.values()
    ):
        account = in_order.at(now)
        assert (shown["balance"], shown["debt"]) == (account.balance, account.debt)


def due(oracle: Oracle, now: datetime) -> Brought:
    terms = defaultdict[str, list[int]](list)
    for (term_id, _), credits_ in sorted(oracle.due(seconds(now)).items()):
        terms[term_id].append(credits_)
    return by_payment((term_id.partition(":")[0], months) for term_id, months in terms.items())


def brought(now: datetime) -> Brought:
    stored = ledger().table.query_all(
        "pk = :pk AND begins_with(sk, :prefix)",
        {":pk": account_key(ACCOUNT)["pk"], ":prefix": TERM_PREFIX},
    )
    account = read(ledger().table, ACCOUNT).account
    assert account is not None
    draft = settle(account, CATALOG, now)
    terms = (*map(term_of, stored), *draft.closed, *draft.account.terms)
    latest = {term.term_id: term for term in terms}
    return by_payment(
        (term.payment_id, [lot.booked for _, lot in sorted(term.lots.items())])
        for term in latest.values()
    )


def by_payment(terms: Iterable[tuple[str, list[int]]]) -> Brought:
    """Group by payment, as lines have another order in Stripe's message than in the command."""
    grouped: Brought = {}
    for payment_id, months in terms:
        if some := [credits_ for credits_ in months if credits_]:
            grouped.setdefault(payment_id.removeprefix("stripe:"), []).append(some)
    return {payment_id: sorted(months) for payment_id, months in grouped.items()}


def read_account() -> dict[str, Any]:
    """Return what the account's user reads of it."""
    sent = event("account/me")
    sent["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = ACCOUNT
    return dict(json.loads(invoke("account", sent)["body"]))


def is_allowed(act: Command) -> bool:
    try:
        ledger().execute(replace(act, account_id=ACCOUNT))
    except RefusalError:
        return False
    return True
