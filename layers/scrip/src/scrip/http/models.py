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
    ID_PATTERN,
    LIMITS_MAX,
    PROVIDER_IDS_MAX,
    ROLLOVER_PERIODS_MAX,
)
from scrip.domain.commands import USES_MAX
from scrip.domain.entries import canonical_json
from scrip.domain.holds import HOLD_SECONDS, HOLD_SECONDS_MAX

METADATA_BYTES_MAX = 4096
METADATA_DEPTH_MAX = 16

WITHOUT_NUL = r"^[^\x00]*$"
"""Text ends at a NUL character for many a tool and database that may get to see it."""

NUL = re.compile(rb"(?<!\\)(\\\\)*\\u0000")
"""How one stands in JSON: the backslash is not itself escaped."""

NO_SPACE = r"[^@\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""A character of an address; `\\s` is not the same to every reader of the document."""

INSTANT_CHARACTERS_MAX = 64
CURSOR_CHARACTERS_MAX = 8192
"""More than any is: the longest hold a token of Cognito's, or nine keys of the archive."""

ACCOUNT_ID_PATTERN = "^[A-Za-z0-9._:|@+=~-]{1,128}$"
"""What admins may call an account: whatever issuers call users, auth0|5f7 or saml|a@b.org."""


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


def _can_be_named(account_id: str) -> str:
    if account_id == "me":
        raise ValueError("`me` stands for the caller's own account")
    if account_id in {".", ".."}:
        raise ValueError("no address can have that as a part")
    return account_id


def _distinct(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise ValueError("no value twice")
    return values


def _depth(value: object) -> int:
    match value:
        case dict():
            return 1 + max(map(_depth, value.values()), default=0)
        case list():
            return 1 + max(map(_depth, value), default=0)
    return 0


def _with(properties: JsonDict, *required: str) -> JsonDict:
    """Return what the document says of fields that depend on each other."""
    return {"properties": properties, "required": list(required)}


STRING: JsonDict = {"type": "string"}
INTEGER: JsonDict = {"type": "integer"}
OBJECT: JsonDict = {"type": "object"}
NULL: JsonDict = {"type": "null"}
AT_LEAST_1: JsonDict = {"minimum": 1}
OF_ADD_ONLY: JsonDict = {"kind": NULL, "expires_at": NULL}


# Strict by name: the strictness of a model does not reach into a type alias.
type Credits = Annotated[int, Field(strict=True, ge=1, le=CREDITS_MAX)]
type Count = Annotated[int, Field(strict=True, ge=0, le=CREDITS_MAX)]
type Limits = Annotated[
    dict[LimitName, Count],
    Field(max_length=LIMITS_MAX, description="By name, such as `storage_bytes`."),
]
type LimitName = Annotated[
    str,
    Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$"),
]
type CatalogId = Annotated[str, Field(pattern=ID_PATTERN)]
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
    Field(description=f"Up to {METADATA_BYTES_MAX} bytes and {METADATA_DEPTH_MAX} levels of JSON."),
]
type Name = Annotated[str, Field(min_length=1, max_length=128, pattern=WITHOUT_NUL)]
type AccountName = Annotated[
    str,
    Field(
        pattern=ACCOUNT_ID_PATTERN,
        json_schema_extra={"not": {"enum": ["me", ".", ".."]}},
    ),
    AfterValidator(_can_be_named),
]
type Email = Annotated[str, Field(pattern=f"^{NO_SPACE}+@{NO_SPACE}+$", max_length=254)]
type Text = Annotated[str, Field(min_length=1, max_length=256, pattern=WITHOUT_NUL)]
type Cursor = Annotated[str, Field(max_length=CURSOR_CHARACTERS_MAX)]


class CommandRequest(BaseModel):
    """A request: exact types, no unknown fields, and what any command may tell."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)

    reason: Text | None = None
    reference: Text | None = None
    metadata: Metadata | None = None


class ConsumeRequest(CommandRequest):
    """A use: `quantity` units of a feature at its price, or an amount of credits."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                _with({"feature": STRING, "amount": NULL}, "feature"),
                _with({"feature": NULL, "quantity": NULL, "amount": INTEGER}, "amount"),
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


class ExtendRequest(CommandRequest):
    """How long a hold is to live from now."""

    expires_in: Annotated[HoldSeconds, Field(description="Seconds.")] = HOLD_SECONDS


