"""Naming: which account a fact is for, of all that its names lead to.

Names are ranked by who has set them, and the strongest decides, whenever it is heard: what a weaker
one has decided is decided again. Links, which say whose a name is, add up in any order.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from itertools import chain

PATIENCE = timedelta(minutes=10)
"""How long a subscription may stay unnamed before its customer's only account decides."""

NOT_OPEN = "the account that it names is not open yet"
UNKNOWN = "no account is linked to it yet"
SEVERAL = "its customer has several accounts, and nothing says which one it is for"
NOT_YET = "its subscription has no account yet; after 10 minutes it goes to its customer's only one"
"""Why no name decides."""


class Rank(IntEnum):
    """What has named an account, the strongest first."""

    ACCOUNT = 1
    """An account's ID that the merchant's server has set."""
    SUBSCRIPTION = 2
    """A subscription whose account such an ID has named."""
    CUSTOMER = 3
    """A customer into which the merchant's server has put the account's ID."""
    ONLY_ACCOUNT = 4
    """A customer that has only ever had this account."""
    TYPED = 5
    """What the payer can type: an address, a reference in a link."""

    @property
    def is_weak(self) -> bool:
        """Whether a stronger name may still come, so that nothing is linked for good."""
        return self > Rank.SUBSCRIPTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names of the account that a fact is for, by who has set them; the strongest rank first.

    `accounts` are IDs that the merchant's own server has set, `subscriptions` and `customers` the
    provider's. `typed` is what the payer can type: an address, or an account's ID in a link.
    """

    accounts: tuple[str, ...] = ()
    subscriptions: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()
    typed: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[str]:
        """Yield all names, the strongest first."""
        return chain(self.accounts, self.subscriptions, self.customers, self.typed)

    def only(self, is_wanted: Callable[[str], bool]) -> "Names":
        """Return those that are wanted."""
        return Names(
            accounts=tuple(filter(is_wanted, self.accounts)),
            subscriptions=tuple(filter(is_wanted, self.subscriptions)),
            customers=tuple(filter(is_wanted, self.customers)),
            typed=tuple(filter(is_wanted, self.typed)),
        )


LONG_AGO = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Whose a name is: what has named the account, and when that was said, by the sender's clock.

    A customer's link has the rank ACCOUNT if the customer itself names the account, and otherwise
    SUBSCRIPTION. `shared`: the name has been linked to another account, too. `customer` is the
    customer that came with a subscription. Version 0.1.0 kept the account alone.
    """

    account_id: str
    rank: Rank = Rank.SUBSCRIPTION
    told_at: datetime = LONG_AGO
    shared: bool = False
    customer: str | None = None

    @property
    def strength(self) -> tuple[int, datetime, str]:
        """Sort key that puts the stronger of two links last, and of equal ones the later."""
        return -self.rank, self.told_at, self.account_id

    def joined(self, other: "Link") -> "Link":
        """Return the stronger of two links of a name, and of equal ones the later.

        So the links of a name come to the same in whatever order they are joined.
        """
        best = max(self, other, key=lambda link: link.strength)
        shared = self.shared or other.shared or self.account_id != other.account_id
        return replace(best, shared=shared)


@dataclass(frozen=True, slots=True)
class Choice:
    """The account that a fact is for, by what, and the stronger names that may change that."""

    account_id: str
    rank: Rank
    stronger: tuple[str, ...] = ()


@dataclass(eq=False)
class UndecidedError(Exception):
    """No name decides: why, and the names that can. `in_time`: so can the customer's only account.

    It does so PATIENCE after the fact was first heard.
    """

    reason: str
    names: tuple[str, ...]
    in_time: bool = False


def choose(
    names: Names,
    links: Mapping[str, Link],
    *,
    is_patient: bool,
    match_typed: bool,
) -> Choice:
    """Return which account the strongest name of a fact leads to.

    `links` are those of its names that lead somewhere. `is_patient`: PATIENCE is over.
    `match_typed`: the stack lets what the payer types decide. An account of rank TYPED has to be
    checked: nobody may type their way into an account that has a subscription of its own.

    Raises:
        UndecidedError: none decides yet.
    """
    if names.accounts:
        if link := _first(names.accounts, links):
            return Choice(link.account_id, Rank.ACCOUNT)
        raise UndecidedError(NOT_OPEN, names.accounts)
    stronger = (*names.subscriptions, *names.customers)
    subscription = _first(names.subscriptions, links)
    customer = _first(names.customers, links)
    if subscription and not subscription.rank.is_weak:
        return Choice(subscription.account_id, Rank.SUBSCRIPTION)
    if customer and customer.rank is Rank.ACCOUNT:
        return Choice(customer.account_id, Rank.CUSTOMER, names.subscriptions)
    if subscription and subscription.rank is not Rank.TYPED:
        return Choice(subscription.account_id, subscription.rank, stronger)
    if customer and not customer.shared:
        if names.subscriptions and not is_patient:
            raise UndecidedError(NOT_YET, stronger, in_time=True)
        return Choice(customer.account_id, Rank.ONLY_ACCOUNT, stronger)
    if match_typed and (link := _first((*names.subscriptions, *names.typed), links)):
        return Choice(link.account_id, Rank.TYPED, stronger)
    reason = SEVERAL if customer else UNKNOWN
    raise UndecidedError(reason, (*stronger, *names.typed) if match_typed else stronger)


def claims(names: Names, choice: Choice, at: datetime, *, own: bool) -> dict[str, Link]:
    """Return the links that a fact's names get once its account is chosen.

    `at` is when the sender said so; `own` that it is the customer that names the account.
    """
    link = Link(account_id=choice.account_id, rank=choice.rank, told_at=at)
    of = replace(link, customer=next(iter(names.customers), None))
    found: dict[str, Link] = {}
    if choice.rank is not Rank.SUBSCRIPTION:
        found |= dict.fromkeys(names.subscriptions, of)
    if not choice.rank.is_weak:
        rank = Rank.ACCOUNT if own else Rank.SUBSCRIPTION
        found |= dict.fromkeys(names.customers, replace(link, rank=rank))
    return found


def _first(names: Iterable[str], links: Mapping[str, Link]) -> Link | None:
    return next((links[name] for name in names if name in links), None)
