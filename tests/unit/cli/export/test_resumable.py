"""A file that is continued, however the process ended."""

from pathlib import Path
from typing import Any

import pytest

from scrip_cli.errors import CommandError
from scrip_cli.export.resumable import Point, ResumableFile

QUESTION: dict[str, Any] = {"table": "arn", "format": "ndjson"}
FIRST = Point(place={"seq": {"N": "2"}}, bytes=4, entries=2)
LAST = Point(place=None, bytes=8, entries=4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.ndjson"


def begin(path: Path) -> None:
    with ResumableFile(path, QUESTION) as file:
        assert file.point == Point()
        file.append(b"1\n2\n", FIRST)


def test_it_continues_after_the_last_piece_and_leaves_nothing_beside_it(path: Path) -> None:
    begin(path)
    with ResumableFile(path, QUESTION) as file:
        assert file.point == FIRST
        file.append(b"3\n4\n", LAST)
    assert path.read_bytes() == b"1\n2\n3\n4\n"
    assert list(path.parent.iterdir()) == [path]


def test_half_a_piece_is_cut_off(path: Path) -> None:
    begin(path)
    with path.open("ab") as file:
        file.write(b"3\n4")
    with ResumableFile(path, QUESTION) as again:
        assert path.read_bytes() == b"1\n2\n"
        again.append(b"3\n4\n", LAST)
    assert path.read_bytes() == b"1\n2\n3\n4\n"


def test_it_is_readable_by_its_owner_only(path: Path) -> None:
    begin(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_question_is_not_answered_into_it(path: Path) -> None:
    begin(path)
    with pytest.raises(CommandError, match="begun by a different export"):
        ResumableFile(path, {**QUESTION, "format": "csv"})
    assert path.read_bytes() == b"1\n2\n"


def test_an_existing_file_is_not_overwritten(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(CommandError, match="already exists"):
        ResumableFile(path, QUESTION)
    assert path.read_text() == "precious"
    assert list(path.parent.iterdir()) == [path]


def test_two_at_once_do_not_write_one_file(path: Path) -> None:
    with (
        ResumableFile(path, QUESTION),
        pytest.raises(CommandError, match="Another export is writing"),
    ):
        ResumableFile(path, QUESTION)


@pytest.mark.parametrize("saved", ["", "{", "[]", '{"question": {}, "point": {"pages": 1}}'])
def test_the_record_of_how_far_it_has_come_must_be_readable(path: Path, saved: str) -> None:
    begin(path)
    path.with_name("ledger.ndjson.resume").write_text(saved)
    with pytest.raises(CommandError, match="cannot be read"):
        ResumableFile(path, QUESTION)
    assert path.read_bytes() == b"1\n2\n"


def test_a_file_that_has_lost_something_is_not_continued(path: Path) -> None:
    begin(path)
    path.write_bytes(b"1\n")
    with pytest.raises(CommandError, match="is shorter than"):
        ResumableFile(path, QUESTION)


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file or directory"):
        ResumableFile(tmp_path / "nowhere" / "ledger.csv", QUESTION)
