"""The body of a sync."""

from typing import Annotated, Literal

from pydantic import Field

from scrip.http.admin_models import AccountName
from scrip.http.models import Count, Cursor, StrictRequest


class SyncRequest(StrictRequest):
    """What to repair. `cursor` comes from the previous answer to the same request."""

    mode: Literal["users", "plans", "all"]
    dry_run: bool = False
    credit_overrides: Annotated[
        dict[AccountName, Count],
        Field(max_length=1000, description="Balances to set, by account ID."),
    ] = {}  # noqa: RUF012 - pydantic copies it
    cursor: Cursor | None = None
