"""The checks of `make bench` before it measures."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from bench.__main__ import main

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
