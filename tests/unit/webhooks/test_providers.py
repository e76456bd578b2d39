"""Rules for the messages of all providers, whatever their fields contain."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrip.domain.errors import PayloadError
from scrip.store.aliases import can_lead
from scrip.store.keys import alias_key, entry_key, is_possible, payment_key
from scrip.webhooks.facts import AccountFact
from scrip.webhooks.messages import IgnoredError, Message
from scrip.webhooks.providers import Provider, read_message
from tests.unit.webhooks.examples import EVENTS, SENT_AT, body, day, message, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.webhooks.facts import Fact, PaidLine

WITH_HEADERS = [provider for provider in Provider if not provider.scheme.is_stripes]
"""The providers that put the ID of a message into its headers."""

DOCUMENTATION = Path("docs/reference/webhooks.md")

SAMPLES = sorted((Provider(path.parent.name), path.stem) for path in EVENTS.glob("*/*.json"))

HEADERS = {
    "svix-id": "msg_01",
    "svix-timestamp": "1795000000",
    "webhook-id": "msg_01",
    "webhook-timestamp": "1795000000",
}


def test_every_provider_has_sample_events_and_is_documented() -> None:
    reference = DOCUMENTATION.read_text()
    for provider in Provider:
        assert any(sample is provider for sample, _ in SAMPLES)
        assert f"`{provider}`" in reference


def test_a_message_has_an_id_a_type_and_its_providers_time() -> None:
    for provider, name, message_id, type_, sent_at in (
        (Provider.STRIPE, "invoice_paid", "evt_ScripPro02", "invoice.paid", day(11, 1, 3)),
        (Provider.CLERK, "user_deleted", "msg_01", "user.deleted", day(2, 1)),
        (Provider.STANDARD, "user_created", "msg_01", "user.created", day(10, 31, 8 * 3600)),
        (Provider.POLAR, "order_refunded", "msg_01", "order.refunded", day(11, 12, 2)),
    ):
        payload = body(provider, name)
        assert message(provider, payload) == Message(
            provider=provider,
            message_id=message_id,
            type=type_,
            payload=payload,
            sent_at=sent_at,
        )


def test_a_message_without_a_time_of_its_own_has_that_of_the_attempt() -> None:
    for provider in WITH_HEADERS:
        assert message(provider, {"type": "user.created"}).sent_at == SENT_AT


def test_header_names_may_have_any_case() -> None:
    given_headers = {name.title(): value for name, value in HEADERS.items()}
    read = read_message(Provider.CLERK, given_headers, b'{"type": "user.created"}')
    assert (read.message_id, read.sent_at) == ("msg_01", datetime.fromtimestamp(1795000000, UTC))


@pytest.mark.parametrize(
    ("provider", "sent", "reason"),
    [
        (Provider.STRIPE, b"", "the body is not JSON"),
        (Provider.STRIPE, b"\xff", "the body is not JSON"),
        (Provider.STRIPE, b"[" * 100_000, "the body is not JSON"),
        (Provider.STRIPE, b"[]", "the body is not a JSON object"),
        (Provider.STRIPE, b'{"type": "x", "created": 1}', "message_id: "),
        (Provider.STRIPE, b'{"id": "a b", "type": "x", "created": 1}', "message_id: "),
        (Provider.STRIPE, b'{"id": 1, "type": "x", "created": 1}', "message_id: "),
        (Provider.STRIPE, b'{"id": "evt_1", "created": 1}', "type: "),
        (Provider.STRIPE, b'{"id": "evt_1", "type": "", "created": 1}', "type: "),
        (Provider.STRIPE, b'{"id": "evt_1", "type": "x"}', "sent_at: "),
        (Provider.STANDARD, b'{"type": "x", "timestamp": "today"}', "sent_at: "),
        (Provider.STANDARD, b'{"type": "x", "timestamp": "2026-11-01T00:00:00"}', "sent_at: "),
        (Provider.STANDARD, b'{"type": "x", "timestamp": "0001-01-01T00:00:00+09:00"}', "sent_at"),
        (Provider.POLAR, b"{}", "type: "),
    ],
)
def test_an_unreadable_message_is_refused_with_the_reason(
    provider: Provider, sent: bytes, reason: str
) -> None:
    with pytest.raises(PayloadError) as refused:
        read_message(provider, HEADERS, sent)
    assert refused.value.reason.startswith(reason)


def test_a_message_without_its_headers_is_refused() -> None:
    for provider in WITH_HEADERS:
        with pytest.raises(PayloadError, match="message_id: "):
            read_message(provider, {}, b'{"type": "user.created"}')


@given(st.sampled_from(Provider), st.binary())
def test_nonsense_raises_only_a_payload_error(provider: Provider, sent: bytes) -> None:
    with pytest.raises(PayloadError):
        read_message(provider, HEADERS, sent)


@pytest.mark.parametrize(
    ("provider", "types"),
    [
        (Provider.STRIPE, ("invoice.finalized", "customer.subscription.x", "invoice_payment")),
        (Provider.CLERK, ("paymentAttempt.created", "session.created", "user.merged")),
        (Provider.CLERK, ("subscription", "subscription.item.active")),
        (Provider.STANDARD, ("invoice.sent",)),
        (Provider.POLAR, ("order.created", "checkout.updated", "benefit_grant.created")),
        (Provider.POLAR, ("subscription.x",)),
    ],
)
def test_other_events_are_ignored(provider: Provider, types: tuple[str, ...]) -> None:
    for type_ in types:
        payload = {"id": "evt_1", "type": type_, "created": 1, "data": {}}
        with pytest.raises(IgnoredError, match=f"does not use {type_} events"):
            translated(provider, payload)


LONG = "x" * 3_000
HALF = "a\ud800b"


def texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of all texts in a payload."""
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


def kept(fact: Fact | PaidLine) -> Iterator[str]:
    """Yield the fields of a fact that become keys or stay in an account's item."""
    for field in fields(fact):
        value = getattr(fact, field.name)
        match field.name:
            case "names" | "plan_names" | "emails" | "name" | "account_id" | "reason":
                continue  # checked where they are looked up, or cut
            case "lines":
                for line in value:
                    yield from kept(line)
            case "also" | "payment_ids":
                yield from value
            case _ if isinstance(value, str) and value:
                yield value


@pytest.mark.parametrize(("provider", "name"), SAMPLES)
def test_nothing_in_a_message_is_too_long_to_be_kept(provider: Provider, name: str) -> None:
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
            # A payer may type a name of any length; a long one leads nowhere.
            names = fact.names if isinstance(fact, AccountFact) else ()
            assert not any(map(can_lead, (name for name in names if LONG in name))), path


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
