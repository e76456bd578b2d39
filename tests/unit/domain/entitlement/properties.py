"""What holds for every life, whatever happens in it and in whichever order it is heard of."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import takewhile
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from scrip.domain.commands import (
    Consume,
    FollowSubscription,
    PayTerms,
    Purchase,
    SetQuota,
    TakeBack,
)
from scrip.domain.entries import EntryType
from scrip.domain.grants import GrantKind
from scrip.domain.settle import settled
from scrip.domain.terms import GRACE
from tests.unit.domain.entitlement.books import Books
from tests.unit.domain.entitlement.ledger import SIGNUP_CREDITS, Ledger
from tests.unit.domain.entitlement.lives import ALLOWANCES, CATALOG, Life
from tests.unit.domain.entitlement.oracle import Oracle, seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from scrip.domain.account import Account
    from scrip.domain.commands import Command
    from scrip.domain.entries import Entry

type Step = tuple[datetime, Command | None]

BOOKKEEPING = frozenset({"version", "seq_last", "hash", "granted_total"})
"""What counts entries: of missed periods that are settled at once there are fewer of them."""


def steps(life: Life) -> list[Step]:
    """Return a life as it is heard."""
    heard = [(one.heard, one.command) for one in life.messages]
    return sorted([*heard, *((act.at, act.command) for act in life.acts)], key=lambda one: one[0])


def is_message(step: Step) -> bool:
    return isinstance(step[1], PayTerms | TakeBack | FollowSubscription)


def problems(life: Life) -> Iterator[str]:
    """Say what is wrong with a life, if anything."""
    yield from against_the_oracle(life)
    yield from in_any_order(life)


def against_the_oracle(life: Life) -> Iterator[str]:
    """Compare each moment of a life with the oracle: terms, plans, and where it can, balances."""
    ledger = Ledger(life.opened, life.zone)
    oracle = Oracle(ALLOWANCES, life.zone, life.opened)
    books = Books(oracle, ALLOWANCES["free"], SIGNUP_CREDITS)
    is_plain, random = can_be_followed(life), Random(life.seed)
    for now, command in [*steps(life), (life.end, None)]:
        yield from _in_steps(ledger, now, random)
        done = command is None or ledger.do(command, now)
        found = [
            *_terms_and_plan(ledger, oracle, books, now, command),
            *_at_most(ledger, life, now),
            *(_balance(ledger, books, now, command, done=done) if is_plain else ()),
        ]
        yield from found
        if found:
            return
    if sum(entry.amount for entry in ledger.entries.values()) != ledger.account.balance:
        yield "the entries do not add up to the balance"
    if (plan := ledger.plan_at(life.end)) != oracle.base_plan(seconds(life.end)):
        yield f"in the end the plan is {plan}"
    if not (life.returns or life.superseded or is_overridden(life)):
        yield from _owned(life, ledger, oracle)


def is_overridden(life: Life) -> bool:
    """Return whether an admin changes a plan or its allowance."""
    return any(isinstance(act.command, SetQuota) for act in life.acts)


def can_be_followed(life: Life) -> bool:
    """Return whether the books know all that happens in a life."""
    known = (PayTerms, FollowSubscription, Consume, Purchase)
    return all(
        command is None
        or isinstance(command, known)
        or (isinstance(command, TakeBack) and command.dispute_id is None)
        for _, command in steps(life)
    ) and not any(CATALOG.plans[owned.plan_id].rollover for owned in life.owned)


def _terms_and_plan(
    ledger: Ledger, oracle: Oracle, books: Books, now: datetime, command: Command | None
) -> Iterator[str]:
    instant = seconds(now)
    oracle.pass_to(instant)
    match command:
        case PayTerms() | TakeBack() | FollowSubscription():
            books.hear(command, instant)
        case SetQuota():
            oracle.set_quota(command, instant)
    books.pass_to(instant)
    oracle.pass_to(instant)
    due = dict[str, list[int]]()
    for (name, _), credits_ in sorted(oracle.due(instant).items()):
        if credits_:
            due.setdefault(name, []).append(credits_)
    booked = ledger.terms(now)
    for name in due | booked:
        is_settled = not oracle.is_disputed(name.partition(":")[0])
        if due.get(name) != booked.get(name) and is_settled:
            yield f"{now}: {name} has brought {booked.get(name)}, not {due.get(name)}"
    if (plan := ledger.plan_at(now)) != (right := oracle.plan(instant)):
        yield f"{now}: the plan is {plan}, not {right}"


def _balance(
    ledger: Ledger, books: Books, now: datetime, command: Command | None, *, done: bool
) -> Iterator[str]:
    match command:
        case Consume(amount=int() as amount):
            if books.use(amount, seconds(now)) is not done:
                yield f"{now}: a use of {amount} is {'allowed' if done else 'refused'}"
        case Purchase():
            books.buy(command.entry_id, command.credits, seconds(now))
    account = ledger.at(now)
    found, right = (account.balance, account.debt), (books.balance, books.debt)
    if found != right:
        yield f"{now}: balance and debt are {found}, not {right}"


def _owned(life: Life, ledger: Ledger, oracle: Oracle) -> Iterator[str]:
    """Compare what came with what the customer had, less than two credits for each month apart.

    What comes is rounded up, and what goes back is rounded down. Of a period of quantity 0 no month
    is known, so the months of what is added to it are counted back from its end.
    """
    brought = ledger.terms(life.end)
    for subscription in {owned.subscription_id for owned in life.owned}:
        terms = [term for term in oracle.terms() if term.subscription == subscription]
        came = sum(sum(brought.get(term.name, ())) for term in terms)
        had = sum(
            owned.credits(ZoneInfo(life.zone))
            for owned in life.owned
            if owned.subscription_id == subscription
        )
        if abs(came - had) > 2 * sum(len(term.months) for term in terms) + 0.01:
            yield f"{subscription} brought {came}, and the customer had {had:.2f}"


def _at_most(ledger: Ledger, life: Life, now: datetime) -> Iterator[str]:
    """Compare what is left of plans with the most that the customer had in the running months.

    That is, of each item, the plan and quantity with most credits; of a month that another
    interval ended early, the part of it until then. What comes is rounded up.
    """
    if life.superseded or is_overridden(life):
        return
    most, zone = {("", now): float(ALLOWANCES["free"])}, ZoneInfo(life.zone)
    for one in life.owned:
        # If the payment for another interval goes back, the earlier period goes on.
        owned = replace(one, ended_early=None) if life.returns else one
        if owned.period[0] <= now < owned.period[1] + GRACE:
            key = owned.item_id, owned.period[0]
            most[key] = max(most.get(key, 0), owned.most(now, zone))
    plans = [grant for grant in ledger.at(now).grants if grant.kind is GrantKind.PLAN]
    found = sum(grant.remaining for grant in plans)
    if found > sum(most.values()) + 2 * len(plans):
        yield f"{now}: {found} credits of plans, more than {sum(most.values())}"


def _in_steps(ledger: Ledger, now: datetime, random: Random) -> Iterator[str]:
    """Settle at once and in two steps."""
    account = ledger.account
    between = account.as_of + (now - account.as_of) * random.random()
    at_once = seen(ledger.at(now))
    in_steps = seen(settled(settled(account, CATALOG, between), CATALOG, now))
    for name, value in at_once.items():
        if in_steps[name] != value:
            yield f"{now}: settled by {between} first, {name} is {in_steps[name]}, not {value}"


def seen(account: Account) -> dict[str, Any]:
    """Return an account's fields, without how its entries are numbered."""
    grants = tuple(replace(grant, grant_id="", source="") for grant in account.grants)
    fields = {name: getattr(account, name) for name in account.__dataclass_fields__}
    return {name: value for name, value in fields.items() if name not in BOOKKEEPING} | {
        "grants": sorted(grants, key=repr)
    }


