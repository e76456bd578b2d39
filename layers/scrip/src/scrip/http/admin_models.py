"""The shapes of what admins ask for, checked once on the way in."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from scrip.domain.catalog import (
    CREDITS_MAX,
    ID_PATTERN,
    LIMITS_MAX,
    PROVIDER_IDS_MAX,
    ROLLOVER_PERIODS_MAX,
)
from scrip.domain.commands import ACCOUNT_ID_PATTERN, RESERVED_ACCOUNT_IDS
from scrip.http.models import (
    FOR_USER,
    INTEGER,
    NULL,
    STRING,
    AdminRequest,
    Count,
    Credits,
    Cursor,
    Instant,
    Name,
    Text,
    schema_with,
)

NO_SPACE = r"[^@\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
"""A character of an address; `\\s` is not the same to every reader of the document."""

OBJECT: JsonDict = {"type": "object"}
AT_LEAST_1: JsonDict = {"minimum": 1}
OF_ADD_ONLY: JsonDict = {"kind": NULL, "expires_at": NULL}

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
        raise ValueError("that means something else in an address")
    return account_id


def _distinct(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise ValueError("no value twice")
    return values


class AdjustRequest(AdminRequest):
    """An admin's change of a balance. `kind` and `expires_at` are of what is added."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                schema_with({"action": {"const": "add"}, "amount": AT_LEAST_1}),
                schema_with({"action": {"const": "deduct"}, "amount": AT_LEAST_1, **OF_ADD_ONLY}),
                schema_with({"action": {"const": "set"}, **OF_ADD_ONLY}),
            ],
        },
    )

    action: Literal["add", "deduct", "set"]
    amount: Annotated[int, Field(ge=0, le=CREDITS_MAX, description="0 only for `set`.")]
    reason: Annotated[Text, Field(description=FOR_USER)]
    kind: Literal["admin", "promo", "referral"] | None = None
    expires_at: Instant | None = None

    @model_validator(mode="after")
    def _fits_action(self) -> Self:
        if self.action != "set" and self.amount == 0:
            raise ValueError("an amount is at least 1")
        if self.action != "add" and (self.kind or self.expires_at):
            raise ValueError("kind and expires_at are of what is added")
        return self


class FreezeRequest(AdminRequest):
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


class QuotaRequest(AdminRequest):
    """A plan, or an allowance and limits of the account's own.

    With a `plan_id` what is not given is the plan's own; without one it stays as it is.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                schema_with({"plan_id": STRING}, "plan_id"),
                schema_with({"monthly_credits": INTEGER}, "monthly_credits"),
                schema_with({"limits": OBJECT}, "limits"),
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


class ResetRequest(AdminRequest):
    """Why the period's use begins anew, if anybody wants to say."""


class CloseRequest(AdminRequest):
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
