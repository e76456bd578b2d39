"""The body of a sync."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from scrip.http.admin_models import AccountName
from scrip.http.models import Count, Cursor


class SyncRequest(BaseModel):
    """What to repair. `cursor` comes from the previous answer to the same request."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)

    mode: Literal["users", "plans", "all"]
    dry_run: bool = False
    credit_overrides: Annotated[
        dict[AccountName, Count],
        Field(max_length=1000, description="Balances to set, by account ID."),
    ] = {}
    cursor: Cursor | None = None