def in_any_order(life: Life) -> Iterator[str]:
    """Hear the messages between two acts in another order, and all of them in any order."""
    random = Random(life.seed)
    ledger = Ledger(life.opened, life.zone)
    ahead = [*steps(life), (life.end, None)]
    for index, (now, command) in enumerate(ahead):
        if not is_message((now, command)):
            group = list(takewhile(is_message, reversed(ahead[:index])))[::-1]
            yield from _in_another_order(ledger, group, now, random)
            if command is not None:
                ledger.do(command, now)
    if is_overridden(life):
        return  # what a month brings depends on what an admin gave when it was first heard of
    whole = Ledger(life.opened, life.zone)
    instants = [message.heard for message in life.messages]
    commands = [message.command for message in life.messages]
    random.shuffle(commands)
    for now, command in zip(instants, commands, strict=True):
        whole.do(command, now)
    # Months that begin during a dispute wait for its end, if the dispute is known by then.
    waits = {name for name, payment in ledger.payments.items() if payment.share_disputed}
    for name, found in sorted(whole.terms(life.end).items()):
        if name.partition(":")[0] not in waits and found != ledger.terms(life.end).get(name):
            right = ledger.terms(life.end).get(name)
            yield f"in another order {name} has brought {found}, not {right}"


def _in_another_order(
    ledger: Ledger, messages: list[Step], now: datetime, random: Random
) -> Iterator[str]:
    """Hear messages at once, in two orders; both must come to the same by an instant."""
    if not messages:
        return
    other, seq = ledger.copy(), ledger.account.seq_last
    heard = messages[-1][0]
    rolled = _rolled_over(ledger.draft(heard).entries)
    shuffled = random.sample(messages, len(messages))
    for one, order in ((ledger, messages), (other, shuffled)):
        for _, command in order:
            if command is not None:
                one.do(command, heard)
    right, found = ledger.state(now), other.state(now)
    decided = [_decided_by_order(one, seq, now, rolled) for one in (ledger, other)]
    apart = max(credits_ for _, credits_ in decided)
    for name in sorted(set(right).difference(*(names for names, _ in decided))):
        near = name in {"available", "balance", "debt"} and abs(right[name] - found[name]) <= apart
        if right[name] != found[name] and not near:
            yield f"{heard}: in another order {name} is {found[name]}, not {right[name]}"
            return


