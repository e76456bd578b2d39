"""The formats of exported entries."""

import csv
import io
import json

import pytest

from scrip.domain.commands import Consume
from scrip.domain.decide import decide
from scrip.domain.entries import Entry
from scrip_cli.export.formats import COLUMNS, Format, encoded, header
from tests.unit.domain.examples import CATALOG, NOW, USER, opening

REASON = 'He said "no",\nand: =1+1; ☃\r\t'


def usage(reason: str = REASON) -> Entry:
    account = decide(None, opening(), catalog=CATALOG, now=NOW).after
    command = Consume(
        account_id="auth0|u,1",
        entry_id="k1",
        actor=USER,
        feature="chat",
        quantity=1,
        reason=reason,
        metadata={"deep": [{"a": 1.5}, None]},
    )
    entry = decide(account, command, catalog=CATALOG, now=NOW).entry
    assert entry is not None
    return entry


def test_a_line_of_json_is_the_entry_as_in_the_api_with_its_account_id() -> None:
    lines = (
        header(Format.NDJSON) + encoded([("a", usage()), ("b", usage())], Format.NDJSON)
    ).split(b"\n")
    assert lines.pop() == b""
    expected = json.loads(json.dumps(usage().to_json()))
    assert [json.loads(line) for line in lines] == [
        {"account_id": "a", **expected},
        {"account_id": "b", **expected},
    ]


def test_a_row_of_csv_has_the_same_with_objects_as_json_and_null_as_empty() -> None:
    text = (header(Format.CSV) + encoded([("auth0|u,1", usage())], Format.CSV)).decode()
    [row] = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    assert tuple(row) == COLUMNS
    fields = usage().to_json()
    actor = fields.pop("actor")
    assert row.pop("account_id") == "auth0|u,1"
    assert (row.pop("actor_type"), row.pop("actor_id")) == (actor["type"], actor["id"])
    assert row.pop("reason") == fields.pop("reason") == REASON
    for name in ("allocations", "metadata"):
        assert json.loads(row.pop(name)) == json.loads(json.dumps(fields.pop(name)))
    assert (row.pop("unlimited"), fields.pop("unlimited")) == ("false", False)
    assert row == {name: "" if value is None else str(value) for name, value in fields.items()}


@pytest.mark.parametrize("start", list("=+-@\t\r\n"))
def test_text_that_looks_like_a_formula_is_marked_and_numbers_are_not(start: str) -> None:
    text, account_id = f'{start}HYPERLINK("https://x.org")', f"{start}49 170"
    written = header(Format.CSV) + encoded([(account_id, usage(reason=text))], Format.CSV)
    [row] = csv.DictReader(io.StringIO(written.decode(), newline=""), strict=True)
    assert (row["reason"], row["account_id"]) == (f"'{text}", f"'{account_id}")
    assert (row["amount"], row["quantity"]) == ("-5", "1")
    for cell in row.values():
        assert cell == "-5" or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
