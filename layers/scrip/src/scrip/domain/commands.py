"""Commands: what somebody or something wants to change in an account, as plain values."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from scrip.domain.catalog import ID_PATTERN
from scrip.domain.entries import Actor, ActorType, Json, canonical_json, iso
from scrip.domain.errors import (
    AccountClosedError,
    AccountFrozenError,
    AccountNotFoundError,
    AlreadyRefundedError,
    CostOutOfRangeError,
    DeductionTooLargeError,
    EntryNotFoundError,
    ExpiryInThePastError,
    HoldEndedError,
    HoldExceededError,
    HoldNotFoundError,
    HoldNotYoursError,
    HoldRateLimitedError,
    HoldWithoutFeatureError,
    InsufficientCreditsError,
    NotRefundableError,
    PaymentNotFoundError,
    PaymentTakenError,
    RefundTooLargeError,
    RefusalError,
    TooManyGrantsError,
    TooManyHoldsError,
    UnknownFeatureError,
    UnknownPlanError,
    UnusableAccountIdError,
)
from scrip.domain.grants import GrantKind
from scrip.domain.payments import DisputeOutcome

KEY_PATTERN = ID_PATTERN
"""What a caller's idempotency key looks like: without the colon of the names that Scrip makes."""

ENTRY_ID_PATTERN = "^[A-Za-z0-9._:~-]{1,256}$"
"""What an entry is asked for by: any key, and any name that Scrip derives from one."""

USER_PREFIX = "user:"
"""What the name of every entry begins with that a user's token made."""

HOLD_ID_PATTERN = f"^({USER_PREFIX})?{KEY_PATTERN.removeprefix('^')}"
"""What a caller names a hold by: the entry that opened it."""


def entry_name(actor: Actor, key: str) -> str:
    """Return the id of the entry that a caller's key names.

    Users have names of their own, so no user can take, replay or look up a key that the app's back
    end is going to use.
    """
    return USER_PREFIX + key if actor.type is ActorType.USER else key


def is_users(entry_id: str) -> bool:
    """Return whether a user's token made an entry, and so the hold that is named after it."""
    return entry_id.startswith(USER_PREFIX)


ACCOUNT_ID_PATTERN = "^[A-Za-z0-9._~!$&'()*+,;=:@|-]{1,128}$"
"""What may be an account's id: what can be a part of an address as it is, and `|`.

That is whatever issuers call users: auth0|5f7c, saml|anna+x@example.com, org:team.member.
"""

ACCOUNT_ID = re.compile(ACCOUNT_ID_PATTERN)

RESERVED_ACCOUNT_IDS = frozenset({"me", ".", ".."})
"""What cannot be one all the same: it means something else in an address."""


def is_account_id(text: str) -> bool:
    """Tell whether an account may have that id. Some that are older than this rule have others."""
    return text not in RESERVED_ACCOUNT_IDS and ACCOUNT_ID.fullmatch(text) is not None


def check_account_id(account_id: str) -> None:
    """Return if an account may have that id.

    Raises:
        UnusableAccountIdError: it may not.
    """
    if not is_account_id(account_id):
        raise UnusableAccountIdError


class AdjustAction(StrEnum):
    """What an admin does to a balance."""

    ADD = "add"
    DEDUCT = "deduct"
    SET = "set"


class ResetAnchor(StrEnum):
    """Where the periods of a new account begin."""

    SIGNUP = "signup"
    MONTH = "month"


type Refusals = tuple[type[RefusalError], ...]


