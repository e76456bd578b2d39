"""The parts that all providers' payloads are made of, and how to read one."""

from abc import abstractmethod
from collections.abc import Container, Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from scrip.domain.catalog import CREDITS_MAX
from scrip.domain.errors import PayloadError
from scrip.domain.payments import RefundStatus
from scrip.webhooks.facts import Fact, Unclear
from scrip.webhooks.messages import Message

CREDITS_DIGITS_MAX = len(str(CREDITS_MAX))
MONEY_MAX = 10**15

SUBSCRIPTION_ENDED = ("canceled", "unpaid", "incomplete_expired")
SUBSCRIPTION_STATUSES = (
    *SUBSCRIPTION_ENDED,
    "incomplete",
    "trialing",
    "active",
    "past_due",
    "paused",
)
REFUND_STATUSES = {
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.REQUIRES_ACTION,
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}
"""Statuses in the terms of Stripe, which Polar has adopted."""

QUANTITY_MAX = 1_000_000


def _milliseconds(instant: datetime) -> datetime:
    try:
        instant = instant.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("an instant within the years 1 to 9999") from exc
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _id_of(value: object) -> object:
    return value.get("id") if isinstance(value, Mapping) else value


def _normalized(address: str) -> str:
    return address.strip().lower()


def _from_digits(value: object) -> object:
    """Read digits: some providers allow only strings in metadata."""
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= CREDITS_DIGITS_MAX):
            raise ValueError("credits are a whole number in digits")
        return int(value)
    return value


type Instant = Annotated[AwareDatetime, AfterValidator(_milliseconds)]
"""ISO 8601 with an offset, or an epoch number in seconds or in milliseconds."""

type Id = Annotated[str, Field(pattern="^[!-~]{1,255}$"), BeforeValidator(_id_of)]
"""An ID, or the whole object with that ID where the provider was asked to expand it.

It is bounded because it becomes part of names and keys. The app's own IDs (`account_id`,
`client_reference_id`) are plain text until they have led to an account.
"""

type Word = Annotated[str, Field(max_length=64)]
"""A status of the provider's, which Scrip keeps."""

type Currency = Annotated[str, Field(max_length=64), AfterValidator(str.lower)]
"""A currency's code in lower case."""

type Money = Annotated[int, Field(ge=0, le=MONEY_MAX)]
"""An amount in the currency's smallest unit."""

type Total = Annotated[int, Field(ge=-MONEY_MAX, le=MONEY_MAX)]
"""An amount in the currency's smallest unit, below 0 if the customer is credited more than owed."""

type Quantity = Annotated[int, Field(ge=0, le=QUANTITY_MAX)]
"""How many of a plan or product were paid for, such as seats."""

type Email = Annotated[str, AfterValidator(_normalized)]
"""An email address in lower case."""

type Credits = Annotated[int, Field(strict=True, ge=1, le=CREDITS_MAX)]
"""How many credits were bought."""

type MetadataCredits = Annotated[Credits, BeforeValidator(_from_digits)]
"""Credits in a provider's metadata, perhaps as digits."""

type MetadataText = Annotated[str, Field(coerce_numbers_to_str=True)]
"""Text in a provider's metadata."""


def at(*paths: str, default: Any = None) -> Any:
    """Return a field whose value is at the first of these paths that exists, such as `plan.id`.

    A path through null does not exist. The field is required if the default is `...`.
    """
    choices = [AliasPath(*path.split(".")) for path in paths]
    return Field(default, validation_alias=AliasChoices(*choices))


EXPANDABLE = frozenset({"charge", "price"})
"""Objects that providers send as an ID unless they are asked to expand them."""


class Shape(BaseModel):
    """Part of a payload: the fields that Scrip reads. Others are ignored.

    Where the path of a field leads through something other than an object, the part is invalid:
    what it would have said cannot be guessed.
    """

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _has_objects_on_its_paths(cls, part: Any) -> Any:
        for path in cls._paths():
            found = part
            for name in path if isinstance(part, Mapping) else ():
                found = found.get(name)
                if found is None or (isinstance(found, str) and name in EXPANDABLE):
                    break
                if not isinstance(found, Mapping):
                    raise ValueError(f"{name} is not an object")  # noqa: TRY004 - pydantic's way
        return part

    @classmethod
    def _paths(cls) -> Iterator[list[str | int]]:
        """Yield the ways to nested fields, without the fields themselves."""
        for field in cls.model_fields.values():
            if isinstance(field.validation_alias, AliasChoices):
                for choice in field.validation_alias.choices:
                    assert isinstance(choice, AliasPath), choice
                    yield choice.path[:-1]


class Event(Shape):
    """The object of an event that Scrip handles."""

    @property
    def cut_lists(self) -> tuple[str, ...]:
        """The lists of which it needs more than the message has, by their names in it."""
        return ()

    @abstractmethod
    def facts(self, message: Message) -> Iterator[Fact]:
        """Yield what the event says, at least one fact.

        Raises:
            IgnoredError: it has nothing to do with credits.
            PayloadError: it lacks something that it needs.
        """


def read[S: Shape](shape: type[S], payload: Mapping[str, Any], *path: str) -> S:
    """Read the part at a path of a payload.

    Raises:
        PayloadError: something is missing or invalid; the reason starts with its path.
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


def distinct(*values: str | None) -> tuple[str, ...]:
    """Return the values that are not empty, in order and without repeats."""
    return tuple(dict.fromkeys(value for value in values if value))


def names(*values: tuple[str, str | None]) -> tuple[str, ...]:
    """Return `kind:value` for each value that is not empty, in order and without repeats."""
    return distinct(*(f"{kind}:{value}" for kind, value in values if value))


def unknown(subject: str, word: str, known: Container[str]) -> Iterator[Unclear]:
    """Yield that a word is none of a closed list's, if it is none."""
    if word not in known:
        yield Unclear(reason=f"{subject} is {word}, which Scrip does not know")
