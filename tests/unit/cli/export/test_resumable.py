"""An export's file that can be continued after an interruption."""

from pathlib import Path
from typing import Any

import pytest

from scrip_cli.errors import CommandError
from scrip_cli.export.resumable import Point, ResumableFile

QUERY: dict[str, Any] = {"table": "arn", "format": "ndjson"}
FIRST = Point(place={"seq": {"N": "2"}}, bytes=4, entries=2)
LAST = Point(place=None, bytes=8, entries=4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.ndjson"


def begin(path: Path) -> None:
    with ResumableFile(path, QUERY) as file:
        assert file.point == Point()
        file.append(b"1\n2\n", FIRST)


def test_an_export_continues_after_the_last_piece_and_leaves_no_other_file(path: Path) -> None:
    begin(path)
    with ResumableFile(path, QUERY) as file:
        assert file.point == FIRST
        file.append(b"3\n4\n", LAST)
    assert path.read_bytes() == b"1\n2\n3\n4\n"
    assert list(path.parent.iterdir()) == [path]


def test_an_incomplete_piece_is_cut_off(path: Path) -> None:
    begin(path)
    with path.open("ab") as file:
        file.write(b"3\n4")
    with ResumableFile(path, QUERY) as again:
        assert path.read_bytes() == b"1\n2\n"
        again.append(b"3\n4\n", LAST)
    assert path.read_bytes() == b"1\n2\n3\n4\n"


def test_the_file_is_readable_by_its_owner_only(path: Path) -> None:
    begin(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_different_export_cannot_continue_the_file(path: Path) -> None:
    begin(path)
    with pytest.raises(CommandError, match="begun by a different export"):
        ResumableFile(path, {**QUERY, "format": "csv"})
    assert path.read_bytes() == b"1\n2\n"


def test_an_existing_file_is_not_overwritten(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(CommandError, match="already exists"):
        ResumableFile(path, QUERY)
    assert path.read_text() == "precious"
    assert list(path.parent.iterdir()) == [path]


def test_two_exports_cannot_write_one_file_at_once(path: Path) -> None:
    with (
        ResumableFile(path, QUERY),
        pytest.raises(CommandError, match="Another export is writing"),
    ):
        ResumableFile(path, QUERY)


@pytest.mark.parametrize("saved", ["", "{", "[]", '{"question": {}, "point": {"pages": 1}}'])
def test_an_unreadable_record_of_the_progress_is_reported(path: Path, saved: str) -> None:
    begin(path)
    path.with_name("ledger.ndjson.resume").write_text(saved)
    with pytest.raises(CommandError, match="cannot be read"):
        ResumableFile(path, QUERY)
    assert path.read_bytes() == b"1\n2\n"


def test_a_file_that_was_cut_is_not_continued(path: Path) -> None:
    begin(path)
    path.write_bytes(b"1\n")
    with pytest.raises(CommandError, match="is shorter than"):
        ResumableFile(path, QUERY)


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file or directory"):
        ResumableFile(tmp_path / "nowhere" / "ledger.csv", QUERY)