@dataclass(frozen=True, kw_only=True)
class Command:
    """What every command has.

    `entry_id` becomes the id of the entry that the command writes: the caller's idempotency key
    (then `keyed` is true), a name for what the clock or the outside world does, or a ULID.
    `reason` is for the user to read; an admin's `note` goes to the audit record alone.
    """

    refusals: ClassVar[Refusals] = (AccountNotFoundError, AccountClosedError)
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
    """Fields that do not say what is asked: to whom, by whom and under which name.

    A user sees the hash of the rest, so a note must not be in it: it could be guessed.
    """

    @property
    def request_hash(self) -> bytes:
        """SHA-256 of what is asked: the same for a retry, another for another request."""
        asked = {
            field.name: _told(value)
            for field in fields(self)
            if field.name not in self.NOT_ASKED and (value := getattr(self, field.name)) is not None
        }
        return hashlib.sha256(canonical_json({"command": type(self).__name__, **asked})).digest()

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

    `mailboxes` are its owner's, as keyed hashes: each is welcomed with sign-up credits once, for
    ever. They are no part of what is asked, so that nothing of an account leads to them.
    """

    refusals: ClassVar[Refusals] = (UnknownPlanError, UnusableAccountIdError)

    plan_id: str
    signup_credits: int
    reset_anchor: ResetAnchor
    time_zone: str
    mailboxes: tuple[str, ...] = ()

    NOT_ASKED: ClassVar = Command.NOT_ASKED | {"mailboxes"}

    def __post_init__(self) -> None:
        """Refuse an id that no route could address.

        Raises:
            UnusableAccountIdError: nobody could.
        """
        check_account_id(self.account_id)


UNPRICEABLE: Refusals = (UnknownFeatureError, CostOutOfRangeError)
"""A use that has no price."""


@dataclass(frozen=True, kw_only=True)
class Consume(Command):
    """Spend: `quantity` units of a feature at its price, or an amount of credits."""

    refusals: ClassVar[Refusals] = (
        *Command.refusals,
        InsufficientCreditsError,
        AccountFrozenError,
        *UNPRICEABLE,
    )

    feature: str | None = None
    quantity: int | None = None
    amount: int | None = None


@dataclass(frozen=True, kw_only=True)
class Use:
    """One use of a batch, as `Consume` tells it."""

    feature: str | None = None
    quantity: int | None = None
    amount: int | None = None
    reason: str | None = None
    reference: str | None = None
    metadata: Json | None = None


USES_MAX = 25
"""How many uses a batch has at most: with what time may have done they fit one transaction."""


@dataclass(frozen=True, kw_only=True)
class ConsumeBatch(Command):
    """Spend for several uses together: all of them or none."""

    refusals: ClassVar[Refusals] = Consume.refusals

    uses: tuple[Use, ...]

    @property
    def entry_ids(self) -> tuple[str, ...]:
        """The ids of the entries: the command's own, then key~2, key~3. No caller's key has a ~."""
        others = (f"{self.entry_id}~{number}" for number in range(2, len(self.uses) + 1))
        return self.entry_id, *others


@dataclass(frozen=True, kw_only=True)
class OpenHold(Command):
    """Set credits aside for a use that is to come, for `expires_in` seconds at most.

    What is told of the use is told as `Consume` does. The hold is named after the entry.
    """

    refusals: ClassVar[Refusals] = (*Consume.refusals, HoldRateLimitedError, TooManyHoldsError)

    feature: str | None = None
    quantity: int | None = None
    amount: int | None = None
    expires_in: int


NO_SUCH_HOLD: Refusals = (HoldNotFoundError, HoldNotYoursError, HoldEndedError)
"""A hold that the caller cannot reach."""


@dataclass(frozen=True, kw_only=True)
class ExtendHold(Command):
    """Let a hold live for `expires_in` seconds from now, unless it lives longer anyway.

    It writes no entry, so its `entry_id` names nothing.
    """

    refusals: ClassVar[Refusals] = (
        *Command.refusals,
        *NO_SUCH_HOLD,
        AccountFrozenError,
        HoldRateLimitedError,
    )

    hold_id: str
    expires_in: int


@dataclass(frozen=True, kw_only=True)
class CaptureHold(Command):
    """Spend what was held: an amount, the price of a quantity, or all that is left.

    `final` ends the hold and gives the rest back. `excess` takes what is above the hold from what
    is available.
    """

    refusals: ClassVar[Refusals] = (
        *Consume.refusals,
        *NO_SUCH_HOLD,
        HoldExceededError,
        HoldWithoutFeatureError,
    )

    hold_id: str
    quantity: int | None = None
    amount: int | None = None
    final: bool
    excess: bool


@dataclass(frozen=True, kw_only=True)
class ReleaseHold(Command):
    """Give back all that is still held."""

    refusals: ClassVar[Refusals] = ExtendHold.refusals

    hold_id: str


type HoldCommand = ExtendHold | CaptureHold | ReleaseHold
"""What somebody wants of a hold that was opened."""


@dataclass(frozen=True, kw_only=True)
class Refund(Command):
    """Give back what a usage entry took: `amount` credits of it, or all that is left."""

    refusals: ClassVar[Refusals] = (
        *Command.refusals,
        EntryNotFoundError,
        AlreadyRefundedError,
        RefundTooLargeError,
        NotRefundableError,
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
        DeductionTooLargeError,
        TooManyGrantsError,
        ExpiryInThePastError,
    )

    action: AdjustAction
    amount: int
    kind: GrantKind = GrantKind.ADMIN
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class SetFrozen(Command):
    """Stop an account from spending, or let it again."""

    frozen: bool


@dataclass(frozen=True, kw_only=True)
class SetQuota(Command):
    """Put an account on a plan, or give it an allowance or limits of its own.

    With a `plan_id` what is not given is the plan's own; without one it stays as it is.
    """

    refusals: ClassVar[Refusals] = (*Command.refusals, UnknownPlanError)

    plan_id: str | None = None
    monthly_credits: int | None = None
    limits: Mapping[str, int] | None = None


@dataclass(frozen=True, kw_only=True)
class ResetUsage(Command):
    """Begin the period's use anew, with the allowance refilled."""


