"""Commands: requested changes to an account, as plain values."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from scrip.domain import errors
from scrip.domain.catalog import ID_PATTERN
from scrip.domain.entries import Actor, ActorType, Json, canonical_json, iso
from scrip.domain.grants import GrantKind
from scrip.domain.naming import Rank
from scrip.domain.payments import DisputeOutcome, RefundStatus, booking_of
from scrip.domain.terms import Line

KEY_PATTERN = ID_PATTERN
"""A caller's idempotency key. It has no colon, which names that Scrip makes have."""

ENTRY_ID_PATTERN = "^[A-Za-z0-9._:~-]{1,256}$"
"""The ID of an entry: any key, and any name that Scrip derives from one."""

USER_PREFIX = "user:"
"""The prefix of every entry that a user's token made."""

HOLD_ID_PATTERN = f"^({USER_PREFIX})?{KEY_PATTERN.removeprefix('^')}"
"""The ID of a caller's hold: that of the entry that opened it."""


def entry_name(actor: Actor, key: str) -> str:
    """Return the ID of the entry for a caller's key.

    Users have a namespace of their own, so no user can take, replay or look up a key that the app's
    back end is going to use.
    """
    return USER_PREFIX + key if actor.type is ActorType.USER else key


def numbered(entry_id: str, count: int) -> tuple[str, ...]:
    """Return the IDs of the entries that a command writes: its own, then key~2, key~3.

    No caller's key has a ~.
    """
    return entry_id, *(f"{entry_id}~{number}" for number in range(2, count + 1))


def is_users(entry_id: str) -> bool:
    """Return whether a user's token made an entry, and so the hold of the same name."""
    return entry_id.startswith(USER_PREFIX)


ACCOUNT_ID_PATTERN = "^[A-Za-z0-9._~!$&'()*+,;=:@|-]{1,128}$"
"""The ID of an account: characters that need no escaping in a path, and `|`.

It covers what issuers call their users: auth0|5f7c, saml|anna+x@example.com, org:team.member.
"""

ACCOUNT_ID = re.compile(ACCOUNT_ID_PATTERN)

RESERVED_ACCOUNT_IDS = frozenset({"me", ".", ".."})
"""IDs that no account can have because they mean something else in a path."""


def is_account_id(text: str) -> bool:
    """Return whether an account can have this ID. Accounts older than the rule may have others."""
    return text not in RESERVED_ACCOUNT_IDS and ACCOUNT_ID.fullmatch(text) is not None


def check_account_id(account_id: str) -> None:
    """Check that an account can have this ID.

    Raises:
        UnusableAccountIdError: it cannot.
    """
    if not is_account_id(account_id):
        raise errors.UnusableAccountIdError


class AdjustAction(StrEnum):
    """How an admin adjusts a balance."""

    ADD = "add"
    DEDUCT = "deduct"
    SET = "set"


class ResetAnchor(StrEnum):
    """When the periods of a new account begin."""

    SIGNUP = "signup"
    MONTH = "month"


type Refusals = tuple[type[errors.RefusalError], ...]


@dataclass(frozen=True, kw_only=True)
class Command:
    """What every command has.

    `entry_id` becomes the ID of the entry that the command writes: the caller's idempotency key
    (then `keyed` is true), a name for what the clock or a provider does, or a ULID. The user can
    read `reason`; an admin's `note` goes only to the audit record.
    """

    refusals: ClassVar[Refusals] = (errors.AccountNotFoundError, errors.AccountClosedError)
    """The refusals that the command can get. The API's documentation lists them."""

    account_id: str
    entry_id: str
    keyed: bool = True
    actor: Actor
    reason: str | None = None
    reference: str | None = None
    metadata: Json | None = None
    note: str | None = None

    NOT_ASKED: ClassVar = frozenset({"account_id", "entry_id", "keyed", "actor", "note"})
    """Fields that are not part of the request: account, caller and name.

    A user can see the hash of the rest, so it must not cover a note, which could be guessed.
    """

    @property
    def request_hash(self) -> bytes:
        """SHA-256 of the request: the same for a retry, different for a different request."""
        asked = {
            field.name: _json(value)
            for field in fields(self)
            if field.name not in self.NOT_ASKED and (value := getattr(self, field.name)) is not None
        }
        return hashlib.sha256(canonical_json({"command": type(self).__name__, **asked})).digest()

    reads_terms: ClassVar[bool] = False
    """Whether the decision depends on the account's terms that are over."""

    @property
    def entry_ids(self) -> tuple[str, ...]:
        """The ids of the entries that the command itself writes."""
        return (self.entry_id,)

    @property
    def reads_entry(self) -> str | None:
        """The id of an entry that the decision depends on; None if it needs none."""
        return None

    @property
    def reads_payment(self) -> str | None:
        """The id of a payment that the decision depends on; None if it needs none."""
        return None


