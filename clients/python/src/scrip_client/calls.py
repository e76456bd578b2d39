"""The API's operations: the request of each, and the type of its answer. Nothing is sent here."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict, TypeVar, Unpack
from urllib.parse import quote as quoted

from scrip_client.keys import USER_PREFIX, checked_key, new_key
from scrip_client.models import (
    Account,
    Balance,
    Batch,
    CapturePosting,
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
    Statement,
    Upcoming,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

Answer = TypeVar("Answer")
Answer_co = TypeVar("Answer_co", covariant=True)

Provider = Literal["openai", "anthropic", "bedrock", "google"]

MEASURES = frozenset({"quantity", "usage", "usage_of", "amount"})
"""The fields of a `Use` that say how much it is."""

USES_MAX = 25
"""The most uses that one call charges together."""

CALLED_CHARACTERS_MAX = 128
"""As much of a model's name as usage is counted by."""

CALLED_METADATA_BYTES_MAX = 4_000
"""Scrip takes a little more, for what a capture may add."""

HOLD_SECONDS = 300
"""How long a hold lives by default."""


class Details(TypedDict, total=False):
    """What the ledger keeps with an entry, permanently.

    `reason` has at most 500 characters (256 before Scrip 0.3.0), `reference` 256, and `metadata`
    4 KB of JSON.
    """

    reason: str
    reference: str
    metadata: Mapping[str, Any]


class Use(Details, total=False):
    """A use: `quantity` units of a feature (default 1), its `usage`, or an `amount` of credits.

    `usage` has the counts of the feature's meters, such as `{"input": 1200, "output": 350}`; or it
    is a provider's own usage object, as its API answered it, and `usage_of` names the provider.
    """

    quantity: int
    usage: Mapping[str, Any]
    usage_of: Provider
    amount: int


AnyDetails = TypeVar("AnyDetails", bound=Details)


class BatchUse(Use, total=False):
    """One use of a batch, and its feature if it has one."""

    feature: str


class Line(TypedDict, total=False):
    """One of several uses of a hold: of a feature, or an `amount`, with the fields of `Use`."""

    feature: str
    quantity: int
    usage: Mapping[str, Any]
    usage_of: Provider
    amount: int


def with_called(details: AnyDetails, **called: object) -> AnyDetails:
    """Return details whose metadata names what was called, unless it does or has no room."""
    own: Any = details.get("metadata") or {}
    names = {
        name: value[:CALLED_CHARACTERS_MAX]
        for name, value in called.items()
        if isinstance(value, str) and value
    }
    named = details.copy()
    named["metadata"] = {**names, **own}
    is_short = len(json.dumps(named["metadata"])) <= CALLED_METADATA_BYTES_MAX
    return named if names and is_short else details


@dataclass(frozen=True, kw_only=True)
class Call(Generic[Answer_co]):
    """One request to the API, and the type of its answer.

    `key` is the idempotency key of a call that changes something. `entry_id` and `hold_id` name
    the entry or hold that the call is about.
    """

    answer: type[Answer_co]
    method: str
    path: str
    account_id: str | None = None
    entry_id: str | None = None
    hold_id: str | None = None
    query: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None
    key: str | None = None


def balance(account_id: str) -> Call[Account]:
    """Read an account as it is now.

    Raises:
        AccountNotFoundError: the account does not exist.
    """
    return _get(Account, account_id)


def balance_at(account_id: str, at: datetime) -> Call[Balance]:
    """Read an account's balance as it was, or as it will be if nothing else changes it.

    `at` needs a time zone. A past balance is that of the ledger's newest entry by then.

    Raises:
        AccountNotFoundError: the account does not exist.
        NoEntryYetError: it had no entry yet.
        InstantTooFarError: `at` is more than 10 years ahead.
    """
    return _get(Balance, account_id, query={"at": at.isoformat()})


def upcoming(account_id: str, limit: int = 12) -> Call[Upcoming]:
    """List an account's upcoming changes: renewals, expirations, ends of plans and holds.

    Raises:
        AccountNotFoundError: the account does not exist.
    """
    return _get(Upcoming, account_id, "upcoming", query={"limit": str(limit)})