@dataclass(frozen=True, kw_only=True)
class CloseAccount(Command):
    """End an account for ever; what is left in it is gone."""


@dataclass(frozen=True, kw_only=True)
class Purchase(Command):
    """Credits were bought. The payment names the entry; `money` is what it cost.

    Money is in the smallest unit of its currency.
    """

    refusals: ClassVar[Refusals] = (*Command.refusals, PaymentTakenError)

    credits: int
    money: int


@dataclass(frozen=True, kw_only=True)
class PayPeriod(Command):
    """A subscription was paid for the period [start, end). The payment names the entry.

    `plan_after` is where the account goes when the subscription has ended.
    """

    refusals: ClassVar[Refusals] = (*Command.refusals, UnknownPlanError, PaymentTakenError)

    subscription_id: str
    plan_id: str
    start: datetime
    end: datetime
    money: int
    plan_after: str


@dataclass(frozen=True, kw_only=True)
class FollowSubscription(Command):
    """How a subscription stands at `at`, the provider's time; it moves no credits."""

    subscription_id: str
    status: str
    ended: bool
    at: datetime
    plan_after: str


@dataclass(frozen=True, kw_only=True)
class TakeBack(Command):
    """Money of a payment went back, or is disputed: take back the credits, or set them aside.

    Either `returned`, all the money that went back so far, or a `refund_id` and its `money`, or a
    `dispute_id` with its `outcome` and the `money` disputed.
    """

    refusals: ClassVar[Refusals] = (*Command.refusals, PaymentNotFoundError)

    payment_id: str
    returned: int | None = None
    refund_id: str | None = None
    dispute_id: str | None = None
    outcome: DisputeOutcome | None = None
    money: int = 0

    @property
    def reads_payment(self) -> str:
        """The payment whose money went back."""
        return self.payment_id


@dataclass(frozen=True, kw_only=True)
class Renew(Command):
    """Write down what time alone has done: grants that expired, periods that began."""


def _told(value: object) -> object:
    """Return what is asked in types that JSON has."""
    match value:
        case datetime():
            return iso(value)
        case tuple():
            return [
                {name: told for name, told in asdict(use).items() if told is not None}
                for use in value
            ]
    return value
