"""Uses by meter over HTTP: what they cost, what their entries keep, and what is refused."""

from collections.abc import Mapping
from typing import Any

import pytest

from scrip.domain.catalog import METERS_MAX, Feature, Price
from scrip.ledger import ledger
from scrip.store.client import Table
from scrip.store.items import feature_item
from tests.functional.conftest import Answer, event, invoke, items, send
from tests.functional.test_ledger import item_bytes

CONSUME, QUOTE, BATCH = "consume/feature", "consume/quote", "consume/batch"
HOLD, CAPTURE = "consume/hold", "consume/capture"

METERS = {
    "input": Price(cost=1, per=4_000),
    "cached_input": Price(cost=1, per=40_000),
    "cache_write": Price(cost=1, per=3_200),
    "output": Price(cost=1, per=500),
}
MODEL = Feature(feature_id="model", name="Model", unit="token", meters=METERS)

USAGE = {"input": 1_200, "output": 350}
"""It costs 0.3 + 0.7 credits."""


@pytest.fixture(autouse=True)
def model(table: Table) -> None:
    table.put(feature_item(MODEL))


def use(usage: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    return {"feature": "model", "usage": usage, **fields}


def code(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.body["code"]


def test_a_use_is_one_entry_with_what_was_counted_and_each_price_rounded_up_once() -> None:
    entry = send(CONSUME, body=use(USAGE)).body["entry"]
    assert (entry["cost"], entry["amount"]) == (1, -1)
    assert (entry["usage"], entry["quantity"], entry["feature_version"]) == (USAGE, None, 1)
    assert entry["price"] == {
        "input": {"cost": 1, "per": 4_000},
        "output": {"cost": 1, "per": 500},
    }
    more = send(CONSUME, body=use({**USAGE, "input": 1_201}), key="k2")
    assert more.body["entry"]["cost"] == 2


def test_quote_batch_hold_and_capture_price_usage_alike() -> None:
    usage = {"input": 40_000, "output": 5_500}
    assert send(QUOTE, body=use(usage)).body["cost"] == 21
    [first, second] = send(BATCH, body={"uses": [use(usage), {"amount": 1}]}).body["entries"]
    assert (first["cost"], first["usage"], second["usage"]) == (21, usage, None)
    held = send(HOLD, body=use(usage)).body
    assert (held["hold"]["amount"], held["entry"]["usage"]) == (21, usage)
    captured = send(CAPTURE, body={"usage": USAGE}).body
    assert (captured["entry"]["cost"], captured["entry"]["usage"]) == (1, USAGE)
    assert captured["account"]["held"] == 0


def test_a_replay_is_the_same_whatever_the_order_of_meters_and_other_counts_are_refused() -> None:
    first = send(CONSUME, body=use(USAGE))
    again = send(CONSUME, body=use(dict(reversed(USAGE.items()))))
    assert (again.body, again.headers["Idempotency-Replayed"]) == (first.body, "true")
    other = send(CONSUME, body=use({**USAGE, "output": 351}))
    assert code(other) == (422, "idempotency_key_reused")


def test_what_has_no_price_is_refused_and_charges_nothing(table: Table) -> None:
    send("account/me")
    before = items(table)
    for body in (
        use({"input": 5, "reasoning": 7}),
        use({"input": 5, "reasoning": 0}),
        {"feature": "model"},
        {"feature": "model", "quantity": 3},
        {"feature": "chat", "usage": {"input": 5}},
    ):
        for name in (CONSUME, QUOTE, HOLD):
            assert code(send(name, body=body)) == (422, "unknown_meter")
        assert code(send(BATCH, body={"uses": [body]})) == (422, "unknown_meter")
    assert items(table) == before


def test_the_refusal_names_the_meters_that_there_are() -> None:
    answer = send(CONSUME, body=use({"inptu": 5}))
    assert answer.body["detail"] == (
        "The feature model has no meter inptu. It has: input, cached_input, cache_write, output."
    )


COUNTS: tuple[object, ...] = (-1, 1.5, 1.0, "1", True, None, 10**12 + 1, [1], {})


@pytest.mark.parametrize(
    "usage",
    [
        *({"input": count} for count in COUNTS),
        *({}, {"input": 0}, {"input": 0, "output": 0}, {"Input": 1}, {"": 1}, {"x" * 33: 1}),
        {f"m{n}": 1 for n in range(METERS_MAX + 1)},
        *([], "input", 5),
    ],
)
def test_usage_has_whole_counts_of_which_one_is_positive(usage: Any) -> None:
    for name in (CONSUME, QUOTE, HOLD):
        assert code(send(name, body=use(usage))) == (422, "invalid")


def test_a_field_that_is_null_counts_as_left_out() -> None:
    nothing = {"quantity": None, "usage": None, "usage_of": None}
    assert send(CONSUME, body={"feature": "chat", **nothing}).body["entry"]["cost"] == 5
    assert send(HOLD, body={"amount": 2, **nothing}).body["entry"]["cost"] == 2
    assert send(CAPTURE, body={"amount": None, **nothing}).body["entry"]["cost"] == 2


@pytest.mark.parametrize(
    "body",
    [use(USAGE, quantity=1), use(USAGE, amount=1), {"usage": USAGE}, {"usage": USAGE, "amount": 1}],
)
def test_a_use_is_measured_in_one_way(body: dict[str, Any]) -> None:
    assert code(send(CONSUME, body=body)) == (422, "invalid")


OPENAI = {
    "prompt_tokens": 40_000,
    "completion_tokens": 500,
    "total_tokens": 40_500,
    "prompt_tokens_details": {"cached_tokens": 36_000},
}
"""It costs 1 + 0.9 + 1 credits."""


def test_a_providers_own_usage_is_counted_by_meter_wherever_usage_is_taken() -> None:
    meters = {"input": 4_000, "cached_input": 36_000, "output": 500}
    asked = use(OPENAI, usage_of="openai")
    entry = send(CONSUME, body=asked).body["entry"]
    assert (entry["usage"], entry["cost"]) == (meters, 3)
    assert send(QUOTE, body=asked).body["cost"] == 3
    assert send(BATCH, body={"uses": [asked]}).body["entries"][0]["usage"] == meters
    assert send(HOLD, body=asked).body["entry"]["usage"] == meters
    captured = send(CAPTURE, body={"usage": OPENAI, "usage_of": "openai"}).body["entry"]
    assert (captured["usage"], captured["cost"]) == (meters, 3)


def test_a_providers_usage_that_is_not_known_is_refused_and_charges_nothing(table: Table) -> None:
    send("account/me")
    before = items(table)
    for usage in ({**OPENAI, "video_tokens": 7}, {**OPENAI, "prompt_tokens": "40"}, {}):
        for name in (CONSUME, QUOTE, HOLD):
            answer = send(name, body=use(usage, usage_of="openai"))
            assert code(answer) == (422, "unknown_usage")
    audio = {**OPENAI, "completion_tokens_details": {"audio_tokens": 5}}
    assert code(send(CONSUME, body=use(audio, usage_of="openai"))) == (422, "unknown_meter")
    assert items(table) == before


@pytest.mark.parametrize(
    "fields",
    [
        {"usage": OPENAI, "usage_of": "nobody"},
        {"usage": OPENAI, "usage_of": 5},
        {"usage": [], "usage_of": "openai"},
        {"usage_of": "openai"},
        {"usage_of": "openai", "quantity": 1},
    ],
)
def test_usage_of_names_a_provider_and_comes_with_its_usage(fields: dict[str, Any]) -> None:
    assert code(send(CONSUME, body={"feature": "model", **fields})) == (422, "invalid")


def test_a_hold_without_a_feature_has_no_price_for_usage() -> None:
    send(HOLD, body={"amount": 5})
    assert code(send(CAPTURE, body={"usage": USAGE})) == (422, "hold_without_feature")


def test_an_entry_with_four_meters_and_their_prices_is_within_1_kb(table: Table) -> None:
    usage = dict.fromkeys(METERS, 10**6)
    key = "c" * 36
    assert send(CONSUME, body=use(usage, reference="d" * 36), key=key).status == 402
    send("adjust/add", body={"action": "add", "amount": 10**12, "reason": "r"})
    assert send(CONSUME, body=use(usage, reference="d" * 36), key=key).status == 200
    [entry] = [item for item in items(table) if item["sk"]["S"] == f"ENTRY#user:{key}"]
    assert item_bytes(entry) <= 1_024


@pytest.mark.moto
def test_a_changed_price_counts_for_new_uses_and_every_version_can_be_listed() -> None:
    entry = send(CONSUME, body={"feature": "chat"}, key="k1").body["entry"]
    meters = {"input": {"cost": 2, "per": 7}}
    send("catalog/change_feature", body={"name": "Chat", "meters": meters, "reason": "tokens"})
    send("catalog/change_feature", body={"name": "Chat", "cost": 6}, version='"2"')
    ledger.cache_clear()
    assert send(CONSUME, body={"feature": "chat"}, key="k2").body["entry"]["cost"] == 6
    third, second, first = send("catalog/versions").body["versions"]
    assert (third["version"], third["cost"], third["meters"]) == (3, 6, {})
    assert (second["version"], second["cost"], second["meters"]) == (2, None, meters)
    assert (second["reason"], second["actor"]["type"]) == ("tokens", "admin")
    # The first one came with the stack.
    assert (first["cost"], first["since"], first["actor"]) == (5, None, None)
    assert (entry["feature_version"], entry["cost"]) == (first["version"], first["cost"])


@pytest.mark.moto
def test_a_feature_without_edits_has_one_version_and_an_unknown_one_is_refused() -> None:
    [only] = send("catalog/versions").body["versions"]
    assert (only["feature_id"], only["version"], only["since"]) == ("chat", 1, None)
    sent = event("catalog/versions")
    sent["pathParameters"]["feature_id"] = "nothing"
    sent["rawPath"] = "/v1/admin/features/nothing/versions"
    assert invoke("catalog", sent)["statusCode"] == 404
