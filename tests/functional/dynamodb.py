"""DynamoDB behind boto3's own client: the simulation answers what botocore sends.

tests/integration/test_simulated_dynamodb.py compares it with the local AWS. Moto is
slower, since it copies the whole table for each transaction.
"""

from __future__ import annotations

import base64
import json
import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError

from simulation.dynamodb import SimulatedDynamoDB, as_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.store.client import Table


class Service:
    """The service that a table's client reaches: the simulation with one table, or moto."""

    def __init__(self, table: Table) -> None:
        """Answer the requests of the client from now on, with an empty table."""
        self._name = table.name
        self.empty()
        events: Any = table.client.meta.events  # its stubs know no handler that returns a response
        events.register_first("before-send.dynamodb", self._answer)

    def empty(self) -> None:
        """Replace the table by an empty one."""
        self._simulated: SimulatedDynamoDB | None = SimulatedDynamoDB(self._name)

    def leave_to_moto(self) -> None:
        """Let moto answer, which has the tables that a test creates."""
        self._simulated = None

    def _answer(self, request: Any, event_name: str, **_: Any) -> AWSResponse | None:
        if self._simulated is None:
            return None
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", event_name.rpartition(".")[2]).lower()
        asked = json.loads(request.body, object_hook=_with_bytes)
        asked.pop("ClientRequestToken", None)  # botocore adds it, for retries
        try:
            status, answer = 200, getattr(self._simulated, method)(**asked)
        except ClientError as exc:
            error: Any = exc.response
            status = 400
            answer = {"__type": error["Error"]["Code"], "message": error["Error"]["Message"]}
            answer |= {name: error[name] for name in error.keys() - {"Error"}}
        return AWSResponse(request.url, status, HTTPHeaders(), _Body(answer))


class _Body(BytesIO):
    """The body of a response, as urllib3 would have it."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(json.dumps(as_json(answer)).encode())

    def stream(self) -> Iterator[bytes]:
        """Yield all of it."""
        yield self.getvalue()


def _with_bytes(sent: dict[str, Any]) -> dict[str, Any]:
    match sent:
        case {"B": str(text)} if len(sent) == 1:
            return {"B": base64.b64decode(text)}
    return sent
