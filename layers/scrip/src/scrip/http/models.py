"""Request bodies that users and services send, and the types of their fields."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic.config import JsonDict

from scrip.domain.catalog import CREDITS_MAX, METER_PATTERN
from scrip.domain.commands import ENTRY_ID_PATTERN
from scrip.domain.entries import canonical_json

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
ARRAY: JsonDict = {"type": "array"}
INTEGER: JsonDict = {"type": "integer"}
OBJECT: JsonDict = {"type": "object"}
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
type Metadata = Annotated[
    dict[str, JsonValue],
    AfterValidator(_small),
    Field(
        description=f"Up to {METADATA_BYTES_MAX} bytes and {METADATA_DEPTH_MAX} levels of JSON. "
        "Shown to the user.",
    ),
]
type EntryId = Annotated[str, Field(pattern=ENTRY_ID_PATTERN)]
type MeterName = Annotated[str, Field(pattern=METER_PATTERN)]
type Name = Annotated[str, Field(min_length=1, max_length=128, pattern=WITHOUT_NUL)]
type Text = Annotated[str, Field(min_length=1, max_length=256, pattern=WITHOUT_NUL)]
type Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=WITHOUT_NUL)]
type Note = Annotated[str, Field(min_length=1, max_length=1024, pattern=WITHOUT_NUL)]
type Cursor = Annotated[str, Field(max_length=CURSOR_CHARACTERS_MAX)]


class StrictRequest(BaseModel):
    """A body with exact types and no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)


class CommandRequest(StrictRequest):
    """The fields of every command."""

    reason: Annotated[Reason | None, Field(description=FOR_USER)] = None
    reference: Text | None = None
    metadata: Metadata | None = None


class AdminRequest(CommandRequest):
    """The fields of every admin's command."""

    note: Annotated[
        Note | None, Field(description="For staff only: kept in the audit record and nowhere else.")
    ] = None


class ReleaseRequest(CommandRequest):
    """An optional reason for releasing a hold."""
