"""The answers to what a caller reads of an account's ledger."""

from typing import Annotated, TypedDict

from pydantic import Field

from scrip.http.answers import EntryAnswer, IsoDate, IsoInstant


class EntriesAnswer(TypedDict):
    """Entries, newest first. A page may be short before the end; the end is `cursor: null`."""

    entries: list[EntryAnswer]
    cursor: str | None


class OneEntryAnswer(EntryAnswer):
    """An entry, and how many of its credits have been refunded."""

    refunded: int


class UsageGroup(TypedDict, total=False):
    """What a row of usage is about. Rows of a reference say when its entries were recorded."""

    day: Annotated[IsoDate | None, Field(default=None)]
    feature: Annotated[str | None, Field(default=None)]
    model: Annotated[str | None, Field(default=None)]
    reference: Annotated[str | None, Field(default=None)]
    first_at: Annotated[IsoInstant | None, Field(default=None)]
    last_at: Annotated[IsoInstant | None, Field(default=None)]


class UsageRow(UsageGroup):
    """Usage of one day, feature, model or reference, as `group_by` asks.

    `feature` is null for uses by amount, `model` for those whose metadata names none. `credits` is
    what `count` uses cost, and `meters` what they counted; `refunded` is what was refunded within
    these days, for uses on any day.
    """

    credits: int
    count: int
    refunded: int
    meters: dict[str, int]


_From = TypedDict("_From", {"from": IsoDate})


class UsageAnswer(_From):
    """Usage from a day (included) to a day (not included), in UTC.

    By day and reference it comes in pages; the last one has a null `cursor`.
    """

    usage: list[UsageRow]
    to: IsoDate
    cursor: str | None
