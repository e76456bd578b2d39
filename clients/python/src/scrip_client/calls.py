"""The API's operations: the request of each, and the type of its answer. Nothing is sent here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, Unpack
from urllib.parse import quote as quoted

from scrip_client.keys import USER_PREFIX, checked_key, new_key
from scrip_client.models import (
    Account,
    Balance,
    Batch,
    Catalog,
    Entry,
    Held,
    HoldPosting,
    Holds,
    HoldState,
    OneEntry,
    Page,
    Posting,
    Quote,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from typing import Literal

Answer = TypeVar("Answer")

HOLD_SECONDS = 300
"""How long a hold lives unless told otherwise."""


class Use(TypedDict, total=False):
    """What is used: `quantity` units of a feature (1 unless given), or an `amount` of credits.

    `reason` and `reference` (256 characters each) and `metadata` (4 KB of JSON) are kept in the
    ledger, for ever.
    """

    quantity: int
    amount: int
    reason: str
    reference: str
    metadata: Mapping[str, Any]


class BatchUse(Use, total=False):
    """One use of a batch: what `Use` tells, and the feature if it is of one."""

    feature: str


class Told(TypedDict, total=False):
    """What the ledger keeps of a call beside what it does, as `Use` has it."""

    reason: str
    reference: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Call(Generic[Answer]):
    """One request to the API, and the type of its answer.

    `key` is the idempotency key; a call with one changes something. `entry_id` is the entry that
    is asked for, `hold_id` the hold that something is asked of.
    """

    answer: type[Answer]
    method: str
    account_id: str | None = None
    path: str
    entry_id: str | None = None
    hold_id: str | None = None
    query: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None
    key: str | None = None


def balance(account_id: str) -> Call[Account]:
    """Read an account as it is now.

    Raises:
        AccountNotFoundError: there is none.
    """
    return Call(answer=Account, method="GET", account_id=account_id, path=_path(account_id))


def quote(account_id: str, feature: str | None = None, **use: Unpack[Use]) -> Call[Quote]:
    """Ask what a use would cost, and whether it would be allowed. Changes nothing.

    Raises:
        UnknownFeatureError: there is no such feature.
    """
    path, body = _path(account_id, "quote"), _body(feature, use)
    return Call(answer=Quote, method="POST", account_id=account_id, path=path, body=body)


def consume(
    account_id: str,
    feature: str | None = None,
    *,
    idempotency_key: str | None = None,
    **use: Unpack[Use],
) -> Call[Posting]:
    """Take the price of a feature, or an amount: all of it or none.

    The idempotency key becomes the entry's id (`user:<key>` if the token is a user's). Without one
    of your own the call makes one; give one where your program may ask again, such as a job that is
    delivered twice.

    Raises:
        ValueError: that is no key.
        InsufficientCreditsError: there are not enough; nothing was taken.
        AccountFrozenError: the account may not spend.
        UnknownFeatureError: there is no such feature.
        IdempotencyKeyReusedError: the key was another request's.
    """
    return _change(account_id, "consume", _body(feature, use), idempotency_key)


def consume_batch(
    account_id: str,
    uses: Iterable[BatchUse],
    *,
    idempotency_key: str | None = None,
) -> Call[Batch]:
    """Take the prices of up to 25 uses: all of them or none, an entry each.

    The idempotency key becomes the first entry's id (`user:<key>` if the token is a user's); the
    others are that, with `~2` and so on.

    Raises:
        ValueError: that is no key.
        InsufficientCreditsError: there are not enough for all of them; nothing was taken.
        AccountFrozenError: the account may not spend.
        UnknownFeatureError: one is of no feature that there is.
        IdempotencyKeyReusedError: the key was another request's.
    """
    return Call(
        answer=Batch,
        method="POST",
        account_id=account_id,
        path=_path(account_id, "consume", "batch"),
        body={"uses": [dict(use) for use in uses]},
        key=_key(idempotency_key),
    )


def open_hold(
    account_id: str,
    feature: str | None = None,
    *,
    expires_in: int = HOLD_SECONDS,
    idempotency_key: str | None = None,
    **use: Unpack[Use],
) -> Call[HoldPosting]:
    """Set aside what a use will cost, for `expires_in` seconds (at most 24 hours).

    The idempotency key becomes the hold's id (`user:<key>` if the token is a user's): use the one
    in the answer. `hold` does all of it for a block.

    Raises:
        ValueError: that is no key.
        InsufficientCreditsError: there is not so much; nothing is held.
        TooManyHoldsError: the account has 32 open holds.
        AccountFrozenError: the account may not spend.
        UnknownFeatureError: there is no such feature.
        HoldRateLimitedError: the token is a user's and has opened too many.
        IdempotencyKeyReusedError: the key was another request's.
    """
    return Call(
        answer=HoldPosting,
        method="POST",
        account_id=account_id,
        path=_path(account_id, "holds"),
        body={**_body(feature, use), "expires_in": expires_in},
        key=_key(idempotency_key),
    )


def capture_hold(
    account_id: str,
    hold_id: str,
    *,
    quantity: int | None = None,
    amount: int | None = None,
    final: bool = True,
    excess: Literal["refuse", "available"] = "refuse",
    idempotency_key: str | None = None,
    **told: Unpack[Told],
) -> Call[Posting]:
    """Spend what was held: a quantity of its feature, an amount, or all that is left.

    It ends the hold and gives the rest back unless it is not `final`. What is above the hold is
    refused, or taken from what is `available`.

    Raises:
        ValueError: that is no key.
        HoldEndedError: it is over; nothing was taken.
        HoldNotFoundError: the account has no such hold.
        HoldNotYoursError: the token is a user's, and no user's token opened it.
        HoldExceededError: it is more than the hold has left.
        InsufficientCreditsError, AccountFrozenError: what is above the hold cannot be taken.
        HoldWithoutFeatureError: a quantity of it has no price.
        IdempotencyKeyReusedError: the key was another request's.
    """
    asked = {"quantity": quantity, "amount": amount, "final": final, "excess": excess, **told}
    return _change_hold(account_id, hold_id, "capture", asked, idempotency_key)


def extend_hold(
    account_id: str,
    hold_id: str,
    *,
    expires_in: int = HOLD_SECONDS,
) -> Call[HoldState]:
    """Let a hold live for `expires_in` seconds from now, unless it lives longer anyway.

    It lives for 7 days from its opening at most, a user's own for 24 hours, and at most 24 hours
    longer than its credits would have. The answer says until when. It leaves no entry.

    Raises:
        HoldEndedError: it is over.
        HoldNotFoundError: the account has no such hold.
        HoldNotYoursError: the token is a user's, and no user's token opened it.
        HoldRateLimitedError: the token is a user's and has extended too many.
    """
    return Call(
        answer=HoldState,
        method="POST",
        account_id=account_id,
        path=_path(account_id, "holds", hold_id, "extend"),
        hold_id=hold_id,
        body={"expires_in": expires_in},
    )


def release_hold(
    account_id: str,
    hold_id: str,
    *,
    idempotency_key: str | None = None,
    **told: Unpack[Told],
) -> Call[Posting]:
    """End a hold and give back all that is left of it.

    Raises:
        ValueError: that is no key.
        HoldEndedError: it is over, and not because it was released.
        HoldNotFoundError: the account has no such hold.
        HoldNotYoursError: the token is a user's, and no user's token opened it.
        HoldRateLimitedError: the token is a user's and has released too many.
        IdempotencyKeyReusedError: the key was another request's.
    """
    return _change_hold(account_id, hold_id, "release", told, idempotency_key)


def holds(account_id: str) -> Call[Holds]:
    """List the holds that are open now.

    Raises:
        AccountNotFoundError: there is none.
    """
    path = _path(account_id, "holds")
    return Call(answer=Holds, method="GET", account_id=account_id, path=path)


def catalog() -> Call[Catalog]:
    """Read what features cost and what plans give."""
    return Call(answer=Catalog, method="GET", path="v1/catalog")


def refund(
    account_id: str,
    entry_id: str,
    reason: str,
    amount: int | None = None,
    *,
    idempotency_key: str | None = None,
) -> Call[Posting]:
    """Give back what a use took: `amount` credits of it, or all that is left. For services.

    Raises:
        ValueError: that is no key.
        AlreadyRefundedError: nothing is left.
        RefundTooLargeError: less than `amount` is left.
        EntryNotFoundError: the account has no such entry.
        NotRefundableError: the entry is no use.
        ForbiddenError: the token is a user's.
    """
    body = _given({"entry_id": entry_id, "reason": reason, "amount": amount})
    return _change(account_id, "refunds", body, idempotency_key)


def entry(account_id: str, entry_id: str) -> Call[OneEntry]:
    """Read one entry, with what has been refunded of it.

    Raises:
        EntryNotFoundError: the account has none of that id.
    """
    path = _path(account_id, "entries", entry_id)
    return Call(answer=OneEntry, method="GET", account_id=account_id, path=path, entry_id=entry_id)


def entries(
    account_id: str,
    *,
    type: str | None = None,  # noqa: A002 - what the API calls it
    feature: str | None = None,
    from_: datetime | None = None,
    to: datetime | None = None,
) -> Call[Page]:
    """Read the ledger, newest first, page by page as it is asked for.

    `from_` is included and `to` is not; both are aware, and about when entries were recorded.

    Raises:
        AccountNotFoundError: there is none.
    """
    asked = {"type": type, "feature": feature, "from": _iso(from_), "to": _iso(to), "limit": "100"}
    path = _path(account_id, "entries")
    return Call(answer=Page, method="GET", account_id=account_id, path=path, query=_given(asked))


def next_page(call: Call[Page], cursor: str) -> Call[Page]:
    """Return the call that goes on where a page ended."""
    return replace(call, query={**(call.query or {}), "cursor": cursor})


def is_meant_for(call: Call[Any], answer: object) -> bool:
    """Whether an answer is for what was asked: another account's or call's must not pass for it."""
    match answer:
        case Posting(entry=entry, account=Balance(account_id=account_id)):
            # What ended a hold is told again whatever the key of who asks the same again.
            is_its_own = _names(call, entry.entry_id) or (call.hold_id and answer.replayed)
            is_about_it = call.hold_id in {entry.hold_id, None}
            return bool(is_its_own and is_about_it and call.account_id in {account_id, "me"})
        case Batch(entries=(Entry(entry_id=entry_id), *_), account=Balance(account_id=account_id)):
            return _names(call, entry_id) and call.account_id in {account_id, "me"}
        case HoldState(hold=Held(hold_id=hold_id), account=Balance(account_id=account_id)):
            return hold_id == call.hold_id and call.account_id in {account_id, "me"}
        case Account(account_id=account_id):
            return call.account_id in {account_id, "me"}
        case OneEntry(entry_id=entry_id):
            return entry_id == call.entry_id
    return isinstance(answer, Catalog | Holds | Quote | Page)


def _names(call: Call[Any], entry_id: str) -> bool:
    """Whether a call's key names an entry: by itself, or as that of a user."""
    return entry_id in {call.key, f"{USER_PREFIX}{call.key}"}


def _change(
    account_id: str, what: str, body: Mapping[str, Any], idempotency_key: str | None
) -> Call[Posting]:
    key, path = _key(idempotency_key), _path(account_id, what)
    return Call(answer=Posting, method="POST", account_id=account_id, path=path, body=body, key=key)


def _change_hold(
    account_id: str,
    hold_id: str,
    what: str,
    asked: Mapping[str, Any],
    idempotency_key: str | None,
) -> Call[Posting]:
    return Call(
        answer=Posting,
        method="POST",
        account_id=account_id,
        path=_path(account_id, "holds", hold_id, what),
        hold_id=hold_id,
        body=_given(asked),
        key=_key(idempotency_key),
    )


def _key(idempotency_key: str | None) -> str:
    return new_key() if idempotency_key is None else checked_key(idempotency_key)


def _path(account_id: str, *more: str) -> str:
    for part in (account_id, *more):
        if part in {"", ".", ".."}:
            raise ValueError(f"{part!r} is no part of an address")
    return "/".join(["v1/accounts", *(quoted(part, safe="") for part in (account_id, *more))])


def _body(feature: str | None, use: Use) -> dict[str, Any]:
    return _given({"feature": feature, **use})


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
