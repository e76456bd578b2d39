"""What an exported entry looks like."""

import csv
import io
import json

from scrip.domain.commands import Consume
from scrip.domain.decide import decide
from scrip.domain.entries import Entry
from scrip_cli.export_formats import COLUMNS, Format, encoded, header
from tests.unit.domain.examples import CATALOG, NOW, USER, opening

REASON = 'He said "no",\nand: =1+1; ☃\r\t'


def usage() -> Entry:
    account = decide(None, opening(), catalog=CATALOG, now=NOW).after
    command = Consume(
        account_id="auth0|u,1",
        entry_id="k1",
        actor=USER,
        feature="chat",
        quantity=1,
        reason=REASON,
        metadata={"deep": [{"a": 1.5}, None]},
    )
    entry = decide(account, command, catalog=CATALOG, now=NOW).entry
    assert entry is not None
    return entry


def test_a_line_of_json_is_the_entry_as_the_api_shows_it_and_whose_it_is() -> None:
    lines = (
        header(Format.NDJSON) + encoded([("a", usage()), ("b", usage())], Format.NDJSON)
    ).split(b"\n")
    assert lines.pop() == b""
    expected = json.loads(json.dumps(usage().to_json()))
    assert [json.loads(line) for line in lines] == [
        {"account_id": "a", **expected},
        {"account_id": "b", **expected},
    ]


def test_a_row_of_csv_holds_the_same_with_parts_as_json_and_null_as_nothing() -> None:
    text = (header(Format.CSV) + encoded([("auth0|u,1", usage())], Format.CSV)).decode()
    [row] = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    assert tuple(row) == COLUMNS
    told = usage().to_json()
    actor = told.pop("actor")
    assert row.pop("account_id") == "auth0|u,1"
    assert (row.pop("actor_type"), row.pop("actor_id")) == (actor["type"], actor["id"])
    assert row.pop("reason") == told.pop("reason") == REASON
    for name in ("allocations", "metadata"):
        assert json.loads(row.pop(name)) == json.loads(json.dumps(told.pop(name)))
    assert (row.pop("unlimited"), told.pop("unlimited")) == ("false", False)
    assert row == {name: "" if value is None else str(value) for name, value in told.items()}
