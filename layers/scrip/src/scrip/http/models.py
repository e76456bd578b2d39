"""The shapes of requests, checked once on the way in."""

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

FOR_USER = "The user reads this."

WITHOUT_NUL = r"^[^\x00]*$"
"""Text ends at a NUL character for many a tool and database that may get to see it."""

NUL = re.compile(rb"(?<!\\)(\\\\)*\\u0000")
"""How one stands in JSON: the backslash is not itself escaped."""


INSTANT_CHARACTERS_MAX = 64
CURSOR_CHARACTERS_MAX = 8192
"""More than any is: the longest hold a token of Cognito's, or nine keys of the archive."""


def _instant(value: object) -> datetime:
    """Read ISO 8601 with an offset, or a date (its first instant in UTC)."""
    if not isinstance(value, str):
        raise ValueError("an instant is a string in ISO 8601")  # noqa: TRY004 - pydantic's way
    if len(value) > INSTANT_CHARACTERS_MAX:
        raise ValueError(f"an instant has at most {INSTANT_CHARACTERS_MAX} characters")
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        if len(value) != len("2026-12-01"):
            raise ValueError("an instant needs an offset, such as Z")
        instant = instant.replace(tzinfo=UTC)
    try:
        instant = instant.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("an instant within the years 1 to 9999") from exc
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    if _depth(metadata) > METADATA_DEPTH_MAX:
        raise ValueError(f"metadata is nested deeper than {METADATA_DEPTH_MAX} levels")
    told = canonical_json(metadata)
    if len(told) > METADATA_BYTES_MAX:
        raise ValueError(f"metadata is {len(told)} bytes of JSON, more than {METADATA_BYTES_MAX}")
    if NUL.search(told):
        raise ValueError("metadata has a NUL character")
    return metadata


def _depth(value: object) -> int:
    match value:
        case dict():
            return 1 + max(map(_depth, value.values()), default=0)
        case list():
            return 1 + max(map(_depth, value), default=0)
    return 0


def schema_with(properties: JsonDict, *required: str) -> JsonDict:
    """Return what the document says of fields that depend on each other."""
    return {"properties": properties, "required": list(required)}


STRING: JsonDict = {"type": "string"}
INTEGER: JsonDict = {"type": "integer"}
NULL: JsonDict = {"type": "null"}


# Strict by name: the strictness of a model does not reach into a type alias.
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
        "The user can read it.",
    ),
]
type EntryId = Annotated[str, Field(pattern=ENTRY_ID_PATTERN)]
type Name = Annotated[str, Field(min_length=1, max_length=128, pattern=WITHOUT_NUL)]
type Text = Annotated[str, Field(min_length=1, max_length=256, pattern=WITHOUT_NUL)]
type Note = Annotated[str, Field(min_length=1, max_length=1024, pattern=WITHOUT_NUL)]
type Cursor = Annotated[str, Field(max_length=CURSOR_CHARACTERS_MAX)]


class CommandRequest(BaseModel):
    """A request: exact types, no unknown fields, and what any command may tell."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)

    reason: Annotated[Text | None, Field(description=FOR_USER)] = None
    reference: Text | None = None
    metadata: Metadata | None = None


class AdminRequest(CommandRequest):
    """What an admin's change may tell besides."""

    note: Annotated[
        Note | None, Field(description="Only staff read this: it is in the audit record alone.")
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
        Field(description="Units of the feature; 1 unless given."),
    ] = None
    amount: Credits | None = None

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        if (self.feature is None) == (self.amount is None):
            raise ValueError("name a feature or an amount, and not both")
        if self.feature is None and self.quantity is not None:
            raise ValueError("a quantity is of a feature")
        if self.feature is not None and self.quantity is None:
            self.quantity = 1
        return self


class BatchRequest(BaseModel):
    """Uses that are taken together, all of them or none: an entry each, in this order."""

    model_config = ConfigDict(strict=True, extra="forbid")

    uses: Annotated[list[ConsumeRequest], Field(min_length=1, max_length=USES_MAX)]


class HoldRequest(ConsumeRequest):
    """A use that is to come: `quantity` units of a feature at its price, or an amount."""

    expires_in: Annotated[HoldSeconds, Field(description="Seconds.")] = HOLD_SECONDS


class ExtendRequest(BaseModel):
    """How long a hold is to live from now. There is no entry to keep more in."""

    model_config = ConfigDict(strict=True, extra="forbid")

    expires_in: Annotated[HoldSeconds, Field(description="Seconds.")] = HOLD_SECONDS


class CaptureRequest(CommandRequest):
    """What of a hold to spend: an amount, the price of a quantity, or all that is left."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [schema_with({"amount": NULL}), schema_with({"quantity": NULL})]
        },
    )

    amount: Credits | None = None
    quantity: Annotated[
        Credits | None,
        Field(description="Units of the feature that the hold is for."),
    ] = None
    final: Annotated[
        bool,
        Field(description="Whether this ends the hold; what is left of it then goes back."),
    ] = True
    excess: Annotated[
        Literal["refuse", "available"],
        Field(description="Whether what is above the hold is taken from what is available."),
    ] = "refuse"

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if self.amount is not None and self.quantity is not None:
            raise ValueError("name an amount or a quantity, and not both")
        return self


class ReleaseRequest(CommandRequest):
    """Why a hold is released, if anybody wants to say."""


class RefundRequest(AdminRequest):
    """Credits of a usage entry to give back: `amount` of them, or all that is left.

    A `note` is an admin's; a service leaves none.
    """

    entry_id: EntryId
    amount: Credits | None = None
    reason: Annotated[Text, Field(description=FOR_USER)]
