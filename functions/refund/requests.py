"""The body of a refund."""

from typing import Annotated

from pydantic import Field

from scrip.http.models import FOR_USER, AdminRequest, Credits, EntryId, Reason


class RefundRequest(AdminRequest):
    """Credits of a usage entry to refund: `amount` of them, or everything left.

    Only an admin can leave a `note`.
    """

    entry_id: EntryId
    amount: Credits | None = None
    reason: Annotated[Reason, Field(description=FOR_USER)]
