"""Request bodies that users and services send, and the types of their fields."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    model_validator,
)
from pydantic.config import JsonDict

from scrip.domain.catalog import (
    CREDITS_MAX,
)
from scrip.domain.commands import ENTRY_ID_PATTERN, USES_MAX
from scrip.domain.entries import canonical_json
from scrip.domain.holds import HOLD_SECONDS, HOLD_SECONDS_MAX

METADATA_BYTES_MAX = 4096
METADATA_DEPTH_MAX = 16

FOR_USER = "Shown to the user."

WITHOUT_NUL = r"^[^\x00]*$"
"""Many tools and databases cut text at a NUL character."""

NUL = re.compile(rb"(?<!\\)(\\\\)*\\u0000")
"""A NUL character in JSON: an escape whose backslash is not itself escaped."""


INSTANT_CHARACTERS_MAX = 64
CURSOR_CHARACTERS_MAX = 8192
"""No cursor is longer: the longest ones contain a Cognito token, or nine keys of the archive."""


def _instant(value: object) -> datetime:
    """Parse ISO 8601 with an offset, or a date (its first instant in UTC)."""
    if not isinstance(value, str):
        raise ValueError("must be a string in ISO 8601")  # noqa: TRY004 - pydantic's way
    if len(value) > INSTANT_CHARACTERS_MAX:
        raise ValueError(f"must have at most {INSTANT_CHARACTERS_MAX} characters")
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        if len(value) != len("2026-12-01"):
            raise ValueError("must have a UTC offset, such as Z")
        instant = instant.replace(tzinfo=UTC)
    try:
        instant = instant.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("must be within the years 1 to 9999") from exc
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    if _depth(metadata) > METADATA_DEPTH_MAX:
        raise ValueError(f"metadata is nested deeper than {METADATA_DEPTH_MAX} levels")
    text = canonical_json(metadata)
    if len(text) > METADATA_BYTES_MAX:
        raise ValueError(f"metadata is {len(text)} bytes of JSON, more than {METADATA_BYTES_MAX}")
    if NUL.search(text):
        raise ValueError("metadata contains a NUL character")
    return metadata


def _depth(value: object) -> int:
    match value:
        case dict():
            return 1 + max(map(_depth, value.values()), default=0)
        case list():
            return 1 + max(map(_depth, value), default=0)
    return 0


def schema_with(properties: JsonDict, *required: str) -> JsonDict:
    """Return a schema for fields that depend on each other."""
    return {"properties": properties, "required": list(required)}


STRING: JsonDict = {"type": "string"}
INTEGER: JsonDict = {"type": "integer"}
NULL: JsonDict = {"type": "null"}


# Strict one by one: a model's strict mode does not reach into a type alias.
type Credits = Annotated[int, Field(strict=True, ge=1, le=CREDITS_MAX)]
type Count = Annotated[int, Field(strict=True, ge=0, le=CREDITS_MAX)]
type Instant = Annotated[
    datetime,
    BeforeValidator(
        _instant,
        json_schema_input_type=Annotated[
            str,
            Field(
                max_length=INSTANT_CHARACTERS_MAX,
                json_schema_extra={"anyOf": [{"format": "date-time"}, {"format": "date"}]},
            ),
        ],
    ),
]
type HoldSeconds = Annotated[int, Field(strict=True, ge=1, le=HOLD_SECONDS_MAX)]
type Metadata = Annotated[
    dict[str, JsonValue],
    AfterValidator(_small),
    Field(
        description=f"Up to {METADATA_BYTES_MAX} bytes and {METADATA_DEPTH_MAX} levels of JSON. "
        "Shown to the user.",
    ),
]
type EntryId = Annotated[str, Field(pattern=ENTRY_ID_PATTERN)]
type Name = Annotated[str, Field(min_length=1, max_length=128, pattern=WITHOUT_NUL)]
type Text = Annotated[str, Field(min_length=1, max_length=256, pattern=WITHOUT_NUL)]
type Note = Annotated[str, Field(min_length=1, max_length=1024, pattern=WITHOUT_NUL)]
type Cursor = Annotated[str, Field(max_length=CURSOR_CHARACTERS_MAX)]


class CommandRequest(BaseModel):
    """The fields of every command: exact types, no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)

    reason: Annotated[Text | None, Field(description=FOR_USER)] = None
    reference: Text | None = None
    metadata: Metadata | None = None


class AdminRequest(CommandRequest):
    """The fields of every admin's command."""

    note: Annotated[
        Note | None, Field(description="For staff only: kept in the audit record and nowhere else.")
    ] = None


class ConsumeRequest(CommandRequest):
    """A use: `quantity` units of a feature at its price, or an amount of credits."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                schema_with({"feature": STRING, "amount": NULL}, "feature"),
                schema_with({"feature": NULL, "quantity": NULL, "amount": INTEGER}, "amount"),
            ],
            "examples": [{"feature": "chat"}, {"amount": 12}],
        },
    )

    feature: Name | None = None
    quantity: Annotated[
        Credits | None,
        Field(description="Units of the feature; 1 by default."),
    ] = None
    amount: Credits | None = None

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        if (self.feature is None) == (self.amount is None):
            raise ValueError("give either a feature or an amount")
        if self.feature is None and self.quantity is not None:
            raise ValueError("a quantity needs a feature")
        if self.feature is not None and self.quantity is None:
            self.quantity = 1
        return self


class BatchRequest(BaseModel):
    """Uses to charge together, all of them or none: one entry each, in this order."""

    model_config = ConfigDict(strict=True, extra="forbid")

    uses: Annotated[list[ConsumeRequest], Field(min_length=1, max_length=USES_MAX)]


class HoldRequest(ConsumeRequest):
    """A future use: `quantity` units of a feature at its price, or an amount of credits."""

    expires_in: Annotated[HoldSeconds, Field(description="Seconds.")] = HOLD_SECONDS


class ExtendRequest(BaseModel):
    """How long to keep a hold open from now. It has no other fields, as no entry records them."""

    model_config = ConfigDict(strict=True, extra="forbid")

    expires_in: Annotated[HoldSeconds, Field(description="Seconds.")] = HOLD_SECONDS


class CaptureRequest(CommandRequest):
    """How much of a hold to spend: an amount, the price of a quantity, or all that is left."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [schema_with({"amount": NULL}), schema_with({"quantity": NULL})]
        },
    )

    amount: Credits | None = None
    quantity: Annotated[
        Credits | None,
        Field(description="Units of the feature that the hold was opened for."),
    ] = None
    final: Annotated[
        bool,
        Field(description="Whether this ends the hold and gives back what is left of it."),
    ] = True
    excess: Annotated[
        Literal["refuse", "available"],
        Field(description="Whether to take an amount above the hold from the available credits."),
    ] = "refuse"

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if self.amount is not None and self.quantity is not None:
            raise ValueError("give an amount or a quantity, not both")
        return self


class ReleaseRequest(CommandRequest):
    """An optional reason for releasing a hold."""


class RefundRequest(AdminRequest):
    """Credits of a usage entry to give back: `amount` of them, or all that is left.

    Only an admin can leave a `note`.
    """

    entry_id: EntryId
    amount: Credits | None = None
    reason: Annotated[Text, Field(description=FOR_USER)]