@dataclass(frozen=True, kw_only=True)
class OpenAccount(Command):
    """Create an account on a plan, with its sign-up grant and its first plan grant.

    `mailboxes` are its owner's, as keyed hashes: each gets sign-up credits once. They are not part
    of the request's hash, so nothing in the account leads to them.
    """

    refusals: ClassVar[Refusals] = (errors.UnknownPlanError, errors.UnusableAccountIdError)

    plan_id: str
    signup_credits: int
    reset_anchor: ResetAnchor
    time_zone: str
    mailboxes: tuple[str, ...] = ()

    NOT_ASKED: ClassVar = Command.NOT_ASKED | {"mailboxes"}

    def __post_init__(self) -> None:
        """Check the ID.

        Raises:
            UnusableAccountIdError: no route could address it.
        """
        check_account_id(self.account_id)


UNPRICEABLE: Refusals = (
    errors.UnknownFeatureError,
    errors.UnknownMeterError,
    errors.UnknownUsageError,
    errors.CostOutOfRangeError,
)
"""A use that has no price."""


@dataclass(frozen=True, kw_only=True)
class Consume(Command):
    """Spend: `quantity` units of a feature, or its `usage` by meter, or an amount of credits."""

    refusals: ClassVar[Refusals] = (
        *Command.refusals,
        errors.InsufficientCreditsError,
        errors.AccountFrozenError,
        *UNPRICEABLE,
    )

    feature: str | None = None
    quantity: int | None = None
    usage: Mapping[str, int] | None = None
    amount: int | None = None


@dataclass(frozen=True, kw_only=True)
class Use:
    """One use of a batch, with the fields of `Consume`."""

    feature: str | None = None
    quantity: int | None = None
    usage: Mapping[str, int] | None = None
    amount: int | None = None
    reason: str | None = None
    reference: str | None = None
    metadata: Json | None = None


USES_MAX = 25
"""The most uses of a batch: with what has come due they fit into one transaction."""


@dataclass(frozen=True, kw_only=True)
class ConsumeBatch(Command):
    """Spend for several uses: all of them or none."""

    refusals: ClassVar[Refusals] = Consume.refusals

    uses: tuple[Use, ...]

    @property
    def entry_ids(self) -> tuple[str, ...]:
        """The IDs of the entries, one for each use."""
        return numbered(self.entry_id, len(self.uses))


@dataclass(frozen=True, kw_only=True)
class HoldLine:
    """One of several uses that a hold is for or that a capture charges: of a feature or an amount.

    Without a feature, a quantity or usage is of the hold's only one.
    """

    feature: str | None = None
    quantity: int | None = None
    usage: Mapping[str, int] | None = None
    amount: int | None = None


@dataclass(frozen=True, kw_only=True)
class OpenHold(Command):
    """Set credits aside for a later use, for at most `expires_in` seconds.

    The use has the fields of `Consume`, or there are several, one entry each. The hold is named
    after the first entry.
    """

    refusals: ClassVar[Refusals] = (
        *Consume.refusals,
        errors.HoldRateLimitedError,
        errors.TooManyHoldsError,
    )

    feature: str | None = None
    quantity: int | None = None
    usage: Mapping[str, int] | None = None
    amount: int | None = None
    lines: tuple[HoldLine, ...] | None = None
    expires_in: int

    @property
    def uses(self) -> tuple[HoldLine, ...]:
        """What to hold for, in order."""
        return self.lines or (_line_of(self, self.feature),)

    @property
    def entry_ids(self) -> tuple[str, ...]:
        """The IDs of the entries, one for each use."""
        return numbered(self.entry_id, len(self.uses))


