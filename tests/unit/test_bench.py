"""The checks of `make bench` before it measures, and the goals that it shows afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from bench.__main__ import main
from bench.goals import at_least, at_most

if TYPE_CHECKING:
    from pathlib import Path


def test_an_unwritable_output_is_refused_before_measuring(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measured(*_: object, **__: object) -> NoReturn:
        raise AssertionError("it measured")

    monkeypatch.setattr("bench.__main__.measured", measured)
    file = tmp_path / "file"
    file.touch()
    for out in (tmp_path, file / "results.json", file / "folder" / "results.json"):
        monkeypatch.setattr("sys.argv", ["bench", "--out", str(out)])
        with pytest.raises(SystemExit, match="2"):
            main()
        assert f"cannot write {out}" in capsys.readouterr().err


def test_a_goal_is_missed_by_more_than_noise_only() -> None:
    most = [at_most("calls", found, 10, "calls", noise=0.1) for found in (10, 11, 11.1)]
    least = [at_least("speed", found, 10, "times", noise=0.1) for found in (10, 9, 8.9)]
    for goals in (most, least):
        assert [goal["result"] for goal in goals] == ["met", "within noise", "missed"]


def test_a_missed_goal_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"function": "consume", "calls": 4}]
    part = {"rows": rows, "notes": [], "goals": [at_most("calls of a page", 4, 3, "calls")]}
    monkeypatch.setattr("bench.__main__.measured", lambda *_, **__: {"cold": part})
    monkeypatch.setattr("sys.argv", ["bench", "--out", str(tmp_path / "results.json")])
    with pytest.raises(SystemExit, match="calls of a page"):
        main()
    shown = capsys.readouterr().out
    assert "at most 3 calls" in shown
    assert "missed" in shown
