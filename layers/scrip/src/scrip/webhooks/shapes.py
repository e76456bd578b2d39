"""What the shapes of all providers' payloads are made of, and how one is read."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from scrip.domain.catalog import CREDITS_MAX
from scrip.domain.errors import PayloadError

CREDITS_DIGITS_MAX = len(str(CREDITS_MAX))
MONEY_MAX = 10**15


def _milliseconds(instant: datetime) -> datetime:
    try:
        instant = instant.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("an instant within the years 1 to 9999") from exc
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _id_of(value: object) -> object:
    return value.get("id") if isinstance(value, Mapping) else value


def _whole(value: object) -> object:
    return {"id": value} if isinstance(value, str) else value


def _from_digits(value: object) -> object:
    """Read digits: metadata knows nothing but strings at some providers."""
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= CREDITS_DIGITS_MAX):
            raise ValueError("credits are a whole number in digits")
        return int(value)
    return value


type Instant = Annotated[AwareDatetime, AfterValidator(_milliseconds)]
"""ISO 8601 with an offset, or an epoch number in seconds or in milliseconds."""

type Id = Annotated[str, Field(pattern="^[!-~]{1,255}$"), BeforeValidator(_id_of)]
"""An id, or the whole object that has it where the provider was asked to expand it.

Names and keys are made of ids, hence the bound; an id of the app's own (`account_id`,
`client_reference_id`) is a mere text until it has led to somebody.
"""

type Word = Annotated[str, Field(max_length=64)]
"""A word of the provider's that is kept: a status, a currency."""

type Money = Annotated[int, Field(ge=0, le=MONEY_MAX)]
"""An amount in the currency's smallest unit."""

type BoughtCredits = Annotated[
    int,
    Field(strict=True, ge=1, le=CREDITS_MAX),
    BeforeValidator(_from_digits),
]
"""Credits that a provider's metadata names."""


class Shape(BaseModel):
    """A part of a payload: what Scrip reads of it. What else it has is the provider's business."""

    model_config = ConfigDict(frozen=True)


type OrEmpty[S: Shape] = Annotated[S, BeforeValidator(lambda value: value or {})]
"""A part that may be null, which then has nothing in it."""

type IdOr[S: Shape] = Annotated[S, BeforeValidator(_whole)]
"""A part that may be whole, or nothing but its id."""


class Metadata(Shape):
    """What an app tells Scrip through a provider's metadata."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)

    account_id: str | None = None


class PurchaseMetadata(Metadata):
    """What it tells of something that is bought once."""

    credits: BoughtCredits | None = None


def read[S: Shape](shape: type[S], payload: Mapping[str, Any], *path: str) -> S:
    """Read what is at a path of a payload.

    Raises:
        PayloadError: something is missing there or is not what it should be; it says where.
    """
    found: Any = payload
    for depth, name in enumerate(path, start=1):
        if not isinstance(found, Mapping) or name not in found:
            raise PayloadError(f"{'.'.join(path[:depth])}: missing")
        found = found[name]
    try:
        return shape.model_validate(found)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, (*path, *first["loc"])))
        raise PayloadError(f"{where}: {first['msg']}") from exc


def names(*told: tuple[str, str | None]) -> tuple[str, ...]:
    """Return `kind:value` of each value that there is, in order and without repeats."""
    return tuple(
        dict.fromkeys(
            f"{kind}:{value.strip().lower() if kind == 'email' else value}"
            for kind, value in told
            if value
        ),
    )
