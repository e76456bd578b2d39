"""What a command costs: round trips and capacity, counted on the local DynamoDB."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from bench import costs
from functions.admin.search import search
from scrip.domain.commands import (
    USES_MAX,
    Adjust,
    AdjustAction,
    CaptureHold,
    Command,
    Consume,
    ConsumeBatch,
    ExtendHold,
    HoldLine,
    OpenAccount,
    OpenHold,
    PayTerms,
    Refund,
    ReleaseHold,
    Renew,
    ResetAnchor,
    ResetUsage,
    Use,
)
from scrip.domain.decide import SIGNUP_ENTRY_ID
from scrip.domain.entries import Actor, ActorType
from scrip.domain.errors import InsufficientCreditsError
from scrip.domain.grants import GrantKind
from scrip.domain.terms import Line
from scrip.ledger import Ledger, utc_now
from scrip.store.aliases import link_account
from scrip.store.client import Table
from scrip_cli.local import demo
from scrip_cli.local.stack import LocalStack

MODEL = "anthropic.claude-sonnet-5-5"
"""A feature of the default catalog that has meters."""


@dataclass
class Meter:
    """Counts the calls of DynamoDB and their capacity in units."""

    calls: list[str] = field(default_factory=list)
    read: float = 0
    table_write: float = 0
    index_write: float = 0

    def reset(self) -> None:
        """Start again from zero."""
        self.__init__()  # type: ignore[misc]

    def hook(self, client: Any) -> None:
        """Count every call of a client from now on."""
        events = client.meta.events
        events.register("provide-client-params.dynamodb", self._ask)
        events.register("after-call.dynamodb", self._count)

    def _ask(self, params: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**params, "ReturnConsumedCapacity": "INDEXES"}

    def _count(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        self.calls.append(model.name)
        consumed = parsed.get("ConsumedCapacity", [])
        for used in consumed if isinstance(consumed, list) else [consumed]:
            indexes = used.get("GlobalSecondaryIndexes", {}).values()
            in_indexes = sum(index["CapacityUnits"] for index in indexes)
            if model.name == "TransactWriteItems":
                self.table_write += used["CapacityUnits"] - in_indexes
                self.index_write += in_indexes
            else:
                self.read += used["CapacityUnits"]


@dataclass
class Metered:
    """An account with four live grants, and a meter for its commands."""

    ledger: Ledger
    meter: Meter
    account_id: str
    actor: Actor

    def fields(self) -> dict[str, Any]:
        """Return the fields that every command has."""
        return {"account_id": self.account_id, "entry_id": str(uuid4()), "actor": self.actor}

    def consume(self, amount: int, key: str) -> Consume:
        """Return a consume with the fields that an app usually sets."""
        return Consume(
            account_id=self.account_id,
            entry_id=key,
            actor=self.actor,
            feature=None,
            amount=amount,
            reference="job-0123456789",
        )


def opening(account_id: str) -> OpenAccount:
    """Return the sign-up of an account."""
    return OpenAccount(
        account_id=account_id,
        entry_id=SIGNUP_ENTRY_ID,
        actor=Actor(ActorType.USER, account_id),
        plan_id="free",
        signup_credits=10_000,
        reset_anchor=ResetAnchor.SIGNUP,
        time_zone="UTC",
    )


@pytest.fixture
def metered(stack: LocalStack) -> Iterator[Metered]:
    client = stack.client("dynamodb")
    meter = Meter()
    ledger = Ledger(Table(client, demo.details(stack).table_name), utc_now)
    account_id = str(uuid4())
    actor = Actor(ActorType.USER, account_id)
    ledger.execute(opening(account_id))
    for kind in (GrantKind.ADMIN, GrantKind.PROMO):
        ledger.execute(
            Adjust(
                account_id=account_id,
                entry_id=str(uuid4()),
                actor=actor,
                reason="a grant",
                action=AdjustAction.ADD,
                amount=10_000,
                kind=kind,
                expires_at=utc_now() + timedelta(days=30),
            ),
        )
    assert len(ledger.account(account_id).grants) == 4
    meter.hook(client)
    yield Metered(ledger, meter, account_id, actor)
    client.close()


@pytest.fixture
def paying(metered: Metered) -> Metered:
    """The same, on a paid term instead of the free plan."""
    start = utc_now()
    metered.ledger.execute(
        PayTerms(
            account_id=metered.account_id,
            entry_id=f"stripe:in_{uuid4().hex[:24]}",
            keyed=False,
            actor=Actor(ActorType.WEBHOOK, "stripe"),
            subscription_id=f"stripe:sub_{uuid4().hex[:24]}",
            lines=(
                Line(
                    item_id=f"si_{uuid4().hex[:14]}",
                    plan_id="pro",
                    start=start,
                    end=start + timedelta(days=30),
                ),
            ),
            money=2_000,
            currency="usd",
        ),
    )
    account = metered.ledger.account(metered.account_id)
    assert (len(account.terms), len(account.grants)) == (1, 4)
    metered.meter.reset()
    return metered


@pytest.mark.parametrize("of", ["metered", "paying"])
def test_a_consume_takes_2_round_trips_5_write_units_and_1_read_unit(
    of: str, request: pytest.FixtureRequest
) -> None:
    metered: Metered = request.getfixturevalue(of)
    metered.ledger.execute(metered.consume(5, str(uuid4())))
    meter = metered.meter
    assert meter.calls == ["GetItem", "TransactWriteItems"]
    assert (meter.table_write, meter.index_write) == (4, 1)
    assert meter.read <= 1
    # The bill in docs/reference/costs.md is calculated from this.
    assert meter.table_write + meter.index_write == costs.CONSUME_WRITE_UNITS
    assert meter.read <= costs.CONSUME_READ_UNITS


def test_a_use_of_four_meters_costs_as_much_as_any_other(metered: Metered) -> None:
    usage = {"input": 120_000, "cached_input": 90_000, "cache_write": 30_000, "output": 8_000}
    metered.ledger.catalog()
    metered.meter.reset()
    command = replace(metered.consume(1, str(uuid4())), amount=None, feature=MODEL, usage=usage)
    entry = metered.ledger.execute(command).entry
    assert entry
    assert entry.price
    assert entry.price.keys() == usage.keys()
    assert metered.meter.calls == ["GetItem", "TransactWriteItems"]
    assert (metered.meter.table_write, metered.meter.index_write) == (4, 1)


def test_a_refused_consume_takes_at_most_2_round_trips_and_writes_nothing(metered: Metered) -> None:
    refused = metered.consume(10**9, str(uuid4()))
    with pytest.raises(InsufficientCreditsError):
        metered.ledger.execute(refused)
    assert metered.meter.calls == ["GetItem", "GetItem"]
    metered.meter.reset()
    with pytest.raises(InsufficientCreditsError):
        metered.ledger.execute(replace(refused, keyed=False))
    assert metered.meter.calls == ["GetItem"]
    assert metered.meter.table_write == 0


def test_a_replay_takes_2_round_trips(metered: Metered) -> None:
    command = metered.consume(5, str(uuid4()))
    metered.ledger.execute(command)
    metered.meter.reset()
    assert metered.ledger.execute(command).replayed
    assert metered.meter.calls == ["GetItem", "TransactWriteItems"]


@pytest.mark.parametrize(("kind", "table_write"), [(ActorType.SERVICE, 6), (ActorType.ADMIN, 8)])
def test_a_refund_takes_2_round_trips_and_7_write_units_and_2_more_by_an_admin(
    metered: Metered,
    kind: ActorType,
    table_write: int,
) -> None:
    key = str(uuid4())
    metered.ledger.execute(metered.consume(5, key))
    metered.meter.reset()
    metered.ledger.execute(
        Refund(
            account_id=metered.account_id,
            entry_id=str(uuid4()),
            actor=Actor(kind, "app"),
            refunds=key,
            reason="failed",
        ),
    )
    assert metered.meter.calls == ["TransactGetItems", "TransactWriteItems"]
    assert (metered.meter.table_write, metered.meter.index_write) == (table_write, 1)
    assert metered.meter.read <= 6


def test_a_grant_that_never_expires_takes_one_write_to_retire_and_one_more_round_trip_to_refund(
    metered: Metered,
) -> None:
    [lasting] = [
        grant
        for grant in metered.ledger.account(metered.account_id).grants
        if grant.expires_at is None
    ]
    all_before_it = 100 + 10_000
    key = str(uuid4())
    metered.meter.reset()
    metered.ledger.execute(metered.consume(all_before_it + lasting.amount, key))
    assert metered.meter.calls == ["GetItem", "TransactWriteItems"]
    assert (metered.meter.table_write, metered.meter.index_write) == (4 + 2, 1)
    assert metered.ledger.account(metered.account_id).grant(lasting.grant_id) is None

    fields = {**metered.fields(), "actor": Actor(ActorType.SERVICE, "app"), "reason": "failed"}
    metered.meter.reset()
    metered.ledger.execute(Refund(**fields, refunds=key, amount=5))
    assert metered.meter.calls == ["TransactGetItems", "TransactGetItems", "TransactWriteItems"]
    assert (metered.meter.table_write, metered.meter.index_write) == (6, 1)
    again = metered.ledger.account(metered.account_id).grant(lasting.grant_id)
    assert again is not None
    assert (again.remaining, again.expires_at) == (5, None)


def test_an_adjustment_and_a_reset_take_7_write_units_with_their_audit_records(
    metered: Metered,
) -> None:
    fields = {**metered.fields(), "reason": "to count"}
    adjust = Adjust(**fields, action=AdjustAction.DEDUCT, amount=5)
    commands: list[Command] = [adjust, ResetUsage(**metered.fields())]
    for command in commands:
        metered.meter.reset()
        metered.ledger.execute(command)
        assert metered.meter.calls == ["GetItem", "TransactWriteItems"]
        assert (metered.meter.table_write, metered.meter.index_write) == (6, 1)
        assert metered.meter.read <= 1


def test_a_new_period_takes_2_write_units_and_3_for_each_entry(metered: Metered) -> None:
    metered.ledger.catalog()
    metered.ledger.clock = lambda: utc_now() + timedelta(days=31)
    metered.meter.reset()
    metered.ledger.execute(Renew(**metered.fields(), keyed=False))
    assert metered.meter.calls == ["GetItem", "TransactWriteItems"]
    entries = 4  # two gifts and the old allowance expire, the new one arrives
    assert (metered.meter.table_write, metered.meter.index_write) == (2 + 2 * entries, entries)
    assert costs.RENEWAL_WRITE_UNITS == 2 + 3 * 2  # of an account without gifts


def test_a_hold_costs_as_much_as_a_consume_and_its_end_2_units_and_3_more_for_a_remainder(
    metered: Metered,
    subtests: pytest.Subtests,
) -> None:
    def capture(amount: int, *, final: bool) -> CaptureHold:
        fields = metered.fields()
        return CaptureHold(**fields, hold_id="user:h1", amount=amount, final=final, excess=False)

    opening = OpenHold(**metered.fields() | {"entry_id": "user:h1"}, amount=50, expires_in=300)
    again = OpenHold(**metered.fields() | {"entry_id": "user:h2"}, amount=50, expires_in=300)
    calls: list[tuple[str, Command, int, int]] = [
        # what is done, the command, write units of the table, of the index
        ("opened", opening, 4, 1),
        ("extended", ExtendHold(**metered.fields(), hold_id="user:h1", expires_in=600), 2, 0),
        ("captured in part", capture(10, final=False), 4, 1),
        ("captured for good, with a remainder", capture(10, final=True), 8, 2),
        ("opened again", again, 4, 1),
        ("released", ReleaseHold(**metered.fields(), hold_id="user:h2"), 6, 1),
    ]
    for done, command, table_write, index_write in calls:
        with subtests.test(done):
            metered.meter.reset()
            metered.ledger.execute(command)
            assert metered.meter.calls == ["GetItem", "TransactWriteItems"]
            written = metered.meter.table_write, metered.meter.index_write
            assert written == (table_write, index_write)
            assert metered.meter.read <= 1


def test_lines_of_a_hold_cost_what_uses_of_a_batch_do(metered: Metered) -> None:
    lines = tuple(HoldLine(amount=amount) for amount in (1, 2, 3))
    fields = {**metered.fields(), "entry_id": "user:h1"}
    metered.ledger.execute(OpenHold(**fields, lines=lines, expires_in=300))
    assert metered.meter.calls == ["GetItem", "TransactWriteItems"]
    assert (metered.meter.table_write, metered.meter.index_write) == (2 + 2 * 3, 3)


def test_a_batch_takes_2_round_trips_2_write_units_and_3_for_each_use(metered: Metered) -> None:
    uses = tuple(Use(amount=1, reference=f"job-{number}") for number in range(USES_MAX))
    metered.ledger.execute(ConsumeBatch(**metered.fields(), uses=uses))
    assert metered.meter.calls == ["GetItem", "TransactWriteItems"]
    written = metered.meter.table_write, metered.meter.index_write
    assert written == (2 + 2 * USES_MAX, USES_MAX)
    assert metered.meter.read <= 1


def test_a_search_takes_two_round_trips_and_at_most_14_read_units(metered: Metered) -> None:
    table = metered.ledger.table
    for number in range(40):
        account_id = f"{metered.account_id}-{number}"
        metered.ledger.execute(opening(account_id))
        assert link_account(table, account_id, f"email:{account_id}@example.com")
    metered.meter.reset()
    found = search(table, metered.account_id[:8])
    assert len(found) == 10
    # What is read first is read at the same time.
    assert sorted(metered.meter.calls) == ["BatchGetItem", "BatchGetItem", "Query", "Query"]
    assert metered.meter.calls[-1] == "BatchGetItem"
    assert metered.meter.read <= 14
