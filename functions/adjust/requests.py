"""The bodies of an admin's requests that change an account's quota, usage and status."""

from typing import Self

from pydantic import ConfigDict, model_validator
from pydantic.config import JsonDict

from scrip.http.admin_models import Limits
from scrip.http.models import INTEGER, STRING, AdminRequest, Count, Instant, Name, schema_with

OBJECT: JsonDict = {"type": "object"}


class QuotaRequest(AdminRequest):
    """A plan, or an allowance and limits that replace the plan's own.

    With a `plan_id`, omitted fields revert to the plan's values; without one, they keep theirs.
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
    """An optional reason for resetting the period's usage."""


class ClockRequest(AdminRequest):
    """The time to set an account's clock to."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"now": "2027-01-31T12:00:00Z"}]})

    now: Instant


class CloseRequest(AdminRequest):
    """An optional reason for closing an account."""
