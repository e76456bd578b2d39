"""Request bodies that admins send, and the types of their fields."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from scrip.domain.catalog import (
    CREDITS_MAX,
    ID_PATTERN,
    LIMITS_MAX,
    METERS_MAX,
    PROVIDER_IDS_MAX,
    ROLLOVER_PERIODS_MAX,
)
from scrip.domain.commands import ACCOUNT_ID_PATTERN, RESERVED_ACCOUNT_IDS
from scrip.http.models import (
    FOR_USER,
    INTEGER,
    NULL,
    AdminRequest,
    Count,
    Credits,
    Instant,
    MeterName,
    Name,
    Reason,
    StrictRequest,
    schema_with,
)

NO_SPACE = r"[^@\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""A character of an email address; not every reader of the document takes `\\s` for the same."""

AT_LEAST_1: JsonDict = {"minimum": 1}
ONLY_WHEN_ADDING: JsonDict = {"kind": NULL, "expires_at": NULL}

type Limits = Annotated[
    dict[LimitName, Count],
    Field(max_length=LIMITS_MAX, description="By name, such as `storage_bytes`."),
]
type LimitName = Annotated[
    str,
    Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$"),
]
type CatalogId = Annotated[str, Field(pattern=ID_PATTERN)]
type AccountName = Annotated[
    str,
    Field(
        pattern=ACCOUNT_ID_PATTERN,
        json_schema_extra={"not": {"enum": sorted(RESERVED_ACCOUNT_IDS)}},
    ),
    AfterValidator(_can_be_named),
]
type Email = Annotated[str, Field(pattern=f"^{NO_SPACE}+@{NO_SPACE}+$", max_length=254)]


def _can_be_named(account_id: str) -> str:
    if account_id in RESERVED_ACCOUNT_IDS:
        raise ValueError("is reserved in paths")
    return account_id


def _distinct(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise ValueError("must not contain a value twice")
    return values


class AdjustRequest(AdminRequest):
    """An admin's change of a balance. `kind` and `expires_at` are for `add` only."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                schema_with({"action": {"const": "add"}, "amount": AT_LEAST_1}),
                schema_with(
                    {"action": {"const": "deduct"}, "amount": AT_LEAST_1, **ONLY_WHEN_ADDING}
                ),
                schema_with({"action": {"const": "set"}, **ONLY_WHEN_ADDING}),
            ],
        },
    )

    action: Literal["add", "deduct", "set"]
    amount: Annotated[int, Field(ge=0, le=CREDITS_MAX, description="0 only for `set`.")]
    reason: Annotated[Reason, Field(description=FOR_USER)]
    kind: Literal["admin", "promo", "referral"] | None = None
    expires_at: Instant | None = None

    @model_validator(mode="after")
    def _fits_action(self) -> Self:
        if self.action != "set" and self.amount == 0:
            raise ValueError("the amount must be at least 1")
        if self.action != "add" and (self.kind or self.expires_at):
            raise ValueError("kind and expires_at are for add only")
        return self


class FreezeRequest(AdminRequest):
    """An optional reason for freezing or unfreezing an account."""


class EditRequest(StrictRequest):
    """An edit of the catalog; omitted fields get their default."""

    name: Name
    active: bool = True
    reason: Annotated[Reason | None, Field(description="For the audit record.")] = None


class RolloverRequest(StrictRequest):
    """Unspent allowance that outlives its period: up to `max` credits, for `periods` periods."""

    max: Count
    periods: Annotated[int, Field(ge=1, le=ROLLOVER_PERIODS_MAX)]


class PlanRequest(EditRequest):
    """A complete plan."""

    monthly_credits: Count
    unlimited: bool = False
    rollover: RolloverRequest | None = None
    overdraft_limit: Count = 0
    limits: Limits = {}  # noqa: RUF012 - pydantic copies it
    provider_ids: Annotated[
        list[Name],
        AfterValidator(_distinct),
        Field(
            max_length=PROVIDER_IDS_MAX,
            json_schema_extra={"uniqueItems": True},
            description="IDs of the plan at billing providers (price, product, plan). An ID "
            "belongs to one plan only.",
        ),
    ] = []  # noqa: RUF012 - pydantic copies it


class PriceRequest(StrictRequest):
    """`cost` credits for each `per` of what is counted."""

    cost: Credits
    per: Credits = 1


class FeatureRequest(EditRequest):
    """A complete feature: `cost` credits for each `per` units, or a price for each meter."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                schema_with({"cost": INTEGER, "meters": {"maxProperties": 0}}, "cost"),
                schema_with(
                    {"cost": NULL, "per": {"const": 1}, "meters": {"minProperties": 1}}, "meters"
                ),
            ],
        },
    )

    cost: Credits | None = None
    per: Credits = 1
    unit: Name = "use"
    meters: Annotated[dict[MeterName, PriceRequest], Field(max_length=METERS_MAX)] = {}  # noqa: RUF012 - pydantic copies it

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.cost is None) == (not self.meters):
            raise ValueError("give either a cost or meters")
        if self.meters and self.per != 1:
            raise ValueError("each meter has a per of its own")
        return self


class NewAccountRequest(StrictRequest):
    """An account to open, and an email address known to be its owner's."""

    account_id: AccountName
    email: Email | None = None