def quote(account_id: str, feature: str | None = None, **use: Unpack[Use]) -> Call[Quote]:
    """Return what a use would cost and whether it would be allowed, without charging for it.

    Raises:
        UnknownFeatureError: the feature does not exist.
        UnknownMeterError: the feature has no price for what was counted.
        UnknownUsageError: the provider's usage cannot be read.
    """
    return _post(Quote, account_id, "quote", body={"feature": feature, **use})


def consume(
    account_id: str,
    feature: str | None = None,
    *,
    idempotency_key: str | None = None,
    **use: Unpack[Use],
) -> Call[Posting]:
    """Charge the price of a feature, or an amount: all of it or nothing.

    The idempotency key becomes the entry's id (`user:<key>` with a user's token). By default each
    call makes a new key; pass your own where your program may repeat the call, such as in a job
    that can be delivered twice.

    Raises:
        ValueError: the key is invalid.
        InsufficientCreditsError: the account has too few credits; nothing was charged.
        AccountFrozenError: the account may not spend.
        UnknownFeatureError: the feature does not exist.
        UnknownMeterError: the feature has no price for what was counted.
        UnknownUsageError: the provider's usage cannot be read.
        IdempotencyKeyReusedError: the key belongs to another request.
    """
    body, key = {"feature": feature, **use}, _key(idempotency_key)
    return _post(Posting, account_id, "consume", body=body, key=key)


def consume_batch(
    account_id: str,
    uses: Iterable[BatchUse],
    *,
    idempotency_key: str | None = None,
) -> Call[Batch]:
    """Charge for up to 25 uses, all of them or none, with an entry each.

    The idempotency key becomes the first entry's id (`user:<key>` with a user's token); the ids of
    the others add `~2`, `~3` and so on.

    Raises:
        ValueError: the key is invalid.
        InsufficientCreditsError: the account has too few credits for all; nothing was charged.
        AccountFrozenError: the account may not spend.
        UnknownFeatureError: one of the features does not exist.
        UnknownMeterError: one of the features has no price for what was counted.
        UnknownUsageError: a provider's usage cannot be read.
        IdempotencyKeyReusedError: the key belongs to another request.
    """
    body, key = {"uses": [dict(use) for use in uses]}, _key(idempotency_key)
    return _post(Batch, account_id, "consume", "batch", body=body, key=key)


def open_hold(
    account_id: str,
    feature: str | None = None,
    *,
    lines: Iterable[Line] | None = None,
    expires_in: int = HOLD_SECONDS,
    idempotency_key: str | None = None,
    **use: Unpack[Use],
) -> Call[HoldPosting]:
    """Set aside what a use will cost, for `expires_in` seconds (at most 24 hours).

    Or what up to 25 `lines` will cost: all of them or none, with an entry each. The
    idempotency key becomes the hold's id (`user:<key>` with a user's token): use the id in the
    answer. `hold` opens, extends and ends a hold around a block.

    Raises:
        ValueError: the key is invalid.
        InsufficientCreditsError: the account has too few credits; nothing is held.
        TooManyHoldsError: the account has 32 open holds.
        AccountFrozenError: the account may not spend.
        UnknownFeatureError: the feature does not exist.
        UnknownMeterError: the feature has no price for what was counted.
        UnknownUsageError: the provider's usage cannot be read.
        HoldRateLimitedError: a user's token has opened too many holds.
        IdempotencyKeyReusedError: the key belongs to another request.
    """
    body = {"feature": feature, **use, "lines": _lines(lines), "expires_in": expires_in}
    return _post(HoldPosting, account_id, "holds", body=body, key=_key(idempotency_key))


