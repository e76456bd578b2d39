"""The methods of both clients, on Scrip's own rules."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from scrip_client import (
    AsyncScrip,
    EntryNotFoundError,
    HoldEndedError,
    HoldExceededError,
    HoldNotFoundError,
    HoldWithoutFeatureError,
    IdempotencyKeyReusedError,
    InsufficientCreditsError,
    NoEntryYetError,
    Price,
    Scrip,
    UnknownFeatureError,
    UnknownMeterError,
    UnknownUsageError,
    UnreadableAnswerError,
)
from tests.event_loops import run
from tests.unit.clients.scrip_in_memory import (
    ACCOUNT_ID,
    ModelError,
    ScripInMemory,
    answer_lost,
    no_fault,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from scrip_client.calls import BatchUse, Use


class Promise:
    """An awaitable: work that is not done yet."""

    def __await__(self) -> Iterator[None]:
        yield


def test_an_account_is_quoted_charged_refunded_and_explained(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    quote = scrip.quote(ACCOUNT_ID, "chat", quantity=2)
    assert (quote.cost, quote.allowed, quote.available) == (10, True, 150)
    used = scrip.consume(ACCOUNT_ID, "chat", quantity=2, reference="order-1")
    assert (used.entry.amount, used.account.available, used.replayed) == (-10, 140, False)
    assert (used.entry.reference, used.balance_before) == ("order-1", 150)
    key = used.entry.entry_id
    part = scrip.refund(ACCOUNT_ID, key, "one was empty", 5)
    assert (part.entry.refunds, part.entry.amount) == (key, 5)
    assert scrip.entry(ACCOUNT_ID, key).refunded == 5
    assert scrip.consume(ACCOUNT_ID, amount=7).account.available == 138
    assert scrip.balance(ACCOUNT_ID).used == 12

    lines = [(entry.type, entry.amount) for entry in scrip.entries(ACCOUNT_ID)]
    assert lines == [
        ("usage", -7),
        ("refund", 5),
        ("usage", -10),
        ("plan", 100),
        ("signup", 50),
    ]
    assert [entry.amount for entry in scrip.entries(ACCOUNT_ID, type="usage")] == [-7, -10]
    assert list(scrip.entries(ACCOUNT_ID, feature="tokens")) == []


def test_an_account_can_be_asked_for_at_any_instant(scrip: Scrip, server: ScripInMemory) -> None:
    opened = server.now
    server.wait(60)
    scrip.consume(ACCOUNT_ID, amount=30)
    assert scrip.balance_at(ACCOUNT_ID, opened).available == 150
    assert scrip.balance_at(ACCOUNT_ID, server.now).available == 120
    [renewal] = scrip.upcoming(ACCOUNT_ID, limit=1).upcoming
    assert (renewal.granted, renewal.expired, renewal.balance) == (100, 70, 150)
    assert scrip.balance_at(ACCOUNT_ID, renewal.at).available == 150
    with pytest.raises(NoEntryYetError) as refused:
        scrip.balance_at(ACCOUNT_ID, opened - timedelta(days=1))
    assert refused.value.at == opened - timedelta(days=1)


def test_a_statement_adds_up_to_the_change_of_the_balance(
    scrip: Scrip, server: ScripInMemory
) -> None:
    server.wait(60)
    opened = server.now
    for amount, model in ((30, "a"), (4, "b"), (2, "a")):
        scrip.consume(ACCOUNT_ID, amount=amount, metadata={"model": model})
    server.wait(60)
    statement = scrip.statement(ACCOUNT_ID, from_=opened, group_by="model")
    assert (statement.from_, statement.to) == (opened, server.now)
    assert (statement.balance_before, statement.balance_after) == (150, 114)
    lines = {line.model: (line.type, line.count, line.amount) for line in statement.lines}
    assert lines == {"a": ("usage", 2, -32), "b": ("usage", 1, -4)}
    [by_day] = scrip.statement(ACCOUNT_ID, from_=opened).lines
    assert (by_day.day, by_day.cost) == (opened.date(), 36)


def test_a_batch_is_charged_completely_or_not_at_all(scrip: Scrip, server: ScripInMemory) -> None:
    uses: list[BatchUse] = [{"feature": "chat"}, {"amount": 7, "reference": "order-1"}]
    first, again = (scrip.consume_batch(ACCOUNT_ID, uses, idempotency_key="b") for _ in range(2))
    assert [(entry.entry_id, entry.amount) for entry in first.entries] == [("b", -5), ("b~2", -7)]
    assert (first.balance_before, first.account.available, again.replayed) == (150, 138, True)
    assert again.entries == first.entries
    with pytest.raises(InsufficientCreditsError):
        scrip.consume_batch(ACCOUNT_ID, [{"amount": 100}, {"amount": 100}])
    assert server.ledger == [("usage", -5), ("usage", -7)]


def test_usage_by_meter_and_of_a_provider_is_charged_alike(
    scrip: Scrip, server: ScripInMemory
) -> None:
    meters: Use = {"usage": {"input": 4_000, "output": 500}}
    openai: Use = {
        "usage": {"prompt_tokens": 4_000, "completion_tokens": 500, "total_tokens": 4_500},
        "usage_of": "openai",
    }
    for use in (meters, openai):
        assert scrip.quote(ACCOUNT_ID, "model", **use).cost == 2
        entry = scrip.consume(ACCOUNT_ID, "model", **use).entry
        assert (entry.cost, entry.usage, entry.quantity) == (2, meters["usage"], None)
        assert entry.price == {
            "input": Price(cost=1, per=4_000),
            "output": Price(cost=1, per=500),
        }
        [entry] = scrip.consume_batch(ACCOUNT_ID, [{"feature": "model", **use}]).entries
        assert entry.usage == meters["usage"]
        hold = scrip.open_hold(ACCOUNT_ID, "model", **use).hold
        scrip.capture_hold(
            ACCOUNT_ID, hold.hold_id, usage=use["usage"], usage_of=use.get("usage_of")
        )
        with scrip.charge("model", ACCOUNT_ID, **use):
            pass
    assert server.charged == 16
    [model] = [found for found in scrip.catalog().features if found.feature_id == "model"]
    assert (model.cost, model.meters["output"]) == (None, Price(cost=1, per=500))
    with pytest.raises(ValueError, match="quote"):
        model.price(1)


def test_what_has_no_price_is_refused(scrip: Scrip, server: ScripInMemory) -> None:
    with pytest.raises(UnknownMeterError) as unknown:
        scrip.consume(ACCOUNT_ID, "model", usage={"inptu": 5})
    assert (unknown.value.meter, unknown.value.meters) == ("inptu", "input, cached_input, output")
    with pytest.raises(UnknownUsageError):
        scrip.consume(ACCOUNT_ID, "model", usage={"input_tokens": 5}, usage_of="openai")
    lease = scrip.lease("model", ACCOUNT_ID)
    with pytest.raises(ValueError, match="use a hold"):
        lease.consume()
    lease.close()
    assert server.ledger == []


def test_a_hold_is_opened_extended_captured_and_released(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    opened = scrip.open_hold(ACCOUNT_ID, "chat", quantity=10, idempotency_key="h")
    assert (opened.hold.hold_id, opened.hold.amount, opened.account.held) == ("h", 50, 50)
    extended = scrip.extend_hold(ACCOUNT_ID, "h", expires_in=600)
    assert extended.hold.expires_at == server.now + timedelta(seconds=600)
    scrip.capture_hold(ACCOUNT_ID, "h", quantity=2, final=False)
    assert [(hold.hold_id, hold.left) for hold in scrip.holds(ACCOUNT_ID).holds] == [("h", 40)]
    with pytest.raises(HoldExceededError) as exceeded:
        scrip.capture_hold(ACCOUNT_ID, "h", amount=41)
    assert (exceeded.value.amount, exceeded.value.left) == (41, 40)
    released, again = scrip.release_hold(ACCOUNT_ID, "h"), scrip.release_hold(ACCOUNT_ID, "h")
    assert (again.entry, again.replayed) == (released.entry, True)
    with pytest.raises(HoldEndedError) as ended:
        scrip.capture_hold(ACCOUNT_ID, "h")
    assert ended.value.ended_by == released.entry.entry_id
    with pytest.raises(HoldNotFoundError):
        scrip.extend_hold(ACCOUNT_ID, "nothing")
    scrip.open_hold(ACCOUNT_ID, amount=5, idempotency_key="a")
    with pytest.raises(HoldWithoutFeatureError):
        scrip.capture_hold(ACCOUNT_ID, "a", quantity=1)
    assert scrip.balance(ACCOUNT_ID).available == 135


def test_an_answer_about_another_hold_is_unreadable(scrip: Scrip, server: ScripInMemory) -> None:
    scrip.open_hold(ACCOUNT_ID, amount=5, idempotency_key="mine")
    server.faults.append(
        lambda answer: httpx.Response(200, text=answer().text.replace("mine", "x"))
    )
    with pytest.raises(UnreadableAnswerError):
        scrip.extend_hold(ACCOUNT_ID, "mine")


def test_the_catalog_has_prices(scrip: Scrip) -> None:
    [tokens] = [found for found in scrip.catalog().features if found.feature_id == "tokens"]
    assert (tokens.cost, tokens.per) == (3, 1_000)
    assert [tokens.price(quantity) for quantity in (1, 333, 334, 1_000, 1_001)] == [1, 1, 2, 3, 4]


def test_both_clients_have_the_same_documented_methods() -> None:
    for name in (name for name in vars(Scrip) if not name.startswith("_") and name != "close"):
        blocking, for_asyncio = getattr(Scrip, name), getattr(AsyncScrip, name)
        parameters = [inspect.signature(method).parameters for method in (blocking, for_asyncio)]
        assert list(parameters[0]) == list(parameters[1])
        assert (blocking.__name__, for_asyncio.__name__) == (name, name)
        assert blocking.__doc__
        assert for_asyncio.__doc__


def test_pages_are_fetched_as_they_are_read(scrip: Scrip, server: ScripInMemory) -> None:
    entries = scrip.entries(ACCOUNT_ID)
    assert server.keys == []
    next(entries)
    assert len(server.keys) == 1


def test_a_repeated_key_gets_the_first_answer(scrip: Scrip, server: ScripInMemory) -> None:
    first, again = (scrip.consume(ACCOUNT_ID, "chat", idempotency_key="k") for _ in range(2))
    assert (again.entry, again.account, again.replayed) == (first.entry, first.account, True)
    with pytest.raises(IdempotencyKeyReusedError):
        scrip.consume(ACCOUNT_ID, "chat", quantity=2, idempotency_key="k")
    assert server.ledger == [("usage", -5)]


def test_refusals_have_typed_classes(scrip: Scrip, server: ScripInMemory) -> None:
    with pytest.raises(InsufficientCreditsError) as refused:
        scrip.consume(ACCOUNT_ID, amount=200)
    error = refused.value
    assert (error.required, error.available, error.shortfall) == (200, 150, 50)
    assert error.next_reset_at == scrip.balance(ACCOUNT_ID).period.end
    with pytest.raises(UnknownFeatureError) as unknown:
        scrip.quote(ACCOUNT_ID, "time-travel")
    assert unknown.value.feature == "time-travel"
    with pytest.raises(EntryNotFoundError):
        scrip.refund(ACCOUNT_ID, "nothing", "x")
    assert server.ledger == []


def test_the_decorator_charges_each_call_of_a_function(scrip: Scrip, server: ScripInMemory) -> None:
    @scrip.charged("chat", account_id=lambda user, *_, **__: user)
    def answer(user: str, question: str, *, fails: bool = False) -> str:
        """Answer a question."""
        if fails:
            raise ModelError
        return f"{question}!"

    assert (answer.__name__, answer.__doc__) == ("answer", "Answer a question.")
    assert answer(ACCOUNT_ID, "why") == "why!"
    with pytest.raises(ModelError):
        answer(ACCOUNT_ID, question="why", fails=True)
    assert server.ledger == [("usage", -5), ("usage", -5), ("refund", 5)]


def test_the_decorator_rejects_functions_that_return_before_their_work_is_done(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    async def coroutine() -> None: ...

    def generator() -> Iterator[int]:
        yield 1

    async def async_generator() -> AsyncIterator[int]:
        yield 1

    def plain() -> None: ...

    too_early: list[Any] = [coroutine, generator, async_generator]
    for function in too_early:
        with pytest.raises(TypeError):
            scrip.charged("chat", account_id=lambda: ACCOUNT_ID)(function)
    too_early = [plain, generator, async_generator]
    for function in too_early:
        with pytest.raises(TypeError):
            server.async_client().charged("chat", account_id=lambda: ACCOUNT_ID)(function)


def test_the_decorator_refunds_a_function_that_returns_an_awaitable(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    @scrip.charged("chat", account_id=lambda: ACCOUNT_ID)
    def begin() -> Promise:
        return Promise()

    with pytest.raises(TypeError, match="AsyncScrip"):
        begin()
    assert server.ledger == [("usage", -5), ("refund", 5)]


def test_an_async_client_serves_one_event_loop(server: ScripInMemory) -> None:
    scrip = server.async_client()

    async def charge() -> None:
        async with scrip.charge("chat", ACCOUNT_ID):
            pass

    run(charge())
    with pytest.raises(RuntimeError, match="one event loop") as refused:
        run(charge())
    assert not hasattr(refused.value, "__notes__")
    assert (len(server.keys), server.ledger) == (1, [("usage", -5)])


def test_the_async_client_behaves_the_same(server: ScripInMemory) -> None:
    async def session() -> None:
        async with server.async_client() as scrip:

            @scrip.charged("chat", account_id=lambda user: user)
            async def answer(user: str) -> str:
                return f"to {user}"

            assert await answer(ACCOUNT_ID) == f"to {ACCOUNT_ID}"
            async with scrip.charge("chat", ACCOUNT_ID, quantity=2) as charge:
                await charge.refund(3, reason="a part")
            server.faults += [answer_lost, no_fault, answer_lost, no_fault]
            with pytest.raises(ModelError):
                async with scrip.charge("chat", ACCOUNT_ID):
                    raise ModelError
            assert (await scrip.quote(ACCOUNT_ID, "chat")).cost == 5
            assert (await scrip.balance(ACCOUNT_ID)).available == 138
            entry_id = server.newest.refunds
            assert entry_id is not None
            assert (await scrip.entry(ACCOUNT_ID, entry_id)).refunded == 5
            amounts = [entry.amount async for entry in scrip.entries(ACCOUNT_ID)]
            assert amounts == [5, -5, 3, -10, -5, 100, 50]

    run(session())
    assert len(server.ledger) == 5
