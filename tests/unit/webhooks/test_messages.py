"""What is read of every message, before anybody knows what it means."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrip.domain.errors import PayloadError
from scrip.webhooks.messages import Message, Provider, read_message
from tests.unit.webhooks.examples import SENT_AT, body, day, message

HEADERS = {
    "svix-id": "msg_01",
    "svix-timestamp": "1795000000",
    "webhook-id": "msg_01",
    "webhook-timestamp": "1795000000",
}


def test_a_message_has_an_id_a_type_and_the_time_that_its_provider_tells() -> None:
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
    for provider in (Provider.CLERK, Provider.STANDARD, Provider.POLAR):
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
def test_what_cannot_be_read_is_refused(provider: Provider, sent: bytes, reason: str) -> None:
    with pytest.raises(PayloadError) as refused:
        read_message(provider, HEADERS, sent)
    assert refused.value.reason.startswith(reason)


def test_a_message_without_its_headers_is_refused() -> None:
    for provider in (Provider.CLERK, Provider.STANDARD, Provider.POLAR):
        with pytest.raises(PayloadError, match="message_id: "):
            read_message(provider, {}, b'{"type": "user.created"}')


@given(st.sampled_from(Provider), st.binary())
def test_nonsense_is_refused_and_nothing_else(provider: Provider, sent: bytes) -> None:
    with pytest.raises(PayloadError):
        read_message(provider, HEADERS, sent)