NO_SUCH_HOLD: Refusals = (errors.HoldNotFoundError, errors.HoldNotYoursError, errors.HoldEndedError)
"""A hold that the caller cannot reach."""


@dataclass(frozen=True, kw_only=True)
class ExtendHold(Command):
    """Extend a hold to `expires_in` seconds from now, unless it already lives longer.

    It writes no entry, so its `entry_id` names nothing.
    """

    refusals: ClassVar[Refusals] = (
        *Command.refusals,
        *NO_SUCH_HOLD,
        errors.AccountFrozenError,
        errors.HoldRateLimitedError,
    )

    hold_id: str
    expires_in: int


@dataclass(frozen=True, kw_only=True)
class CaptureHold(Command):
    """Spend held credits: an amount, the price of a quantity or usage, or all that is left.

    Or several uses, one entry each: all of them or none. `final` ends the hold and releases the
    rest. `excess` takes what exceeds the hold from the available credits.
    """

    refusals: ClassVar[Refusals] = (
        *Consume.refusals,
        *NO_SUCH_HOLD,
        errors.HoldExceededError,
        errors.HoldWithoutFeatureError,
    )

    hold_id: str
    quantity: int | None = None
    usage: Mapping[str, int] | None = None
    amount: int | None = None
    lines: tuple[HoldLine, ...] | None = None
    final: bool
    excess: bool

    @property
    def uses(self) -> tuple[HoldLine, ...]:
        """What to charge, in order."""
        return self.lines or (_line_of(self, None),)

    @property
    def entry_ids(self) -> tuple[str, ...]:
        """The IDs of the entries, one for each use."""
        return numbered(self.entry_id, len(self.uses))


@dataclass(frozen=True, kw_only=True)
class ReleaseHold(Command):
    """Release all that is still held."""

    refusals: ClassVar[Refusals] = ExtendHold.refusals

    hold_id: str


type HoldCommand = ExtendHold | CaptureHold | ReleaseHold
"""A command about an open hold."""


@dataclass(frozen=True, kw_only=True)
class Refund(Command):
    """Refund a usage entry: `amount` credits of it, or all that is left."""

    refusals: ClassVar[Refusals] = (
        *Command.refusals,
        errors.EntryNotFoundError,
        errors.AlreadyRefundedError,
        errors.RefundTooLargeError,
        errors.NotRefundableError,
    )

    refunds: str
    amount: int | None = None

    @property
    def reads_entry(self) -> str:
        """The usage entry that it gives back from."""
        return self.refunds


@dataclass(frozen=True, kw_only=True)
class Adjust(Command):
    """Add credits, deduct them, or set the balance to an amount."""

    refusals: ClassVar[Refusals] = (
        *Command.refusals,
        errors.DeductionTooLargeError,
        errors.TooManyGrantsError,
        errors.ExpiryInThePastError,
    )

    action: AdjustAction
    amount: int
    kind: GrantKind = GrantKind.ADMIN
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class SetFrozen(Command):
    """Freeze or unfreeze an account: a frozen one cannot spend."""

    frozen: bool


@dataclass(frozen=True, kw_only=True)
class SetQuota(Command):
    """Put an account on a plan, or override the plan's allowance or limits for it.

    With a `plan_id`, fields left out have the plan's values; without one they stay unchanged.
    """

    refusals: ClassVar[Refusals] = (*Command.refusals, errors.UnknownPlanError)

    plan_id: str | None = None
    monthly_credits: int | None = None
    limits: Mapping[str, int] | None = None


@dataclass(frozen=True, kw_only=True)
class ResetUsage(Command):
    """Reset the period's usage to 0 and refill its allowance."""


@dataclass(frozen=True, kw_only=True)
class CloseAccount(Command):
    """Close an account permanently; what is left in it is lost."""


@dataclass(frozen=True, kw_only=True)
class Pay(Command):
    """What the commands of payments have. The payment names the entry.

    `rank` is what named the account. `moved` counts how often the payment has moved: then the
    entry has another name, and the account takes the payment over from one that has given it up.
    """

    NOT_ASKED: ClassVar = Command.NOT_ASKED | {"rank", "moved"}

    rank: Rank = Rank.ACCOUNT
    moved: int = 0

    @property
    def payment_id(self) -> str:
        """The payment."""
        return self.entry_id.removesuffix(booking_of("", self.moved))

    @property
    def reads_payment(self) -> str | None:
        """The payment, if it moves."""
        return self.payment_id if self.moved else None