class CaptureRequest(CommandRequest):
    """What of a hold to spend: an amount, the price of a quantity, or all that is left."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [_with({"amount": NULL}), _with({"quantity": NULL})]},
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


class RefundRequest(CommandRequest):
    """Credits of a usage entry to give back: `amount` of them, or all that is left."""

    entry_id: Name
    amount: Credits | None = None
    reason: Text


class AdjustRequest(CommandRequest):
    """An admin's change of a balance. `kind` and `expires_at` are of what is added."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                _with({"action": {"const": "add"}, "amount": AT_LEAST_1}),
                _with({"action": {"const": "deduct"}, "amount": AT_LEAST_1, **OF_ADD_ONLY}),
                _with({"action": {"const": "set"}, **OF_ADD_ONLY}),
            ],
        },
    )

    action: Literal["add", "deduct", "set"]
    amount: Annotated[int, Field(ge=0, le=CREDITS_MAX, description="0 only for `set`.")]
    reason: Text
    kind: Literal["admin", "promo", "referral"] | None = None
    expires_at: Instant | None = None

    @model_validator(mode="after")
    def _fits_action(self) -> Self:
        if self.action != "set" and self.amount == 0:
            raise ValueError("an amount is at least 1")
        if self.action != "add" and (self.kind or self.expires_at):
            raise ValueError("kind and expires_at are of what is added")
        return self


class FreezeRequest(CommandRequest):
    """Why an account is frozen or unfrozen, if anybody wants to say."""


class EditRequest(BaseModel):
    """An admin's edit: exact types, no unknown fields; what is left out has its default."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)

    name: Name
    active: bool = True
    reason: Annotated[Text | None, Field(description="For the audit record.")] = None


class RolloverRequest(BaseModel):
    """What of an unspent allowance outlives its period: up to `max` credits, for `periods`."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)

    max: Count
    periods: Annotated[int, Field(ge=1, le=ROLLOVER_PERIODS_MAX)]


class PlanRequest(EditRequest):
    """The whole of a plan."""

    monthly_credits: Count
    unlimited: bool = False
    rollover: RolloverRequest | None = None
    overdraft_limit: Count = 0
    limits: Limits = {}
    provider_ids: Annotated[
        list[Name],
        AfterValidator(_distinct),
        Field(
            max_length=PROVIDER_IDS_MAX,
            json_schema_extra={"uniqueItems": True},
            description="What billing providers call it (price, product, plan). No two plans "
            "have the same.",
        ),
    ] = []


class NewPlanRequest(PlanRequest):
    """A plan and its id."""

    plan_id: CatalogId


class FeatureRequest(EditRequest):
    """The whole of a feature: `cost` credits for each `per` units."""

    cost: Credits
    per: Credits = 1
    unit: Name = "use"


class NewFeatureRequest(FeatureRequest):
    """A feature and its id."""

    feature_id: CatalogId


class QuotaRequest(CommandRequest):
    """A plan, or an allowance and limits of the account's own.

    With a `plan_id` what is not given is the plan's own; without one it stays as it is.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                _with({"plan_id": STRING}, "plan_id"),
                _with({"monthly_credits": INTEGER}, "monthly_credits"),
                _with({"limits": OBJECT}, "limits"),
            ],
            "examples": [{"plan_id": "pro"}, {"limits": {"storage_bytes": 10_000_000_000}}],
        },
    )

    plan_id: Name | None = None
    monthly_credits: Count | None = None
    limits: Limits | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if (self.plan_id, self.monthly_credits, self.limits) == (None, None, None):
            raise ValueError("give a plan_id, monthly_credits or limits")
        return self


class ResetRequest(CommandRequest):
    """Why the period's use begins anew, if anybody wants to say."""


class CloseRequest(CommandRequest):
    """Why an account is closed, if anybody wants to say."""


class NewAccountRequest(BaseModel):
    """An account to open, and an address that is known to be its owner's."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)

    account_id: AccountName
    email: Email | None = None


class SyncRequest(BaseModel):
    """What to repair. `cursor` is that of the answer before, to the same request."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)

    mode: Literal["users", "plans", "all"]
    dry_run: bool = False
    credit_overrides: Annotated[
        dict[AccountName, Count],
        Field(max_length=1000, description="Balances to set, by account."),
    ] = {}
    cursor: Cursor | None = None
