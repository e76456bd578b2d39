"""What `scrip seed` shows: each of the first 16 accounts is there for one thing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, cast

import pytest

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.ledger import Ledger
from scrip.settings import Settings
from scrip.store.catalogs import load_catalog
from scrip.store.client import Table
from scrip_cli.seed.people import Person, Role
from scrip_cli.seed.work import Seeding
from simulation.dynamodb import SimulatedDynamoDB

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

SUBSCRIBED = {
    Role.SUBSCRIBER: "active",
    Role.TEAM: "active",
    Role.YEARLY: "active",
    Role.TRIAL: "trialing",
    Role.PAST_DUE: "past_due",
    Role.CANCELED: "canceled",
}


@pytest.mark.parametrize("today", [date(2026, 11, 30), date(2027, 2, 4)], ids=str)
def test_each_of_the_first_accounts_shows_what_it_is_there_for(today: date) -> None:
    table = Table(cast("DynamoDBClient", SimulatedDynamoDB("scrip")), "scrip")
    load_catalog(table, DEFAULT_CATALOG)
    seeding = Seeding(table, Settings(table_name="scrip", signup_credits=10_000), today)
    ledger = Ledger(table, lambda: datetime.combine(today, time(), UTC))
    accounts = {}
    for number in range(1, len(Role) + 1):
        person = Person(seed=1, number=number)
        seeding.live(person)
        accounts[person.role] = ledger.account(person.account_id)

    assert accounts[Role.AGENT].held == 400
    assert accounts[Role.HEAVY].available < 200, "the month's allowance at most"
    assert accounts[Role.DEBTOR].debt > 0
    assert accounts[Role.FROZEN].status == "frozen"
    assert accounts[Role.DISPUTED].held >= 500
    assert ledger.entitled(accounts[Role.DEVELOPER]).plan.unlimited
    assert accounts[Role.NEWCOMER].seq_last > 1
    subscriptions = {role: accounts[role].subscription for role in SUBSCRIBED}
    assert {role: one and one.status for role, one in subscriptions.items()} == SUBSCRIBED
    again = seeding.entries_added
    for number in range(1, len(Role) + 1):
        seeding.live(Person(seed=1, number=number))
    assert seeding.entries_added == again, "nothing is added twice"


def test_a_seeded_stack_is_seeded_again_after_its_catalog_has_changed() -> None:
    table = Table(cast("DynamoDBClient", SimulatedDynamoDB("scrip")), "scrip")
    few = dict([*DEFAULT_CATALOG.features.items()][:3])
    for features in (few, DEFAULT_CATALOG.features):
        load_catalog(table, replace(DEFAULT_CATALOG, features=features))
        for day in (date(2026, 11, 30), date(2026, 12, 1)):
            seeding = Seeding(table, Settings(table_name="scrip", signup_credits=10_000), day)
            for number in range(1, len(Role) + 1):
                seeding.live(Person(seed=1, number=number))
