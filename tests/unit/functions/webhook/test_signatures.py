"""Signatures: a message is accepted only if its provider signed all of it a moment ago."""

from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from stripe import WebhookSignature

from functions.webhook.signatures import verify
from scrip.domain.errors import SignatureError
from scrip.webhooks.providers import Provider
from scrip_cli.webhooks.signing import sign
from tests.unit.webhooks.examples import SECRETS

BODY = '{"type": "user.created", "data": {"name": "Åsa"}}'.encode()

SECOND = timedelta(seconds=1)

# Secrets of the same form.
OTHERS = {
    Provider.STRIPE: "whsec_stripe_fedcba9876543210",
    Provider.CLERK: "whsec_b3RoZXIgc2VjcmV0",
    Provider.STANDARD: "whsec_b3RoZXIgc2VjcmV0",
    Provider.POLAR: "polar_whs_other",
}

providers = pytest.mark.parametrize("provider", Provider)


def signed(
    provider: Provider,
    *,
    secret: str | None = None,
    late: timedelta = 0 * SECOND,
) -> dict[str, str]:
    key = SECRETS[provider] if secret is None else secret
    return sign(provider, BODY, key, message_id="msg_01", at=datetime.now(UTC) - late)


def accepted(
    provider: Provider,
    headers: dict[str, str],
    body: bytes = BODY,
    secrets: tuple[str, ...] | None = None,
) -> bool:
    """Return whether a message is accepted; verify may raise only SignatureError."""
    try:
        verify(provider.scheme, headers, body, (SECRETS[provider],) if secrets is None else secrets)
    except SignatureError:
        return False
    return True


@providers
def test_a_message_that_was_just_signed_is_accepted(provider: Provider) -> None:
    assert accepted(provider, signed(provider))


def test_the_command_line_signs_as_the_providers_libraries_do() -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    secret = SECRETS[Provider.STRIPE]
    stripe = WebhookSignature.generate_signature_header(
        BODY.decode(),
        secret,
        int(now.timestamp()),
    )
    ours = sign(Provider.STRIPE, BODY, secret, message_id="", at=now)
    assert ours == {"stripe-signature": stripe}
    secret = SECRETS[Provider.STANDARD]
    ours = sign(Provider.STANDARD, BODY, secret, message_id="msg_01", at=now)
    assert ours["webhook-signature"] == Webhook(secret).sign("msg_01", now, BODY.decode())


@providers
def test_header_names_may_have_any_case(provider: Provider) -> None:
    assert accepted(provider, {name.title(): value for name, value in signed(provider).items()})


@providers
def test_a_message_may_be_five_minutes_early_or_late(provider: Provider) -> None:
    for seconds, is_recent in ((290, True), (310, False), (-290, True), (-310, False)):
        assert accepted(provider, signed(provider, late=seconds * SECOND)) is is_recent, seconds


@providers
def test_any_of_several_secrets_may_have_signed(provider: Provider) -> None:
    old, new = OTHERS[provider], SECRETS[provider]
    headers = signed(provider)
    assert accepted(provider, headers, secrets=(old, new))
    assert accepted(provider, headers, secrets=(new, old))
    assert not accepted(provider, headers, secrets=(old,))
    assert not accepted(provider, headers, secrets=())


@providers
def test_any_of_several_signatures_may_be_right(provider: Provider) -> None:
    name, wrong = f"{provider.scheme.headers}-signature", signed(provider, secret=OTHERS[provider])
    right = signed(provider)[name]
    if provider.scheme.is_stripes:
        seconds, proof = right.split(",")
        other = wrong[name].split(",")[1]
        both = (f"{seconds},{other},{proof}", f"{seconds},{proof},{other},v0=00")
        none = f"{seconds},{other},{proof.replace('v1', 'v0')}"
    else:
        both = (f"{wrong[name]} {right}", f"{right} {wrong[name]} v1a,AAAA")
        none = f"{wrong[name]} {right.replace('v1', 'v2')}"
    for header in both:
        assert accepted(provider, {**wrong, name: header}), header
    assert not accepted(provider, {**wrong, name: none})


def test_an_unusable_secret_does_not_affect_the_others() -> None:
    for provider in Provider:
        for unusable in ("", "whsec_", "whsec_?", "whsec_a", "whsec_é", "é"):
            assert not accepted(provider, signed(provider), secrets=(unusable,))
            assert accepted(provider, signed(provider), secrets=(unusable, SECRETS[provider]))


def test_a_secret_without_the_prefix_is_used_as_text() -> None:
    plain = "not base64 at all, but long enough"
    for provider in (Provider.STANDARD, Provider.POLAR):
        assert accepted(provider, signed(provider, secret=plain), secrets=(plain,))
    # Polar's is used as text even with the prefix.
    prefixed = "whsec_" + b64encode(plain.encode()).decode()
    headers = signed(Provider.POLAR, secret=prefixed)
    assert accepted(Provider.POLAR, headers, secrets=(prefixed,))
    assert not accepted(Provider.STANDARD, headers, secrets=(prefixed,))


@providers
def test_a_missing_or_an_empty_header_is_refused(provider: Provider) -> None:
    headers = signed(provider)
    assert not accepted(provider, {})
    for name in headers:
        assert not accepted(provider, {**headers, name: ""})
        assert not accepted(provider, {key: headers[key] for key in headers if key != name})