def capture_hold(
    account_id: str,
    hold_id: str,
    *,
    quantity: int | None = None,
    usage: Mapping[str, Any] | None = None,
    usage_of: Provider | None = None,
    amount: int | None = None,
    lines: Iterable[Line] | None = None,
    final: bool = True,
    excess: Literal["refuse", "available"] = "refuse",
    idempotency_key: str | None = None,
    **details: Unpack[Details],
) -> Call[CapturePosting]:
    """Charge to a hold: a quantity or usage of its feature, an amount, or all that is left of it.

    Or what up to 25 `lines` used: all of them or none, with an entry each. A
    `final` capture ends the hold and gives the rest back. With `excess="available"`, what exceeds
    the hold is taken from the available credits; otherwise it is refused.

    Raises:
        ValueError: the key is invalid.
        HoldEndedError: the hold has ended; nothing was charged.
        HoldNotFoundError: the account has no such hold.
        HoldNotYoursError: a user's token cannot capture a hold that the app opened.
        HoldExceededError: the hold has less left.
        InsufficientCreditsError, AccountFrozenError: what exceeds the hold cannot be charged.
        HoldWithoutFeatureError: the hold is not for the feature of a quantity or usage.
        UnknownMeterError: the feature has no price for what was counted.
        UnknownUsageError: the provider's usage cannot be read.
        IdempotencyKeyReusedError: the key belongs to another request.
    """
    use = {
        "quantity": quantity,
        "usage": usage,
        "usage_of": usage_of,
        "amount": amount,
        "lines": _lines(lines),
        "final": final,
        "excess": excess,
        **details,
    }
    path, key = ("holds", hold_id, "capture"), _key(idempotency_key)
    return _post(CapturePosting, account_id, *path, body=use, key=key, hold_id=hold_id)


def extend_hold(
    account_id: str,
    hold_id: str,
    *,
    expires_in: int = HOLD_SECONDS,
) -> Call[HoldState]:
    """Let a hold live for `expires_in` seconds from now, unless it lives longer anyway.

    No hold outlives its limit: 7 days from its opening (24 hours for a user's own), and 24 hours
    after its credits would have expired. The answer has the time when it expires. An extension
    writes no entry.

    Raises:
        HoldEndedError: the hold has ended.
        HoldNotFoundError: the account has no such hold.
        HoldNotYoursError: a user's token cannot extend a hold that the app opened.
        HoldRateLimitedError: a user's token has extended too many holds.
    """
    body, path = {"expires_in": expires_in}, ("holds", hold_id, "extend")
    return _post(HoldState, account_id, *path, body=body, hold_id=hold_id)


def release_hold(
    account_id: str,
    hold_id: str,
    *,
    idempotency_key: str | None = None,
    **details: Unpack[Details],
) -> Call[Posting]:
    """End a hold and give back all that is left of it.

    Raises:
        ValueError: the key is invalid.
        HoldEndedError: the hold has ended in another way.
        HoldNotFoundError: the account has no such hold.
        HoldNotYoursError: a user's token cannot release a hold that the app opened.
        HoldRateLimitedError: a user's token has released too many holds.
        IdempotencyKeyReusedError: the key belongs to another request.
    """
    path, key = ("holds", hold_id, "release"), _key(idempotency_key)
    return _post(Posting, account_id, *path, body=details, key=key, hold_id=hold_id)


def holds(account_id: str) -> Call[Holds]:
    """List the open holds.

    Raises:
        AccountNotFoundError: the account does not exist.
    """
    return _get(Holds, account_id, "holds")


