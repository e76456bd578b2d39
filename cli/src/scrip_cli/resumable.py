"""A file that is written piece by piece and, whatever ends the process, gone on with.

Beside FILE there is FILE.resume until it is whole: how long it is and where to go on. A piece is on
disk before FILE.resume tells of it, and FILE.resume is replaced as a whole. So it never tells of
more than there is; what FILE has beyond is half a piece, and cut off.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from scrip_cli.local.errors import StackError


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """How far a file has come; `place` is where to go on, None at the beginning and at the end."""

    place: dict[str, Any] | None = None
    bytes: int = 0
    entries: int = 0
    unreadable: int = 0


class ResumableFile:
    """An open file of that kind. `point` is how far it has come.

    Every method raises StackError where the disk does not do what is asked.
    """

    def __init__(self, path: Path, question: dict[str, Any]) -> None:
        """Open a new file, or go on with one that is to answer the same question."""
        self.path = path
        self.question = question
        self.resume = path.with_name(f"{path.name}.resume")
        with self._told():
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock()
            self.point = self._begun()
            with self._told():
                os.ftruncate(self._file, self.point.bytes)
                os.lseek(self._file, 0, os.SEEK_END)
        except BaseException:  # Ctrl-C among them: nobody else can close what is not made yet
            os.close(self._file)
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it; it can be gone on with unless it is whole."""
        os.close(self._file)

    def append(self, piece: bytes, point: Point) -> None:
        """Write a piece; `point` is how far the file has come with it, and it is whole at the end.

        The last piece takes FILE.resume away: killed before, the file goes on with that piece.
        """
        with self._told():
            if piece:
                self._write(piece)
            if point.place is None:
                self.resume.unlink()
                self._sync_folder()
            else:
                self._save(point)
        self.point = point

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise StackError(
                f"Another export is writing {self.path}.", "Wait for it, or name another file."
            ) from exc

    def _begun(self) -> Point:
        """Return how far the file has come, and mark a new one as begun."""
        with self._told():
            size = os.fstat(self._file).st_size
            told = self.resume.read_bytes() if self.resume.exists() else None
        if told is None:
            if size:
                raise StackError(
                    f"{self.path} is there already.", "Name another file, or remove it first."
                )
            with self._told():
                self._save(Point())
            return Point()
        begun = self._read(told)
        if size < begun.bytes:
            raise self._foreign(f"{self.path} is shorter than {self.resume.name} says")
        return begun

    def _read(self, told: bytes) -> Point:
        try:
            saved = json.loads(told)
            question, point = saved["question"], Point(**saved["point"])
        except (ValueError, KeyError, TypeError) as exc:
            raise self._foreign(f"{self.resume} cannot be read") from exc
        if question != self.question:
            raise self._foreign(f"{self.path} was begun by another export than this")
        return point

    def _foreign(self, problem: str) -> StackError:
        return StackError(
            f"{problem}.",
            f"Repeat the very command that began it, or remove both files: {self.path} and "
            f"{self.resume}.",
        )

    def _write(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        os.fsync(self._file)

    def _save(self, point: Point) -> None:
        written = self.resume.with_name(f"{self.resume.name}.new")
        with written.open("w", encoding="utf-8") as file:
            json.dump({"question": self.question, "point": asdict(point)}, file)
            file.flush()
            os.fsync(file.fileno())
        written.replace(self.resume)
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise StackError(
                f"{exc.filename or self.path} cannot be written: {exc.strerror}.",
                "Once it can be, run the same command again to go on.",
            ) from exc
