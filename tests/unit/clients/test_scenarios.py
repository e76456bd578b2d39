"""The charging scenarios that every client plays alike, of clients/scenarios.json.

The TypeScript client plays them in clients/typescript/packages/client/test/scenarios.test.ts.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import scrip_client
from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from tests.unit.clients.scrip_in_memory import (
    ACCOUNT_ID,
    ModelError,
    ScripInMemory,
    answer_lost,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip_client import Hold, Scrip

CREDITS = 150
SCENARIOS = json.loads((Path(__file__).parents[3] / "clients/scenarios.json").read_text())
ESTIMATED = {"estimated": True}
ERRORS = {"ModelError": ModelError, **vars(scrip_client)}


def used(use: dict[str, Any]) -> tuple[str | None, str, dict[str, Any]]:
    """Return the feature, the account and the rest of what is used."""
    rest = {"idempotency_key": use.get("key"), **use}
    rest.pop("key", None)
    return rest.pop("feature", None), ACCOUNT_ID, rest


def play(step: dict[str, Any], scrip: Scrip, world: ScripInMemory) -> None:
    match step:
        case {"lose": responses}:
            world.faults.extend([answer_lost] * responses)
        case {"consume": use}:
            feature, account_id, rest = used(use)
            scrip.consume(account_id, feature, **rest)
        case {"charge": use}:
            feature, account_id, rest = used(use)
            with scrip.charge(feature, account_id, **rest) as charge:
                refund = lambda line: charge.refund(line["refund"], reason="a part")  # noqa: E731
                each(step, world, refund)
        case {"hold": use}:
            feature, account_id, rest = used(use)
            with suppress(GeneratorExit), scrip.hold(feature, account_id, **rest) as hold:
                each(step, world, lambda line: play_hold(line, hold, scrip))
        case {"lease": use}:
            feature, account_id, _ = used(use)
            with scrip.lease(feature, account_id, slice_credits=use["credits"]) as lease:
                each(step, world, lambda line: lease.consume(line["consume"]))


def play_hold(line: dict[str, Any], hold: Hold, scrip: Scrip) -> None:
    match line:
        case {"use": dict(usage)}:
            estimated = line.get("estimated", False)
            hold.use(usage=usage, usage_of=line.get("of"), estimated=estimated)
        case {"use": units}:
            hold.use(units, feature=line.get("feature"))
        case {"capture": True}:
            hold.capture()
        case {"elsewhere": "release"}:
            scrip.release_hold(ACCOUNT_ID, hold.hold_id)
        case {"elsewhere": "capture", "quantity": quantity}:
            scrip.capture_hold(ACCOUNT_ID, hold.hold_id, quantity=quantity)


def each(
    step: dict[str, Any], world: ScripInMemory, play_line: Callable[[dict[str, Any]], Any]
) -> None:
    for line in step["block"]:
        match line:
            case {"lose": responses}:
                world.faults.extend([answer_lost] * responses)
            case {"fail": True}:
                raise ModelError
            case {"leave": True}:
                raise GeneratorExit
            case _:
                play_line(line)


@pytest.mark.parametrize("scenario", SCENARIOS["scenarios"], ids=lambda scenario: scenario["name"])
def test_every_scenario_ends_as_the_table_says(scenario: dict[str, Any]) -> None:
    world = ScripInMemory()
    world.catalog = DEFAULT_CATALOG
    with world.client() as scrip:
        for step in scenario["steps"]:
            if error := step.get("throws"):
                with pytest.raises(ERRORS[error]):
                    play(step, scrip, world)
            else:
                play(step, scrip, world)
    assert not world.faults
    assert [amount for _, amount in world.ledger if amount] == scenario["amounts"]
    marked = [entry["amount"] for entry in world.entries if entry["metadata"] == ESTIMATED]
    assert [amount for amount in marked if amount] == scenario.get("estimated", [])
    if "called" in scenario:
        uses = [entry for entry in world.entries if entry["type"] == "usage" and entry["amount"]]
        kept = [{name: use[name] for name in ("reference", "metadata")} for use in uses]
        assert kept == scenario["called"]
    account = world.account
    assert account.available == account.balance == CREDITS + sum(scenario["amounts"])
