"""Answers are typed values that match the OpenAPI document."""

from dataclasses import MISSING, FrozenInstanceError, fields
from datetime import UTC, datetime

import pytest

from scrip_client import models
from scrip_client.reading import name_of, read
from tests.unit.clients.conftest import ACCOUNT, openapi

SHAPES = {
    models.Account: "AccountAnswer",
    models.Balance: "AccountSummary",
    models.Grant: "GrantAnswer",
    models.Period: "Period",
    models.Entry: "EntryAnswer",
    models.OneEntry: "OneEntryAnswer",
    models.Allocation: "AllocationAnswer",
    models.Actor: "ActorAnswer",
    models.Change: "UpcomingChange",
    models.Upcoming: "UpcomingAnswer",
    models.Price: "PriceAnswer",
    models.Quote: "QuoteAnswer",
    models.Statement: "StatementAnswer",
    models.StatementLine: "StatementLineAnswer",
    models.Page: "EntriesAnswer",
    models.Held: "HeldAnswer",
    models.Holds: "HoldsAnswer",
    models.HoldState: "ExtendedAnswer",
    models.Catalog: "CatalogAnswer",
    models.Plan: "PublicPlan",
    models.Rollover: "RolloverAnswer",
    models.Feature: "PublicFeature",
}


@pytest.mark.parametrize("model", SHAPES)
def test_the_api_always_sends_every_field_without_a_default(model: type) -> None:
    schema = openapi()["components"]["schemas"][SHAPES[model]]
    named = {name_of(field) for field in fields(model)}
    assert {name_of(field) for field in fields(model) if field.default is MISSING} <= set(
        schema["required"]
    )
    assert set(schema["properties"]) - named <= {"request_hash"}


def test_unknown_fields_of_a_newer_scrip_are_ignored_at_every_depth() -> None:
    grant = {
        "grant_id": "g",
        "kind": "of_tomorrow",
        "amount": 5,
        "remaining": 5,
        "priority": 1,
        "granted_at": "2026-11-21T13:05:00.123Z",
        "expires_at": None,
        "source": "x",
        "colour": "red",
    }
    account = read(models.Account, {**ACCOUNT, "grants": [grant], "mood": "fine"})
    assert account.grants[0].kind == "of_tomorrow"
    assert account.grants[0].granted_at == datetime(2026, 11, 21, 13, 5, 0, 123000, tzinfo=UTC)
    assert account.grants[0].granted_at.tzinfo is UTC
    assert account.grants[0].expires_at is None
    assert account.period.end == datetime(2026, 12, 1, tzinfo=UTC)


def test_a_missing_field_with_a_default_is_none() -> None:
    assert read(models.Actor, {"type": "admin"}) == models.Actor(type="admin", id=None)
    with pytest.raises(KeyError):
        read(models.Actor, {"id": "a1"})


def test_answers_are_frozen() -> None:
    account = read(models.Account, ACCOUNT)
    with pytest.raises(FrozenInstanceError):
        account.balance = 1_000_000
