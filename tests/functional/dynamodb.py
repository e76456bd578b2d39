"""DynamoDB behind boto3's own client: the simulation answers what botocore would send.

tests/integration/test_simulated_dynamodb.py compares it with the local AWS. Moto is
slower, since it copies the whole table for each transaction.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError

from simulation.dynamodb import SimulatedDynamoDB

if TYPE_CHECKING:
    from scrip.store.client import Table


class Service:
    """The service that a table's client reaches: the simulation with one table, or moto."""

    def __init__(self, table: Table) -> None:
        """Answer the requests of the client from now on, with an empty table."""
        self._name = table.name
        self.empty()
        events: Any = table.client.meta.events  # its stubs know no handler that returns a response
        # Last, since what injects a fault answers before. Signing a request and sending it as HTTP
        # would take most of a test's time.
        events.register_last("before-call.dynamodb", self._answer)

    def empty(self) -> None:
        """Replace the table by an empty one."""
        self._simulated: SimulatedDynamoDB | None = SimulatedDynamoDB(self._name)

    def leave_to_moto(self) -> None:
        """Let moto answer, which has the tables that a test creates."""
        self._simulated = None

    def _answer(
        self, model: Any, params: dict[str, Any], **_: Any
    ) -> tuple[AWSResponse, dict[str, Any]] | None:
        if self._simulated is None:
            return None
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", model.name).lower()
        asked = json.loads(params["body"], object_hook=_with_bytes)
        asked.pop("ClientRequestToken", None)  # botocore adds it, for retries
        try:
            status, answer = 200, getattr(self._simulated, method)(**asked)
        except ClientError as exc:
            status, answer = 400, exc.response
        return AWSResponse(params["url"], status, HTTPHeaders(), None), answer


def _with_bytes(sent: dict[str, Any]) -> dict[str, Any]:
    match sent:
        case {"B": str(text)} if len(sent) == 1:
            return {"B": base64.b64decode(text)}
    return sent
