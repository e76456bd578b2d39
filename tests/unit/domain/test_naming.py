"""Whose a fact is: the strongest of its names decides, in whatever order facts are heard."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random

import pytest

from scrip.domain.naming import (
    PATIENCE,
    Choice,
    Link,
    Names,
    Rank,
    UndecidedError,
    choose,
    claims,
)

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Statement:
    """A fact with its names; `own` if it is the customer that names the account."""

    number: int
    names: Names
    own: bool = False

    @property
    def at(self) -> datetime:
        """When the sender said so."""
        return NOON + timedelta(seconds=self.number)


@dataclass
class World:
    """What is linked, and which facts belong to which account, as messages are heard."""

    match_typed: bool
    links: dict[str, Link] = field(default_factory=dict)
    choices: dict[Statement, Choice] = field(default_factory=dict)
    waits: dict[Statement, tuple[str, ...]] = field(default_factory=dict)
    now: datetime = NOON
    heard_at: dict[Statement, datetime] = field(default_factory=dict)

    def hear(self, fact: Statement) -> None:
        """Hear a fact, and decide again on all that its names concern."""
        self.heard_at[fact] = self.now
        due = [fact]
        while due:
            due += self._decide(due.pop())

    def open(self, account_id: str) -> None:
        """Open an account."""
        self.links[f"account:{account_id}"] = Link(account_id=account_id)
        for fact in self._waiting([f"account:{account_id}"]):
            self.hear_again(fact)

    def wait(self) -> None:
        """Let time pass, and decide again on all that waits for it."""
        self.now += PATIENCE
        for fact in sorted(self.waits, key=lambda fact: fact.number):
            if "later" in self.waits[fact]:
                self.hear_again(fact)

    def hear_again(self, fact: Statement) -> None:
        """Decide again on a fact."""
        due = [fact]
        while due:
            due += self._decide(due.pop())

    def _decide(self, fact: Statement) -> Iterable[Statement]:
        try:
            choice = choose(
                fact.names,
                self.links,
                is_patient=self.now >= self.heard_at[fact] + PATIENCE,
                match_typed=self.match_typed,
            )
        except UndecidedError as exc:
            self.waits[fact] = (*exc.names, *(["later"] if exc.in_time else []))
            return []
        known = self.choices.get(fact)
        # A payment stays where it is unless a stronger name has another account.
        if known is None or choice.rank < known.rank:
            self.choices[fact] = choice
        self.waits[fact] = choice.stronger
        changed = []
        for name, link in claims(fact.names, choice, fact.at, own=fact.own).items():
            before = self.links.get(name)
            self.links[name] = before.joined(link) if before else link
            if self.links[name] != before:
                changed.append(name)
        return [other for other in self._waiting(changed) if other != fact]

    def _waiting(self, names: Iterable[str]) -> list[Statement]:
        return [fact for fact, waits in self.waits.items() if {*waits} & {*names}]

    @property
    def owners(self) -> dict[Statement, str]:
        """The account of each fact that has one."""
        return {fact: choice.account_id for fact, choice in self.choices.items()}


def oracle(
    facts: Iterable[Statement], *, match_typed: bool
) -> Iterator[tuple[Statement, set[str]]]:
    """Yield the accounts that each fact may end at, by what all facts together say of its names.

    It shares nothing with the ranking but the rule. No account means that it waits. If a customer
    had only one account for a while, that one may have got what nothing stronger names.
    """
    facts = list(facts)

    def named(kind: str, name: str, *, own: bool = False) -> set[str]:
        return {
            account
            for fact in facts
            for account in fact.names.accounts[:1]
            if name in getattr(fact.names, kind) and (fact.own or not own)
        }

    by_subscription: dict[str, set[str]] = {
        name: named("subscriptions", name) for fact in facts for name in fact.names.subscriptions
    }
    for fact in facts:
        names = fact.names
        accounts = {*names.accounts[:1]}
        for subscription in names.subscriptions:
            accounts = accounts or by_subscription[subscription]
        for customer in names.customers:
            accounts = accounts or named("customers", customer, own=True)
            of_customer = named("customers", customer).union(
                *(
                    by_subscription[name]
                    for other in facts
                    if customer in other.names.customers
                    for name in other.names.subscriptions
                )
            )
            if not accounts and len(of_customer) > 1:
                accounts = of_customer | {""}
            accounts = accounts or of_customer
        if match_typed and (not accounts or "" in accounts):
            accounts = accounts | {
                typed
                for other in facts
                if {*other.names.subscriptions} & {*names.subscriptions}
                for typed in other.names.typed
            }
        yield fact, {account.removeprefix("account:") for account in accounts} or {""}


def some_facts(random: Random) -> list[Statement]:
    """Return facts of customers with one or two accounts, of which some names are left out.

    A subscription belongs to one account; each of its facts may say so or not.
    """
    facts: list[Statement] = []
    for customer in range(random.randint(1, 2)):
        owners = random.sample("abc", k=random.choice((1, 1, 2)))
        if random.random() < 0.3:
            own = Names(accounts=(f"account:{owners[0]}",), customers=(f"cus_{customer}",))
            facts.append(Statement(len(facts), own, own=True))
        for subscription in range(random.randint(1, 3)):
            owner, is_named = random.choice(owners), random.random() < 0.7
            typed = f"account:{random.choice('abc')}"
            for _ in range(random.randint(1, 3)):
                names = Names(
                    accounts=(f"account:{owner}",) if is_named and random.random() < 0.6 else (),
                    subscriptions=(f"sub_{customer}{subscription}",),
                    customers=(f"cus_{customer}",),
                    typed=(typed,) if random.random() < 0.3 else (),
                )
                facts.append(Statement(len(facts), names))
        if random.random() < 0.5:
            facts.append(Statement(len(facts), Names(customers=(f"cus_{customer}",))))
    return facts


@pytest.mark.parametrize("seed", range(100))
def test_the_strongest_name_decides_in_every_order(seed: int) -> None:
    random = Random(seed)
    facts, match_typed = some_facts(random), random.random() < 0.5
    expected = dict(oracle(facts, match_typed=match_typed))
    for _ in range(8):
        world = World(match_typed)
        order: list[Statement | str | None] = [*facts, *"abc", *[None] * random.randint(0, 3)]
        random.shuffle(order)
        for step in order:
            match step:
                case Statement():
                    world.hear(step)
                case str():
                    world.open(step)
                case None:
                    world.wait()
        world.wait()
        for fact, accounts in expected.items():
            assert world.owners.get(fact, "") in accounts, (order, fact)


ALICE, BOB = "account:alice", "account:bob"
OPEN: Mapping[str, Link] = {ALICE: Link(account_id="alice"), BOB: Link(account_id="bob")}


def chosen(names: Names, *, is_patient: bool = True, typed: bool = False, **links: Link) -> Choice:
    known = {**OPEN, "email:alice@example.com": Link(account_id="alice"), **links}
    return choose(names, known, is_patient=is_patient, match_typed=typed)


def test_an_account_that_is_named_is_waited_for_whatever_else_is_known() -> None:
    names = Names(accounts=("account:carl",), subscriptions=("sub",), customers=("cus",))
    with pytest.raises(UndecidedError) as raised:
        chosen(names, sub=Link(account_id="alice"), cus=Link(account_id="alice"))
    assert raised.value.names == ("account:carl",)


def test_the_first_name_of_a_rank_that_leads_somewhere_counts() -> None:
    names = Names(accounts=("account:order-1", BOB))
    assert chosen(names) == Choice("bob", Rank.ACCOUNT)


def test_a_customers_only_account_decides_after_10_minutes_and_never_for_good() -> None:
    names = Names(subscriptions=("sub",), customers=("cus",))
    only = Link(account_id="alice")
    with pytest.raises(UndecidedError) as raised:
        chosen(names, is_patient=False, cus=only)
    assert (raised.value.names, raised.value.in_time) == (("sub", "cus"), True)
    choice = chosen(names, cus=only)
    assert choice == Choice("alice", Rank.ONLY_ACCOUNT, ("sub", "cus"))
    made = claims(names, choice, NOON, own=False)
    assert {name: link.rank for name, link in made.items()} == {"sub": Rank.ONLY_ACCOUNT}


def test_a_purchase_without_a_subscription_is_its_customers_only_accounts_at_once() -> None:
    """Nothing stronger can name it later."""
    names = Names(customers=("cus",))
    choice = chosen(names, is_patient=False, cus=Link(account_id="alice"))
    assert choice.account_id == "alice"


def test_a_customer_of_two_accounts_decides_nothing_unless_it_names_one_itself() -> None:
    names = Names(subscriptions=("sub",), customers=("cus",))
    of_alice, of_bob = Link(account_id="alice"), Link(account_id="bob")
    with pytest.raises(UndecidedError, match="several accounts"):
        chosen(names, cus=of_alice.joined(of_bob))
    own = Link(account_id="bob", rank=Rank.ACCOUNT)
    for cus in (own.joined(of_alice), of_alice.joined(own)):
        assert chosen(names, is_patient=False, cus=cus) == Choice("bob", Rank.CUSTOMER, ("sub",))


@pytest.mark.parametrize("typed", [ALICE, "email:alice@example.com"])
def test_what_the_payer_types_decides_only_where_the_stack_says_so(typed: str) -> None:
    names = Names(subscriptions=("sub",), typed=(typed,))
    with pytest.raises(UndecidedError) as raised:
        chosen(names)
    assert raised.value.names == ("sub",)
    choice = chosen(names, typed=True)
    assert choice == Choice("alice", Rank.TYPED, ("sub",))
    assert claims(names, choice, NOON, own=False)["sub"].rank is Rank.TYPED


def test_links_come_to_the_same_in_whatever_order_they_are_joined() -> None:
    links = [
        Link(account_id="alice"),
        Link(account_id="bob", rank=Rank.TYPED, told_at=NOON),
        Link(account_id="bob", rank=Rank.ACCOUNT, told_at=NOON),
        Link(account_id="alice", rank=Rank.ACCOUNT, told_at=NOON + timedelta(seconds=1)),
    ]
    joined = set()
    for first, *others in permutations(links):
        link = first
        for other in others:
            link = link.joined(other).joined(other)
        joined.add(link)
    [link] = joined
    assert (link.account_id, link.rank, link.shared) == ("alice", Rank.ACCOUNT, True)
