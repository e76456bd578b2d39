"""The bodies of requests that consume and hold."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    JsonValue,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict

from scrip.domain.catalog import CREDITS_MAX, METER_PATTERN, METERS_MAX
from scrip.domain.commands import USES_MAX, HoldLine
from scrip.domain.holds import HOLD_SECONDS, HOLD_SECONDS_MAX
from scrip.http.models import (
    ARRAY,
    INTEGER,
    NULL,
    OBJECT,
    STRING,
    CommandRequest,
    Count,
    Credits,
    MeterName,
    Name,
    StrictRequest,
    schema_with,
)
from scrip.http.requests import same_fields
from scrip.provider_usage import PROVIDERS, meters_of


def _counting(usage: dict[str, int]) -> dict[str, int]:
    if not any(usage.values()):
        raise ValueError("counts nothing")
    return usage


type Provider = Literal["openai", "anthropic", "bedrock", "google"]
type Usage = Annotated[
    dict[MeterName, Count],
    AfterValidator(_counting),
    Field(min_length=1, max_length=METERS_MAX),
]
type HoldSeconds = Annotated[int, Field(strict=True, ge=1, le=HOLD_SECONDS_MAX)]


METERS: JsonDict = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": METERS_MAX,
    "propertyNames": {"pattern": METER_PATTERN},
    "additionalProperties": {"type": "integer", "minimum": 0, "maximum": CREDITS_MAX},
}


class MeasuredRequest(StrictRequest):
    """How much was used: `quantity` units, `usage` by meter, or an amount of credits."""

    quantity: Annotated[
        Credits | None,
        Field(description="Units of a feature without meters; 1 by default."),
    ] = None
    usage: Annotated[
        Usage | None,
        WithJsonSchema(
            {
                "anyOf": [{"type": "object", "minProperties": 1}, NULL],
                "description": "Counts of the feature's meters, such as `input` and `output` "
                "tokens; with `usage_of`, the usage object that the provider returned.",
            }
        ),
    ] = None
    usage_of: Annotated[
        Provider | None,
        Field(description="Whose usage object it is. Its tokens are counted by meter."),
    ] = None
    amount: Credits | None = None

    @model_validator(mode="before")
    @classmethod
    def _counted(cls, body: Any) -> Any:
        """Replace a provider's usage by its meters."""
        match body:
            case {"usage_of": str(provider), "usage": dict(usage)} if provider in PROVIDERS:
                return {**body, "usage": meters_of(provider, usage)}
        return body

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        if sum(one is not None for one in (self.quantity, self.usage, self.amount)) > 1:
            raise ValueError("give one of quantity, usage and amount")
        if self.usage_of is not None and self.usage is None:
            raise ValueError("usage_of needs usage")
        return self


NO_MEASURE: JsonDict = {"quantity": NULL, "usage": NULL, "usage_of": NULL, "amount": NULL}

# The fields that belong together, and those of them that are required.
FORMS: tuple[tuple[JsonDict, tuple[str, ...]], ...] = (
    ({"feature": STRING, "usage": NULL, "usage_of": NULL, "amount": NULL}, ("feature",)),
    (
        {"feature": STRING, "quantity": NULL, "amount": NULL, "usage": METERS, "usage_of": NULL},
        ("feature", "usage"),
    ),
    (
        {"feature": STRING, "quantity": NULL, "amount": NULL, "usage": OBJECT, "usage_of": STRING},
        ("feature", "usage", "usage_of"),
    ),
    ({"feature": NULL, **NO_MEASURE, "amount": INTEGER}, ("amount",)),
)
PRICED: list[JsonValue] = [schema_with(form, *required) for form, required in FORMS]


class PricedRequest(MeasuredRequest):
    """A use of a feature, by `quantity` or `usage`, or an amount of credits."""

    model_config = ConfigDict(json_schema_extra={"oneOf": PRICED})

    feature: Name | None = None

    @model_validator(mode="after")
    def _one_price(self) -> Self:
        self._complete()
        return self

    def _complete(self) -> None:
        if (self.feature is None) == (self.amount is None):
            raise ValueError("give either a feature or an amount")
        if self.feature is not None and self.usage is None and self.quantity is None:
            self.quantity = 1


class ConsumeRequest(PricedRequest, CommandRequest):
    """A use of a feature, by `quantity` or `usage`, or an amount of credits."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": PRICED,
            "examples": [
                {"feature": "chat"},
                {"feature": "gpt-5-mini", "usage": {"input": 1200, "output": 350}},
                {
                    "feature": "gpt-5-mini",
                    "usage_of": "openai",
                    "usage": {"prompt_tokens": 1200, "completion_tokens": 350},
                },
                {"amount": 12},
            ],
        },
    )


class BatchRequest(StrictRequest):
    """Uses to charge together, all of them or none: one entry each, in this order."""

    uses: Annotated[list[ConsumeRequest], Field(min_length=1, max_length=USES_MAX)]


class LineRequest(PricedRequest):
    """One of several uses: of a feature, by `quantity` or `usage`, or an amount of credits."""


class LinedRequest(CommandRequest):
    """Several uses instead of one."""

    lines: Annotated[
        list[LineRequest] | None,
        Field(
            min_length=1,
            max_length=USES_MAX,
            description="Several uses instead of one, each with its own entry.",
        ),
    ] = None

    @model_validator(mode="after")
    def _nothing_beside_lines(self) -> Self:
        measures = ("feature", "quantity", "usage", "amount")
        if self.lines and any(getattr(self, name, None) is not None for name in measures):
            raise ValueError("give either lines, or one use")
        return self

    @property
    def uses(self) -> tuple[HoldLine, ...] | None:
        """The lines as a command takes them."""
        return tuple(HoldLine(**same_fields(HoldLine, line)) for line in self.lines or ()) or None


class HoldRequest(PricedRequest, LinedRequest):
    """The most that a future use can be: of a feature, by `quantity` or `usage`, or an amount.

    Or several as `lines`, each with its own entry.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                *(schema_with({**form, "lines": NULL}, *required) for form, required in FORMS),
                schema_with({"feature": NULL, **NO_MEASURE, "lines": ARRAY}, "lines"),
            ]
        }
    )

    expires_in: Annotated[HoldSeconds, Field(description="Seconds.")] = HOLD_SECONDS

    def _complete(self) -> None:
        if not self.lines:
            super()._complete()


class ExtendRequest(StrictRequest):
    """How long to keep a hold open from now. It has no other fields, as no entry records them."""

    expires_in: Annotated[HoldSeconds, Field(description="Seconds.")] = HOLD_SECONDS


class CaptureRequest(MeasuredRequest, LinedRequest):
    """How much of a hold to spend, by the price of its feature or an amount; all if left out.

    Or several uses as `lines`, each with its own entry.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                schema_with({"quantity": NULL, "usage": NULL, "usage_of": NULL, "lines": NULL}),
                schema_with({**NO_MEASURE, "usage": METERS, "lines": NULL}, "usage"),
                schema_with(
                    {**NO_MEASURE, "usage": OBJECT, "usage_of": STRING, "lines": NULL},
                    "usage",
                    "usage_of",
                ),
                schema_with({"usage": NULL, "usage_of": NULL, "amount": NULL, "lines": NULL}),
                schema_with({**NO_MEASURE, "lines": ARRAY}, "lines"),
            ]
        },
    )

    final: Annotated[
        bool,
        Field(description="Whether this ends the hold and releases what is left of it."),
    ] = True
    excess: Annotated[
        Literal["refuse", "available"],
        Field(description="Whether to take an amount above the hold from the available credits."),
    ] = "refuse"
