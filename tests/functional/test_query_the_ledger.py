"""docs/how-to/query-the-ledger.md: its DuckDB queries, run on the archive's objects."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.documentation import examples
from tests.functional.conftest import USER, event, invoke

if TYPE_CHECKING:
    from pathlib import Path

    from tests.functional.outside import Outside

OTHER = "7f3a9b10-2c64-4d0e-b1f7-3e8d5a6c9b02"
NOVEMBER_21, NOVEMBER_22 = date(2026, 11, 21), date(2026, 11, 22)


@pytest.mark.usefixtures("table")
def test_the_documented_queries_ignore_repeated_entries(
    outside: Outside,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = event("events/day")["Records"]
    for part in (records, records[:9], records[4:]):
        invoke("events", {"Records": part})
    for key in outside.archived():
        archived = outside.archive.client.get_object(Bucket=outside.archive.bucket, Key=key)
        copy = tmp_path / key
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(archived["Body"].read())
    monkeypatch.chdir(tmp_path)

    view, by_day, who, missing = examples("docs/how-to/query-the-ledger.md", "sql")
    offline: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "threads": 1,
    }
    with duckdb.connect(config=offline) as database:
        database.execute(view)
        assert database.execute(by_day).fetchall() == [
            (NOVEMBER_21, "chat", 5, 1, 3),
            (NOVEMBER_21, "image-generation", 50, 2, 0),
            (NOVEMBER_21, None, 7, 1, 0),
            (NOVEMBER_22, "chat", 5, 1, 0),
            (NOVEMBER_22, "image-generation", 0, 0, 25),
        ]
        assert database.execute(who).fetchall() == [(USER, 42), (OTHER, 25)]
        assert database.execute(missing).fetchall() == []
        # The query for missing entries finds one.
        database.execute("CREATE TEMP TABLE kept AS SELECT * FROM entries WHERE seq <> 4")
        short = missing.replace("FROM entries", "FROM kept")
        assert database.execute(short).fetchall() == [(USER, 1)]
        [(model,)] = database.execute(
            "SELECT metadata->>'model' FROM entries WHERE entry_id = 'chat-1'"
        ).fetchall()
        assert model == "größte"
