"""A rehearsal has the outcome that the command would have, and writes nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from scrip.domain.commands import AdjustAction, Command, OpenAccount, Renew, Use
from scrip.domain.entries import CLOCK
from scrip.domain.errors import PaymentTakenError, ScripError
from scrip.ledger import Ledger, Outcome
from scrip.store.client import Table
from tests.functional.conftest import items
from tests.functional.deliveries import Clock
from tests.unit.domain import examples
from tests.unit.domain.examples import DAY

if TYPE_CHECKING:
    from scrip.domain.account import Account

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
AT_ONCE = timedelta()
WELCOME = replace(examples.opening(), keyed=False, mailboxes=("a mailbox",))
PAID = examples.pay_period(START, START + 31 * DAY, payment_id="stripe:in_1")

LIFE: list[tuple[timedelta, Command]] = [
    (AT_ONCE, examples.consume(1)),
    (AT_ONCE, WELCOME),
    (AT_ONCE, WELCOME),
    (AT_ONCE, examples.consume(5, "c1")),
    (AT_ONCE, examples.consume(6, "c1")),
    (AT_ONCE, examples.consume(10**9, "c2")),
    (DAY, examples.batch(Use(amount=3), Use(feature="chat", quantity=1), key="b1")),
    (AT_ONCE, examples.hold(20, "h1")),
    (AT_ONCE, examples.extend(3_600)),
    (AT_ONCE, examples.capture(5, "h1-part", final=False)),
    (AT_ONCE, examples.capture(None, "h1-rest")),
    (AT_ONCE, examples.release("too-late")),
    (AT_ONCE, examples.release("unknown", of="never-opened")),
    (40 * DAY, examples.refund("c1", 2, "r1")),
    (AT_ONCE, examples.refund("c1", None, "r2")),
    (AT_ONCE, examples.refund("c1", None, "r3")),
    (AT_ONCE, examples.purchase(500)),
    (AT_ONCE, examples.purchase(500)),
    (AT_ONCE, examples.refund_of_money("stripe:re_1", 100)),
    (AT_ONCE, examples.refund_of_money("stripe:re_2", 100, "stripe:pi_2")),
    (AT_ONCE, PAID),
    (AT_ONCE, examples.follow("active", START + DAY)),
    (AT_ONCE, examples.adjust(AdjustAction.SET, 900)),
    (AT_ONCE, examples.quota(monthly_credits=900)),
    (AT_ONCE, examples.quota("no such plan")),
    (AT_ONCE, examples.freeze()),
    (AT_ONCE, examples.consume(1, "frozen")),
    (AT_ONCE, replace(examples.freeze(frozen=False), entry_id="f2")),
    (AT_ONCE, examples.reset()),
    (900 * DAY, Renew(account_id="u1", entry_id="renew", keyed=False, actor=CLOCK)),
    (AT_ONCE, examples.clock(START + 10_000 * DAY)),
    (900 * DAY, examples.close()),
    (AT_ONCE, examples.consume(1, "closed")),
]
"""Commands and the time since the one before, with every outcome and most refusals."""


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = START
    return clock


@pytest.fixture
def books(table: Table, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setattr("scrip.ledger.DEADLINE_SECONDS", 60)  # moto is slow
    return Ledger(table, clock)


def attempted(
    run: Callable[[Command], Outcome],
    command: Command,
) -> Outcome | tuple[type[ScripError], dict[str, object]]:
    try:
        return run(command)
    except ScripError as refusal:
        return type(refusal), vars(refusal)


def test_a_rehearsal_has_the_outcome_of_the_command_and_writes_nothing(
    books: Ledger, clock: Clock
) -> None:
    for later, command in LIFE:
        clock.now += later
        for _ in ("new", "a replay"):
            before = items(books.table)
            rehearsed = attempted(books.rehearse, command)
            assert items(books.table) == before, command
            happened = attempted(books.execute, command)
            assert rehearsed == happened, command


def test_a_command_can_be_rehearsed_on_the_account_that_another_rehearsal_left(
    books: Ledger,
) -> None:
    commands = [examples.purchase(500), PAID, examples.consume(600), examples.hold(30)]
    account: Account | None = books.rehearse(WELCOME).account
    for command in commands:
        account = books.rehearse(command, account=account).account
    assert items(books.table) == []
    for command in (WELCOME, *commands):
        happened = books.execute(command)
    assert happened.account == account


def test_a_first_call_is_rehearsed_with_the_account_that_it_would_open(books: Ledger) -> None:
    rehearsed = books.rehearse(examples.consume(5), lambda: WELCOME)
    assert items(books.table) == []
    assert books.execute(examples.consume(5), lambda: WELCOME) == rehearsed


def test_a_rehearsal_knows_the_mailboxes_and_payments_of_other_accounts(books: Ledger) -> None:
    def of_u2[C: Command](command: C) -> C:
        return replace(command, account_id="u2")

    for command in (WELCOME, examples.purchase(500)):
        books.execute(command)
    welcomed_twice: OpenAccount = of_u2(WELCOME)
    rehearsed = books.rehearse(welcomed_twice)
    assert rehearsed.account
    assert rehearsed.account.balance == 100, "the plan's, and no sign-up credits"
    assert books.execute(welcomed_twice).account == rehearsed.account
    with pytest.raises(PaymentTakenError):
        books.rehearse(of_u2(examples.purchase(500)))


def test_a_rehearsal_settles_what_is_due_before_the_command(books: Ledger, clock: Clock) -> None:
    """Sixty holds and grants end at once: more than fit into one posting with the command."""
    books.execute(WELCOME)
    for number in range(32):
        books.execute(examples.hold(1, f"h{number}", expires_in=60))
    for number in range(30):
        expires_at = START + timedelta(seconds=61 + number)
        books.execute(
            examples.adjust(AdjustAction.ADD, 1, f"a{number}", expires_at=expires_at),
        )
    clock.now += DAY
    rehearsed = books.rehearse(examples.consume(5))
    happened = books.execute(examples.consume(5))
    assert happened.account
    assert rehearsed.account
    assert rehearsed.account.balance == happened.account.balance
    assert rehearsed.account.seq_last == happened.account.seq_last