def catalog() -> Call[Catalog]:
    """Read what features cost and what plans include."""
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
        ValueError: the key is invalid.
        AlreadyRefundedError: nothing is left to refund.
        RefundTooLargeError: less than `amount` is left to refund.
        EntryNotFoundError: the account has no such entry.
        NotRefundableError: the entry is not a use.
        ForbiddenError: a user's token cannot refund.
        IdempotencyKeyReusedError: the key belongs to another request.
    """
    body = {"entry_id": entry_id, "reason": reason, "amount": amount}
    return _post(Posting, account_id, "refunds", body=body, key=_key(idempotency_key))


def entry(account_id: str, entry_id: str) -> Call[OneEntry]:
    """Read one entry, with its refunded total.

    Raises:
        EntryNotFoundError: the account has no such entry.
    """
    return _get(OneEntry, account_id, "entries", entry_id, entry_id=entry_id)


def entries(
    account_id: str,
    *,
    type: str | None = None,  # noqa: A002 - the API's name
    feature: str | None = None,
    reference: str | None = None,
    from_: datetime | None = None,
    to: datetime | None = None,
) -> Call[Page]:
    """Read the ledger, newest first; pages are fetched as you iterate.

    `from_` (inclusive) and `to` (exclusive) limit when entries were recorded; both need a time
    zone.

    Raises:
        AccountNotFoundError: the account does not exist.
    """
    query = {
        "type": type,
        "feature": feature,
        "reference": reference,
        "from": _iso(from_),
        "to": _iso(to),
        "limit": "100",
    }
    return _get(Page, account_id, "entries", query=_without_none(query))


def statement(
    account_id: str,
    *,
    from_: datetime | None = None,
    to: datetime | None = None,
    group_by: Literal["day", "feature", "model", "reference"] = "day",
) -> Call[Statement]:
    """Read what changed the balance: the amounts of the lines add up to its change.

    By default it is of the 30 days until now. `from_` (inclusive) and `to` (exclusive) need a time
    zone and are at most 366 days apart.

    Raises:
        AccountNotFoundError: the account does not exist.
        InvalidRequestError: too many entries lie in days that are not whole: begin and end at
            midnight UTC, or ask for less time.
    """
    query = {"from": _iso(from_), "to": _iso(to), "group_by": group_by}
    return _get(Statement, account_id, "statement", query=_without_none(query))


def next_page(call: Call[Page], cursor: str) -> Call[Page]:
    """Return the call for the next page."""
    return replace(call, query={**(call.query or {}), "cursor": cursor})


def is_answer_to(call: Call[Any], answer: object) -> bool:
    """Whether an answer is about the account, entry or hold of a call, and not another one."""
    match answer:
        case Posting(entry=entry, account=Balance(account_id=account_id)):
            # The entry that ended a hold answers every repetition, whatever its key.
            is_own = _names(call, entry.entry_id) or (call.hold_id and answer.replayed)
            is_about_hold = call.hold_id in {entry.hold_id, None}
            return bool(is_own and is_about_hold and call.account_id in {account_id, "me"})
        case Batch(entries=(Entry(entry_id=entry_id), *_), account=Balance(account_id=account_id)):
            return _names(call, entry_id) and call.account_id in {account_id, "me"}
        case HoldState(hold=Held(hold_id=hold_id), account=Balance(account_id=account_id)):
            return hold_id == call.hold_id and call.account_id in {account_id, "me"}
        case Balance(account_id=account_id):
            return call.account_id in {account_id, "me"}
        case OneEntry(entry_id=entry_id):
            return entry_id == call.entry_id
    return isinstance(answer, Catalog | Holds | Quote | Page | Statement | Upcoming)


def _names(call: Call[Any], entry_id: str) -> bool:
    """Whether an entry's id is the call's key, with or without a user's prefix."""
    return entry_id in {call.key, f"{USER_PREFIX}{call.key}"}


def _get(
    answer: type[Answer],
    account_id: str,
    *path: str,
    query: Mapping[str, str] | None = None,
    entry_id: str | None = None,
) -> Call[Answer]:
    return Call(
        answer=answer,
        method="GET",
        path=_path(account_id, *path),
        account_id=account_id,
        entry_id=entry_id,
        query=query,
    )


def _post(
    answer: type[Answer],
    account_id: str,
    *path: str,
    body: Mapping[str, Any],
    key: str | None = None,
    hold_id: str | None = None,
) -> Call[Answer]:
    return Call(
        answer=answer,
        method="POST",
        path=_path(account_id, *path),
        account_id=account_id,
        hold_id=hold_id,
        body=_without_none(body),
        key=key,
    )


def _key(idempotency_key: str | None) -> str:
    return new_key() if idempotency_key is None else checked_key(idempotency_key)


def _path(account_id: str, *more: str) -> str:
    for part in (account_id, *more):
        if part in {"", ".", ".."}:
            raise ValueError(f"{part!r} cannot be part of a URL path")
    return "/".join(["v1/accounts", *(quoted(part, safe="") for part in (account_id, *more))])


def _lines(lines: Iterable[Line] | None) -> list[dict[str, Any]] | None:
    return None if lines is None else [dict(line) for line in lines]


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
