"""Log lines of exceptions: the place and the type, but no input of a caller."""

import io
import json
import logging
from typing import Any

from pydantic import TypeAdapter

from scrip.domain.errors import PayloadError
from scrip.observability import logger

SENT = "alice@example.com"


def logged(fail: Any) -> dict[str, Any]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logger.registered_formatter)
    writer = logging.getLogger("test_observability")
    writer.addHandler(handler)
    try:
        fail()
    except Exception:  # noqa: BLE001 - any exception
        writer.exception("failed")
    writer.removeHandler(handler)
    return json.loads(written.getvalue())  # type: ignore[no-any-return]


def read() -> None:
    TypeAdapter(dict[str, list[int]]).validate_python({"payment": [1, SENT]})


def read_a_payload() -> None:
    try:
        read()
    except ValueError as exc:
        raise PayloadError(f"not a number: {SENT}") from exc


def test_a_logged_exception_has_its_types_and_places_and_no_input() -> None:
    line = logged(read_a_payload)
    assert SENT not in json.dumps(line)
    assert line["exception_name"] == "PayloadError"
    first, last = line["exception"].split("\nbecause of\n")
    assert first.startswith("PayloadError: ")
    assert last.startswith("ValidationError: payment.1: int_parsing\n")
    assert "in read_a_payload" in first
    assert "in read\n" in last


def test_the_message_of_a_failed_read_is_not_logged() -> None:
    for fail in (
        lambda: int(SENT),
        lambda: dict[str, str]()[SENT],
        lambda: json.loads(SENT),
        b"\xff".decode,
    ):
        line = logged(fail)
        assert SENT not in json.dumps(line["exception"].partition("\n")[0])


def test_the_message_of_an_error_of_the_machine_is_logged() -> None:
    def fail() -> None:
        raise OSError("the disk is full")

    assert logged(fail)["exception"].startswith("OSError: the disk is full\n")
