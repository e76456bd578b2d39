"""The faults that a stack injects into its own calls if its parameter Faults is set."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NoReturn

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

import scrip.ledger
from scrip.ledger import ledger
from scrip.settings import settings
from scrip.store.client import Table
from scrip.store.faults import EXIT_CODE, Fault, inject
from tests.functional.conftest import template

if TYPE_CHECKING:
    from collections.abc import Iterator

ONCE = Config(retries={"total_max_attempts": 1})

FAULTS = "scrip.store.faults"


class DiedError(BaseException):
    """Raised instead of ending the process."""


def die(code: int) -> NoReturn:
    assert code == EXIT_CODE
    raise DiedError


EFFECTS = {
    Fault.REQUEST_LOST: (ReadTimeoutError, 0),
    Fault.ANSWER_LOST: (ReadTimeoutError, 1),
    Fault.LATE: (None, 1),
    Fault.THROTTLED: ("ProvisionedThroughputExceededException", 0),
    Fault.DIES_BEFORE: (DiedError, 0),
    Fault.DIES_AFTER: (DiedError, 1),
    Fault.CONFLICT: ("TransactionCanceledException", 0),
    Fault.IN_PROGRESS: ("TransactionInProgressException", 0),
}
"""The caller's error for each fault, and the number of transactions that reach DynamoDB."""


@contextmanager
def dynamodb() -> Iterator[tuple[str, Counter[str]]]:
    """Yield the address of a server that accepts all calls, and a count of those that reach it."""
    reached: Counter[str] = Counter()

    class Accepting(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            reached[self.headers["X-Amz-Target"].partition(".")[2]] += 1
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Accepting) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", reached
        server.shutdown()
        thread.join()


def test_each_fault_has_its_effect_and_is_logged(
    aws: Table,
    monkeypatch: pytest.MonkeyPatch,
    subtests: pytest.Subtests,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(os, "_exit", die)
    put: Any = {"Put": {"TableName": "scrip", "Item": {}}}
    assert set(EFFECTS) == set(Fault)
    with dynamodb() as (url, reached):
        for fault, expected in EFFECTS.items():
            client = boto3.client("dynamodb", endpoint_url=url, config=ONCE)
            inject(Table(client, "scrip"), f"{fault}=1.0")
            seen: object = None
            reasons = []
            reached.clear()
            caplog.clear()
            try:
                client.transact_write_items(TransactItems=[put, put])
            except ClientError as exc:
                seen = exc.response["Error"]["Code"]
                reasons = [one["Code"] for one in exc.response.get("CancellationReasons", [])]
            except (ReadTimeoutError, DiedError) as exc:
                seen = type(exc)
            with subtests.test(fault=fault):
                assert (seen, reached.total()) == expected
                assert reasons == (["TransactionConflict", "None"] * (fault is Fault.CONFLICT))
                assert [vars(record).get("fault") for record in caplog.records] == [fault]


def test_faults_of_transactions_do_not_affect_reads(aws: Table) -> None:
    with dynamodb() as (url, reached):
        client = boto3.client("dynamodb", endpoint_url=url, config=ONCE)
        inject(Table(client, "scrip"), "conflict=0.5,in_progress=0.5")
        client.get_item(TableName="scrip", Key={})
        assert reached == {"GetItem": 1}
        with pytest.raises(ClientError):
            client.transact_write_items(TransactItems=[{"Put": {"TableName": "x", "Item": {}}}])


def test_an_unknown_fault_or_a_chance_that_is_no_number_is_refused(aws: Table) -> None:
    for chances in ("magic=0.1", "late", "late=often"):
        with pytest.raises(ValueError):  # noqa: PT011 - Python's own
            inject(aws, chances)


def test_the_module_is_imported_only_if_faults_are_set(
    aws: Table,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A contract in pyproject.toml lets only scrip.ledger import it.
    known = vars(scrip.ledger).values()
    names = {getattr(one, name, "") for one in known for name in ("__module__", "__name__")}
    assert FAULTS not in names
    monkeypatch.delitem(sys.modules, FAULTS)
    for faults, is_imported in (("", False), ("late=0.5", True)):
        monkeypatch.setenv("FAULTS", faults)
        settings.cache_clear()
        ledger.cache_clear()
        ledger()
        assert (FAULTS in sys.modules) == is_imported
    settings.cache_clear()
    ledger.cache_clear()


def test_a_stack_has_no_faults_by_default_and_only_dev_may_have_them() -> None:
    whole = template()
    assert whole["Parameters"]["Faults"]["Default"] == ""
    assert whole["Globals"]["Function"]["Environment"]["Variables"]["FAULTS"] == {
        "Ref": "Faults",
    }
    [assertion] = whole["Rules"]["NoFaultsOutsideDev"]["Assertions"]
    assert assertion["Assert"] == {"Fn::Equals": [{"Ref": "Stage"}, "dev"]}