STRIPE_HEADERS = [
    "t",
    "t=",
    "t={t}",
    "t={t},v1",
    "t={t},v1=",
    "t={t},v1={v1}é",
    "v1={v1}",
    "t=,v1={v1}",
    "t=now,v1={v1}",
    "t=-1,v1={v1}",
    "t= {t},v1={v1}",
    "t=+{t},v1={v1}",
    "t=0{t},v1={v1}",
    "t={t}.0,v1={v1}",
    "t=٣,v1={v1}",
    "t=" + "9" * 5000 + ",v1={v1}",
    "t={t},t={t},v1={v1}",
    "t={t};v1={v1}",
    "t={t},v0={v1}",
    "t={t},V1={v1}",
    "\ud800",
    ",,,===",
]


def test_a_malformed_stripe_header_is_refused() -> None:
    right = signed(Provider.STRIPE)["stripe-signature"]
    seconds, proof = (part.split("=")[1] for part in right.split(","))
    for header in STRIPE_HEADERS:
        wrong = header.replace("{t}", seconds).replace("{v1}", proof)
        assert not accepted(Provider.STRIPE, {"stripe-signature": wrong}), header


STANDARD_HEADERS = [
    ("timestamp", "now"),
    ("timestamp", "nan"),
    ("timestamp", "inf"),
    ("timestamp", "-1"),
    ("timestamp", "1e9"),
    ("timestamp", "{t}.0"),
    ("timestamp", " {t}"),
    ("timestamp", "0{t}"),
    ("timestamp", "٣"),
    ("timestamp", "9" * 5000),
    ("id", "msg_02"),
    ("id", "msg_é"),
    ("id", "\ud800"),
    ("signature", "v1"),
    ("signature", "v1,"),
    ("signature", "v1,{v1},"),
    ("signature", "v1,a"),
    ("signature", "v1,????"),
    ("signature", "v1,é"),
    ("signature", "v2,{v1}"),
    ("signature", "{v1}"),
    ("signature", " "),
    ("signature", ","),
]


def test_a_malformed_standard_header_is_refused() -> None:
    for provider in Provider:
        if provider.scheme.is_stripes:
            continue
        prefix = provider.scheme.headers
        headers = signed(provider)
        seconds = headers[f"{prefix}-timestamp"]
        proof = headers[f"{prefix}-signature"].removeprefix("v1,")
        for name, value in STANDARD_HEADERS:
            wrong = value.replace("{t}", seconds).replace("{v1}", proof)
            assert not accepted(provider, {**headers, f"{prefix}-{name}": wrong}), (name, value)


def test_one_providers_headers_are_not_valid_for_another() -> None:
    secret = SECRETS[Provider.STANDARD]
    for provider, other in (
        (Provider.CLERK, Provider.STANDARD),
        (Provider.STANDARD, Provider.CLERK),
    ):
        assert not accepted(other, signed(provider, secret=secret), secrets=(secret,))


@providers
def test_a_body_that_is_not_text_is_refused(provider: Provider) -> None:
    assert not accepted(provider, signed(provider), b"\xff")


@given(st.sampled_from(Provider), st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_a_changed_byte_in_the_body_is_refused(provider: Provider, place: int, flip: int) -> None:
    other = bytearray(BODY)
    other[place] ^= flip
    assert not accepted(provider, signed(provider), bytes(other))


HEX = (bytes.fromhex, bytes.hex)
BASE64 = (b64decode, lambda proof: b64encode(proof).decode())


@given(st.sampled_from(Provider), st.integers(0, 255))
def test_a_changed_bit_in_the_signature_is_refused(provider: Provider, place: int) -> None:
    headers, name = signed(provider), f"{provider.scheme.headers}-signature"
    proof = headers[name].rpartition("=" if provider.scheme.is_stripes else ",")[2]
    read, write = HEX if provider.scheme.is_stripes else BASE64
    other = bytearray(read(proof))
    other[place // 8] ^= 1 << place % 8
    wrong = headers[name].replace(proof, write(bytes(other)))
    assert not accepted(provider, {**headers, name: wrong})


anything = st.text(st.characters(codec=None, exclude_categories=()))


@given(
    st.sampled_from(Provider),
    st.dictionaries(
        st.sampled_from(
            [
                "stripe-signature",
                *(f"svix-{name}" for name in ("id", "timestamp", "signature")),
                *(f"webhook-{name}" for name in ("id", "timestamp", "signature")),
            ],
        ),
        anything | st.integers().map(str) | anything.map(lambda text: f"t=1,v1={text}"),
    ),
    st.binary(),
    st.lists(st.text() | st.text().map(lambda text: f"whsec_{text}"), max_size=3),
)
def test_nonsense_raises_only_a_signature_error(
    provider: Provider,
    headers: dict[str, str],
    body: bytes,
    secrets: list[str],
) -> None:
    assert not accepted(provider, headers, body, tuple(secrets))


@given(st.sampled_from([*Provider]), anything, st.sampled_from(["id", "timestamp", "signature"]))
def test_nonsense_in_one_header_is_refused(provider: Provider, text: str, name: str) -> None:
    prefix = provider.scheme.headers
    header = "stripe-signature" if provider.scheme.is_stripes else f"{prefix}-{name}"
    right = signed(provider)
    assert accepted(provider, {**right, header: text}) is (text == right[header])