@dataclass(frozen=True, kw_only=True)
class Purchase(Pay):
    """Book bought credits. The payment names the entry; `money` is the price.

    Money is in the smallest unit of its currency. `presented_money` is the price in the currency
    that the payer saw, where that is another one.
    """

    refusals: ClassVar[Refusals] = (*Command.refusals, errors.PaymentTakenError)

    credits: int
    money: int
    currency: str = ""
    presented_money: int = 0
    presented_currency: str = ""


@dataclass(frozen=True, kw_only=True)
class PayTerms(Pay):
    """Book a subscription's payment, which gives a term for each of its lines.

    The payment names the entry. `money` is what was paid, in the currency's smallest unit, and
    `presented_money` the same in the currency that the payer saw, where that is another one.
    """

    reads_terms: ClassVar = True

    refusals: ClassVar[Refusals] = (
        *Command.refusals,
        errors.UnknownPlanError,
        errors.PaymentTakenError,
    )

    subscription_id: str
    lines: tuple[Line, ...]
    money: int
    currency: str = ""
    presented_money: int = 0
    presented_currency: str = ""


@dataclass(frozen=True, kw_only=True)
class FollowSubscription(Command):
    """Record a subscription's state at `at`, the provider's time.

    `ended`: it will not be paid again.
    """

    reads_terms: ClassVar = True

    subscription_id: str
    status: str
    ended: bool
    at: datetime


@dataclass(frozen=True, kw_only=True)
class TakeBack(Command):
    """Record that money of a payment was returned, or is disputed.

    Either a `refund_id` with its `money` and `status`; or the `total` of all refunds of a
    `charge_id` so far; or a `dispute_id` with its `outcome` and the disputed `money`, which is 0 if
    all of it is. Money is in the smallest unit of `currency`. `charged` is the whole charge in that
    currency, 0 if unknown.
    """

    reads_terms: ClassVar = True

    refusals: ClassVar[Refusals] = (*Command.refusals, errors.PaymentNotFoundError)

    payment_id: str
    charge_id: str = ""
    total: int | None = None
    refund_id: str | None = None
    status: RefundStatus = RefundStatus.SUCCEEDED
    dispute_id: str | None = None
    outcome: DisputeOutcome | None = None
    money: int = 0
    currency: str = ""
    charged: int = 0

    @property
    def reads_payment(self) -> str:
        """The payment whose money went back."""
        return self.payment_id


@dataclass(frozen=True, kw_only=True)
class SetClock(Command):
    """Set an account's own clock forward to `now`; setting it to the same time changes nothing."""

    refusals: ClassVar[Refusals] = (
        *Command.refusals,
        errors.ClockBehindError,
        errors.InstantTooFarError,
    )

    now: datetime


@dataclass(frozen=True, kw_only=True)
class GiveUp(Command):
    """Give up a payment, a subscription or both, because a stronger name gives them to `to`.

    What the payment brought is taken back. One that the payer's word brought leaves no debt.
    """

    reads_terms: ClassVar = True

    refusals: ClassVar[Refusals] = (*Command.refusals, errors.PaymentNotFoundError)

    payment_id: str | None = None
    subscription_id: str | None = None
    to: str

    @property
    def reads_payment(self) -> str | None:
        """The payment that leaves."""
        return self.payment_id


@dataclass(frozen=True, kw_only=True)
class Renew(Command):
    """Book what has come due: grants that expired, periods that began."""


def _line_of(command: OpenHold | CaptureHold, feature: str | None) -> HoldLine:
    """Return the only use of a command that has no lines."""
    return HoldLine(
        feature=feature, quantity=command.quantity, usage=command.usage, amount=command.amount
    )


def _json(value: object) -> object:
    """Return a field's value in JSON types."""
    match value:
        case datetime():
            return iso(value)
        case tuple():
            return [
                {name: _json(part) for name, part in asdict(each).items() if part is not None}
                for each in value
            ]
    return value
