"""Records as lines in a pipe and as a table on a terminal."""

import io
import os
import pty
from collections.abc import Iterator

import pytest

from scrip_cli.report import Record, grouped, show_facts, show_lines, show_table

ENTRY = {
    "seq": 12345,
    "recorded_at": "2026-12-01T08:00:00.000Z",
    "reason": "tab\there,\nline, \x1b[31mred\x1b[0m [bold]",
    "unlimited": False,
    "emails": ["a@x.org", "b@x.org"],
    "feature": None,
    "entry_id": "01M7ZW82CQQKEZG9HRTRTFQTKA" * 4,
}
COLUMNS = tuple(ENTRY)


def test_in_a_pipe_each_record_is_a_line_of_tab_separated_cells(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_table([ENTRY, ENTRY], COLUMNS)
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split("\t") == list(COLUMNS)
    assert len(lines) == 2
    assert lines[0].split("\t") == [
        "12345",
        "2026-12-01T08:00:00.000Z",
        "tab here, line,  [31mred [0m [bold]",
        "false",
        "a@x.org, b@x.org",
        "",
        ENTRY["entry_id"],
    ]


def test_on_a_terminal_no_id_is_cut_and_control_characters_are_removed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = pty.openpty()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    with os.fdopen(theirs, "w") as terminal, os.fdopen(ours, "rb", buffering=0) as screen:
        monkeypatch.setattr("sys.stdout", terminal)
        show_table([ENTRY], COLUMNS)
        terminal.flush()
        shown = screen.read(65536).decode()
    assert ENTRY["entry_id"] in shown
    assert "12 345" in shown
    assert ("recorded_at (UTC)" in shown, "2026-12-01 08:00:00" in shown) == (True, True)
    assert "[bold]" in shown
    assert "\x1b[31m" not in shown


def test_each_fact_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_facts({"balance": 10100, "plan_id": "free", "debt": None})
    assert capsys.readouterr().out == "balance  10100\nplan_id  free\ndebt\n"


def test_lines_of_json_are_printed_as_they_are_produced(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    seen = []

    def records() -> Iterator[Record]:
        for number in range(2):
            seen.append(out.getvalue())
            yield {"name": f"Zoë {number}"}

    show_lines(records())
    assert seen == ["", '{"name": "Zoë 0"}\n']


def test_numbers_are_grouped_for_people() -> None:
    assert [grouped(n) for n in (0, 999, 10_100, -1_000_000)] == [
        "0",
        "999",
        "10 100",
        "-1 000 000",
    ]