def _decided_by_order(
    ledger: Ledger, seq: int, now: datetime, rolled: Counter[tuple[datetime, int]]
) -> tuple[set[str], int]:
    """Return what the order of the messages after `seq` may decide, and how far balances differ.

    - Where what was owed could have been paid out of several allowances, the order may decide which
      of them paid, so that balances may differ by what those paid that are gone since.
    - A dispute holds what is left when it is heard of, so then what is available counts; and what
      it holds is owed if something else takes it back.
    - Of several months that end as the messages say, which one rolls over. `rolled` is what would
      have rolled over without them.
    """
    entries = [entry for entry in ledger.entries.values() if entry.seq > seq]
    types = {entry.type for entry in entries}
    there = {grant.grant_id for grant in ledger.at(now).grants if not grant.ended}
    apart = sum(
        part.amount
        for entry in entries
        if entry.type is EntryType.DEBT_SETTLED
        for part in entry.allocations
        if part.grant_id not in there
    )
    names = {"grants"} if EntryType.DEBT_SETTLED in types else set()
    in_dispute = any(hold.expires_at is None for hold in ledger.account.holds)
    if in_dispute:
        names = {"balance", "debt", "grants", "held"}
    if _rolled_over(entries) != rolled or (in_dispute and EntryType.CLAWBACK in types):
        names = {"available", "balance", "debt", "grants", "held"}
    return names, apart


def _rolled_over(entries: Iterable[Entry]) -> Counter[tuple[datetime, int]]:
    """Return when how much rolled over."""
    return Counter(
        (entry.effective_at, entry.amount) for entry in entries if entry.type is EntryType.ROLLOVER
    )


def smallest(life: Life, is_wrong: Callable[[Life], Any]) -> Life:
    """Leave out what a life can be without and still be wrong."""
    for name in ("messages", "acts"):
        for one in getattr(life, name):
            less: dict[str, Any] = {name: tuple(x for x in getattr(life, name) if x is not one)}
            tried = replace(life, **less, superseded=True)
            if is_wrong(tried):
                life = tried
    return life
