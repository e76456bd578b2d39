"""The bodies of requests that consume and hold."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from scrip.domain.commands import USES_MAX
from scrip.domain.holds import HOLD_SECONDS, HOLD_SECONDS_MAX
from scrip.http.models import (
    INTEGER,
    NULL,
    STRING,
    CommandRequest,
    Credits,
    Name,
    StrictRequest,
    schema_with,
)

type HoldSeconds = Annotated[int, Field(strict=True, ge=1, le=HOLD_SECONDS_MAX)]


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


class BatchRequest(StrictRequest):
    """Uses to charge together, all of them or none: one entry each, in this order."""

    uses: Annotated[list[ConsumeRequest], Field(min_length=1, max_length=USES_MAX)]


class HoldRequest(ConsumeRequest):
    """A future use: `quantity` units of a feature at its price, or an amount of credits."""

    expires_in: Annotated[HoldSeconds, Field(description="Seconds.")] = HOLD_SECONDS


class ExtendRequest(StrictRequest):
    """How long to keep a hold open from now. It has no other fields, as no entry records them."""

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
