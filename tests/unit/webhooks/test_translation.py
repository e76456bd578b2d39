"""What holds for the messages of all providers, whatever stands in which of their fields."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from scrip.domain.errors import PayloadError
from scrip.store.aliases import can_lead
from scrip.store.keys import alias_key, entry_key, is_possible, payment_key
from scrip.webhooks.messages import IgnoredError, Provider
from tests.unit.webhooks.examples import EVENTS, body, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.webhooks.facts import Fact

LONG = "x" * 3_000
HALF = "a\ud800b"

SAMPLES = sorted((Provider(path.parent.name), path.stem) for path in EVENTS.glob("*/*.json"))


def texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where in a payload there is a text."""
    match value:
        case str():
            yield path
        case dict():
            for name, inner in value.items():
                yield from texts(inner, (*path, name))
        case list():
            for number, inner in enumerate(value):
                yield from texts(inner, (*path, number))


def changed(payload: Any, path: tuple[Any, ...], value: str) -> Any:
    found = place = deepcopy(payload)
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return found


def kept(fact: Fact) -> Iterator[str]:
    """Yield what of a fact becomes a key or stays in an account's item."""
    for field in fields(fact):
        value = getattr(fact, field.name)
        match field.name:
            case "names" | "plan_names" | "emails" | "account_id":
                continue  # checked where they are to lead somewhere
            case "also" | "payment_ids":
                yield from value
            case _ if isinstance(value, str):
                yield value


@pytest.mark.parametrize(("provider", "name"), SAMPLES)
def test_nothing_that_a_message_says_is_too_long_to_be_kept(provider: Provider, name: str) -> None:
    payload = body(provider, name)
    for path in texts(payload):
        try:
            facts = translated(provider, changed(payload, path, LONG))
        except (IgnoredError, PayloadError):
            continue
        for fact in facts:
            assert all(len(text.encode()) <= 300 for text in kept(fact)), path
            for text in kept(fact):
                keys = (alias_key(text), payment_key(text), entry_key("a" * 128, text))
                assert all(map(is_possible, keys)), path
            # What a payer can type may be as long as they like; it leads nowhere then.
            assert not any(map(can_lead, (name for name in fact.names if LONG in name))), path


@pytest.mark.parametrize(("provider", "name"), SAMPLES)
def test_half_a_character_anywhere_in_a_message_makes_it_unreadable(
    provider: Provider, name: str
) -> None:
    payload = body(provider, name)
    json.loads(json.dumps(changed(payload, next(texts(payload)), HALF)))  # it is JSON
    for path in texts(payload):
        with pytest.raises(PayloadError):
            translated(provider, changed(payload, path, HALF))
    with pytest.raises(PayloadError):
        translated(provider, {**payload, HALF: 1})
